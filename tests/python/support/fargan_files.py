"""The tiny FARGANs, upstream's exported arrays and checkpoints of them, and the golden data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from lpcnet_files import ROOT, write_blob
from tiny_files import TinyFiles

from pyvoc.container import read_container
from pyvoc.families.fargan.names import LAYERS, Layer
from pyvoc.families.fargan.spec import FARGAN
from pyvoc.quant import Quantized, decode
from pyvoc.quant.integers import quantize_rows

GOLDEN = Path(os.environ.get("PYVOC_GOLDEN", ROOT.parent / "shared" / "golden")) / "fargan"
BLOB = GOLDEN / "fargan_weights.bin"
FILES = TinyFiles("fargan", FARGAN, "even.f32")
FLOAT = ("embed_pitch", "cond.dense1", "gain", "pitch_gates")
"""Layers that upstream never quantises."""

reference = FILES.reference


def oracle(path: Path, **options):
    """The float64 network of a model file."""
    return reference().Fargan(decode(FARGAN, read_container(path)), **options)


def exported(name: str = "even.f32", *, int8: bool = False) -> dict[str, np.ndarray]:
    """The arrays that upstream's export would make of a tiny model, flat."""
    arrays = {key: value.astype("<f4") for key, value in FILES.arrays(name).items()}
    found: dict[str, np.ndarray] = {}
    for layer in LAYERS:
        matrix = arrays[layer.ours]
        if layer.gates:
            matrix = _upstream_gates(matrix)
        else:
            bias = np.zeros(len(matrix), "<f4") if layer.bias is None else arrays[layer.bias]
            found[f"{layer.exported}_bias"] = bias
        if int8 and not layer.ours.startswith(FLOAT):
            quantized = quantize_rows(matrix)
            q = quantized.q.reshape(len(matrix) // 8, 8, -1, 4).transpose(0, 2, 1, 3)
            found[f"{layer.exported}_weights_int8"] = q.ravel()
            found[f"{layer.exported}_scale"] = quantized.scale / np.float32(127)
            found[f"{layer.exported}_subias"] = np.zeros(len(matrix), "<f4")
        else:
            table = layer.ours == "embed_pitch.weight"
            found[f"{layer.exported}_weights_float"] = (matrix if table else matrix.T).ravel()
    return found


def upstream_int8(name: str, layer: Layer) -> Quantized:
    """What of a layer must arrive: the integers of `exported`, gates in our order."""
    matrix = FILES.arrays(name)[layer.ours].astype("<f4")
    return quantize_rows(matrix)


def _upstream_gates(array: np.ndarray) -> np.ndarray:
    r, z, n = np.split(array, 3)
    return np.concatenate([z, r, n])


def blob(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Exported arrays as a weight blob."""
    kinds = {"f": 0, "i": 3}
    return write_blob(path, {n: (kinds[a.dtype.kind], a.tobytes()) for n, a in arrays.items()})


def state_dict(name: str = "even.f32") -> dict[str, np.ndarray]:
    """The state dict of upstream's training, with its weight norms."""
    arrays = {key: value.astype("<f4") for key, value in FILES.arrays(name).items()}
    state: dict[str, np.ndarray] = {}
    for layer in LAYERS:
        weight = arrays[layer.ours]
        if layer.ours == "cond.conv.weight":
            weight = weight.reshape(len(weight), 3, -1).transpose(0, 2, 1)
        if layer.gates:
            state[layer.torch] = weight
        elif layer.torch.endswith(("gate", "fwc0.conv")):
            norm = np.sqrt((weight.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
            state[f"{layer.torch}.weight_g"] = norm.astype("<f4")
            state[f"{layer.torch}.weight_v"] = 2 * weight
        else:
            state[f"{layer.torch}.weight"] = weight
        if layer.bias is not None:
            state[f"{layer.torch}.bias"] = arrays[layer.bias]
    return {key: np.ascontiguousarray(value) for key, value in state.items()}
