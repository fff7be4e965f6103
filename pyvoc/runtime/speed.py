"""Speaking faster or slower at the same pitch: frames interpolated in time.

A network makes as many samples of a frame as ever; it is given more frames, or fewer. Frame j of
the output stands at ``speed * j`` frames of the input.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.errors import Error
from pyvoc.files.layouts import LAYOUTS
from pyvoc.runtime.info import ModelInfo

__all__ = [
    "FASTEST",
    "SLOWEST",
    "TimeScale",
    "as_speed",
    "lag_samples",
    "scaled",
    "scaled_length",
]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

SLOWEST, FASTEST = 0.5, 2.0


def as_speed(speed: Any) -> float:
    """A speed; 1 is as the frames say, 2 twice as fast.

    Raises
    ------
    Error
        It is no number from 0.5 to 2.
    """
    try:
        number = math.nan if isinstance(speed, str | bytes) else float(speed)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not SLOWEST <= number <= FASTEST:
        raise Error(f"speed is {speed!r}, expected a number from {SLOWEST:g} to {FASTEST:g}")
    return number


def scaled_length(frames: int, speed: float) -> int:
    """How many frames are spoken of so many: ``frames / speed``, rounded up."""
    return _positions(0, frames, speed).size


def lag_samples(info: ModelInfo, speed: float) -> int:
    """Samples for which a stream waits for the next frame, to interpolate."""
    return 0 if speed == 1 else math.ceil(info.hop_length / speed)


def scaled(rows: Float32, info: ModelInfo, speed: float) -> Float32:
    """The frames of a whole utterance at another speed.

    Parameters
    ----------
    rows
        [frames, dims], checked; one or more.
    info
        Of the model that reads them.
    speed
        Checked.

    Returns
    -------
    float32 [scaled_length(frames, speed), dims]
        At speed 1 the same array.
    """
    if speed == 1:
        return rows
    scale = TimeScale(info, speed)
    return np.concatenate([scale.push(rows), scale.end()])


class TimeScale:
    """Frames at another speed as they come; how they are cut changes nothing.

    Parameters
    ----------
    info
        Of the model that reads the frames.
    speed
        Checked.
    """

    def __init__(self, info: ModelInfo, speed: float) -> None:
        self._info = info
        self._speed = speed
        self.reset()

    def reset(self) -> None:
        """Return to the beginning of an utterance."""
        self._last = np.empty((0, self._info.feature_dims), np.float32)
        self._taken = self._given = 0

    def push(self, rows: Float32) -> Float32:
        """Take frames [n, dims], checked.

        Returns
        -------
        float32 [m, feature_dims]
            The frames up to the last one that was taken; at speed 1 what was given.
        """
        if self._speed == 1:
            return rows
        rows = np.concatenate([self._last, rows[:, : self._info.feature_dims]])
        self._taken += len(rows) - len(self._last)
        found = self._at(_positions(self._given, self._taken - 1, self._speed, closed=True), rows)
        self._last = rows[-1:]
        return found

    def end(self) -> Float32:
        """The frames [m, feature_dims] that remain, like the last one that was taken."""
        return self._at(_positions(self._given, self._taken, self._speed), self._last)

    def _at(self, positions: Float64, rows: Float32) -> Float32:
        """Frames at positions between `rows`, the last of the frames taken."""
        self._given += positions.size
        first = self._taken - len(rows)
        before = np.floor(positions).astype(np.int64)
        after = np.minimum(before + 1, self._taken - 1)
        weight = (positions - before).astype(np.float32)[:, None]
        return _between(rows[before - first], rows[after - first], weight, self._info)


def _positions(first: int, end: int, speed: float, *, closed: bool = False) -> Float64:
    """Where the frames from number `first` on stand, up to `end` (itself too if `closed`)."""
    places = np.arange(first, math.ceil(max(end, 0) / speed) + 2, dtype=np.float64) * speed
    return places[(places <= end) if closed else (places < end)]


def _between(before: Float32, after: Float32, weight: Float32, info: ModelInfo) -> Float32:
    """Frames between frames: mels, and cepstra, are logarithms, and change along straight lines.

    A pitch and its correlation are the nearer frame's: from voice to breath, or from an octave to
    another, they jump, and between lies a pitch that nobody spoke.
    """
    found = before + weight * (after - before)
    layout = LAYOUTS.get(info.feature_layout)
    if layout is not None:
        pitch = [layout.pitch, layout.correlation]
        found[:, pitch] = np.where(weight < 0.5, before, after)[:, pitch]
    return found
