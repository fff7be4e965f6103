"""WaveGlow in the runtime against the float64 oracle on the tiny models, on every tier; noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tier_worker import run, tiers
from voices import MELGAN, WAVEGLOW, make_mel, voice
from waveglow_files import TINY, reference, tiny_waveglow, write

import pyvoc
from pyvoc.cli import main
from pyvoc.container import read_container
from pyvoc.container.mel import NVIDIA
from pyvoc.families import spec_of
from pyvoc.families.waveglow.spec import WaveglowSettings
from pyvoc.quant import decode

TOLERANCE = 1e-5
FRAMES = (1, 2, 3, 7, 30, 61)
EVERY = pytest.mark.parametrize("path", WAVEGLOW, ids=lambda p: p.stem)
EARLY = TINY / "early.f32.gguf"


def oracle(path: Path) -> Any:
    container = read_container(path)
    arrays = decode(spec_of(container, str(path)), container)
    return reference().Waveglow(arrays, container.metadata)


def noise(path: Path, frames: int, seed: int = 0) -> list[np.ndarray]:
    """Draws as float32."""
    draws = oracle(path).draws(frames, np.random.default_rng(seed))
    return [z.astype(np.float32) for z in draws]


def philox(counter: np.ndarray, key: int) -> np.ndarray:
    """Philox4x32-10 (Salmon et al. 2011) of counters ``[4, n]``."""
    x = [row.astype(np.uint64) for row in counter]
    keys = [key & 0xFFFFFFFF, key >> 32]
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = x[0] * np.uint64(0xD2511F53), x[2] * np.uint64(0xCD9E8D57)
        first = (b >> np.uint64(32)) ^ x[1] ^ np.uint64(keys[0])
        third = (a >> np.uint64(32)) ^ x[3] ^ np.uint64(keys[1])
        x = [first, b & low, third, a & low]
        keys = [(keys[0] + 0x9E3779B9) & 0xFFFFFFFF, (keys[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.array(x)


def own_noise(channels: int, steps: int, *, part: int, seed: int) -> np.ndarray:
    """What the runtime draws for one part: ``[channels, steps]``."""
    rows = []
    for block in range(-(-channels // 4)):
        counter = np.zeros((4, steps), np.uint64)
        counter[0], counter[2], counter[3] = np.arange(steps), part, block
        words = philox(counter, seed).astype(np.float64)
        for i in (0, 2):
            radius = np.sqrt(-2 * np.log((words[i] + 0.5) / 2**32))
            angle = 2 * np.pi * words[i + 1] / 2**32
            rows += [radius * np.cos(angle), radius * np.sin(angle)]
    return np.array(rows[:channels], np.float32)


@pytest.mark.parametrize("tier", tiers())
@EVERY
def test_audio_is_the_oracles(path: Path, tier: str, tmp_path: Path) -> None:
    """Every length from one frame up, with the sigma of the file."""
    bands, net = voice(path).info.feature_dims, oracle(path)
    sigma = voice(path).describe()["metadata"]["waveglow.sigma"]
    inputs: dict[str, np.ndarray] = {}
    expected = {}
    for n in FRAMES:
        name, draws = f"mel{n}", noise(path, n, seed=n)
        inputs[name] = make_mel(n, bands=bands, seed=n)
        inputs[f"draws_{name}"] = np.concatenate([z.ravel() for z in draws])
        expected[name] = net.infer(inputs[name], draws, sigma)
    found = run(path, tier, tmp_path, **inputs)
    assert set(found) == set(expected)
    for name, audio in expected.items():
        assert found[name].shape == audio.shape
        assert np.abs(audio).max() > 0.05  # not silence
        if tier.endswith("bf16") and path.stem.endswith("bf16"):
            # Rounds what it multiplies: to 9 bits, whose error is 59 dB below a sum's inputs.
            off = found[name] - audio
            assert 45 < 10 * np.log10(np.mean(audio**2) / np.mean(off**2)) < 80
        else:
            np.testing.assert_allclose(found[name], audio, rtol=0, atol=TOLERANCE)


@EVERY
@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_own_noise_is_a_function_of_position(path: Path, seed: int) -> None:
    """What a stream draws is what Philox gives for seed, part, step and channel."""
    model, frames = voice(path), 5
    steps = frames * model.info.hop_length // sum(model.info.noise_channels)
    draws = [
        own_noise(channels, steps, part=part, seed=seed)
        for part, channels in enumerate(model.info.noise_channels)
    ]
    mel = make_mel(frames, bands=model.info.feature_dims)
    own = model.synthesize(mel, seed=seed)
    np.testing.assert_allclose(own, model.synthesize(mel, draws=draws), rtol=0, atol=2e-6)


def test_a_longer_utterance_has_the_same_noise() -> None:
    """Before the look-ahead of the frames that differ, samples are the same bits."""
    model = voice(EARLY)
    mel = make_mel(40, bands=model.info.feature_dims)
    n = (20 - model.info.lookahead_frames) * model.info.hop_length
    np.testing.assert_array_equal(
        model.synthesize(mel[:20], seed=4)[:n], model.synthesize(mel, seed=4)[:n]
    )
    assert not np.array_equal(model.synthesize(mel, seed=4), model.synthesize(mel, seed=5))


@EVERY
def test_sigma(path: Path) -> None:
    model, frames = voice(path), 6
    mel, draws = make_mel(frames, bands=model.info.feature_dims), noise(path, frames)
    own = model.describe()["metadata"]["waveglow.sigma"]
    np.testing.assert_array_equal(
        model.synthesize(mel, draws=draws, sigma=own), model.synthesize(mel, draws=draws)
    )
    doubled = [2 * z for z in draws]  # a power of two: exact
    np.testing.assert_array_equal(
        model.synthesize(mel, draws=draws, sigma=1.0),
        model.synthesize(mel, draws=doubled, sigma=0.5),
    )
    silent = model.synthesize(mel, sigma=0.0)
    np.testing.assert_array_equal(silent, model.synthesize(mel, sigma=0.0, seed=9))
    assert not np.array_equal(silent, model.synthesize(mel))
    with model.stream(seed=3, sigma=1.5) as stream:  # a reset keeps it
        for _ in range(2):
            stream.push(mel)
            stream.flush()
            np.testing.assert_array_equal(stream.pull(), model.synthesize(mel, seed=3, sigma=1.5))
            stream.reset()


@EVERY
def test_look_ahead_is_enough(path: Path) -> None:
    """A frame beyond the look-ahead changes nothing."""
    assert changes(path, 1) == 0


def test_look_ahead_is_needed() -> None:
    """The frame at its edge changes something; through many flows it is lost in rounding."""
    assert changes(TINY / "plain.f32.gguf", 0) > 1e-6


def changes(path: Path, beyond: int) -> float:
    """How much a frame, so many beyond the look-ahead, changes of what comes before."""
    model = voice(path)
    hop = model.info.hop_length
    mel = make_mel(30, bands=model.info.feature_dims, seed=3)
    changed = mel.copy()
    changed[10 + model.info.lookahead_frames + beyond] += 10.0
    gap = np.abs(model.synthesize(changed) - model.synthesize(mel))
    assert gap.max() > 0.01
    return float(gap[: 11 * hop].max())


def test_look_ahead_of_a_full_model(tmp_path: Path) -> None:
    """Upstream's 12 flows of 8 layers, hops of 32 steps: 3060 steps, 96 frames."""
    tiny = tiny_waveglow()
    write(
        tmp_path / "deep.gguf",
        tiny.TinyWaveglow(WaveglowSettings(replace(NVIDIA, bands=2)), 12, 8, 2, 1024, seed=33),
    )
    assert pyvoc.load(tmp_path / "deep.gguf").info.lookahead_frames == 96


@EVERY
def test_draws_of_a_stream(path: Path) -> None:
    """However the frames come; and where the draws end, the stream's own go on."""
    model, frames = voice(path), 12
    mel, draws = make_mel(frames, bands=model.info.feature_dims), noise(path, frames)
    whole = model.synthesize(mel, draws=draws)
    np.testing.assert_array_equal(model.synthesize(mel, draws=[z[None] for z in draws]), whole)
    flat = np.concatenate([z.ravel() for z in draws])
    np.testing.assert_array_equal(model.synthesize(mel, draws=flat), whole)
    with model.stream() as stream:
        stream.set_draws(draws)
        pieces = []
        for row in mel:
            stream.push(row[None])
            pieces.append(stream.pull())
        stream.flush()
        pieces.append(stream.pull())
        np.testing.assert_array_equal(np.concatenate(pieces), whole)
        stream.reset()  # drops them
        stream.push(mel)
        stream.flush()
        own = stream.pull()
    np.testing.assert_array_equal(own, model.synthesize(mel))
    groups = sum(model.info.noise_channels)
    steps, some = frames * model.info.hop_length // groups, 5
    mixed = [
        own_noise(channels, steps, part=part, seed=0)
        for part, channels in enumerate(model.info.noise_channels)
    ]
    for z, given in zip(mixed, draws, strict=True):
        z[:, :some] = given[:, :some]
    with model.stream() as stream:
        stream.set_draws([z[:, :some] for z in draws])
        stream.push(mel)
        stream.flush()
        np.testing.assert_allclose(
            stream.pull(), model.synthesize(mel, draws=mixed), rtol=0, atol=2e-6
        )


def test_bad_draws() -> None:
    model, frames = voice(EARLY), 4
    mel, draws = make_mel(frames, bands=model.info.feature_dims), noise(EARLY, frames)
    nan = [z.copy() for z in draws]
    nan[1][0, 3] = np.nan
    for bad, match in (
        (draws[:1], "1 draws were given; the model needs 2"),
        ([draws[0], draws[1].T], r"draw 1 has shape \(16, 2\), expected \(2, 16\)"),
        ([draws[0], draws[1][:, :-1]], r"draw 1 has shape \(2, 15\), expected \(2, 16\)"),
        ([draws[0], draws[1].astype(int)], "draw 1: expected floats"),
        (np.zeros(7, np.float32), "7 draws were given; these features need 128"),
        (nan, "nan, which is no standard normal noise"),
        ([1e6 * z for z in draws], "no standard normal noise"),
    ):
        with pytest.raises(pyvoc.Error, match=match):
            model.synthesize(mel, draws=bad)
    with model.stream() as stream:
        with pytest.raises(pyvoc.Error, match="no whole steps of 8"):
            stream.set_draws(np.zeros(7, np.float32))
        with pytest.raises(pyvoc.Error, match="no whole steps of 8"):
            stream._native.set_draws(np.zeros(7, np.float32))
        with pytest.raises(pyvoc.Error, match=r"draw 2 is not within -100\.\.100"):
            stream._native.set_draws(np.array([0, 1, np.inf, 0, 0, 0, 0, 0], np.float32))


def test_bad_sigma() -> None:
    model = voice(EARLY)
    mel = make_mel(4, bands=model.info.feature_dims)
    for sigma in (-0.1, 4.1, np.nan, np.inf, "1"):
        with pytest.raises(pyvoc.Error, match=r"sigma is .*, expected a number from 0 to 4"):
            model.synthesize(mel, sigma=sigma)  # type: ignore[arg-type]
    other = voice(MELGAN[0])
    with pytest.raises(pyvoc.OptionError, match=r"'sigma' is an option of WaveGlow; .* MelGAN"):
        other.stream(sigma=1.0)
    native = pyvoc._pyvoc
    with pytest.raises(pyvoc.Error, match="expected 0 to 4"):
        native.Stream(model._native, 0, 1, 5.0)
    with pytest.raises(pyvoc.Error, match="melgan starts from no noise"):
        native.Stream(other._native, 0, 1, 1.0)


def test_bad_mels() -> None:
    model = voice(EARLY)
    bands = model.info.feature_dims
    for value in (np.nan, np.inf, -2000.0):
        mel = make_mel(5, bands=bands)
        mel[3, 2] = value
        with pytest.raises(pyvoc.FeatureError, match="feature 2 of frame 3"):
            model.synthesize(mel)


def test_batch_equals_single() -> None:
    """Utterances of different lengths side by side."""
    for path in WAVEGLOW:
        model = voice(path)
        mels = [make_mel(n, bands=model.info.feature_dims, seed=n) for n in (1, 7, 40, 3)]
        for mel, audio in zip(mels, pyvoc.synthesize_batch(model, mels), strict=True):
            np.testing.assert_array_equal(audio, model.synthesize(mel))
        for audio in pyvoc.synthesize_batch(model, mels[:1] * 2, sigma=1.0):
            np.testing.assert_array_equal(audio, model.synthesize(mels[0], sigma=1.0))


def test_command_line(tmp_path: Path) -> None:
    """Draws of a file and sigma, to a file and from a pipe's worth of frames."""
    model = voice(EARLY)
    mel, draws = make_mel(9, bands=model.info.feature_dims), noise(EARLY, 9)
    np.save(tmp_path / "mel.npy", mel)
    np.concatenate([z.ravel() for z in draws]).tofile(tmp_path / "z.f32")
    command = ["synth", "-m", str(EARLY), str(tmp_path / "mel.npy"), "-o", str(tmp_path / "o.s16")]
    assert main([*command, "--sigma", "0.7", "--draws", str(tmp_path / "z.f32")]) == 0
    found = np.fromfile(tmp_path / "o.s16", "<i2") / 32768
    expected = np.clip(model.synthesize(mel, draws=draws, sigma=0.7), -1, 32767 / 32768)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1 / 32768)
    assert main([*command, "--sigma", "5"]) != 0


def test_threads_give_the_same_samples(tmp_path: Path) -> None:
    """A wider model: the layers of the tiny ones are not worth dividing."""
    tiny = tiny_waveglow()
    settings = WaveglowSettings(replace(NVIDIA, bands=12), 8, 2, 2)
    wide = tiny.TinyWaveglow(settings, 3, 4, 128, 512, seed=31)
    write(tmp_path / "wide.gguf", wide)
    mel = make_mel(37, bands=12)
    alone = pyvoc.load(tmp_path / "wide.gguf").synthesize(mel)
    for threads in (2, 3):
        model = pyvoc.load(tmp_path / "wide.gguf", threads=threads)
        np.testing.assert_array_equal(model.synthesize(mel), alone)


def test_steps_that_fill_many_slices(tmp_path: Path) -> None:
    """A block of frames is more steps than a flow takes at a time."""
    tiny = tiny_waveglow()
    long = tiny.TinyWaveglow(
        WaveglowSettings(replace(NVIDIA, bands=3), 2, 2, 0), 3, 5, 4, taps=256, seed=32
    )
    write(tmp_path / "long.gguf", long)
    model = pyvoc.load(tmp_path / "long.gguf")
    mel, draws = make_mel(29, bands=3), noise(tmp_path / "long.gguf", 29)
    expected = oracle(tmp_path / "long.gguf").infer(mel, draws, 0.6)
    np.testing.assert_allclose(model.synthesize(mel, draws=draws), expected, rtol=0, atol=TOLERANCE)
