"""Mels to calibrate on, and how far two signals are apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from voices import make_mel

import pyvoc


def mels(model: Path, n: int = 4, frames: int = 60) -> list[np.ndarray]:
    bands = pyvoc.load(model).info.feature_dims
    return [make_mel(frames, bands=bands, seed=100 + i) for i in range(n)]


def snr(exact: np.ndarray, found: np.ndarray) -> float:
    a, b = exact.astype(np.float64), found.astype(np.float64)
    noise = np.square(a - b).sum()
    return float(10 * np.log10(np.square(a).sum() / noise)) if noise else np.inf
