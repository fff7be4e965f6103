"""Upstream's MelGAN checkpoints of the golden data, folded by hand: our converters are not used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.mel import DESCRIPT
from pyvoc.families.melgan.spec import MelganSettings

Array = NDArray[np.float64]

SEUNGWONPARK = {"conv_in": "generator.1", "conv_out": "generator.16"}
DESCRIPT_NAMES = {"conv_in": "model.1", "conv_out": "model.24"}
MINDSPORE = {"conv_in": "conv1d_1.conv", "conv_out": "conv1d_2.conv"}
for _k in range(4):
    _a, _b, _c = f"generator.{4 + 3 * _k}", f"model.{4 + 5 * _k}", f"rses_{_k + 1}"
    SEUNGWONPARK[f"stage.{_k}.up"] = f"generator.{3 + 3 * _k}"
    DESCRIPT_NAMES[f"stage.{_k}.up"] = f"model.{3 + 5 * _k}"
    MINDSPORE[f"stage.{_k}.up"] = f"conv1dtran_{_k + 1}.conv"
    for _j in range(3):
        _block, _module = f"stage.{_k}.block.{_j}", f"model.{4 + 5 * _k + _j}"
        SEUNGWONPARK |= {
            f"{_block}.conv": f"{_a}.blocks.{_j}.2",
            f"{_block}.out": f"{_a}.blocks.{_j}.4",
            f"{_block}.shortcut": f"{_a}.shortcuts.{_j}",
        }
        DESCRIPT_NAMES |= {
            f"{_block}.conv": f"{_module}.block.2",
            f"{_block}.out": f"{_module}.block.4",
            f"{_block}.shortcut": f"{_module}.shortcut",
        }
        MINDSPORE |= {
            f"{_block}.conv": f"{_c}.block{_j + 1}.2.conv",
            f"{_block}.out": f"{_c}.block{_j + 1}.4.conv",
            f"{_block}.shortcut": f"{_c}.shortcut{_j + 1}.conv",
        }

SCALED = MelganSettings(input_scale=0.2, input_shift=1.0)
ZEROS = MelganSettings(padding="zero", input_scale=0.2, input_shift=1.0)
PLAIN = MelganSettings(DESCRIPT)


def seungwonpark(path: Path) -> tuple[dict[str, Array], MelganSettings]:
    """Tensors of the spec, and settings."""
    return _spec_names(_torch(path)["model_g"], SEUNGWONPARK), SCALED


def descript(path: Path) -> tuple[dict[str, Array], MelganSettings]:
    """The same of a netG.pt."""
    return _spec_names(_torch(path), DESCRIPT_NAMES), PLAIN


def mindspore(path: Path) -> tuple[dict[str, Array], MelganSettings]:
    """The same of a MindSpore checkpoint: protobuf, tensors of float32."""
    data, at, found = path.read_bytes(), 0, {}
    while at < len(data):
        (_, value), at = _field(data, at)
        fields = _message(value)
        tensor = _message(fields[2][0])
        shape = [n for n in tensor[1] if n != 1 or len(tensor[1]) == 1]
        array = np.frombuffer(tensor[3][0], "<f4").astype(np.float64)
        name = fields[1][0].decode()
        if len(tensor[1]) == 4:  # [outputs, inputs, 1, taps]
            shape = [tensor[1][0], tensor[1][1], tensor[1][3]]
        found[name] = array.reshape(shape)
    return _spec_names(found, MINDSPORE), ZEROS


def _torch(path: Path) -> Any:
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def _spec_names(state: Any, names: dict[str, str]) -> dict[str, Array]:
    arrays = {}
    for ours, theirs in names.items():
        if f"{theirs}.weight_v" in state:
            g, v = (np.asarray(state[f"{theirs}.weight_{k}"], np.float64) for k in "gv")
            weight = g * v / np.sqrt((v**2).sum(axis=(1, 2), keepdims=True))
        else:
            weight = np.asarray(state[f"{theirs}.weight"], np.float64)
        arrays[f"{ours}.weight"] = weight
        arrays[f"{ours}.bias"] = np.asarray(state[f"{theirs}.bias"], np.float64).reshape(-1)
    return arrays


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def _field(data: bytes, at: int) -> tuple[tuple[int, Any], int]:
    key, at = _varint(data, at)
    value, at = _varint(data, at)
    if key & 7 == 0:
        return (key >> 3, value), at
    return (key >> 3, data[at : at + value]), at + value


def _message(data: bytes) -> dict[int, list[Any]]:
    fields: dict[int, list[Any]] = {}
    at = 0
    while at < len(data):
        (number, value), at = _field(data, at)
        fields.setdefault(number, []).append(value)
    return fields
