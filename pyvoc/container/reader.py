"""Read a GGUF container in Python: the checks of the C++ reader, and numpy only."""

from __future__ import annotations

import math
import os
import struct
from typing import NoReturn

import numpy as np

from pyvoc.container.tensors import Container, ElementType, Scalar, Tensor
from pyvoc.errors import Error, ModelError
from pyvoc.files.kinds import kind_of
from pyvoc.files.whole import open_file, read_whole

VERSION = 3
MAX_NAME = 63
MAX_KEY = 255
MAX_STRING = 1 << 20
_HEADER_BYTES = (1 << 20, 1 << 26)  # that metadata may take: what is read at first, and at most
ALIGNMENTS = tuple(1 << n for n in range(3, 21))
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 10: "Q", 11: "q", 12: "d"}


def read_container(path: str | os.PathLike[str]) -> Container:
    """Read a model file.

    Parameters
    ----------
    path
        A GGUF v3 file.

    Returns
    -------
    Container
        Metadata (arrays are refused: no pyvoc model has any) and tensors, copied into memory.

    Raises
    ------
    ModelError
        The file is damaged or not GGUF.
    Error
        The operating system refused to read.
    """
    return parse_container(read_whole(path, pipes=False), str(path))


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Scalar]:
    """Read a model file's metadata alone, whatever its tensors are.

    Raises
    ------
    ModelError
        The header is damaged, or the file is not GGUF.
    Error
        The operating system refused to read.
    """
    data = b""
    try:
        with open_file(path) as file:
            for most in _HEADER_BYTES:
                data += file.read(most - len(data))
                try:
                    return _metadata(data, str(path))
                except ModelError:
                    if len(data) < most:
                        raise
    except OSError as error:
        raise Error(f"{path}: cannot be read: {error.strerror or error}") from error
    raise ModelError(f"{path}: its metadata has no end within {len(data)} bytes")


def _metadata(data: bytes, source: str) -> dict[str, Scalar]:
    if not data:
        raise ModelError(f"{source}: not a pyvoc model: it is empty")
    parser = _Parser(data, source)
    parser.header()
    return parser.metadata


def parse_container(data: bytes, source: str) -> Container:
    """Parse the bytes of a model file; `source` names it in errors."""
    return _Parser(data, source).run()


class _Parser:
    def __init__(self, data: bytes, source: str) -> None:
        self.data = data
        self.source = source
        self.at = 0
        self.metadata: dict[str, Scalar] = {}

    def fail(self, what: str) -> NoReturn:
        raise ModelError(f"{self.source}: {what}")

    def take(self, format: str, where: str) -> int:
        size = struct.calcsize("<" + format)
        if len(self.data) - self.at < size:
            self.fail(f"truncated: the file's {len(self.data)} bytes end inside {where}")
        value: int = struct.unpack_from("<" + format, self.data, self.at)[0]
        self.at += size
        return value

    def text(self, most: int, where: str) -> str:
        size = self.take("Q", where)
        if size > most or size > len(self.data) - self.at:
            self.fail(f"{where} is longer than the file or {most} bytes")
        raw = self.data[self.at : self.at + size]
        self.at += size
        try:
            value = raw.decode("utf-8")
        except UnicodeDecodeError:
            self.fail(f"{where} is not UTF-8 text")
        if "\0" in value:
            self.fail(f"{where} holds a zero byte")
        return value

    def name(self, most: int, where: str) -> str:
        value = self.text(most, where)
        if not value or any(ord(c) < 0x20 or ord(c) == 0x7F for c in value):
            self.fail(f"{where} is empty or not plain text")
        return value

    def value(self, kind: int, where: str) -> Scalar:
        if kind in _NUMBERS:
            return self.take(_NUMBERS[kind], where)
        if kind == 7:
            flag = self.take("B", where)
            if flag > 1:
                self.fail(f"{where} is a bool of value {flag}")
            return bool(flag)
        if kind == 8:
            return self.text(MAX_STRING, where)
        self.fail(f"{where} has type {kind}, expected a number, a bool or a string")

    def instead(self) -> str:
        """What the file is that does not begin as a model does."""
        try:
            found = kind_of(self.source)
        except Error:  # the bytes are from elsewhere
            found = None
        return "it does not begin with 'GGUF'" if found is None else f"it is {found}"

    def header(self) -> int:
        """Read the metadata; the number of tensors."""
        if self.data[:4] != b"GGUF":
            self.fail(f"not a pyvoc model: {self.instead()}")
        self.at = 4
        version = self.take("I", "the header")
        if version != VERSION:
            self.fail(f"GGUF version {version}; this pyvoc reads version {VERSION}")
        n_tensors = self.take("Q", "the header")
        n_entries = self.take("Q", "the header")
        for i in range(n_entries):
            key = self.name(MAX_KEY, f"the key of metadata entry {i}")
            if key in self.metadata:
                self.fail(f"metadata '{key}' occurs twice")
            kind = self.take("I", f"metadata '{key}'")
            self.metadata[key] = self.value(kind, f"metadata '{key}'")
        return n_tensors

    def run(self) -> Container:
        n_tensors = self.header()
        metadata = self.metadata
        alignment = metadata.get("general.alignment", 32)
        if alignment not in ALIGNMENTS:
            self.fail(f"metadata 'general.alignment' is {alignment!r}, not a power of two")
        described: dict[str, tuple[ElementType, tuple[int, ...], int]] = {}
        for i in range(n_tensors):
            name = self.name(MAX_NAME, f"the name of tensor {i}")
            if name in described:
                self.fail(f"tensor '{name}' occurs twice")
            described[name] = self.describe(name, int(alignment))
        start = -(-self.at // int(alignment)) * int(alignment)
        return Container(metadata, self.place(described, start))

    def describe(self, name: str, alignment: int) -> tuple[ElementType, tuple[int, ...], int]:
        where = f"tensor '{name}'"
        n_dims = self.take("I", where)
        if not 1 <= n_dims <= 4:
            self.fail(f"{where} has {n_dims} dimensions; 1 to 4 are possible")
        shape = tuple(self.take("Q", where) for _ in range(n_dims))[::-1]
        kind = self.take("I", where)
        offset = self.take("Q", where)
        if 0 in shape:
            self.fail(f"{where} has a dimension of size 0")
        try:
            element = ElementType(kind)
        except ValueError:
            self.fail(f"{where} has element type {kind}, which no pyvoc model uses")
        if offset % alignment:
            self.fail(f"{where} begins at offset {offset}, which is not aligned to {alignment}")
        return element, shape, offset

    def place(
        self, described: dict[str, tuple[ElementType, tuple[int, ...], int]], start: int
    ) -> dict[str, Tensor]:
        available = len(self.data) - start
        end, previous = 0, ""
        for name, (element, shape, offset) in sorted(described.items(), key=lambda i: i[1][2]):
            size = math.prod(shape) * element.dtype.itemsize
            if offset + size > available:
                self.fail(
                    f"truncated: tensor '{name}' needs {size} bytes at offset {offset} of the "
                    f"data, which has {max(available, 0)}"
                )
            if offset < end:
                self.fail(f"tensors '{previous}' and '{name}' overlap")
            end, previous = offset + size, name
        return {
            name: Tensor(
                element,
                np.frombuffer(self.data, element.dtype, math.prod(shape), start + offset)
                .reshape(shape)
                .copy(),
            )
            for name, (element, shape, offset) in described.items()
        }
