"""Log-spectral distance between aligned signals."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyvoc.evaluate import frames

__all__ = ["RECIPE", "WINDOW_MS", "log_spectra", "log_spectral_distance"]

Float64 = npt.NDArray[np.float64]

WINDOW_MS = 25
QUANTISATION_POWER = (1 / 32768) ** 2 / 12
"""Of 16-bit rounding noise; a spectrum below it is of no sound in the file."""
RECIPE = (
    f"log-spectral distance: Hann {WINDOW_MS} ms every {frames.FRAME_MS} ms, power per bin plus "
    "that of 16-bit rounding noise, root mean square over bins of the difference in dB, mean over "
    f"frames within {frames.ACTIVE_RANGE_DB:g} dB of the reference's 95th percentile level"
)


def log_spectra(signal: Float64, rate: int) -> Float64:
    """Power spectra in dB [frames, bins] of a signal [samples] in -1..1."""
    length = rate * WINDOW_MS // 1000
    window = np.hanning(length + 1)[:-1]
    power = np.abs(np.fft.rfft(frames.cut(signal, rate, length) * window, axis=1)) ** 2
    noise = QUANTISATION_POWER * float((window**2).sum())
    return np.asarray(10 * np.log10(power + noise))


def log_spectral_distance(reference: Float64, output: Float64, rate: int) -> float:
    """Distance in dB of aligned signals [samples]; see :data:`RECIPE`."""
    difference = log_spectra(reference, rate) - log_spectra(output, rate)
    kept = frames.active(reference, rate)
    return float(np.sqrt((difference[kept] ** 2).mean(axis=1)).mean())
