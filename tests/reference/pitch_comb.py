"""The pitch comb in float64, written to be read: what `csrc/dsp/pitch_comb.h` must do."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

LOWEST_HZ, HIGHEST_HZ, SHORTEST = 50, 500, 32
WINDOW_SECONDS, CUT_HZ = 0.0125, 3000.0
ALIKE, LEAST, FULL = 0.9, 0.3, 0.7


def _even(n: int) -> int:
    return n + n % 2


def _likeness(x: Float64, end: int, window: int, lag: int, step: int = 1) -> float:
    """Normalised correlation of the last samples before `end` with those `lag` before them."""
    now, then = x[end - window : end : step], x[end - window - lag : end - lag : step]
    return float(now @ then / np.sqrt((now @ now) * (then @ then) + 1e-9))


def _find(x: Float64, end: int, window: int, least: int, most: int) -> tuple[float, float]:
    """Period of the signal before `end`, and how alike it is with itself so much earlier."""
    half = x.copy()
    half[1:-1] = 0.5 * x[1:-1] + 0.25 * (x[:-2] + x[2:])  # its last sample is not looked at
    lags = np.arange(2 * (least // 2), most + 1, 2)
    found = np.array([_likeness(half, end, window, int(lag), 2) for lag in lags])
    best = found.max()
    if best < LEAST:
        return 0.0, 0.0
    peaks = [
        i
        for i in range(1, len(lags) - 1)
        if found[i] >= max(found[i - 1], found[i + 1]) and found[i] > ALIKE * best
    ]
    if not peaks:
        return 0.0, 0.0
    near = int(lags[peaks[0]]) + np.arange(-2, 3)
    fine = np.array([_likeness(x, end, window, int(lag)) for lag in near])
    k = 3 - int(np.argmax(fine[3:0:-1]))  # of equal ones the longest
    before, here, after = fine[k - 1 : k + 2]
    lag, curve = float(near[k]), before - 2 * here + after
    if curve < 0:
        lag += float(np.clip(0.5 * (before - after) / curve, -0.5, 0.5))
    return lag, float(here)


def comb(samples: npt.ArrayLike, strength: float, rate: int, hop: int) -> Float64:
    """What a stream gives of a model's samples, hop by hop."""
    least, most = max(rate // HIGHEST_HZ, SHORTEST), _even(rate // LOWEST_HZ)
    window = _even(max(hop, int(WINDOW_SECONDS * rate)))
    pole = np.exp(-2 * np.pi * CUT_HZ / rate)
    lead = window + most + 16
    x = np.concatenate([np.zeros(lead), np.asarray(samples, np.float64)])
    out, smooth = x.copy(), 0.0
    before = (0.0, 0.0)
    for start in range(lead, len(x), hop):
        end = min(start + hop, len(x))
        lag, likeness = _find(x[:end], end, window, least, most)
        amount = strength * float(np.clip((likeness - LEAST) / (FULL - LEAST), 0, 1))
        now = (lag, amount / (1 + amount))
        for i in range(start, end):
            come = (i - start + 1) / (end - start)
            added = 0.0
            for weight, (period, share) in ((come, now), (1 - come, before)):
                if share > 0:
                    whole = int(period)
                    part = period - whole
                    echo = (1 - part) * x[i - whole] + part * x[i - whole - 1]
                    added += weight * share * (echo - x[i])
            smooth = pole * smooth + (1 - pole) * added
            out[i] = np.clip(x[i] + smooth, -1, 1)
        before = now
    return out[lead:]
