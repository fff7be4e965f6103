"""The float64 oracles against upstream's own audio, noise and likelihood, through the converter."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from waveglow_files import GOLDEN, TINY, denoiser, reference

from pyvoc.container import read_container
from pyvoc.convert.detect import detect
from pyvoc.families.waveglow.spec import WAVEGLOW
from pyvoc.quant import decode

INFER = sorted(GOLDEN.glob("*_infer_*.npz"))
FORWARD = sorted(GOLDEN.glob("*_forward.npz"))
DENOISER = sorted(GOLDEN.glob("*_denoiser.npz"))
TOLERANCE = 2e-6
"""Upstream computes in float32."""


@cache
def network(size: str):
    """The model of a size; which of its checkpoints does not matter (see test_convert_waveglow)."""
    path = sorted(GOLDEN.glob(f"{size}_*.pt"))[0]
    checkpoint = detect(path)(path)
    return reference().Waveglow(checkpoint.arrays, checkpoint.metadata)


@pytest.mark.parametrize("path", INFER, ids=lambda p: p.stem)
def test_infer(path: Path) -> None:
    golden = np.load(path)
    net = network(path.name.split("_")[0])
    names = sorted((n for n in golden.files if n.startswith("z_")), key=lambda n: int(n[2:]))
    mel = golden["mel"][0].T
    draws = [golden[name][0] for name in names]
    shapes = [d.shape for d in net.draws(len(mel), np.random.default_rng(0))]
    assert [d.shape for d in draws] == shapes
    audio = net.infer(mel, draws, float(golden["sigma"]))
    np.testing.assert_allclose(audio, golden["audio"][0], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("path", FORWARD, ids=lambda p: p.stem)
def test_forward(path: Path) -> None:
    golden = np.load(path)
    net = network(path.name.split("_")[0])
    mel = golden["mel"][0].T
    found = net.forward(mel, golden["audio"][0])
    np.testing.assert_allclose(found.z, golden["z"][0], rtol=TOLERANCE, atol=TOLERANCE)
    assert len(found.log_s) == sum(n.startswith("log_s_") for n in golden.files)
    for k, log_s in enumerate(found.log_s):
        np.testing.assert_allclose(log_s, golden[f"log_s_{k}"][0], rtol=0, atol=TOLERANCE)
    for k, log_det in enumerate(found.log_det):
        np.testing.assert_allclose(log_det, golden[f"log_det_W_{k}"], rtol=1e-5)
    np.testing.assert_allclose(found.loss(1.0), golden["loss_sigma1"], rtol=TOLERANCE)
    np.testing.assert_allclose(found.loss(0.6), golden["loss_sigma06"], rtol=TOLERANCE)
    upsampled = reference().upsample(
        mel.astype(np.float64).T, net.w["upsample.weight"], net.w["upsample.bias"], net.hop
    )
    np.testing.assert_allclose(
        upsampled[:, :512], golden["upsample_first_512"][0], rtol=0, atol=2 * TOLERANCE
    )


@pytest.mark.parametrize("path", DENOISER, ids=lambda p: p.stem)
@pytest.mark.parametrize(("name", "strength"), [("denoised_0p1", 0.1), ("denoised_1p0", 1.0)])
def test_denoiser(path: Path, name: str, strength: float) -> None:
    golden = np.load(path)
    found = denoiser().denoise(golden["audio_in"][0], golden["bias_spec"][0, :, 0], strength)
    np.testing.assert_allclose(found, golden[name].ravel(), rtol=0, atol=TOLERANCE)


def test_there_is_something_in_the_golden_folder() -> None:
    if not GOLDEN.is_dir():
        pytest.skip("no golden data")
    assert INFER and FORWARD and DENOISER


@cache
def tiny(name: str):
    container = read_container(TINY / f"{name}.gguf")
    return reference().Waveglow(decode(WAVEGLOW, container), container.metadata), container.metadata


TINY_NAMES = sorted(p.stem for p in TINY.glob("*.gguf"))


def mel_of(frames: int, bands: int) -> np.ndarray:
    return np.random.default_rng(4).uniform(-9, -1, (frames, bands))


@pytest.mark.parametrize("name", TINY_NAMES)
def test_there_and_back(name: str) -> None:
    """Audio made of noise gives the noise back; both ways invert each other."""
    net, metadata = tiny(name)
    for frames in (1, 2, 40):
        mel = mel_of(frames, metadata["pyvoc.features.bands"])
        draws = net.draws(frames, np.random.default_rng(frames))
        sigma = metadata["waveglow.sigma"]
        audio = net.infer(mel, draws, sigma)
        assert audio.shape == (frames * net.hop,) and np.isfinite(audio).all()
        assert 0.02 < audio.std() < 0.5
        z = net.forward(mel, audio).z
        expected = sigma * np.concatenate([*draws[:0:-1], draws[0]])
        np.testing.assert_allclose(z, expected, rtol=0, atol=2e-5)  # inverses are single precision


@pytest.mark.parametrize("name", ["early.f32", "alternate.f32", "apart.f32"])
def test_log_likelihood_is_the_volume(name: str) -> None:
    """log |det dz/dx| of a step without neighbours, by differences, is what forward says."""
    net, metadata = tiny(name)
    mel = mel_of(1, metadata["pyvoc.features.bands"])
    audio = np.random.default_rng(1).uniform(-0.5, 0.5, net.groups)
    found = net.forward(mel, audio)
    step = 1e-6
    jacobian = np.stack(
        [
            (net.forward(mel, audio + step * e).z - net.forward(mel, audio - step * e).z)[:, 0]
            for e in np.eye(net.groups)
        ]
    ) / (2 * step)
    expected = sum(s.sum() for s in found.log_s) + sum(found.log_det)
    assert np.linalg.slogdet(jacobian)[1] == pytest.approx(expected, abs=1e-5)


def test_alternate_halves_matter() -> None:
    net, metadata = tiny("alternate.f32")
    plain = reference().Waveglow(net.w, {**metadata, "waveglow.alternate": False})
    mel = mel_of(3, metadata["pyvoc.features.bands"])
    draws = net.draws(3, np.random.default_rng(0))
    assert np.abs(net.infer(mel, draws, 0.6) - plain.infer(mel, draws, 0.6)).max() > 0.01


def test_nothing_is_seen_ahead_of_the_receptive_field() -> None:
    """Frame f needs mel frames from taps / hop - 1 before what its flows reach."""
    net, metadata = tiny("early.f32")
    frames, reach = 60, net.flows * (2**net.layers - 1) * net.groups // net.hop + 1
    mel = mel_of(frames, metadata["pyvoc.features.bands"])
    draws = net.draws(frames, np.random.default_rng(0))
    audio = net.infer(mel, draws, 0.6)
    other = mel.copy()
    other[30] = 0
    touched = np.flatnonzero(net.infer(other, draws, 0.6) != audio)
    assert touched.min() >= (30 - reach) * net.hop
    assert touched.max() < (30 + 4 + reach) * net.hop
    assert touched.min() < 30 * net.hop


def test_denoiser_is_transparent_and_takes_the_hum_out() -> None:
    tool = denoiser()
    rng = np.random.default_rng(2)
    audio = rng.standard_normal(256 * 20)
    np.testing.assert_allclose(tool.denoise(audio, np.zeros(513), 1.0), audio, rtol=0, atol=1e-12)
    hum = 0.1 * np.cos(2 * np.pi * 64 / 1024 * np.arange(256 * 88))
    left = tool.denoise(hum, tool.bias_of(hum), 1.0)
    assert np.abs(hum[2048:-2048]).max() > 0.09 and np.abs(left[2048:-2048]).max() < 1e-9
