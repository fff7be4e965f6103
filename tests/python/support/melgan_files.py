"""The tiny MelGANs, their float arrays, and int8 forms of them that keep every rule."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import numpy as np
from lpcnet_files import ROOT, load_module, make_tiny

from pyvoc.container import Container
from pyvoc.container.layout import I8
from pyvoc.families.melgan.spec import MELGAN, MelganSettings
from pyvoc.quant import Quantized, encode
from pyvoc.quant.convolution import quantize_sum

GOLDEN = Path(os.environ.get("PYVOC_GOLDEN", ROOT.parent / "shared" / "golden"))
TINY = ROOT / "tests" / "golden" / "melgan"


def reference() -> ModuleType:
    return load_module(ROOT / "tests" / "reference" / "melgan.py")


def tiny_melgan() -> ModuleType:
    return load_module(ROOT / "tests" / "golden" / "tiny_melgan.py")


def arrays(name: str = "odd.f32") -> dict[str, np.ndarray]:
    """The float tensors that a tiny model was made of."""
    tiny = tiny_melgan().MODELS[name][0]
    return tiny_melgan().make(tiny, make_tiny().Draws(tiny.seed))


def settings(name: str = "odd.f32") -> MelganSettings:
    return tiny_melgan().MODELS[name][0].settings


def metadata(name: str = "odd.f32") -> dict[str, object]:
    return {
        "general.name": name,
        "pyvoc.source.format": "seeded",
        "pyvoc.source.sha256": "none",
        **settings(name).metadata(),
    }


def quantised(weights: dict[str, np.ndarray]) -> dict[str, Quantized]:
    """A crude int8 form: the same range for every input."""
    shapes = {name: a.shape for name, a in weights.items()}
    specs = {spec.name: spec for spec in MELGAN.layout(shapes, {}).tensors}
    found: dict[str, Quantized] = {}
    for name, spec in specs.items():
        if spec.type_for("int8") is not I8 or name in found:
            continue
        together = {name: weights[name]}
        if name.endswith(".out.weight"):
            shortcut = name.replace("out", "shortcut")
            together[shortcut] = weights[shortcut]
        axis = spec.int8.outputs
        inputs = {
            n: np.tile(np.array([[0.03], [100.0]], "<f4"), (1, w.shape[1 - axis]))
            for n, w in together.items()
        }
        found |= quantize_sum(together, inputs, axis=axis)
    return found


def int8_container(name: str = "odd.f32") -> Container:
    weights = arrays(name)
    return encode(
        MELGAN, weights, metadata=metadata(name), precision="int8", kept=quantised(weights)
    )
