"""Samples on their way out: 16-bit words, and sinks for wav files, raw files and pipes."""

from __future__ import annotations

import os
import struct
import sys
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from pyvoc.errors import Error
from pyvoc.files.atomic import atomic_open

__all__ = ["Write", "open_output", "to_int16", "wav_header"]

Write = Callable[[npt.NDArray[np.float32]], None]
"""Takes the next samples, float32 [n] in -1..1."""

_WAV_LIMIT = (1 << 32) - 64  # bytes that a wav header can count
_UNKNOWN = (1 << 32) - 1  # bytes: "to the end of the pipe"


def to_int16(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Full scale -1..1 to 16 bits, rounded as upstream and the C example do: floor(x + 0.5)."""
    scaled = np.floor(samples * np.float32(32768.0) + np.float32(0.5))
    return np.asarray(np.clip(scaled, -32768, 32767).astype(np.int16))


@contextmanager
def open_output(
    path: str | os.PathLike[str], rate: int, *, raw: bool, samples: int = 0
) -> Iterator[Write]:
    """Open an output for samples that come in pieces; a file appears complete or not at all.

    Parameters
    ----------
    path
        File, or ``-`` for standard output.
    rate
        Hz.
    raw
        16-bit little-endian PCM without a header, in place of wav.
    samples
        How many there will be, where that is known: a pipe's header cannot be mended later, and
        without it promises as much as it can count, as such headers do.

    Raises
    ------
    Error
        The operating system refused the file, or it outgrew what wav can count.
    """
    if os.fspath(path) == "-":
        stream = sys.stdout.buffer
        if not raw:
            stream.write(wav_header(rate, samples))

        def write_through(more: npt.NDArray[np.float32]) -> None:
            _write_raw(stream, more)
            stream.flush()

        yield write_through
        return
    with atomic_open(path) as file:
        if raw:
            yield lambda more: _write_raw(file, more)
            return
        with _wav(file, rate, samples) as write:
            yield write


def wav_header(rate: int, samples: int) -> bytes:
    """The header of a 16-bit mono wav of so many samples; 0: not known."""
    size = 2 * samples if 0 < 2 * samples <= _WAV_LIMIT else _UNKNOWN
    riff, form = min(size + 36, _UNKNOWN), (16, 1, 1, rate, 2 * rate, 2, 16)
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", riff, b"WAVE", b"fmt ", *form, b"data", size)


def _write_raw(stream: BinaryIO, samples: npt.NDArray[np.float32]) -> None:
    stream.write(to_int16(samples).astype("<i2").tobytes())


@contextmanager
def _wav(file: BinaryIO, rate: int, samples: int) -> Iterator[Write]:
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.setnframes(min(samples, _WAV_LIMIT // 2))
        written = 0

        def write(more: npt.NDArray[np.float32]) -> None:
            nonlocal written
            written += 2 * more.size
            if written > _WAV_LIMIT:
                raise Error("the output outgrows wav's 4 GiB: write raw PCM (.s16)")
            sound.writeframesraw(to_int16(more).tobytes())

        yield write
