"""Speech-like signals for the tests of training: a buzz and a hiss through moving resonances."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pyvoc import audio

RATE = 16000


def speech_like(seconds: float, *, seed: int = 0, level: float = 3000.0) -> np.ndarray:
    """int16 [samples]: pulses at a gliding pitch through three resonances, and some noise."""
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    t = np.arange(n) / RATE
    pitch = 120.0 + 30.0 * np.sin(2 * np.pi * 0.7 * t + seed)
    phase = np.cumsum(pitch / RATE)
    y = np.diff(np.floor(phase), prepend=0.0) + 0.01 * rng.standard_normal(n)
    for centre, swing, width in ((500, 150, 80), (1500, 300, 120), (2600, 200, 160)):
        f = centre + swing * np.sin(2 * np.pi * 0.9 * t + centre + seed)
        r = np.exp(-np.pi * width / RATE)
        a1, a2 = -2 * r * np.cos(2 * np.pi * f / RATE), r * r
        one = two = 0.0
        out = np.empty(n)
        for i in range(n):
            now = y[i] - a1[i] * one - a2 * two
            two, one = one, now
            out[i] = now
        y = out
    y *= level / np.sqrt(np.mean(y * y))
    return np.clip(np.rint(y), -32000, 32000).astype(np.int16)


def write_clips(folder: Path, seconds: list[float], *, level: float = 3000.0) -> list[Path]:
    """Clips clip0.wav, clip1.wav, ... of these durations."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"clip{i}.wav" for i in range(len(seconds))]
    for i, (path, duration) in enumerate(zip(paths, seconds, strict=True)):
        audio.write_wav(path, speech_like(duration, seed=i, level=level), RATE)
    return paths


def predictions(batch: dict[str, np.ndarray], shift: int = 0) -> np.ndarray:
    """What the LPC of a batch, `shift` frames off, predict: float64 [rows, T]."""
    signal = batch["signal"].astype(np.float64)
    samples = batch["clean"].shape[1]
    lpc = np.repeat(np.roll(batch["lpc"][:, 1:], shift, axis=1), 160, axis=1)
    past = np.stack([signal[:, 16 - k : 16 - k + samples] for k in range(16)], axis=-1)
    return -(lpc * past).sum(axis=-1)


def prediction_gain(batch: dict[str, np.ndarray], shift: int = 0) -> float:
    """Energy of clean over that of clean - prediction in dB, the edges left out."""
    inside = slice(320, -320)
    clean = batch["clean"].astype(np.float64)
    error = (clean - predictions(batch, shift))[:, inside]
    return float(10 * np.log10((clean[:, inside] ** 2).sum() / (error**2).sum()))
