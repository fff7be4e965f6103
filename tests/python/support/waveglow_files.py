"""The tiny WaveGlows, their float arrays, and int8 forms of them that keep every rule."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import numpy as np
from lpcnet_files import ROOT, load_module, make_tiny

from pyvoc.container import Container
from pyvoc.container.layout import I8
from pyvoc.families.waveglow.spec import WAVEGLOW, WaveglowSettings
from pyvoc.quant import Quantized, encode
from pyvoc.quant.convolution import quantize_sum

GOLDEN = Path(os.environ.get("PYVOC_GOLDEN", ROOT.parent / "shared" / "golden")) / "waveglow"
TINY = ROOT / "tests" / "golden" / "waveglow"


def reference() -> ModuleType:
    return load_module(ROOT / "tests" / "reference" / "waveglow.py")


def denoiser() -> ModuleType:
    return load_module(ROOT / "tests" / "reference" / "denoiser.py")


def tiny_waveglow() -> ModuleType:
    return load_module(ROOT / "tests" / "golden" / "tiny_waveglow.py")


def arrays(name: str = "early.f32") -> dict[str, np.ndarray]:
    """The float tensors that a tiny model was made of."""
    tiny = tiny_waveglow().MODELS[name][0]
    return tiny_waveglow().make(tiny, make_tiny().Draws(tiny.seed))


def settings(name: str = "early.f32") -> WaveglowSettings:
    return tiny_waveglow().MODELS[name][0].settings


def metadata(name: str = "early.f32") -> dict[str, object]:
    return {
        "general.name": name,
        "pyvoc.source.format": "seeded",
        "pyvoc.source.sha256": "none",
        **settings(name).metadata(),
    }


def quantised(weights: dict[str, np.ndarray]) -> dict[str, Quantized]:
    """A crude int8 form: the same range for every input."""
    shapes = {name: a.shape for name, a in weights.items()}
    found: dict[str, Quantized] = {}
    for spec in WAVEGLOW.layout(shapes, metadata()).tensors:
        if spec.type_for("int8") is not I8 or spec.name in found:
            continue
        together = {spec.name: weights[spec.name]}
        if spec.name.endswith(".conv.weight"):
            cond = spec.name.replace("conv", "cond")
            together[cond] = weights[cond]
        inputs = {
            n: np.tile(np.array([[0.03], [100.0]], "<f4"), (1, w.shape[1]))
            for n, w in together.items()
        }
        found |= quantize_sum(together, inputs, axis=0)
    return found


def int8_container(name: str = "early.f32") -> Container:
    weights = arrays(name)
    return encode(
        WAVEGLOW, weights, metadata=metadata(name), precision="int8", kept=quantised(weights)
    )
