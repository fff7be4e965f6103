"""Mel frames in float64: the oracle of csrc/dsp/mel_extractor.

Written from the definitions (Slaney, Auditory Toolbox, 1998; the settings of each upstream), with
numpy's transform and nothing of the runtime's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyvoc.container.mel import MelRecipe

Float64 = npt.NDArray[np.float64]


def slaney_mel(hz: npt.ArrayLike) -> Float64:
    """Mel on Slaney's scale: linear to 1 kHz, then logarithmic with 27 mel per factor of 6.4."""
    f = np.asarray(hz, dtype=np.float64)
    return np.where(
        f < 1000.0, f * 3.0 / 200.0, 15.0 + 27.0 * np.log(np.maximum(f, 1.0) / 1000.0) / np.log(6.4)
    )


def slaney_hz(mel: npt.ArrayLike) -> Float64:
    """The inverse of `slaney_mel`."""
    m = np.asarray(mel, dtype=np.float64)
    return np.where(m < 15.0, m * 200.0 / 3.0, 1000.0 * 6.4 ** ((m - 15.0) / 27.0))


def filters(recipe: MelRecipe) -> Float64:
    """Triangles of unit area [bands, fft_length // 2 + 1]."""
    ends = slaney_mel([recipe.fmin, recipe.fmax])
    edges = slaney_hz(np.linspace(ends[0], ends[1], recipe.bands + 2))
    hz = np.arange(recipe.fft_length // 2 + 1) * recipe.sample_rate / recipe.fft_length
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (hz - left) / (centre - left), (right - hz) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (right - left)


def linear_mel(pcm: npt.ArrayLike, recipe: MelRecipe) -> Float64:
    """Mel before clamp and logarithm [frames, bands]; pcm [samples], at least one."""
    x = np.asarray(pcm, dtype=np.float64)
    mode = "reflect" if recipe.padding == "reflect" else "constant"
    padded = np.pad(x, recipe.pad, mode=mode)  # type: ignore[call-overload]
    window = np.zeros(recipe.fft_length)
    start = (recipe.fft_length - recipe.window_length) // 2
    turn = 2.0 * np.pi * np.arange(recipe.window_length) / recipe.window_length
    window[start : start + recipe.window_length] = 0.5 - 0.5 * np.cos(turn)
    at = recipe.hop_length * np.arange(recipe.frames(x.size))[:, None]
    frames = padded[at + np.arange(recipe.fft_length)] * window
    bins = np.fft.rfft(frames)
    spectrum = np.sqrt(bins.real**2 + bins.imag**2 + recipe.epsilon) ** recipe.power
    return np.asarray(spectrum @ filters(recipe).T)


def log_mel(pcm: npt.ArrayLike, recipe: MelRecipe) -> Float64:
    """The recipe's frames [frames, bands]."""
    return compress(linear_mel(pcm, recipe), recipe)


def compress(mel: Float64, recipe: MelRecipe) -> Float64:
    """Clamp, logarithm and normalisation of a linear mel."""
    clamped = np.maximum(mel, recipe.floor)
    if recipe.log == "ln":
        return np.asarray(np.log(clamped))
    if recipe.log == "log10":
        return np.asarray(np.log10(clamped))
    decibels = 20.0 / recipe.power * np.log10(clamped)
    if not recipe.normalized:
        return np.asarray(decibels)
    return np.clip((decibels - recipe.ref_db - recipe.min_db) / -recipe.min_db, 0.0, 1.0)
