"""The tiny models of tests/golden, and features that suit them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

import pyvoc
from pyvoc import _pyvoc

ROOT = Path(__file__).resolve().parents[3]
TINY = sorted((ROOT / "tests" / "golden").glob("*.gguf"))
WAVERNN = sorted((ROOT / "tests" / "golden" / "wavernn").glob("*.gguf"))
HIFIGAN = sorted((ROOT / "tests" / "golden" / "hifigan").glob("*.gguf"))
MELGAN = sorted((ROOT / "tests" / "golden" / "melgan").glob("*.gguf"))
WAVEGLOW = sorted((ROOT / "tests" / "golden" / "waveglow").glob("*.gguf"))
FARGAN = sorted((ROOT / "tests" / "golden" / "fargan").glob("*.gguf"))
TREE = ROOT / "tests" / "golden" / "tree_sparse.int8.gguf"
SOFTMAX = ROOT / "tests" / "golden" / "softmax_sparse.f32.gguf"
HOP = 160


@cache
def voice(path: Path) -> pyvoc.Model:
    return pyvoc.load(path)


def make_features(frames: int, *, seed: int = 0, dims: int = 36) -> np.ndarray:
    """Plausible features [frames, dims] of layout lpcnet20, 36 or 55."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((frames, dims), np.float32)
    rows[:, :18] = rng.normal(0, 0.4, (frames, 18))
    rows[:, 0] += rng.uniform(-2, 3, frames)
    pitch = 36 if dims == 55 else 18
    rows[:, pitch] = rng.uniform(-1, 2, frames)
    rows[:, pitch + 1] = rng.uniform(-0.4, 0.4, frames)
    if dims != 20:
        lpc = _pyvoc.lpc_from_cepstrum(np.ascontiguousarray(rows[:, :18]))
        rows[:, -16:] = lpc
    return rows


def make_mel(frames: int, *, bands: int = 80, seed: int = 0) -> np.ndarray:
    """Plausible natural-logarithm mel frames [frames, bands]: smooth, -11.5 to 1."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.7, (frames, bands)).cumsum(axis=1)
    return np.clip(steps + rng.uniform(-8, -2, (frames, 1)), -11.5129, 1.0).astype(np.float32)


def features_for(model: pyvoc.Model, frames: int, *, seed: int = 0) -> np.ndarray:
    if model.info.feature_layout == "mel":
        mel = make_mel(frames, bands=model.info.feature_dims, seed=seed)
        return (mel + 11.5129) / 12.5129 if model.info.architecture == "wavernn" else mel
    rows = make_features(frames, seed=seed, dims=model.info.layout_dims)
    if model.info.feature_layout == "opus20":  # the pitch in octaves, -1.5..1.5
        rows[:, 18] -= 0.5
    return rows
