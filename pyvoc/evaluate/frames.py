"""Frames of 10 ms that all measures share: frame k is centred on sample k * hop."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["ACTIVE_RANGE_DB", "FRAME_MS", "active", "count", "cut", "hop_length"]

Float64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FRAME_MS = 10
ACTIVE_RANGE_DB = 30.0
"""Frames whose level is further below the 95th percentile do not count."""
_LEVEL_MS = 25
_LEAST_POWER = 1e-12


def hop_length(rate: int) -> int:
    """Samples per frame."""
    return rate * FRAME_MS // 1000


def count(samples: int, rate: int) -> int:
    """Frames of a signal: centres 0, hop, ... up to its end."""
    return samples // hop_length(rate) + 1


def cut(signal: Float64, rate: int, length: int) -> Float64:
    """Frames [frames, length] of a signal, zeros beyond its ends."""
    before = length // 2
    padded = np.pad(signal, (before, length))
    rows = np.lib.stride_tricks.sliding_window_view(padded, length)
    return np.asarray(rows[: len(signal) + 1 : hop_length(rate)])


def active(reference: Float64, rate: int) -> Bools:
    """Frames [frames] where the reference is not (nearly) silent: see ACTIVE_RANGE_DB."""
    length = rate * _LEVEL_MS // 1000
    power = (cut(reference, rate, length) ** 2).mean(axis=1)
    level = 10 * np.log10(power + _LEAST_POWER)
    return np.asarray(level > np.percentile(level, 95) - ACTIVE_RANGE_DB)
