"""MindSpore's ``.ckpt``: a protobuf message, read by its wire format.

Checkpoint {repeated Value value = 1}; Value {string tag = 1; TensorProto tensor = 2; ... = 3};
TensorProto {repeated int64 dims = 1; string tensor_type = 2; bytes tensor_content = 3}. A large
tensor is several values with the same tag. A file may end with ``crc_num`` and a checksum.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pyvoc.pickles.source import Source
from pyvoc.pickles.stubs import Refused
from pyvoc.pickles.tensors import LazyTensor, Storage, contiguous, item_size, load

MAX_VALUES = 100_000
MAX_TEXT = 512
_TRAILER = b"crc_num"
_TRAILER_SIZE = len(_TRAILER) + 10
_TYPES = {
    "Float64": "<f8",
    "Float32": "<f4",
    "Float16": "<f2",
    "BFloat16": "bf16",
    "Int64": "<i8",
    "Int32": "<i4",
    "Int16": "<i2",
    "Int8": "|i1",
    "UInt8": "|u1",
    "Bool": "|b1",
}


def is_mindspore(head: bytes, size: int) -> bool:
    """Whether a file of `size` bytes begins (`head`) with a value that has a printable tag."""
    if head[:1] != b"\x0a":
        return False
    at, length = 1, 0
    while at < min(len(head), 11):
        length |= (head[at] & 0x7F) << 7 * (at - 1)
        at += 1
        if head[at - 1] < 0x80:
            break
    text = head[at + 2 : at + 2 + (head[at + 1] if at + 1 < len(head) else 0)]
    named = head[at : at + 1] == b"\x0a" and text.isascii() and text.decode("latin-1").isprintable()
    return named and bool(text) and 0 < length <= size - at


def load_mindspore(
    path: str | os.PathLike[str], *, select: Callable[[dict[str, Any]], Any] | None = None
) -> Any:
    """Read a checkpoint; as `pyvoc.pickles.load_torch`, the contents being ``{name: tensor}``.

    Raises
    ------
    ModelError
        The file is damaged, truncated or encrypted.
    Error
        The operating system refused to read.
    """
    return load(path, _tensors, select)


@dataclass
class _Parts:
    """A tensor as it lies in the file: the pieces of its bytes."""

    shape: tuple[int, ...]
    kind: str
    pieces: list[tuple[int, int]] = field(default_factory=list)


def _tensors(source: Source) -> dict[str, LazyTensor]:
    end = _checked_end(source)
    found: dict[str, _Parts] = {}
    for count, (number, start, stop) in enumerate(_fields(source, 0, end)):
        if count >= MAX_VALUES:
            raise Refused(f"the file has more than {MAX_VALUES} values")
        if number == 1 and start is not None:
            _value(source, start, stop, found)
    return {name: _lazy(source, name, parts) for name, parts in found.items()}


def _checked_end(source: Source) -> int:
    """Where the message ends; a checksum behind it is checked."""
    begin = source.size - _TRAILER_SIZE
    if begin < 0:
        return source.size
    tail = source.read(begin, _TRAILER_SIZE, "the end of the file")
    if not tail.startswith(_TRAILER):
        return source.size
    found = 0
    for at in range(0, begin, 1 << 20):
        found = zlib.crc32(source.read(at, min(1 << 20, begin - at), "the values"), found)
    if found != int.from_bytes(tail[len(_TRAILER) :], "big"):
        raise Refused("damaged: the file does not match its checksum")
    return begin


def _fields(source: Source, at: int, end: int) -> Iterator[tuple[int, int | None, int]]:
    """The fields of a message: number, and first and last byte, or None and the integer."""
    while at < end:
        key, at = _varint(source, at, end)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(source, at, end)
            yield number, None, value
        elif kind == 2:
            size, at = _varint(source, at, end)
            if size > end - at:
                raise Refused(f"truncated: a field of {size} bytes at {at} leaves its message")
            yield number, at, at + size
            at += size
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise Refused(
                f"damaged or encrypted: byte {at} begins no field that a MindSpore checkpoint has"
            )


def _varint(source: Source, at: int, end: int) -> tuple[int, int]:
    value = 0
    for i, byte in enumerate(source.read(at, min(10, end - at), "a number")):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, at + i + 1
    raise Refused(f"damaged: the number at byte {at} does not end")


def _text(source: Source, start: int, stop: int) -> str:
    if stop - start > MAX_TEXT:
        raise Refused(f"damaged: a name of {stop - start} bytes at {start}")
    try:
        return source.read(start, stop - start, "a name").decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(f"damaged or encrypted: the name at byte {start} is not text") from None


def _value(source: Source, at: int, end: int, found: dict[str, _Parts]) -> None:
    name, tensor = None, None
    for number, start, stop in _fields(source, at, end):
        if number == 1 and start is not None:
            name = _text(source, start, stop)
        elif number == 2 and start is not None:
            tensor = _tensor(source, start, stop)
    if name is None:
        raise Refused(f"damaged: the value at byte {at} has no name")
    if tensor is None:
        return  # a table of another kind: no weight
    known = found.setdefault(name, tensor)
    if known is not tensor:
        if (known.shape, known.kind) != (tensor.shape, tensor.kind):
            raise Refused(f"the parts of the tensor {name[:80]!a} differ in shape or type")
        known.pieces += tensor.pieces


def _tensor(source: Source, at: int, end: int) -> _Parts:
    shape: list[int] = []
    kind, pieces = "", []
    for number, start, stop in _fields(source, at, end):
        if number == 1 and start is None:
            shape.append(stop)
        elif number == 1 and start is not None:  # the packed form
            while start < stop:
                size, start = _varint(source, start, stop)
                shape.append(size)
        elif number == 2 and start is not None:
            kind = _text(source, start, stop)
        elif number == 3 and start is not None:
            pieces.append((start, stop - start))
        if len(shape) > 16:
            raise Refused(f"damaged: the tensor at byte {at} has more than 16 dimensions")
    return _Parts(tuple(shape), kind, pieces)


def _lazy(source: Source, name: str, parts: _Parts) -> LazyTensor:
    where = f"the tensor {name[:80]!a}"
    dtype = _TYPES.get(parts.kind)
    stored = sum(size for _, size in parts.pieces)
    if dtype is None:  # no weight is of such a type: an error only if somebody asks for it
        return LazyTensor(Storage(name, "|u1", 1, partial(_refuse, where, parts.kind)), 0, (), ())
    shape = parts.shape
    if shape == (0,) and stored == item_size(dtype):
        shape = ()  # how scalars are spelled
    if math.prod(shape) * item_size(dtype) != stored:
        raise Refused(f"damaged: {where} {list(shape)} of {parts.kind} has {stored} bytes")

    def read() -> bytes:
        return b"".join(source.read(at, size, where) for at, size in parts.pieces)

    storage = Storage(name, dtype, math.prod(shape), read)
    return LazyTensor(storage, 0, shape, contiguous(shape))


def _refuse(where: str, kind: str) -> bytes:
    raise Refused(f"{where} has elements of type {kind[:20]!a}, which is not read")
