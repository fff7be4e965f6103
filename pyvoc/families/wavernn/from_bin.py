"""The ``model.bin`` that geneing's C++ WaveRNN reads: layers one after the other, sparse by groups.

All numbers are little-endian and of 32 bits::

    blocks, stretches, hop, padding
    a layer: its kind (1 Conv1d, 2 Conv2d, 3 BatchNorm1d, 4 Linear, 5 GRU, 6 Stretch2d), 64 bytes
        of text, then its sizes (of all but a Stretch2d after the bytes of a number, 4) and values
    a sparse matrix: how many weights, they, how many indices, they: a byte for each group of
        neighbours in a row, its place among the row's; 255 ends a row, and one more ends all

(geneing/WaveRNN-Pytorch, ``convert_model.py``.) Tensors get the names that the network's state dict
has, so that what reads that reads this.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pyvoc.pickles.source import Source
from pyvoc.pickles.stubs import Refused
from pyvoc.pickles.tensors import LazyTensor, Storage, contiguous, load

_HEADER = 16
_TEXT = 64
_KINDS = ("Conv1d", "Conv2d", "BatchNorm1d", "Linear", "GRU", "Stretch2d")
_ROW_END = 255
_MOST_LAYERS = 64
_MOST_VALUES = 1 << 24
"""Of one matrix; its zeros are not in the file."""


def is_bin(head: bytes, size: int) -> bool:
    """Whether a file that begins with `head` counts a network's parts and then has a Conv1d."""
    kind = int.from_bytes(head[_HEADER : _HEADER + 4], "little")
    return kind == 1 and head[_HEADER + 4 :].startswith(b"Conv1d(")


def load_bin(
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
    return load(path, lambda source: _Layers(source).network(), select)


class _Layers:
    """Reads a file from its beginning to its end."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._at = 0
        self._found: dict[str, LazyTensor] = {}

    def network(self) -> dict[str, LazyTensor]:
        """All tensors."""
        blocks, stretches, hop, _ = self._numbers(4, "the header")
        if not (0 <= blocks <= _MOST_LAYERS and 0 < stretches <= _MOST_LAYERS):
            raise Refused(f"damaged: it counts {blocks} blocks and {stretches} stretches")
        net = "upsample.resnet"
        self._conv(f"{net}.conv_in")
        self._norm(f"{net}.batch_norm")
        for k in range(blocks):
            for half in "12":
                self._conv(f"{net}.layers.{k}.conv{half}")
                self._norm(f"{net}.layers.{k}.batch_norm{half}")
        self._conv(f"{net}.conv_out")
        self._stretch()
        product = 1
        for k in range(stretches):
            product *= self._stretch()
            self._kernel(f"upsample.up_layers.{2 * k + 1}")
        if product != hop:
            raise Refused(f"damaged: its stretches make {product} samples a frame, expected {hop}")
        self._linear("I")
        self._gru("rnn1")
        self._linear("fc1")
        self._linear("fc3")
        if self._at != self._source.size:
            raise Refused(f"damaged: {self._source.size - self._at} bytes follow the last layer")
        return self._found

    def _numbers(self, count: int, what: str) -> list[int]:
        data = self._source.read(self._at, 4 * count, what)
        self._at += 4 * count
        return [int(number) for number in np.frombuffer(data, "<i4")]

    def _open(self, name: str, kind: str, sizes: int) -> list[int]:
        """The sizes of the next layer, which must be of this kind."""
        (number,) = self._numbers(1, f"the layer {name}")
        found = _KINDS[number - 1] if 0 < number <= len(_KINDS) else f"of kind {number}"
        if found != kind:
            raise Refused(f"the layer {name} is {found}, expected {kind}")
        self._source.read(self._at, _TEXT, f"the layer {name}")
        self._at += _TEXT
        if kind != "Stretch2d":
            (width,) = self._numbers(1, f"the layer {name}")
            if width != 4:
                raise Refused(f"the layer {name} has numbers of {width} bytes, expected 4")
        found_sizes = self._numbers(sizes, f"the layer {name}")
        if any(size < 0 for size in found_sizes):
            raise Refused(f"damaged: the layer {name} has sizes below 0")
        return found_sizes

    def _dense(self, name: str, *shape: int) -> None:
        """The next values are a tensor."""
        count = math.prod(shape)
        if 4 * count > self._source.size - self._at:
            raise Refused(f"truncated: {name} {list(shape)} lies beyond the file's end")
        read = partial(self._source.read, self._at, 4 * count, name)
        storage = Storage(name, "<f4", count, read)
        self._found[name] = LazyTensor(storage, 0, shape, contiguous(shape))
        self._at += 4 * count

    def _sparse(self, name: str, rows: int, columns: int) -> bytes:
        """The next matrix, its zeros filled in."""
        if rows * columns > _MOST_VALUES:
            raise Refused(f"{name} is [{rows}, {columns}]: larger than any that is known")
        parts = []
        for dtype in ("<f4", "|u1"):
            (count,) = self._numbers(1, name)
            if count < 0:
                raise Refused(f"damaged: {name} counts {count} values")
            size = count * np.dtype(dtype).itemsize
            parts.append(np.frombuffer(self._source.read(self._at, size, name), dtype))
            self._at += size
        weights, index = parts
        ends = index == _ROW_END
        groups = int((~ends).sum())
        size = len(weights) // groups if groups else 1
        row = np.cumsum(ends)[~ends]
        column = index[~ends].astype(np.int64)
        once = (np.diff(256 * row + column) > 0).all()  # in order, each group
        fits = ends.sum() == rows + 1 and size * groups == len(weights) and columns % size == 0
        inside = not groups or (row.max() < rows and size * (column.max() + 1) <= columns)
        if not (once and fits and inside):
            raise Refused(f"damaged: the indices of {name} are not those of [{rows}, {columns}]")
        matrix = np.zeros((rows, columns // size, size), "<f4")
        matrix[row, column] = weights.reshape(groups, size)
        return matrix.tobytes()

    def _add(self, name: str, data: bytes, *shape: int) -> None:
        storage = Storage(name, "<f4", len(data) // 4, lambda: data)
        self._found[name] = LazyTensor(storage, 0, shape, contiguous(shape))

    def _conv(self, name: str) -> None:
        biased, inputs, outputs, taps = self._open(name, "Conv1d", 4)
        self._dense(f"{name}.weight", outputs, inputs, taps)
        if biased:
            self._dense(f"{name}.bias", outputs)

    def _norm(self, name: str) -> None:
        channels, _ = self._open(name, "BatchNorm1d", 2)
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            self._dense(f"{name}.{leaf}", channels)

    def _stretch(self) -> int:
        """How many times as long it makes a row."""
        number, _ = self._open("of a stretch", "Stretch2d", 2)
        return number

    def _kernel(self, name: str) -> None:
        (taps,) = self._open(name, "Conv2d", 1)
        self._dense(f"{name}.weight", 1, 1, 1, taps)

    def _linear(self, name: str) -> None:
        rows, columns = self._open(name, "Linear", 2)
        self._add(f"{name}.weight", self._sparse(name, rows, columns), rows, columns)
        self._dense(f"{name}.bias", rows)

    def _gru(self, name: str) -> None:
        states, inputs = self._open(name, "GRU", 2)
        for leaf, columns in (("ih", inputs), ("hh", states)):
            gates = [self._sparse(f"{name}.weight_{leaf}_l0", states, columns) for _ in range(3)]
            self._add(f"{name}.weight_{leaf}_l0", b"".join(gates), 3 * states, columns)
        for leaf in ("ih", "hh"):
            self._dense(f"{name}.bias_{leaf}_l0", 3 * states)


CONTAINER = ("bin", is_bin, load_bin)
