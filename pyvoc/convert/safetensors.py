"""``.safetensors`` files: a JSON header with names, types and offsets, then the values.

https://github.com/huggingface/safetensors (format description).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from pyvoc.pickles.source import Source
from pyvoc.pickles.stubs import Refused
from pyvoc.pickles.tensors import (
    MAX_DIMS,
    MAX_ELEMENTS,
    LazyTensor,
    Storage,
    contiguous,
    item_size,
    load,
)

MAX_HEADER = 1 << 24
_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "bf16",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
}


def is_safetensors(head: bytes, size: int) -> bool:
    """Whether a file of `size` bytes that begins with `head` (9 bytes or more) is one."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8


def load_safetensors(
    path: str | os.PathLike[str], *, select: Callable[[dict[str, Any]], Any] | None = None
) -> Any:
    """Read a file; as `pyvoc.pickles.load_torch`, the contents being ``{name: tensor}``.

    Raises
    ------
    ModelError
        The file is damaged or truncated.
    Error
        The operating system refused to read.
    """
    return load(path, _tensors, select)


def _tensors(source: Source) -> dict[str, LazyTensor]:
    size = int.from_bytes(source.read(0, 8, "the header's length"), "little")
    if size > MAX_HEADER:
        raise Refused(f"the header has {size} bytes, at most {MAX_HEADER} are read")
    try:
        header = json.loads(source.read(8, size, "the header"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise Refused("damaged: the header is not JSON") from None
    if type(header) is not dict:
        raise Refused("damaged: the header is not a table of tensors")
    header.pop("__metadata__", None)
    start, end, previous = 8 + size, 0, ""
    found = {}
    places = {name: _place(name, entry) for name, entry in header.items()}
    for name, (dtype, shape, first, last) in sorted(places.items(), key=lambda p: p[1][2:]):
        if first < end:
            raise Refused(f"the tensors {previous[:80]!a} and {name[:80]!a} overlap")
        if last > source.size - start:
            raise Refused(f"truncated: the tensor {name[:80]!a} lies beyond the file's end")
        end, previous = max(last, end), name
        read = partial(source.read, start + first, last - first, f"the tensor {name[:80]!a}")
        storage = Storage(name, dtype, (last - first) // item_size(dtype), read)
        found[name] = LazyTensor(storage, 0, shape, contiguous(shape))
    return {name: found[name] for name in header}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name occurs twice")
    return table


def _place(name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    """Type, shape, first and last byte of an entry of the header."""
    where = f"the tensor {name[:80]!a}"
    if type(entry) is not dict or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise Refused(f"damaged: {where} is not described by type, shape and offsets")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    dtype = _TYPES.get(kind) if type(kind) is str else None
    if dtype is None:
        raise Refused(f"{where} has elements of type {str(kind)[:20]!a}, which is not read")
    numbers = [*shape, *offsets] if type(shape) is list and type(offsets) is list else [None]
    if (
        not 2 <= len(numbers) <= MAX_DIMS + 2
        or len(numbers) != len(shape) + 2
        or any(type(n) is not int or not 0 <= n <= MAX_ELEMENTS for n in numbers)
    ):
        raise Refused(f"damaged: {where} has a shape or offsets that are no counts")
    if offsets[1] - offsets[0] != math.prod(shape) * item_size(dtype):
        raise Refused(f"damaged: {where} {shape} does not fill the bytes {offsets}"[:300])
    return dtype, tuple(shape), offsets[0], offsets[1]
