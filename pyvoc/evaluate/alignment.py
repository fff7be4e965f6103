"""By how many samples an output lags its reference.

A delay that is known is taken as it is. Otherwise, in this order:

1. Cross-correlation of the waveforms, whose peak is right to the sample, when it is *clear*: at
   least WAVEFORM_PEAK of a perfect one, and CLEARANCE above every other more than 1 ms away.
2. Cross-correlation of the log energy envelopes, for vocoders that keep no phase, when its peak is
   at least ENVELOPE_PEAK and the level varies by LEAST_VARIATION_DB at all. Its error is some ms,
   so what is below ENVELOPE_ERROR_MS counts as 0.
3. No delay, with a warning.

Delays are whole samples: the fraction is reported and never interpolated away, as that would filter
the signal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Alignment", "align", "apply"]

Float64 = npt.NDArray[np.float64]

SEARCH_MS = 100
WAVEFORM_PEAK = 0.5
CLEARANCE = 0.1
ENVELOPE_PEAK = 0.6
ENVELOPE_ERROR_MS = 2
LEAST_VARIATION_DB = 1.0
_AWAY_MS = 1
_ENVELOPE_WINDOW_MS = 10
_RANGE_DB = 50.0


@dataclass(frozen=True)
class Alignment:
    """How an output was aligned.

    Attributes
    ----------
    delay
        Samples by which the output lags; negative when it leads.
    method
        ``given``, ``waveform``, ``envelope`` or ``none``.
    peak
        Normalised correlation there; None where nothing was correlated.
    fraction
        What the peak's parabola adds to `delay`, in samples.
    """

    delay: int
    method: str
    peak: float | None
    fraction: float


def _correlate(left: Float64, right: Float64, reach: int) -> Float64:
    """Normalised correlation for lags -reach..reach of `right` behind `left`."""
    size = 1 << (len(left) + len(right) + reach).bit_length()
    product = np.fft.irfft(np.conj(np.fft.rfft(left, size)) * np.fft.rfft(right, size), size)
    around = np.concatenate([product[-reach:], product[: reach + 1]])
    scale = np.sqrt((left**2).sum() * (right**2).sum())
    return np.asarray(around / scale) if scale > 0 else np.zeros(2 * reach + 1)


def _parabola(values: Float64, at: int) -> float:
    if not 0 < at < len(values) - 1:
        return 0.0
    left, middle, right = values[at - 1 : at + 2]
    curve = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / curve, -0.5, 0.5)) if curve < 0 else 0.0


def _envelope(signal: Float64, rate: int) -> Float64:
    """Log energy every ms, without its mean."""
    step, length = rate // 1000, rate * _ENVELOPE_WINDOW_MS // 1000
    window = np.hanning(length + 2)[1:-1]
    energy = np.convolve(signal**2, window / window.sum(), mode="same")[::step]
    level = 10 * np.log10(np.maximum(energy, energy.max() * 10 ** (-_RANGE_DB / 10)) + 1e-30)
    return np.asarray(level - level.mean())


def align(reference: Float64, output: Float64, rate: int, *, delay: int | None = None) -> Alignment:
    """Find by how much `output` lags `reference`.

    Parameters
    ----------
    reference, output
        [samples]; may differ in length.
    rate
        Hz.
    delay
        The delay in samples, when it is known.
    """
    if delay is not None:
        return Alignment(delay, "given", None, 0.0)
    reach = rate * SEARCH_MS // 1000
    values = _correlate(reference, output, reach)
    at = int(values.argmax())
    away = np.abs(np.arange(len(values)) - at) > rate * _AWAY_MS // 1000
    clear = values[at] >= WAVEFORM_PEAK and values[at] - values[away].max() >= CLEARANCE
    if clear and 0 < at < 2 * reach:
        return Alignment(at - reach, "waveform", float(values[at]), _parabola(values, at))
    envelopes = _envelope(reference, rate), _envelope(output, rate)
    if min(envelope.std() for envelope in envelopes) < LEAST_VARIATION_DB:
        return Alignment(0, "none", None, 0.0)
    values = _correlate(*envelopes, SEARCH_MS)
    at = int(values.argmax())
    if values[at] >= ENVELOPE_PEAK and 0 < at < 2 * SEARCH_MS:
        lag = (at - SEARCH_MS + _parabola(values, at)) * (rate // 1000)
        if abs(lag) < ENVELOPE_ERROR_MS * rate / 1000:
            lag = 0.0
        return Alignment(round(lag), "envelope", float(values[at]), lag - round(lag))
    return Alignment(0, "none", float(values[at]), 0.0)


def apply(reference: Float64, output: Float64, delay: int) -> tuple[Float64, Float64]:
    """Cut both signals to the samples that they share once `output` is advanced by `delay`."""
    left = reference[max(0, -delay) :]
    right = output[max(0, delay) :]
    samples = min(len(left), len(right))
    return left[:samples], right[:samples]
