"""Storages and tensors of PyTorch, and numpy's arrays, as pickles describe them.

Nothing is read until `materialise`: a `LazyTensor` knows its shape and where its values lie, and
was checked to lie within its storage.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyvoc.errors import ModelError
from pyvoc.pickles.source import Source
from pyvoc.pickles.stubs import Buildable, Call, Class, Inert, Name, Refused, Unread, describe

MAX_DIMS = 16
MAX_ELEMENTS = 1 << 40
MAX_DEPTH = 100
AnyArray = NDArray[Any]

STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bf16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
"""PyTorch's storage classes and the numpy type of their elements; numpy has no bf16."""


def item_size(dtype: str) -> int:
    """Bytes of an element."""
    return 2 if dtype == "bf16" else np.dtype(dtype).itemsize


def to_array(data: bytes, dtype: str) -> AnyArray:
    """Values of raw bytes; half and bf16 become float32."""
    array: AnyArray
    if dtype == "bf16":
        array = (np.frombuffer(data, "<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
    elif dtype == "|b1":
        array = np.frombuffer(data, "|u1") != 0
    else:
        array = np.frombuffer(data, dtype)
    return array.astype(np.float32) if dtype == "<f2" else array


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of a tensor without gaps."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


class Storage:
    """A row of numbers that tensors share.

    Parameters
    ----------
    key
        The file's name for it.
    dtype
        A value of `STORAGES`.
    count
        Elements.
    read
        Its bytes, checked to be of that length.
    """

    def __init__(self, key: str, dtype: str, count: int, read: Callable[[], bytes]) -> None:
        self.key = key
        self.dtype = dtype
        self.count = count
        self._read = read
        self._array: AnyArray | None = None

    def array(self) -> AnyArray:
        """All values, ``[count]``."""
        if self._array is None:
            self._array = to_array(self._read(), self.dtype)
        return self._array


class LazyTensor(Buildable):
    """A tensor whose values were not read yet.

    Parameters
    ----------
    storage
        Where the values lie, from element `first` on.
    first
        Offset, elements.
    shape, strides
        In elements, outermost first.
    """

    def __init__(
        self, storage: Storage, first: int, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> None:
        numbers = (first, *shape, *strides)
        if len(shape) > MAX_DIMS or len(shape) != len(strides):
            raise Refused(f"a tensor of {len(shape)} dimensions has {len(strides)} strides")
        if any(type(n) is not int or not 0 <= n <= MAX_ELEMENTS for n in numbers):
            raise Refused("a tensor has a shape, an offset or strides that no tensor has")
        elements = math.prod(shape)
        last = first + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if (elements and last >= storage.count) or elements > storage.count:
            raise Refused(
                f"a tensor {list(shape)} from element {first} on leaves its storage of "
                f"{storage.count} elements"
            )
        if math.prod(max(n, 1) for n in shape) > MAX_ELEMENTS:
            raise Refused(f"a tensor has the shape {list(shape)}")
        self.storage = storage
        self.first = first
        self.shape = shape
        self.strides = strides

    def build(self, state: Any) -> None:
        """Attributes of a tensor: nothing that we need."""
        if type(state) is not dict:
            raise Refused(f"a tensor gets {describe(state)} as its state")

    def array(self) -> AnyArray:
        """The values, contiguous; a copy."""
        if not math.prod(self.shape):
            return np.zeros(self.shape, to_array(b"", self.storage.dtype).dtype)
        flat = self.storage.array()[self.first :]
        steps = tuple(s * flat.itemsize for s in self.strides)
        view = np.lib.stride_tricks.as_strided(flat, self.shape, steps, writeable=False)
        return np.array(view, order="C")


def rebuild_tensor(arguments: tuple[Any, ...]) -> LazyTensor | Unread:
    """``torch._utils._rebuild_tensor(_v2)``: storage, offset, shape, strides, and more."""
    if not 4 <= len(arguments) <= 7:
        raise Refused(f"a tensor is made of {len(arguments)} arguments, expected 4 to 7")
    storage, first, shape, strides = arguments[:4]
    if type(storage) is Unread:
        return storage
    if type(storage) is not Storage:
        raise Refused(f"a tensor lies in {describe(storage)}, expected a storage")
    if type(shape) is not tuple or type(strides) is not tuple:
        raise Refused("a tensor's shape and strides are not tuples")
    return LazyTensor(storage, first, shape, strides)


def rebuild_parameter(arguments: tuple[Any, ...]) -> LazyTensor | Unread:
    """``torch._utils._rebuild_parameter``: a tensor, and how it was trained."""
    if not 1 <= len(arguments) <= 4 or type(arguments[0]) not in (LazyTensor, Unread):
        raise Refused("a parameter is made of something that is not a tensor")
    tensor: LazyTensor | Unread = arguments[0]
    return tensor


_NUMPY_TYPES = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1")
_NOT_PLAIN = "a numpy array has elements that are not plain numbers, or not little-endian ones"


class NumpyType(Buildable):
    """``numpy.dtype``: plain numbers can be read, other elements only be passed over."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self.text = arguments[0] if arguments and type(arguments[0]) is str else ""
        self.plain = self.text in _NUMPY_TYPES

    def build(self, state: Any) -> None:
        """Byte order, and nothing else."""
        plain = type(state) is tuple and len(state) == 8 and state[2:5] == (None, None, None)
        self.plain &= plain and state[1] in ("<", "|", "=")

    def values(self, data: Any, count: int) -> AnyArray:
        """Numbers of raw bytes that must be `count` elements."""
        if not self.plain:
            raise Refused(_NOT_PLAIN)
        data = data.encode("latin-1", "replace") if type(data) is str else data
        if type(data) is not bytes or len(data) != count * item_size(self.text):
            raise Refused("a numpy array has more or fewer bytes than its shape needs")
        return to_array(data, {"b1": "|b1", "f2": "<f2"}.get(self.text, f"<{self.text}"))


class NumpyArray(Buildable):
    """``numpy.ndarray``, empty until its state comes."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        if len(arguments) != 3 or type(arguments[0]) not in (Name, Class):
            raise Refused("a numpy array is made of unexpected arguments")
        self._values: AnyArray | None = None
        self._why = "damaged pickle: a numpy array has no contents"

    def array(self) -> AnyArray:
        """The values; raises `Refused` where they are no plain numbers."""
        if self._values is None:
            raise Refused(self._why)
        return self._values

    def build(self, state: Any) -> None:
        """Version, shape, type, order and bytes."""
        if type(state) is not tuple or len(state) != 5 or type(state[2]) is not NumpyType:
            raise Refused("a numpy array has an unexpected state")
        shape = state[1]
        good = type(shape) is tuple and len(shape) <= MAX_DIMS
        if not good or any(type(n) is not int or not 0 <= n <= MAX_ELEMENTS for n in shape):
            raise Refused("a numpy array has a shape that no array has")
        if math.prod(max(n, 1) for n in shape) > MAX_ELEMENTS:
            raise Refused(f"a numpy array has the shape {list(shape)}")
        if not state[2].plain:
            self._why = _NOT_PLAIN
            return
        flat = state[2].values(state[4], math.prod(shape))
        self._values = flat.reshape(shape, order="F" if state[3] is True else "C")


def numpy_scalar(arguments: tuple[Any, ...]) -> Any:
    """``numpy.core.multiarray.scalar``: a Python number."""
    if len(arguments) != 2 or type(arguments[0]) is not NumpyType:
        raise Refused("a numpy number is made of unexpected arguments")
    if not arguments[0].plain:
        return Inert("numpy.generic")
    return arguments[0].values(arguments[1], 1)[0].item()


def load(
    path: str | os.PathLike[str],
    tree_of: Callable[[Source], Any],
    select: Callable[[Any], Any] | None = None,
) -> Any:
    """What a file holds, or the part of it that `select` picks, with its tensors read.

    Parameters
    ----------
    path
        The file.
    tree_of
        Its contents with lazy tensors.
    select
        Picks the wanted part; values of tensors that are not picked are never read.

    Raises
    ------
    ModelError
        `tree_of` or `select` refused it.
    Error
        The operating system refused to read.
    """
    with Source(path) as source:
        try:
            tree = tree_of(source)
            return materialise(select(tree) if select is not None else tree)
        except Refused as error:
            raise ModelError(f"{source.name}: {error}") from None


def materialise(value: Any) -> Any:
    """A tree with tensors read and stubs replaced: dicts, lists, tuples, numbers, text, arrays.

    `Inert` instances stay, their states materialised.

    Raises
    ------
    Refused
        Nested deeper than `MAX_DEPTH`.
    """
    return _plain(value, {}, 0)


def _plain(value: Any, done: dict[int, tuple[Any, Any]], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise Refused(f"the contents are nested deeper than {MAX_DEPTH}")
    kind = type(value)
    if kind in (str, int, float, bool, bytes, type(None)):
        return value
    if id(value) in done:
        return done[id(value)][1]
    result: Any
    if kind is dict:
        result = {}
        done[id(value)] = (value, result)
        result.update((key, _plain(item, done, depth + 1)) for key, item in value.items())
        return result
    if kind is list:
        result = []
        done[id(value)] = (value, result)
        result.extend(_plain(item, done, depth + 1) for item in value)
        return result
    if kind is Inert:
        result = Inert(value.kind, source=value.source)
        done[id(value)] = (value, result)
        result.state = {k: _plain(item, done, depth + 1) for k, item in value.state.items()}
        return result
    if kind is tuple:
        result = tuple(_plain(item, done, depth + 1) for item in value)
    elif kind in (LazyTensor, Storage, NumpyArray, Unread):
        result = value.array()
    elif kind is NumpyType or kind in (Name, Call, Class):
        result = value.text
    else:
        raise Refused(f"the contents hold {describe(value)}")
    done[id(value)] = (value, result)
    return result
