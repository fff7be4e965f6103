"""Checkpoints of a small MelGAN as its upstreams write them; safetensors and MindSpore files."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

MAGNITUDE = {
    "g": ("weight_g", "weight_v"),
    "parametrized": ("parametrizations.weight.original0", "parametrizations.weight.original1"),
}
# One row per layer: ours, kind, stage, block.
Layer = tuple[str, str, int, int]


def layers(stages: int, blocks: int) -> list[Layer]:
    found: list[Layer] = [("conv_in", "conv_in", 0, 0)]
    for k in range(stages):
        found.append((f"stage.{k}.up", "up", k, 0))
        found += [
            (f"stage.{k}.block.{j}.{kind}", kind, k, j)
            for j in range(blocks)
            for kind in ("conv", "out", "shortcut")
        ]
    return [*found, ("conv_out", "conv_out", stages, 0)]


def theirs(upstream: str, layer: Layer, blocks: int) -> str:
    """An upstream's name of a layer: the place in its ``nn.Sequential``, counted by hand."""
    _, kind, k, j = layer
    if upstream == "seungwonpark":
        first = {"conv_in": 1, "up": 3 + 3 * k, "conv_out": 4 + 3 * k}.get(kind, 4 + 3 * k)
        tail = {"conv": f".blocks.{j}.2", "out": f".blocks.{j}.4", "shortcut": f".shortcuts.{j}"}
        return f"generator.{first}{tail.get(kind, '')}"
    if upstream == "descript":
        base = (2 + blocks) * k
        first = {"conv_in": 1, "up": 3 + base, "conv_out": 4 + base}.get(kind, 4 + base + j)
        tail = {"conv": ".block.2", "out": ".block.4", "shortcut": ".shortcut"}
        return f"model.{first}{tail.get(kind, '')}"
    names = {
        "conv_in": "conv1d_1",
        "up": f"conv1dtran_{k + 1}",
        "conv": f"rses_{k + 1}.block{j + 1}.2",
        "out": f"rses_{k + 1}.block{j + 1}.4",
        "shortcut": f"rses_{k + 1}.shortcut{j + 1}",
        "conv_out": "conv1d_2",
    }
    return f"{names[kind]}.conv"


def state_dict(
    arrays: dict[str, np.ndarray], upstream: str, *, norm: str = "", prefix: str = ""
) -> dict[str, np.ndarray]:
    """A state dict with an upstream's names; `norm` is ``g``, ``parametrized`` or nothing."""
    stages = sum(name.endswith(".up.weight") for name in arrays)
    blocks = sum(name.startswith("stage.0.") and name.endswith(".conv.weight") for name in arrays)
    rng = np.random.default_rng(3)
    found = {}
    for layer in layers(stages, blocks):
        name = prefix + theirs(upstream, layer, blocks)
        weight = arrays[f"{layer[0]}.weight"].astype("<f4")
        if upstream == "mindspore":
            weight = weight[:, :, None]
        found[f"{name}.bias"] = arrays[f"{layer[0]}.bias"].astype("<f4")
        if norm:
            g, v = MAGNITUDE[norm]
            length = np.sqrt((weight.astype(np.float64) ** 2).sum(axis=(1, 2), keepdims=True))
            factor = rng.uniform(0.5, 2, length.shape)
            found[f"{name}.{g}"] = length.astype("<f4")
            found[f"{name}.{v}"] = (weight * factor).astype("<f4")
        else:
            found[f"{name}.weight"] = weight
    return found


def write_safetensors(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    kinds = {"<f4": "F32", "<f8": "F64", "<f2": "F16", "<i8": "I64", "|b1": "BOOL"}
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at, parts = 0, []
    for name, array in arrays.items():
        data = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": kinds[array.dtype.str],
            "shape": list(array.shape),
            "data_offsets": [at, at + len(data)],
        }
        at += len(data)
        parts.append(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
    return path


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def value(
    name: str, shape: Iterable[int], kind: str, data: bytes, *, packed: bool = False
) -> bytes:
    """One Value of a MindSpore checkpoint."""
    if packed:
        dims = field(1, b"".join(varint(n) for n in shape))
    else:
        dims = b"".join(b"\x08" + varint(n) for n in shape)
    tensor = dims + field(2, kind.encode()) + field(3, data)
    return field(1, field(1, name.encode()) + field(2, tensor))


def mindspore_bytes(
    arrays: dict[str, np.ndarray], *, split: int = 0, crc: bool = False, packed: bool = False
) -> bytes:
    kinds = {"<f4": "Float32", "<f2": "Float16", "<i4": "Int32", "|b1": "Bool"}
    found = b""
    for name, array in arrays.items():
        data = np.ascontiguousarray(array).tobytes()
        shape = array.shape or (0,)
        step = split or max(len(data), 1)
        for at in range(0, max(len(data), 1), step):
            piece = data[at : at + step]
            found += value(name, shape, kinds[array.dtype.str], piece, packed=packed)
    if crc:
        found += b"crc_num" + zlib.crc32(found).to_bytes(10, "big")
    return found
