"""Fundamental frequency: tracking and comparison.

With the extra ``evaluate`` the tracker is Harvest (Morise 2017, pyworld); without it our own, which
takes the normalised cross-correlation of each frame and a Viterbi path through its peaks (after
Talkin 1995).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.evaluate import frames

__all__ = [
    "GROSS",
    "HIGHEST",
    "LOWEST",
    "RECIPE",
    "F0Difference",
    "Track",
    "compare",
    "estimate",
    "track",
    "tracker_name",
    "world",
]

Float64 = npt.NDArray[np.float64]

LOWEST, HIGHEST = 71.0, 500.0
"""Hz."""
GROSS = 0.2
"""Difference of ln F0 beyond which a frame is grossly wrong."""

_WINDOW_MS = 25
_BAND = (50.0, 1500.0)  # Hz that the correlation sees
_CANDIDATES = 8
_LEAST_PEAK = 0.3  # of candidates
_LONG_LAG_COST = 0.3  # Talkin 1995: prefers the first of several periods
_UNVOICED_BIAS = 0.05
_MOVE_COST = 0.4  # per unit of |d ln F0| between frames
_JUMP_COST = 0.4  # the most that a move costs
_SWITCH_COST = 0.15  # voiced to unvoiced and back
_QUIET_DB = 55.0  # below the loudest frame: noise floor that keeps silence unvoiced

RECIPE = (
    f"F0: {{tracker}} {LOWEST:g}-{HIGHEST:g} Hz every {frames.FRAME_MS} ms on each signal; "
    "ln F0 rmse, median |d ln F0| and gross errors "
    f"(|d ln F0| > {GROSS}) over frames voiced in both; V/UV error: share of all frames that are "
    "voiced in one signal only"
)


@dataclass(frozen=True)
class Track:
    """F0 of a signal.

    Attributes
    ----------
    f0
        float64 [frames] in Hz; 0 where unvoiced.
    """

    f0: Float64

    @property
    def voiced(self) -> npt.NDArray[np.bool_]:
        """bool [frames]."""
        return self.f0 > 0


@dataclass(frozen=True)
class F0Difference:
    """How two tracks differ; None where no frame is voiced in both.

    Attributes
    ----------
    rmse, median
        Root mean square and median of |d ln F0|.
    gross
        Share of |d ln F0| > GROSS.
    voicing
        Share of frames voiced in one only.
    """

    rmse: float | None
    median: float | None
    gross: float | None
    voicing: float


@cache
def world() -> Any:
    """The module pyworld, or None when the extra is not installed."""
    package = importlib.util.find_spec("pyworld")
    # The compiled module alone: the package's __init__ wants setuptools' old pkg_resources.
    for folder in (package and package.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob("pyworld*")):
            if not path.name.endswith(tuple(EXTENSION_SUFFIXES)):
                continue
            spec = importlib.util.spec_from_file_location("pyworld.pyworld", path)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            try:
                spec.loader.exec_module(module)
            except ImportError:  # built for another numpy, or damaged
                return None
            return module
    return None


def tracker_name() -> str:
    """Which tracker :func:`estimate` uses here."""
    return "Harvest (pyworld)" if world() is not None else "pyvoc's correlation tracker"


def estimate(signal: Float64, rate: int) -> Track:
    """F0 of a signal [samples] by the best tracker installed."""
    pyworld = world()
    if pyworld is None:
        return track(signal, rate)
    f0, _ = pyworld.harvest(
        np.ascontiguousarray(signal),
        rate,
        f0_floor=LOWEST,
        f0_ceil=HIGHEST,
        frame_period=1000 * frames.hop_length(rate) / rate,
    )
    wanted = frames.count(len(signal), rate)
    return Track(np.pad(f0[:wanted], (0, max(0, wanted - len(f0)))))


def track(signal: Float64, rate: int) -> Track:
    """F0 of a signal [samples] by our own tracker."""
    correlation = _correlation(_band_passed(signal, rate), rate)
    first = int(rate / HIGHEST)
    values, lags = _peaks(correlation, first)
    path = _best_path(values, lags / (rate / LOWEST), np.log(np.maximum(lags, 1)))
    chosen = np.append(lags, np.zeros((len(lags), 1)), axis=1)[np.arange(len(lags)), path]
    f0 = np.zeros(len(lags))
    f0[chosen > 0] = rate / chosen[chosen > 0]
    return Track(f0)


def _band_passed(signal: Float64, rate: int) -> Float64:
    spectrum = np.fft.rfft(signal, 2 * len(signal))
    hertz = np.fft.rfftfreq(2 * len(signal), 1 / rate)
    low, high = _BAND
    rise = np.clip((hertz - low / 2) / (low / 2), 0, 1)
    fall = np.clip((1.3 * high - hertz) / (0.3 * high), 0, 1)
    return np.asarray(np.fft.irfft(spectrum * rise * fall)[: len(signal)])


def _correlation(signal: Float64, rate: int) -> Float64:
    """Normalised cross-correlation [frames, lags] for lags from shortest - 1 to longest + 1."""
    window = rate * _WINDOW_MS // 1000
    shortest, longest = int(rate / HIGHEST) - 1, int(rate / LOWEST) + 2
    rows = frames.cut(signal, rate, window + longest)
    size = 1 << (window + 2 * longest).bit_length()
    lags = np.arange(shortest, longest + 1)
    result = np.empty((len(rows), len(lags)))
    quiet = window * 10 ** (-_QUIET_DB / 10)
    loudest = max(float((rows[:, :window] ** 2).mean(axis=1).max()), 1e-20)
    for start in range(0, len(rows), 500):
        part = rows[start : start + 500] - rows[start : start + 500].mean(axis=1, keepdims=True)
        spectrum = np.fft.rfft(part, size)
        head = np.fft.rfft(part[:, :window], size)
        product = np.fft.irfft(np.conj(head) * spectrum, size)[:, lags]
        total = np.cumsum(np.pad(part**2, ((0, 0), (1, 0))), axis=1)
        energy = np.maximum(total[:, lags + window] - total[:, lags], 0)
        floor = quiet * loudest
        result[start : start + 500] = product / (
            np.sqrt((total[:, window : window + 1] + floor) * (energy + floor))
        )
    return result


def _peaks(correlation: Float64, first: int) -> tuple[Float64, Float64]:
    """The highest local maxima: values and lags [frames, candidates], 0 where there are fewer."""
    middle, left, right = correlation[:, 1:-1], correlation[:, :-2], correlation[:, 2:]
    peak = (middle >= left) & (middle > right) & (middle > _LEAST_PEAK)
    curve = left - 2 * middle + right
    shift = np.where(peak, 0.5 * (left - right) / np.where(curve == 0, 1, curve), 0)
    height = np.where(peak, middle - 0.25 * (left - right) * shift, 0)
    order = np.argsort(-height, axis=1)[:, :_CANDIDATES]
    values = np.minimum(np.take_along_axis(height, order, axis=1), 1)
    lags = np.take_along_axis(first + np.arange(middle.shape[1]) + shift, order, axis=1)
    return values, np.where(values > 0, lags, 0)


def _best_path(values: Float64, share: Float64, log_lag: Float64) -> npt.NDArray[np.int64]:
    """Viterbi over candidates; index `candidates` is unvoiced. [frames]"""
    n, candidates = values.shape
    local = np.full((n, candidates + 1), np.inf)
    there = values > 0
    local[:, :-1][there] = (1 - values * (1 - _LONG_LAG_COST * share))[there]
    local[:, -1] = _UNVOICED_BIAS + values.max(axis=1)
    came = np.zeros((n, candidates + 1), np.int64)
    cost = local[0]
    for i in range(1, n):
        move = np.full((candidates + 1, candidates + 1), _SWITCH_COST)
        distance = np.abs(log_lag[i - 1][:, None] - log_lag[i])
        move[:-1, :-1] = np.minimum(_MOVE_COST * distance, _JUMP_COST)
        move[-1, -1] = 0
        total = cost[:, None] + move
        came[i] = total.argmin(axis=0)
        cost = total.min(axis=0) + local[i]
    path = np.empty(n, np.int64)
    path[-1] = int(cost.argmin())
    for i in range(n - 1, 0, -1):
        path[i - 1] = came[i, path[i]]
    return path


def compare(reference: Track, output: Track) -> F0Difference:
    """Compare tracks [frames] of aligned signals."""
    n = min(len(reference.f0), len(output.f0))
    both = reference.voiced[:n] & output.voiced[:n]
    voicing = float((reference.voiced[:n] != output.voiced[:n]).mean())
    if not both.any():
        return F0Difference(None, None, None, voicing)
    ratio = np.abs(np.log(output.f0[:n][both] / reference.f0[:n][both]))
    return F0Difference(
        rmse=float(np.sqrt((ratio**2).mean())),
        median=float(np.median(ratio)),
        gross=float((ratio > GROSS).mean()),
        voicing=voicing,
    )
