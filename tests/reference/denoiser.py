"""The spectral denoiser of WaveGlow's upstream in float64 numpy.

A model's hum is what it makes of a mel spectrogram of zeros without noise (`bias_of`). It is
subtracted from the magnitudes of a short-time transform, the phases stay.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FFT, HOP = 1024, 256
BIAS_FRAMES = 88
"""Of the mel spectrogram of zeros."""


def window() -> Array:
    """A periodic Hann ``[FFT]``."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT))


def transform(audio: NDArray[np.floating]) -> NDArray[np.complex128]:
    """``[bins, samples // HOP + 1]`` of ``[samples]``, mirrored by half a window at both ends."""
    padded = np.pad(np.asarray(audio, np.float64), FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]
    return np.asarray(np.fft.rfft(frames * window()).T)


def inverse(spectrum: NDArray[np.complex128]) -> Array:
    """``[HOP * (frames - 1)]``: windowed, overlapped, divided by the squared windows' sum."""
    frames = np.fft.irfft(spectrum.T, FFT) * window()
    length = FFT + HOP * (len(frames) - 1)
    audio, weight = np.zeros(length), np.zeros(length)
    for i, frame in enumerate(frames):
        audio[i * HOP : i * HOP + FFT] += frame
        weight[i * HOP : i * HOP + FFT] += window() ** 2
    inside = slice(FFT // 2, length - FFT // 2)
    return np.asarray(audio[inside] / weight[inside])


def bias_of(hum: NDArray[np.floating]) -> Array:
    """Magnitudes ``[bins]`` of the first frame of what a model makes of zeros, sigma 0."""
    return np.asarray(np.abs(transform(hum)[:, 0]))


def denoise(audio: NDArray[np.floating], bias: NDArray[np.floating], strength: float) -> Array:
    """Audio without `strength` times the hum; whole hops, the rest is cut off."""
    spectrum = transform(audio)
    magnitude = np.abs(spectrum)
    kept = np.maximum(magnitude - strength * np.asarray(bias, np.float64)[:, None], 0.0)
    phase = np.exp(1j * np.angle(spectrum))
    return inverse(kept * phase)
