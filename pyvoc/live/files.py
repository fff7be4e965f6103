"""Files at the ends of a live session: they wait, a device does not."""

from __future__ import annotations

import os
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc
from pyvoc.files.atomic import atomic_open
from pyvoc.files.pcm import Write, to_int16

__all__ = ["Recorder", "Sink", "Source", "Worker", "open_recorder"]

Float32 = npt.NDArray[np.float32]

_PIECE = 4096


class Worker(Protocol):
    """Something to do for the engine now and then."""

    def work(self, engine: _pyvoc.Live) -> bool:
        """Do what can be done now; whether anything was."""
        ...


class Source:
    """Gives the engine a whole signal [samples], or frames [frames, dims], as it has room."""

    def __init__(self, data: Float32) -> None:
        self._data = data
        self._at = 0

    def work(self, engine: _pyvoc.Live) -> bool:
        """Give what there is room for, then the end."""
        if self._at > len(self._data):
            return False
        if self._at == len(self._data):
            engine.end_input()
            self._at += 1
            return True
        give = engine.write if self._data.ndim == 1 else engine.write_features
        taken = give(self._data[self._at : self._at + _PIECE])
        self._at += taken
        return taken > 0


class Sink:
    """Takes what the engine has ready."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._buffer = np.empty(_PIECE, dtype=np.float32)

    def work(self, engine: _pyvoc.Live) -> bool:
        """Take one piece."""
        n = engine.read(self._buffer)
        if n:
            self._write(self._buffer[:n])
        return n > 0


class Recorder:
    """Takes what came in and went out, and hands on as much of one as of the other."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._waiting = [np.empty(0, np.float32), np.empty(0, np.float32)]

    def work(self, engine: _pyvoc.Live) -> bool:
        """Write the samples [n, 2] that both sides have."""
        taps = engine.tap_input(), engine.tap_output()
        both = [np.concatenate(pair) for pair in zip(self._waiting, taps, strict=True)]
        n = min(map(len, both))
        self._waiting = [side[n:] for side in both]
        if n:
            self._write(np.stack([side[:n] for side in both], axis=1))
        return n > 0


@contextmanager
def open_recorder(path: str | os.PathLike[str], rate: int) -> Iterator[Recorder]:
    """A 16-bit wav of two channels; it appears complete or not at all.

    Raises
    ------
    Error
        The operating system refused the file.
    """
    with atomic_open(path) as file, wave.open(file, "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        yield Recorder(lambda more: sound.writeframesraw(to_int16(more).tobytes()))
