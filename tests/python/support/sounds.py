"""Constructed signals whose measures are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pyvoc import audio

RATE = 16000


def save(name: str, samples: np.ndarray, rate: int = RATE) -> str:
    """Write a wav, its folders too; `name`."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    audio.write_wav(name, samples, rate)
    return name


def harmonics(f0: float, seconds: float, *, rate: int = RATE, level: float = 0.1) -> np.ndarray:
    """Harmonics of one F0 up to 4 kHz, falling 6 dB per octave, rms `level`."""
    t = np.arange(round(seconds * rate)) / rate
    k = np.arange(1, int(4000 / f0) + 1)
    phases = np.random.default_rng(1).uniform(0, 2 * np.pi, len(k))
    x = (np.cos(2 * np.pi * f0 * np.outer(t, k) + phases) / k).sum(axis=1)
    return level * x / x.std()


def noise(seconds: float, *, seed: int = 0, rate: int = RATE, level: float = 0.1) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(round(seconds * rate))


def filtered(signal: np.ndarray, log_gain) -> np.ndarray:
    """Zero-phase filter; `log_gain` maps radians [bins] to the natural log of the gain."""
    spectrum = np.fft.rfft(signal)
    w = np.linspace(0, np.pi, len(spectrum))
    return np.fft.irfft(spectrum * np.exp(log_gain(w)), len(signal))


def speechlike(
    seconds: float = 1.5, *, f0: float = 140.0, seed: int = 0, rate: int = RATE
) -> np.ndarray:
    """Syllables: a tone and a noise in turns, with pauses; peak below 0.5."""
    rng = np.random.default_rng(seed)
    parts = []
    while sum(map(len, parts)) < seconds * rate:
        length = rng.uniform(0.1, 0.2)
        tone = harmonics(f0 * rng.uniform(0.9, 1.1), length, rate=rate)
        hiss = noise(rng.uniform(0.04, 0.1), seed=int(rng.integers(1 << 30)), rate=rate, level=0.02)
        parts += [
            tone * np.hanning(len(tone)),
            hiss * np.hanning(len(hiss)),
            np.zeros(round(rate * rng.uniform(0.02, 0.08))),
        ]
    x = np.concatenate(parts)[: round(seconds * rate)]
    x = x + noise(seconds, seed=seed + 1, rate=rate, level=1e-4)
    return 0.4 * x / np.abs(x).max()
