"""What comes on a pipe: raw float32 frames in the pieces that they come in, or audio."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from pyvoc.errors import AudioError, FeatureError
from pyvoc.files import mels
from pyvoc.files.decoding import header_of
from pyvoc.files.layouts import RECOGNISED, check, find_layout, objection, suspect_pitch
from pyvoc.files.whole import read_rest
from pyvoc.runtime.info import ModelInfo

__all__ = ["Rows", "begin", "frames_of", "rest_of", "rows_of"]

Float32 = npt.NDArray[np.float32]

_READ_BYTES = 1 << 16


@dataclass(frozen=True)
class Rows:
    """What raw frames are: their name, width, the check of their values; and whether the name is a
    guess, as layouts of features look alike on a pipe."""

    name: str
    dims: int
    check: Callable[[Float32, str], object]
    guessed: bool = False


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
    if info.mel is not None:
        raise FeatureError(
            f"the model {info.path} reads {info.feature_layout} features; the layout is "
            f"{wanted.name}"
        )
    mine = find_layout(info.feature_layout)
    if wanted.octaves != mine.octaves:
        raise FeatureError(
            f"the model {info.path} reads {mine.name} features, whose pitch has another unit than "
            f"that of {wanted.name}"
        )

    def checked(rows: Float32, name: str) -> None:
        check(rows, name=name, wanted=wanted)
        if layout is None:
            suspect_pitch("standard input", rows, wanted)

    return Rows(wanted.name, wanted.dims, checked, guessed=layout is None)


def begin(source: BinaryIO) -> tuple[bytes, bool]:
    """The first bytes of a pipe, four at least where it has so many, and whether they are the
    header of an audio file.

    Raises
    ------
    FeatureError
        They start another kind of file.
    """
    first = b""
    while len(first) < 4 and (data := _read(source)):
        first += data
    try:
        return first, header_of(first) is not None
    except AudioError as error:
        raise FeatureError(f"standard input {error} or raw float32 frames") from error


def rest_of(source: BinaryIO, first: bytes) -> BinaryIO:
    """All that a pipe brings, `first` before it."""
    return io.BytesIO(first + read_rest(source, "standard input"))


def frames_of(source: BinaryIO, kind: Rows, *, first: bytes = b"") -> Iterator[Float32]:
    """Checked frames [n, dims] as they arrive.

    Parameters
    ----------
    source
        The pipe.
    kind
        What comes on it.
    first
        What was read of it already.

    Raises
    ------
    FeatureError
        Half a frame at the end, or values that are no features of the layout; the message names
        another layout that they could be of.
    """
    size = 4 * kind.dims
    done = 0
    head, rest, data = b"", b"", first or _read(source)
    while data:
        rest += data
        if len(head) < _READ_BYTES:
            head += data
        whole = len(rest) - len(rest) % size
        if whole:
            rows = np.frombuffer(rest[:whole], dtype="<f4").astype(np.float32)
            rows = rows.reshape(-1, kind.dims)
            name = f"the frames {done}..{done + len(rows) - 1} of standard input"
            try:
                kind.check(rows, name)
            except FeatureError as error:
                raise FeatureError(f"{error}{_other(head, kind)}") from error
            yield rows
            done += len(rows)
            rest = rest[whole:]
        data = _read(source)
    if rest:
        raise FeatureError(
            f"standard input ends within frame {done}: {len(rest)} bytes of {size} "
            f"({kind.name}, {kind.dims} floats){_other(head, kind)}"
        )


def _other(data: bytes, kind: Rows) -> str:
    """What they could be instead: frames of another layout, or samples."""
    pcm = "; if this is raw PCM, say its rate: --rate HZ"
    if not kind.guessed:
        return pcm
    flat = np.frombuffer(data[: len(data) - len(data) % 4], dtype="<f4").astype(np.float32)
    fitting = [
        layout.name
        for layout in RECOGNISED
        if layout.name != kind.name
        and (whole := flat.size - flat.size % layout.dims)
        and np.isfinite(flat).all()
        and objection(flat[:whole].reshape(-1, layout.dims), layout) is None
    ]
    if fitting:
        return f"; they look like {' or '.join(fitting)}: --layout {fitting[0]}"
    names = ", ".join(layout.name for layout in RECOGNISED if layout.name != kind.name)
    return f"{pcm}; if frames of another layout, say which: --layout NAME ({names})"


def _read(source: BinaryIO) -> bytes:
    """What is there, waiting only for the first byte."""
    read1 = getattr(source, "read1", source.read)
    data: bytes = read1(_READ_BYTES)
    return data
