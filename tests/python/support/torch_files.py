"""Files as ``torch.save`` writes them, made without PyTorch, honest ones and hostile ones."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PROTO, STOP = b"\x80\x02", b"."
MAGIC = 0x1950A86A20F9469CFC6C
_CLASSES = {"<f4": "FloatStorage", "<f8": "DoubleStorage", "<f2": "HalfStorage"}
_CLASSES |= {"<i8": "LongStorage", "|u1": "ByteStorage", "|b1": "BoolStorage"}


@dataclass(frozen=True)
class Raw:
    """Opcodes that leave one value on the stack."""

    code: bytes


@dataclass(frozen=True)
class Bf16:
    """bf16 bits as a tensor."""

    bits: np.ndarray


def glob(module: str, name: str) -> Raw:
    return Raw(f"c{module}\n{name}\n".encode())


def call(function: Raw, *arguments: Any) -> Raw:
    return Raw(encode(function) + encode(arguments) + b"R")


def build(target: Raw, state: Any) -> Raw:
    return Raw(encode(target) + encode(state) + b"b")


def pid(*identity: Any) -> Raw:
    return Raw(encode(identity) + b"Q")


def encode(value: Any) -> bytes:
    """Opcodes of plain data, protocol 2."""
    if isinstance(value, Raw):
        return value.code
    if value is None:
        return b"N"
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        if -(1 << 31) <= value < 1 << 31:
            return b"J" + struct.pack("<i", value)
        data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(data)]) + data
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return b"X" + struct.pack("<I", len(data)) + data
    if isinstance(value, tuple):
        return b"(" + b"".join(map(encode, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(encode, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(encode(k) + encode(v) for k, v in value.items()) + b"u"
    raise TypeError(type(value))


class Writer:
    """Turns arrays into tensors and collects their storages."""

    def __init__(self, *, legacy: bool) -> None:
        self.legacy = legacy
        self.storages: dict[str, tuple[int, bytes]] = {}

    def tensor(self, value: np.ndarray | Bf16, **changes: Any) -> Raw:
        array = value.bits if isinstance(value, Bf16) else np.asarray(value)
        kind = "BFloat16Storage" if isinstance(value, Bf16) else _CLASSES[array.dtype.str]
        key = changes.get("key", str(len(self.storages)))
        self.storages[key] = (array.size, np.ascontiguousarray(array).tobytes())
        count = changes.get("count", array.size)
        identity = ("storage", glob("torch", kind), key, "cpu", count)
        storage = pid(*identity, *([None] if self.legacy else []))
        strides = tuple(s // array.itemsize for s in np.empty(array.shape, array.dtype).strides)
        return call(
            glob("torch._utils", "_rebuild_tensor_v2"),
            changes.get("storage", storage),
            changes.get("first", 0),
            changes.get("shape", array.shape),
            changes.get("strides", strides),
            False,
            call(glob("collections", "OrderedDict")),
        )

    def tree(self, value: Any) -> Any:
        if isinstance(value, np.ndarray | Bf16):
            return self.tensor(value)
        if isinstance(value, Mapping):
            return {k: self.tree(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.tree(v) for v in value)
        return value


def pickled(value: Any) -> bytes:
    return PROTO + encode(value) + STOP


def save_zip(
    path: Path,
    value: Any,
    *,
    writer: Writer | None = None,
    top: str = "archive",
    method: int = zipfile.ZIP_STORED,
    members: Mapping[str, bytes] | None = None,
) -> Path:
    """Save a tree of plain data and arrays, or with a `writer` opcodes whose storages it has."""
    mine = writer or Writer(legacy=False)
    code = value if isinstance(value, bytes) else pickled(value if writer else mine.tree(value))
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr(f"{top}/data.pkl", code)
        for key, (_, data) in mine.storages.items():
            file.writestr(f"{top}/data/{key}", data)
        for name, data in (members or {}).items():
            file.writestr(name, data)
        file.writestr(f"{top}/version", b"3\n")
    return path


def legacy_bytes(value: Any, *, writer: Writer | None = None, **changes: Any) -> bytes:
    """The same in the older format."""
    mine = writer or Writer(legacy=True)
    code = pickled(value if writer else mine.tree(value))
    system = {"protocol_version": 1001, "little_endian": changes.get("little", True)}
    parts = [pickled(changes.get("magic", MAGIC)), pickled(changes.get("version", 1001))]
    parts += [pickled(system), code, pickled(changes.get("keys", list(mine.storages)))]
    for count, data in mine.storages.values():
        parts.append(struct.pack("<q", changes.get("count", count)) + data)
    return b"".join(parts)
