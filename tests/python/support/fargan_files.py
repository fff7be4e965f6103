"""The tiny FARGANs, upstream's exported arrays and checkpoints of them, and the golden data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from lpcnet_files import ROOT, load_module, write_blob
from tiny_files import TinyFiles

from pyvoc.container import read_container
from pyvoc.convert import convert
from pyvoc.families.fargan.names import LAYERS, PITCH_CONVOLUTIONS, PITCH_LAYERS, Layer
from pyvoc.families.fargan.spec import FARGAN
from pyvoc.quant import Quantized, decode
from pyvoc.quant.integers import quantize_rows

GOLDEN = Path(os.environ.get("PYVOC_GOLDEN", ROOT.parent / "shared" / "golden")) / "fargan"
BLOB = GOLDEN / "fargan_weights.bin"
PITCH_BLOB = GOLDEN / "pitchdnn_weights.bin"
FILES = TinyFiles("fargan", FARGAN, "even.f32")
FLOAT = ("embed_pitch", "cond.dense1", "gain", "pitch_gates")
"""Layers that upstream never quantises."""

reference = FILES.reference


def oracle(path: Path, **options):
    """The float64 network of a model file."""
    return reference().Fargan(decode(FARGAN, read_container(path)), **options)


def pitch_reference():
    """The float64 oracle of features whose pitch a network tells."""
    return load_module(ROOT / "tests" / "reference" / "neural_pitch.py")


def pitch_oracle(path: Path, **options):
    """The float64 network for the pitch of a model file."""
    container = read_container(path)
    if container.metadata["pyvoc.precision"] == "int8":
        options.setdefault("heard", pitch_reference().bytes_of)
    return pitch_reference().Network(decode(FARGAN, container), **options)


def upstream_model(folder: Path, precision: str) -> Path:
    """The model of upstream's weights, both networks."""
    both = folder / "both.bin"
    both.write_bytes(BLOB.read_bytes() + PITCH_BLOB.read_bytes())
    convert(both, folder / f"{precision}.gguf", precision=precision)
    return folder / f"{precision}.gguf"


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
        if layer.ours == "embed_pitch.weight":
            found[f"{layer.exported}_weights_float"] = matrix.ravel()
        else:
            integers = int8 and not layer.ours.startswith(FLOAT)
            found |= _exported_matrix(layer.exported, matrix, int8=integers)
    return found | exported_pitch(arrays, int8=int8)


def exported_pitch(arrays: dict[str, np.ndarray], *, int8: bool) -> dict[str, np.ndarray]:
    """Of the network for the pitch, where there is one; it has twelve more outputs there, which
    nobody reads."""
    found: dict[str, np.ndarray] = {}
    if "pitch.conv1.bias" not in arrays:
        return found
    for layer in PITCH_LAYERS:
        matrix, bias = arrays[layer.ours], arrays[str(layer.bias)]
        if layer.gates:
            matrix, bias = _upstream_gates(matrix), _upstream_gates(bias)
        if layer.outputs is not None:
            more = np.full((12, matrix.shape[1]), 0.25, "<f4")
            matrix, bias = np.vstack([matrix, more]), np.append(bias, more[:, 0])
        found[f"{layer.exported}_bias"] = bias
        found |= _exported_matrix(layer.exported, matrix, int8=int8)
    for ours, theirs in PITCH_CONVOLUTIONS.items():
        found[f"{theirs}_weight_float"] = arrays[f"{ours}.weight"].ravel()
        found[f"{theirs}_bias"] = arrays[f"{ours}.bias"]
    return found


def _exported_matrix(name: str, matrix: np.ndarray, *, int8: bool) -> dict[str, np.ndarray]:
    if not int8:
        return {f"{name}_weights_float": matrix.T.ravel()}
    quantized = quantize_rows(matrix)
    q = quantized.q.reshape(len(matrix) // 8, 8, -1, 4).transpose(0, 2, 1, 3)
    return {
        f"{name}_weights_int8": q.ravel(),
        f"{name}_scale": quantized.scale / np.float32(127),
        f"{name}_subias": np.zeros(len(matrix), "<f4"),
    }


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
