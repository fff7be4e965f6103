"""The runtime against the audio of upstream's WaveGlow (see PYVOC_GOLDEN)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tier_worker import run, tiers
from waveglow_files import GOLDEN

import pyvoc
from pyvoc.convert.run import convert

TOLERANCE = 1e-5  # f32
BF16_DB = 40.0


def utterances() -> list[object]:
    """Upstream's audio, each with the checkpoint that it came from."""
    found = [
        pytest.param(
            next(GOLDEN.glob(f"{path.name.split('_')[0]}_pickled_zip.pt")), path, id=path.stem
        )
        for path in (sorted(GOLDEN.glob("*_infer_*.npz")) if GOLDEN.is_dir() else ())
    ]
    skip = pytest.mark.skip(reason=f"no WaveGlow checkpoints in {GOLDEN}")
    return found or [pytest.param(None, None, marks=skip)]


@cache
def load(path: Path) -> tuple[np.ndarray, list[np.ndarray], float, np.ndarray]:
    """Mel [frames, bands], draws, sigma, audio."""
    with np.load(path) as arrays:
        draws = [arrays[name] for name in sorted(arrays) if name.startswith("z_")]
        mel = np.ascontiguousarray(arrays["mel"][0].T, np.float32)
        return mel, draws, float(arrays["sigma"]), arrays["audio"].ravel()


def snr(expected: np.ndarray, found: np.ndarray) -> float:
    a, b = expected.astype(np.float64), found.astype(np.float64)
    return float(10 * np.log10(np.square(a).sum() / np.square(a - b).sum()))


@pytest.mark.parametrize(("checkpoint", "utterance"), utterances())
def test_float_audio_is_upstreams(checkpoint: Path, utterance: Path, tmp_path: Path) -> None:
    convert(checkpoint, tmp_path / "model.gguf")
    mel, draws, sigma, expected = load(utterance)
    found = pyvoc.load(tmp_path / "model.gguf").synthesize(mel, draws=draws, sigma=sigma)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("checkpoint", "utterance"), utterances())
def test_bf16_is_close(checkpoint: Path, utterance: Path, tmp_path: Path) -> None:
    convert(checkpoint, tmp_path / "model.gguf", precision="bf16")
    mel, draws, sigma, expected = load(utterance)
    found = pyvoc.load(tmp_path / "model.gguf").synthesize(mel, draws=draws, sigma=sigma)
    assert snr(expected, found) >= BF16_DB


@pytest.mark.parametrize("tier", tiers())
@pytest.mark.parametrize(("checkpoint", "utterance"), utterances()[:1])
def test_every_tier(checkpoint: Path, utterance: Path, tier: str, tmp_path: Path) -> None:
    """The first frames, whose look-ahead ends before the cut, on every kernel tier."""
    mel, draws, sigma, expected = load(utterance)
    convert(checkpoint, tmp_path / "model.gguf")
    info = pyvoc.load(tmp_path / "model.gguf").info
    frames = 12 + info.lookahead_frames
    steps = frames * info.hop_length // sum(info.noise_channels)
    own = pyvoc.load(tmp_path / "model.gguf").describe()["metadata"]["waveglow.sigma"]
    scaled = [sigma / own * z[0, :, :steps].astype(np.float64) for z in draws]
    flat = np.concatenate([z.ravel() for z in scaled]).astype(np.float32)
    found = run(tmp_path / "model.gguf", tier, tmp_path, mel=mel[:frames], draws_mel=flat)["mel"]
    samples = 12 * info.hop_length
    np.testing.assert_allclose(found[:samples], expected[:samples], rtol=0, atol=TOLERANCE)
