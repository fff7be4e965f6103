"""LPCNet features in float64 numpy, from the formulas alone: slow, plain, and the truth.

Both recipes: the latest (one pitch decision per 10 ms frame, correlations sharpened to thirds of
a sample) and 2019 (one decision per four frames). Signals are on the scale of 16-bit samples.
Sources: Valin & Skoglund 2019 ("LPCNet", ICASSP), and the published feature files as measured.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FRAME, BANDS, ORDER = 160, 18, 16
MAX_PERIOD, MIN_PERIOD = 256, 32
LAGS = MAX_PERIOD - MIN_PERIOD
CENTRES = 4 * np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 34, 40])
COMPENSATION = np.array(
    [0.8, *[1.0] * 7, 0.666667, 0.5, 0.5, 0.5, 0.333333, 0.25, 0.25, 0.2, 0.166667, 0.173913]
)
THIRD = np.array([0.026184, -0.098339, 0.369938, 0.837891, -0.184969, 0.070242, -0.020947])


def _interpolation() -> Array:
    """Weights [160 bins, 18 bands]: triangles between neighbouring centres."""
    bins = np.arange(FRAME)
    return np.stack([np.interp(bins, CENTRES, np.eye(BANDS)[b]) for b in range(BANDS)], axis=1)


WEIGHTS = _interpolation()
DCT = np.cos((np.arange(BANDS)[:, None] + 0.5) * np.arange(BANDS) * np.pi / BANDS) * np.sqrt(
    2 / BANDS
)
DCT[:, 0] *= np.sqrt(0.5)
_HALF = np.sin(np.pi / 2 * np.sin(np.pi / 2 * (np.arange(FRAME) + 0.5) / FRAME) ** 2)
WINDOW = np.concatenate([_HALF, _HALF[::-1]])


def cepstrum(window: Array) -> Array:
    """18 coefficients of a window of 320 pre-emphasised samples."""
    spectrum = np.fft.rfft(window * WINDOW) / (2 * FRAME)
    energy = (np.abs(spectrum[:FRAME]) ** 2) @ WEIGHTS
    energy[[0, -1]] *= 2
    level = np.log10(1e-2 + energy)
    loudest = follow = -2.0
    for i in range(BANDS):
        level[i] = max(loudest - 8, follow - 2.5, level[i])
        loudest = max(loudest, level[i])
        follow = max(follow - 2.5, level[i])
    out = level @ DCT
    out[0] -= 4
    return out


def predictor(coefficients: Array) -> tuple[Array, float]:
    """LPC a1..a16 of a cepstrum, and the residual energy."""
    shifted = coefficients.copy()
    shifted[0] += 4
    energy = 10 ** (DCT @ shifted) * COMPENSATION
    spectrum = np.append(WEIGHTS @ energy, 0.0)
    ac = np.fft.irfft(spectrum, 2 * FRAME)[: ORDER + 1] * 2 * FRAME
    ac[0] = ac[0] * (1 + 1e-4) + 26 / 38
    ac[1:] *= 1 - 6e-5 * np.arange(1, ORDER + 1) ** 2
    lpc = np.zeros(ORDER)
    error = ac[0]
    for i in range(ORDER):
        reflection = -(lpc[:i] @ ac[i:0:-1] + ac[i + 1]) / error
        lpc[:i] += reflection * lpc[:i][::-1]
        lpc[i] = reflection
        error *= 1 - reflection**2
        if error < 0.001 * ac[0]:
            break
    return lpc, float(error)


def _correlations(history: Array, half: int, sharpen: bool) -> tuple[Array, float]:
    """Normalised correlation [256] of a half-frame, and its energy."""
    offset = half * 80
    now = history[MAX_PERIOD + offset : MAX_PERIOD + offset + 80]
    lagged = np.lib.stride_tricks.sliding_window_view(history[offset : offset + 335], 80)
    energy = float(now @ now)
    xc = 2 * (lagged @ now) / (1 + energy + (lagged**2).sum(axis=1))
    if sharpen:
        inner = np.arange(4, MAX_PERIOD - 4)
        after = sum(THIRD[j] * xc[inner - 3 + j] for j in range(7))
        before = sum(THIRD[j] * xc[inner + 3 - j] for j in range(7))
        xc[inner] = np.maximum(xc[inner], np.maximum(after, before))
    return xc, energy


class _Tracker:
    """Viterbi search over the candidates, ``latest`` or not."""

    def __init__(self, latest: bool) -> None:
        self.latest = latest
        self.score = np.zeros(LAGS)
        self.top = 0.0
        self.best = 0

    def _advance(self, gain: Array) -> NDArray[np.int64]:
        came_from = np.full(LAGS, self.best)
        reached = np.full(LAGS, self.top - 6.0)
        for i in range(LAGS):
            first = max(0, i - 4) if self.latest else min(i, 4)
            for k in range(first, min(i + 4, LAGS - 1) + 1):
                cost = 0.02 * (k - i) ** 2
                challenger = self.score[k] - (cost if self.latest else 0.0)
                if challenger > reached[i]:
                    reached[i] = self.score[k] - cost
                    came_from[i] = k
        total = reached + gain
        self.best = int(np.argmax(total))
        self.top = float(total[self.best])
        self.score = total - self.top
        return came_from

    def decide(self, xc: Array, energy: Array) -> tuple[list[int], float]:
        """Periods per half-frame, and the weighted mean correlation along the path."""
        weight = energy * (len(energy) / (1e-15 + energy.sum()))
        back = []
        i = np.arange(MAX_PERIOD - 2 * MIN_PERIOD)
        for h in range(len(energy)):
            half = np.maximum(xc[h][(256 + i) // 2], xc[h][(258 + i) // 2])
            half = np.maximum(half, xc[h][(255 + i) // 2])
            weak = xc[h][i] < 1.1 * half
            xc[h][i[weak]] *= 0.8
            back.append(self._advance(weight[h] * xc[h][:LAGS]))
        at, periods, mean = self.best, [], 0.0
        for h in reversed(range(len(energy))):
            periods.append(MAX_PERIOD - at)
            mean += weight[h] * xc[h][at]
            at = int(back[h][at])
        return periods[::-1], mean / len(energy)


def extract(pcm: NDArray[np.int16], layout: str = "lpcnet36") -> Array:
    """Features [frames, 36] or [frames, 55] of a 16 kHz signal.

    Parameters
    ----------
    pcm
        [samples], 16-bit scale.
    layout
        ``lpcnet36`` or ``lpcnet55``.
    """
    latest = layout == "lpcnet36"
    per_decision = 1 if latest else 4
    x = np.asarray(pcm, dtype=np.float64)
    x = x - 0.85 * np.concatenate([[0.0], x[:-1]])
    frames = len(x) // FRAME // per_decision * per_decision
    padded = np.concatenate([np.zeros(FRAME), x])
    tracker = _Tracker(latest)
    history = np.zeros(MAX_PERIOD + FRAME)
    past_input, past_residual = np.zeros(ORDER), 0.0
    rows = np.zeros((frames, 36 if latest else 55))
    pending_xc: list[Array] = []
    pending_energy: list[float] = []
    for n in range(frames):
        coefficients = cepstrum(padded[n * FRAME : (n + 2) * FRAME])
        lpc, error = predictor(coefficients)
        rows[n, :BANDS] = coefficients
        rows[n, -ORDER:] = lpc
        if not latest:
            rows[n, 38] = np.log10(error)
        delayed = padded[n * FRAME + 80 : n * FRAME + 80 + FRAME]
        joined = np.concatenate([past_input, delayed])
        past_input = joined[-ORDER:]
        residual = np.convolve(joined, np.concatenate([[1.0], lpc]), mode="valid")
        history = np.concatenate([history[FRAME:], np.zeros(FRAME)])
        history[MAX_PERIOD:] = residual + 0.7 * np.concatenate([[past_residual], residual[:-1]])
        past_residual = residual[-1]
        for half in range(2):
            xc, energy = _correlations(history, half, latest)
            pending_xc.append(xc)
            pending_energy.append(energy)
        if len(pending_xc) < 2 * per_decision:
            continue
        periods, mean = tracker.decide(np.array(pending_xc), np.array(pending_energy))
        pending_xc, pending_energy = [], []
        column = 18 if latest else 36
        for k in range(per_decision):
            both = periods[2 * k] + periods[2 * k + 1]
            if latest:
                both = min(max(both, 66), 510)
            row = n - per_decision + 1 + k
            rows[row, column] = 0.01 * (both - 200)
            rows[row, column + 1] = mean - 0.5
    return rows
