"""From audio to noise: the float64 oracle, upstream's tensors, and that synthesis undoes it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import make_tiny
from tier_worker import run, tiers
from voices import MELGAN, TREE, WAVEGLOW, WAVERNN, features_for, make_mel, voice
from waveglow_files import GOLDEN, TINY, int8_container, reference, tiny_waveglow, write

import pyvoc
from pyvoc.container import read_container, write_container
from pyvoc.container.mel import NVIDIA
from pyvoc.convert import convert
from pyvoc.families import spec_of
from pyvoc.families.waveglow.spec import WAVEGLOW as SPEC
from pyvoc.families.waveglow.spec import WaveglowSettings
from pyvoc.quant import decode
from pyvoc.runtime.likelihood import Likelihood

TOLERANCE = 1e-5
EVERY = pytest.mark.parametrize("path", WAVEGLOW, ids=lambda p: p.stem)
EARLY = TINY / "early.f32.gguf"
FORWARD = sorted(GOLDEN.glob("*_forward.npz"))


def oracle(path: Path):
    container = read_container(path)
    arrays = decode(spec_of(container, str(path)), container)
    return reference().Waveglow(arrays, container.metadata)


def in_upstreams_order(z: tuple[np.ndarray, ...]) -> np.ndarray:
    """What left first comes first."""
    return np.concatenate(z[::-1])


def forward_is_the_oracles(path: Path, mel: np.ndarray, pcm: np.ndarray) -> None:
    """Within 1e-5 or, as these flows multiply audio by up to 2.5 million, 4 roundings of it."""
    found, net = pyvoc.load(path).forward(mel, pcm), oracle(path)
    expected, moved = (net.forward(mel, x) for x in (pcm, np.nextafter(pcm, np.float32(9))))
    tolerance = max(TOLERANCE, 4 * float(np.abs(moved.z - expected.z).max()))
    np.testing.assert_allclose(in_upstreams_order(found.z), expected.z, rtol=0, atol=tolerance)
    for ours, theirs in zip(found.log_s, expected.log_s, strict=True):
        assert ours == pytest.approx(theirs.sum(), abs=TOLERANCE * theirs.size)
    np.testing.assert_allclose(found.log_det, expected.log_det, rtol=1e-12, atol=1e-9)
    z, sums = in_upstreams_order(found.z).astype(np.float64), tuple(map(np.array, found.log_s))
    same = reference().Likelihood(z, sums, found.log_det)
    for sigma in (0.6, 1.0):
        assert found.loss(sigma) == pytest.approx(same.loss(sigma), rel=1e-12)


def sound(samples: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.03, samples).astype(np.float32)


def likely(path: Path, mel: np.ndarray) -> np.ndarray:
    """Audio whose noise has a standard deviation of about 1, off what synthesis would give."""
    net, rng = oracle(path), np.random.default_rng(len(mel))
    audio = net.infer(mel, net.draws(len(mel), rng), 1.0)
    return (audio + 1e-3 * rng.standard_normal(audio.shape)).astype(np.float32)


@EVERY
@pytest.mark.parametrize("frames", [1, 2, 5, 31, 70])
def test_noise_is_the_oracles(path: Path, frames: int) -> None:
    """Of all the frames' samples, and of some less."""
    model = voice(path)
    mel = make_mel(frames, bands=model.info.feature_dims, seed=frames)
    step, audio = sum(model.info.noise_channels), likely(path, mel)
    for samples in {len(audio), len(audio) - step, step}:
        forward_is_the_oracles(path, mel, audio[:samples])


@pytest.mark.parametrize("tier", tiers())
def test_every_tier(tier: str, tmp_path: Path) -> None:
    mel = make_mel(9, bands=5)
    pcm = likely(EARLY, mel)
    found = run(EARLY, tier, tmp_path, features=mel, pcm=pcm)
    expected, moved = (
        oracle(EARLY).forward(mel, x).z for x in (pcm, np.nextafter(pcm, np.float32(9)))
    )
    tolerance = 4 * float(np.abs(moved - expected).max())
    assert tolerance < 1e-3
    np.testing.assert_allclose(found["noise"], expected, rtol=0, atol=tolerance)


@EVERY
@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_it_undoes_synthesis(path: Path, sigma: float) -> None:
    model, frames = voice(path), 23
    mel = make_mel(frames, bands=model.info.feature_dims, seed=1)
    steps = frames * model.info.hop_length // sum(model.info.noise_channels)
    rng = np.random.default_rng(2)
    draws = [
        rng.standard_normal((channels, steps)).astype(np.float32)
        for channels in model.info.noise_channels
    ]
    audio = model.synthesize(mel, draws=draws, sigma=sigma)
    found = model.forward(mel, audio)
    assert [z.shape for z in found.z] == [z.shape for z in draws]
    for ours, given in zip(found.z, draws, strict=True):
        np.testing.assert_allclose(ours, sigma * given, rtol=0, atol=1e-4)
    again = model.synthesize(mel, draws=[z / np.float32(sigma) for z in found.z], sigma=sigma)
    np.testing.assert_allclose(again, audio, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("settings", "flows", "layers", "taps"),
    [
        (WaveglowSettings(replace(NVIDIA, bands=3), 2, 2, 0), 3, 5, 1),  # many slices
        (WaveglowSettings(replace(NVIDIA, bands=2), 16, 1, 2, alternate=True), 7, 2, 3),
        (WaveglowSettings(replace(NVIDIA, bands=2), 8, 3, 4), 4, 1, 2),
        (WaveglowSettings(replace(NVIDIA, bands=2), 4, 5, 2), 1, 3, 4),
    ],
    ids=["slices", "often", "wide", "single"],
)
def test_other_shapes(
    settings: WaveglowSettings, flows: int, layers: int, taps: int, tmp_path: Path
) -> None:
    path = tmp_path / "made.gguf"
    write(path, tiny_waveglow().TinyWaveglow(settings, flows, layers, 4, 256 * taps, seed=34))
    model, frames = pyvoc.load(path), 29
    mel = make_mel(frames, bands=settings.recipe.bands)
    for samples in (frames * 256, 27 * 256 + 3 * settings.groups):
        forward_is_the_oracles(path, mel, likely(path, mel)[:samples])
    audio = model.synthesize(mel, seed=3, sigma=1.0)
    found = model.forward(mel, audio)
    again = model.synthesize(mel, draws=found.z, sigma=1.0)
    np.testing.assert_allclose(again, audio, rtol=0, atol=TOLERANCE)


def test_threads_give_the_same_noise(tmp_path: Path) -> None:
    path, settings = tmp_path / "wide.gguf", WaveglowSettings(replace(NVIDIA, bands=12), 8, 2, 2)
    write(path, tiny_waveglow().TinyWaveglow(settings, 3, 4, 128, 512, seed=31))
    mel, pcm = make_mel(12, bands=12), sound(12 * 256)
    alone = pyvoc.load(path).forward(mel, pcm)
    shared = pyvoc.load(path, threads=2).forward(mel, pcm)
    assert shared.log_s == alone.log_s
    for ours, theirs in zip(shared.z, alone.z, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_int8_uses_its_own_layers(tmp_path: Path) -> None:
    """Undoes what it synthesises, though it is far from its float form."""
    write_container(tmp_path / "m.gguf", int8_container(), spec=SPEC)
    model, mel = pyvoc.load(tmp_path / "m.gguf"), make_mel(15, bands=5)
    audio = model.synthesize(mel, seed=1, sigma=0.5)
    found = model.forward(mel, audio)
    assert found.log_s != voice(EARLY).forward(mel, audio).log_s
    # A byte of an activation that falls otherwise moves what follows: most are the same.
    again = model.synthesize(mel, draws=[2 * z for z in found.z], sigma=0.5)
    assert np.median(np.abs(again - audio)) < 1e-5


@pytest.mark.skipif(not FORWARD, reason=f"no WaveGlow tensors in {GOLDEN}")
@pytest.mark.parametrize("path", FORWARD, ids=lambda p: p.stem)
def test_noise_is_upstreams(path: Path, tmp_path: Path) -> None:
    tag = path.name.split("_")[0]
    convert(GOLDEN / f"{tag}_pickled_zip.pt", tmp_path / "m.gguf")
    model = pyvoc.load(tmp_path / "m.gguf")
    with np.load(path) as arrays:
        golden = dict(arrays)
    mel, pcm = np.ascontiguousarray(golden["mel"][0].T), golden["audio"].ravel()
    found = model.forward(mel, pcm)
    np.testing.assert_allclose(in_upstreams_order(found.z), golden["z"][0], rtol=0, atol=TOLERANCE)
    for k, (log_s, log_det) in enumerate(zip(found.log_s, found.log_det, strict=True)):
        expected = golden[f"log_s_{k}"].astype(np.float64)
        assert log_s == pytest.approx(expected.sum(), abs=1e-6 * expected.size)
        assert log_det == pytest.approx(float(golden[f"log_det_W_{k}"]), rel=1e-5, abs=1e-2)
    assert found.loss() == pytest.approx(float(golden["loss_sigma1"]), abs=TOLERANCE)
    assert found.loss(0.6) == pytest.approx(float(golden["loss_sigma06"]), abs=TOLERANCE)
    # Back: what lies beyond the end of the audio reaches into it from its look-ahead.
    frames = len(pcm) // model.info.hop_length
    again = model.synthesize(mel[:frames], draws=found.z, sigma=1.0)
    np.testing.assert_allclose(again, pcm, rtol=0, atol=TOLERANCE)


def test_nats_are_a_density() -> None:
    """Whatever sigma: of noise alone, the normal distribution's own entropy."""
    z = np.random.default_rng(0).normal(0, 0.5, (4, 50000)).astype(np.float32)
    found = Likelihood((z,), (0.0,), (0.0,))
    entropy = math.log(0.5) + 0.5 * math.log(2 * math.pi * math.e)
    assert found.nats(0.5) == pytest.approx(entropy, abs=5e-3)
    assert found.nats(1.0) > found.nats(0.5) < found.nats(0.3)
    louder = Likelihood((z,), (-float(z.size),), (0.0,))  # every sample e times as spread
    assert louder.nats(0.5) == pytest.approx(found.nats(0.5) + 1)


@pytest.mark.parametrize("change", ["mirrored", "exchanged", "singular"])
def test_a_determinant_that_is_not_positive(change: str, tmp_path: Path) -> None:
    """Synthesis needs the inverse alone; of such audio there is no likelihood."""

    def spoil(arrays: dict[str, np.ndarray]) -> None:
        mix = arrays["flow.2.mix.weight"]
        if change == "mirrored":
            mix[1] *= -1
        else:
            mix[[0, 3]] = mix[[3, 0]]
        if change != "singular":
            arrays["flow.2.unmix.weight"] = np.linalg.inv(mix)

    path = tmp_path / "m.gguf"
    if change == "singular":  # a file that its own rules refuse: overwrite the tensor
        tiny = tiny_waveglow().EARLY
        arrays = tiny_waveglow().make(tiny, make_tiny().Draws(tiny.seed))
        write(path, tiny)
        mix = arrays["flow.2.mix.weight"].astype("<f4")
        data = path.read_bytes()
        assert data.count(mix.tobytes()) == 1
        rows = np.concatenate([mix[:1], mix[:1], mix[2:]])
        path.write_bytes(data.replace(mix.tobytes(), rows.tobytes()))
    else:
        write(path, tiny_waveglow().EARLY, change=spoil)
    model, mel = pyvoc.load(path), make_mel(4, bands=5)
    assert np.isfinite(model.synthesize(mel)).all()
    with pytest.raises(pyvoc.UnsupportedError, match=r"flow 2: the determinant of mix\.weight"):
        model.forward(mel, sound(4 * 32))


def test_noise_that_is_not_finite(tmp_path: Path) -> None:
    """Scales beyond single precision."""

    def spoil(arrays: dict[str, np.ndarray]) -> None:
        arrays["flow.1.end.bias"][-1] = 95.0

    path = tmp_path / "m.gguf"
    write(path, tiny_waveglow().EARLY, change=spoil)
    with pytest.raises(pyvoc.ModelError, match="noise that is not finite"):
        pyvoc.load(path).forward(make_mel(4, bands=5), sound(4 * 32))


def test_bad_input() -> None:
    model, mel, pcm = voice(EARLY), make_mel(4, bands=5), sound(128)
    for bad, match in (
        (sound(129), "129 samples for 4 frames of 32"),
        (sound(127), "127 samples are no whole steps of 8"),
        (sound(0), "0 samples for 4 frames"),
        (np.where(np.arange(128) == 3, np.nan, pcm).astype(np.float32), "sample 3 is a NaN"),
        (pcm[None], r"shape \[samples\]"),
    ):
        with pytest.raises(pyvoc.AudioError, match=match):
            model.forward(mel, bad)
    with pytest.raises(pyvoc.FeatureError, match="mel bands"):
        model.forward(mel[:, :4], pcm)
    mel[2, 1] = np.inf
    with pytest.raises(pyvoc.FeatureError, match="feature 1 of frame 2"):
        model.forward(mel, pcm)
    with pytest.raises(pyvoc.Error, match="threads is 65, at most 64"):
        model._native.forward(make_mel(4, bands=5), pcm, 65)


@pytest.mark.parametrize("path", [TREE, WAVERNN[0], MELGAN[0]], ids=lambda p: p.stem)
def test_models_without_this_direction(path: Path) -> None:
    model = voice(path)
    name = model.info.architecture
    with pytest.raises(pyvoc.UnsupportedError, match=f"{name} has no way from audio to noise"):
        model.forward(features_for(model, 4), sound(2))
