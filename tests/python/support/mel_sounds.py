"""Sounds and recipes for the mel tests: voices made here, recordings where they are at hand."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from lpcnet_files import ROOT, load_module

from pyvoc import audio
from pyvoc.container.mel import DESCRIPT, FATCHORD, NVIDIA, RECIPES, MelRecipe

RATE = 22050
SHARED = ROOT.parent / "shared"
RECORDINGS = Path(os.environ.get("PYVOC_SPEECH", SHARED / "data" / "ljspeech"))
GOLDEN = Path(os.environ.get("PYVOC_GOLDEN", SHARED / "golden"))


def oracle() -> ModuleType:
    """tests/reference/mel.py."""
    return load_module(ROOT / "tests" / "reference" / "mel.py")


def recordings(count: int) -> list[object]:
    """The first recordings as pytest parameters; a skipped case stands in for none."""
    found = sorted(RECORDINGS.glob("*.wav"))[:count]
    skip = pytest.mark.skip(reason=f"no recordings in {RECORDINGS}")
    return [pytest.param(p, id=p.stem) for p in found] or [pytest.param(None, marks=skip)]


def recording(name: str) -> np.ndarray:
    path = RECORDINGS / f"{name}.wav"
    if not path.is_file():
        pytest.skip(f"no {path}")
    return audio.read(path)[0]


def voice(seconds: float = 4.0, *, f0: float = 190.0, seed: int = 0) -> np.ndarray:
    """Vowels with gliding pitch and moving formants, hiss and pauses, at 22050 Hz and 16 bits."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    t = np.arange(n) / RATE
    glide = np.sin(2 * np.pi * 0.7 * t + rng.uniform(0, 6)) + 0.5 * np.sin(2 * np.pi * 1.9 * t)
    jitter = np.convolve(rng.standard_normal(n), np.hanning(200) / 10, "same")
    phase = 2 * np.pi * np.cumsum(f0 * 2 ** (0.25 * glide + 0.012 * jitter)) / RATE
    syllable = np.clip(1.6 * np.sin(2 * np.pi * 1.7 * t + rng.uniform(0, 6)) + 0.5, 0, 1)
    formants = [
        low + swing * np.sin(2 * np.pi * rate * t + rng.uniform(0, 6))
        for low, swing, rate in ((500, 200, 1.1), (1500, 500, 0.8), (2600, 300, 0.6))
    ]
    voiced = np.zeros(n)
    for k in range(1, int(8000 / f0)):
        hz = k * f0 * 2 ** (0.25 * glide)
        gain = sum(1 / (1 + ((hz - f) / (90 + 0.06 * f)) ** 2) for f in formants) + 0.003
        voiced += np.where(hz < 10000, gain / k**0.5, 0) * np.sin(k * phase + rng.uniform(0, 6))
    hiss = rng.standard_normal(n)
    hiss[1:] -= 0.9 * hiss[:-1]
    breath = np.clip(np.sin(2 * np.pi * 1.7 * t + 3.5 + rng.uniform(0, 0.5)), 0, 1) ** 2
    voiced = syllable * voiced / np.abs(voiced).max()
    aspiration = 0.004 * np.clip(syllable - 0.1, 0, 1) * rng.standard_normal(n)
    x = 0.6 * voiced + aspiration + 0.01 * breath * hiss
    x = x + 2e-4 * rng.standard_normal(n)
    return (np.rint(np.clip(x, -1, 1) * 32767) / 32768).astype(np.float32)


def variants() -> dict[str, MelRecipe]:
    """The presets, and each with one setting changed."""
    found: dict[str, MelRecipe] = dict(RECIPES)
    for preset in (NVIDIA, DESCRIPT, FATCHORD):
        changes = {
            "power": {"power": 2},
            "floor1e-2": {"floor": 1e-2},
            "floor1e-10": {"floor": 1e-10},
            "fmax8000": {"fmax": 8000.0},
            "fmax11025": {"fmax": 11025.0},
            "db": {"log": "db", "normalized": False},
            **{f"hop{hop}": {"hop_length": hop} for hop in (256, 275, 300)},
        }
        for name, change in changes.items():
            recipe = replace(preset, name="custom", **change)  # type: ignore[arg-type]
            if not recipe.same_numbers(preset):
                found[f"{preset.name}-{name}"] = recipe
    return found
