"""The tiny MelGANs, their float arrays, and int8 forms of them that keep every rule."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import numpy as np
from lpcnet_files import ROOT, load_module, make_tiny

from pyvoc.quant import Quantized, encode
from pyvoc.specs import MELGAN, Container
from pyvoc.specs.layout import I8
from pyvoc.specs.melgan import MelganSettings

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
    """A crude int8 form: magnitudes up to 64, so that no pair exceeds its bound."""
    shapes = {name: a.shape for name, a in weights.items()}
    found: dict[str, Quantized] = {}
    for spec in MELGAN.layout(shapes, {}).tensors:
        if spec.type_for("int8") is not I8:
            continue
        w, axis = weights[spec.name], spec.int8.outputs
        scale = np.abs(w).max(axis=tuple(a for a in range(3) if a != axis)) / 64
        shape = [1, 1, 1]
        shape[axis] = -1
        entry = np.array([0.03, 100], "<f4")
        if spec.name.endswith(".shortcut.weight"):  # shares the accumulator of `out`
            out = found[spec.name.replace("shortcut", "out")]
            scale = np.maximum(scale, out.scale)
            found[spec.name.replace("shortcut", "out")] = _rounded(
                weights[spec.name.replace("shortcut", "out")], scale, shape, axis, entry
            )
        found[spec.name] = _rounded(w, scale, shape, axis, entry)
    return found


def _rounded(
    w: np.ndarray, scale: np.ndarray, shape: list[int], axis: int, entry: np.ndarray
) -> Quantized:
    q = np.rint(w / scale.reshape(shape)).astype(np.int8)
    return Quantized(q, scale.astype("<f4"), axis, entry)


def int8_container(name: str = "odd.f32") -> Container:
    weights = arrays(name)
    return encode(
        MELGAN, weights, metadata=metadata(name), precision="int8", kept=quantised(weights)
    )
