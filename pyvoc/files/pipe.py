"""Raw frames on their way in: float32 from a pipe, in the pieces that it comes in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from pyvoc.errors import FeatureError
from pyvoc.files import mels
from pyvoc.files.layouts import check, find_layout
from pyvoc.runtime.info import ModelInfo

__all__ = ["Rows", "frames_of", "rows_of"]

Float32 = npt.NDArray[np.float32]

_READ_BYTES = 1 << 16


@dataclass(frozen=True)
class Rows:
    """What raw frames are: their name, width, and the check of their values."""

    name: str
    dims: int
    check: Callable[[Float32, str], object]


def rows_of(info: ModelInfo, layout: str | None) -> Rows:
    """The frames that a pipe brings; `layout` None is the model's.

    Raises
    ------
    FeatureError
        The model reads other features.
    """
    if info.mel is not None and layout in (None, info.feature_layout):
        return Rows("mel", info.layout_dims, lambda rows, name: mels.check(rows, name=name))
    wanted = find_layout(layout or info.feature_layout)
    if info.mel is not None or wanted.dims not in (info.feature_dims, info.layout_dims):
        raise FeatureError(
            f"the model {info.path} reads {info.feature_layout} features; the layout is "
            f"{wanted.name}"
        )
    return Rows(wanted.name, wanted.dims, lambda rows, name: check(rows, name=name))


def frames_of(source: BinaryIO, kind: Rows) -> Iterator[Float32]:
    """Checked frames [n, dims] as they arrive.

    Raises
    ------
    FeatureError
        A header, half a frame at the end, or values that are no features of the layout.
    """
    size = 4 * kind.dims
    rest = b""
    first = 0
    while data := _read(source):
        if not first and not rest and data[:4] in (b"RIFF", b"fLaC", b"OggS", b"GGUF", b"\x93NUM"):
            raise FeatureError("standard input starts like a file with a header; expected raw .f32")
        rest += data
        whole = len(rest) - len(rest) % size
        if whole:
            rows = np.frombuffer(rest[:whole], dtype="<f4").astype(np.float32)
            rows = rows.reshape(-1, kind.dims)
            kind.check(rows, f"the frames {first}..{first + len(rows) - 1} of standard input")
            yield rows
            first += len(rows)
            rest = rest[whole:]
    if rest:
        raise FeatureError(
            f"standard input ends within frame {first}: {len(rest)} bytes of {size} "
            f"({kind.name}, {kind.dims} floats)"
        )


def _read(source: BinaryIO) -> bytes:
    """What is there, waiting only for the first byte."""
    read1 = getattr(source, "read1", source.read)
    data: bytes = read1(_READ_BYTES)
    return data
