"""The runtime against the audio of the three upstream MelGANs (see PYVOC_GOLDEN)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from melgan_files import GOLDEN
from tier_worker import run, tiers

import pyvoc
from pyvoc.convert.run import convert
from pyvoc.quant.calibrate import quantize

TOLERANCE = 1e-5  # f32
BF16_DB, INT8_DB = 40.0, 28.0
CASES = (
    ("melgan/*.pt", "melgan/seungwonpark_LJ*.npz"),
    ("melgan_descript/*netG.pt", "melgan_descript/*_LJ*.npz"),
    ("melgan_mindspore/*.ckpt", "melgan_mindspore/*_io.npz"),
)


def checkpoints() -> list[object]:
    found = [
        pytest.param(path, audio, id=path.stem)
        for pattern, audio in CASES
        for path in (sorted(GOLDEN.glob(pattern)) if GOLDEN.is_dir() else ())
    ]
    skip = pytest.mark.skip(reason=f"no MelGAN checkpoints in {GOLDEN}")
    return found or [pytest.param(None, "", marks=skip)]


@cache
def utterances(pattern: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mels [frames, bands] and upstream's audio."""
    found = []
    for path in sorted(GOLDEN.glob(pattern)):
        with np.load(path) as arrays:
            mel = arrays["mel"].reshape(80, -1).T
            name = "audio_float" if "audio_float" in arrays else "audio"
            found.append((np.ascontiguousarray(mel, np.float32), arrays[name].ravel()))
    assert found
    return found


def snr(expected: np.ndarray, found: np.ndarray) -> float:
    a, b = expected.astype(np.float64), found.astype(np.float64)
    return float(10 * np.log10(np.square(a).sum() / np.square(a - b).sum()))


@pytest.mark.parametrize(("path", "audio"), checkpoints())
def test_float_audio_is_upstreams(path: Path, audio: str, tmp_path: Path) -> None:
    convert(path, tmp_path / "model.gguf")
    model = pyvoc.load(tmp_path / "model.gguf")
    for mel, expected in utterances(audio):
        np.testing.assert_allclose(model.synthesize(mel), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("path", "audio"), checkpoints())
def test_tail_frames_give_upstreams_inference(path: Path, audio: str, tmp_path: Path) -> None:
    """It appends ten silent frames, cuts what they said, and truncates to 16 bits."""
    convert(path, tmp_path / "model.gguf")
    model = pyvoc.load(tmp_path / "model.gguf")
    said = [a for a in map(np.load, sorted(GOLDEN.glob(audio))) if "inference_int16" in a]
    if not said:
        pytest.skip("upstream's inference is not there")
    for arrays in said[:2]:
        mel = arrays["mel"].reshape(80, -1).T
        expected = arrays["inference_int16"].ravel().astype(np.float64)
        found = 32768 * np.float64(model.synthesize(mel, tail_frames=10))
        assert found.shape == expected.shape
        low = expected - (expected <= 0)  # truncated from between low and high
        high = expected + (expected >= 0)
        beyond = np.maximum(low - found, found - high)[np.abs(expected) < 32767].max()
        assert beyond <= 32768 * TOLERANCE
        plain = 32768 * np.float64(model.synthesize(mel))
        assert np.maximum(low - plain, plain - high)[-256:].max() > 100


@pytest.mark.parametrize(("path", "audio"), checkpoints())
def test_bf16_is_close(path: Path, audio: str, tmp_path: Path) -> None:
    convert(path, tmp_path / "model.gguf", precision="bf16")
    model = pyvoc.load(tmp_path / "model.gguf")
    for mel, expected in utterances(audio):
        assert snr(expected, model.synthesize(mel)) >= BF16_DB


@pytest.mark.parametrize(("path", "audio"), checkpoints())
def test_int8_is_close(path: Path, audio: str, tmp_path: Path) -> None:
    """On the utterances that calibrated it and on the one that was held out."""
    convert(path, tmp_path / "model.gguf")
    pairs = utterances(audio)
    report = quantize(tmp_path / "model.gguf", tmp_path / "int8.gguf", [mel for mel, _ in pairs])
    assert report.held_out == (len(pairs) > 1)
    model = pyvoc.load(tmp_path / "int8.gguf")
    for mel, expected in pairs:
        assert snr(expected, model.synthesize(mel)) >= INT8_DB


@pytest.mark.parametrize("tier", tiers())
@pytest.mark.parametrize(("path", "audio"), checkpoints())
def test_every_tier(path: Path, audio: str, tier: str, tmp_path: Path) -> None:
    """The first frames, whose look-ahead ends before the cut, on every kernel tier."""
    convert(path, tmp_path / "model.gguf")
    model = pyvoc.load(tmp_path / "model.gguf")
    mel, expected = utterances(audio)[0]
    frames = 24
    cut = mel[: frames + model.info.lookahead_frames]
    found = run(tmp_path / "model.gguf", tier, tmp_path, mel=cut)["mel"]
    samples = frames * model.info.hop_length
    np.testing.assert_allclose(found[:samples], expected[:samples], rtol=0, atol=TOLERANCE)
