"""Augmentation and the native parts of the training data: laws, filters, the excitation loop."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from train_speech import RATE, speech_like, write_clips

from pyvoc import _pyvoc
from pyvoc.errors import Error, UnsupportedError
from pyvoc.families.lpcnet import dump
from pyvoc.families.lpcnet.train.recordings import LpcnetWavs
from pyvoc.train.data import AugmentConfig, Corpus, load_corpus
from pyvoc.train.data.augment import change_speed, draw_noise, draw_treatment

training = _pyvoc.training


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """One clip to train on."""
    folder = tmp_path_factory.mktemp("speech")
    write_clips(folder, [1.0])
    return load_corpus([folder])


def decode(codes: np.ndarray) -> np.ndarray:
    u = codes.astype(np.float64) - 128
    return np.sign(u) * (32768 / 255) * (np.exp(np.abs(u) / 128 * np.log(256)) - 1)


def encode(x: np.ndarray) -> np.ndarray:
    u = 128 + np.sign(x) * 128 * np.log1p(255 * np.abs(x) / 32768) / np.log(256)
    return np.clip(np.floor(u + 0.5), 0, 255)


# ---- the native parts ----


def test_excite_follows_its_definition() -> None:
    rng = np.random.default_rng(3)
    lpc = np.zeros((4, 16), np.float32)
    lpc[:, 0], lpc[:, 1] = -1.2, 0.5
    clean = (1000 * rng.standard_normal(640)).astype(np.float32)
    noise = rng.integers(-9, 10, 640).astype(np.int32)
    noise[:4] = [2**31 - 1, -(2**31), 300, -300]
    signal, codes = training.excite(clean, lpc, noise)
    past = np.zeros(2)
    for t in range(640):
        prediction = 1.2 * past[0] - 0.5 * past[1]
        assert abs(codes[t] - encode(np.array(clean[t] - prediction))) <= 1  # log is approximate
        heard = prediction + decode(np.clip(int(codes[t]) + int(noise[t]), 0, 255))
        assert signal[t] == pytest.approx(heard, rel=1e-4, abs=1e-2)
        past[:] = signal[t], past[0]


def test_excite_refuses() -> None:
    good = (np.zeros(320, np.float32), np.zeros((2, 16), np.float32), np.zeros(320, np.int32))
    signal, codes = training.excite(*good)
    assert not signal.any() and (codes == 128).all()
    bad = np.full(320, np.nan, np.float32)
    for place, value, error in (
        (0, bad, ValueError),
        (0, good[0][:319], ValueError),
        (0, good[0].reshape(2, 160), ValueError),
        (0, good[0].astype(np.float64), TypeError),
        (1, np.full((2, 16), np.inf, np.float32), ValueError),
        (1, np.zeros((2, 15), np.float32), ValueError),
        (1, np.zeros(32, np.float32), ValueError),
        (2, good[2][:1], ValueError),
        (2, good[2].astype(np.int64), TypeError),
    ):
        arguments = list(good)
        arguments[place] = value
        with pytest.raises(error):
            training.excite(*arguments)
    wild = np.full((2, 16), 1e30, np.float32)  # cannot run away
    signal, _ = training.excite(np.full(320, 1e4, np.float32), wild, good[2])
    assert np.isfinite(signal).all()


def test_biquad() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal(300).astype(np.float32)
    b, a = np.array([0.3, -0.2], np.float32), np.array([-0.25, 0.1], np.float32)
    expected = np.zeros(300)
    for t in range(300):
        terms = [x[t]]
        for k in (1, 2):
            if t >= k:
                terms += [b[k - 1] * x[t - k], -a[k - 1] * expected[t - k]]
        expected[t] = sum(terms)
    np.testing.assert_allclose(training.biquad(x, b, a), expected, atol=1e-5)
    with pytest.raises(ValueError, match="two coefficients"):
        training.biquad(x, b[:1], a)
    with pytest.raises(ValueError, match="dimensions"):
        training.biquad(x.reshape(2, 150), b, a)


def test_excite_is_what_dump_data_does(tmp_path: Path) -> None:
    # Without noise, which its files have before the first change of gain.
    (speech := tmp_path / "speech.s16").write_bytes(speech_like(1.5).tobytes())
    dump.dump_train(speech, tmp_path / "f", tmp_path / "d.s16", frames=100)
    rows = np.fromfile(tmp_path / "f", "<f4").reshape(-1, 36)
    data = np.fromfile(tmp_path / "d.s16", "<i2").reshape(-1, 2)
    of_group = np.ascontiguousarray(np.repeat(rows[::4, 20:], 4, axis=0)[: len(rows)])
    clean = data[:, 1].astype(np.float32)
    signal, codes = training.excite(clean, of_group, np.zeros(clean.size, np.int32))
    rounded = np.clip(np.floor(signal + 0.5), -32767, 32767)
    np.testing.assert_array_equal(rounded[:-1], data[1:, 0])
    assert len(np.unique(codes)) > 50


# ---- augmentation ----


@pytest.mark.parametrize("law", ["latest", "2019"])
def test_noise_laws(law: str) -> None:
    config = replace(AugmentConfig.upstream(law), noise_frames=1)
    noise = draw_noise(config, 6000, np.random.default_rng(1)).reshape(-1, 160)
    assert noise.dtype == np.int32
    u = (np.arange(2000) + 0.5) / 2000
    if law == "latest":
        spread = np.abs(-1.5 * np.log(1e-4 + u)[:, None] - 0.5 * np.log(1e-4 + u)[None, ::20])
    else:
        spread = 10 * u**2
    scale = 0.707 * np.maximum(spread, 1e-3)
    expected = np.mean(0.5 / np.sinh(np.minimum(0.5 / scale, 300)))  # E |rounded Laplace|
    assert np.abs(noise).mean() == pytest.approx(expected, rel=0.03)
    assert abs(noise.mean()) < 0.1
    assert np.mean(np.abs(noise).mean(axis=1) == 0) > (0.002 if law == "latest" else 0.1)
    held = draw_noise(replace(config, noise_frames=300), 600, np.random.default_rng(2))
    halves = np.abs(held.reshape(2, 4, -1)).mean(axis=2)
    assert halves.std(axis=1).max() < 0.2 * np.abs(halves[0].mean() - halves[1].mean())
    silent = replace(config, noise_gain=0.0)
    assert not draw_noise(silent, 3, np.random.default_rng(1)).any()


def test_gains() -> None:
    config = AugmentConfig.upstream("latest")
    rng = np.random.default_rng(4)
    gains = np.array([draw_treatment(config, rng).gain for _ in range(4000)])
    assert 0.45 < np.mean(gains < 0) < 0.55
    assert 0.004 < np.mean(gains == 0) < 0.018
    db = 20 * np.log10(np.abs(gains[gains != 0]))
    assert 0.03 < np.mean(db < -30) < 0.06  # those attenuated by 40 dB
    assert db.max() < 9 and np.median(db) == pytest.approx(-11.5, abs=1.5)
    old = AugmentConfig.upstream("2019")
    plain = replace(old, faint=0.0, mute=0.0, tilt=0.0)
    treatments = [draw_treatment(plain, rng) for _ in range(300)]
    assert all(t.tilt is None and 0.099 < t.gain < 8.92 for t in treatments)


def test_treatment_is_what_it_says() -> None:
    pcm = speech_like(0.5)
    rng = np.random.default_rng(0)
    natural = draw_treatment(AugmentConfig.natural(), rng).apply(pcm, rng)
    np.testing.assert_array_equal(natural, pcm.astype(np.float32))
    level = np.full(16000, 5000, np.int16)
    config = replace(AugmentConfig.natural(), high_pass=True)
    assert abs(draw_treatment(config, rng).apply(level, rng)[-1]) < 1
    config = replace(AugmentConfig.natural(), dither=True)
    dithered = draw_treatment(config, rng).apply(pcm, rng) - pcm
    assert np.abs(dithered).max() <= 0.501 and dithered.std() == pytest.approx(12**-0.5, rel=0.05)
    tilted = replace(AugmentConfig.natural(), tilt=0.75)
    treatment = draw_treatment(tilted, rng)
    assert treatment.tilt is not None and np.abs(treatment.tilt).max() <= 0.375
    assert not np.array_equal(treatment.apply(pcm, rng), pcm)


def test_speed(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "soxr", None)
        with pytest.raises(UnsupportedError, match=r"speed 1\.1 needs the soxr extra"):
            LpcnetWavs(corpus, 1, augment=AugmentConfig(speeds=(1.0, 1.1)))
        LpcnetWavs(corpus, 1, augment=AugmentConfig(speeds=(1.0,)))
    pytest.importorskip("soxr")
    t = np.arange(RATE) / RATE
    tone = np.rint(8000 * np.sin(2 * np.pi * 400 * t)).astype(np.int16)
    fast = change_speed(tone, 1.25)
    assert abs(fast.size - RATE / 1.25) <= 1
    middle = fast[2000:10000].astype(np.float64)
    at = 2 * np.abs(np.mean(middle * np.exp(-2j * np.pi * 500 * np.arange(8000) / RATE)))
    assert at == pytest.approx(8000, rel=1e-3)
    data = LpcnetWavs(corpus, 8, augment=AugmentConfig(speeds=(0.9, 1.0, 1.1)))
    batch = data.batch(0, range(8))
    assert all(np.isfinite(batch[k]).all() for k in batch)


def test_bad_settings(corpus: Corpus) -> None:
    for bad in (
        {"gain_db": (3.0, -3.0)},
        {"gain_db": (0.0, float("nan"))},
        {"mute": 1.5},
        {"tilt": 1.0},
        {"speeds": ()},
        {"speeds": (3.0,)},
        {"noise": "loud"},
        {"noise_gain": -1.0},
        {"noise_frames": 0},
    ):
        with pytest.raises(Error, match=next(iter(bad))):
            AugmentConfig(**bad)
    with pytest.raises(Error, match="generation"):
        AugmentConfig.upstream("2020")
    for bad in ({"generation": "x"}, {"frames_per_chunk": 0}, {"lead": 1}):
        with pytest.raises(Error, match=next(iter(bad))):
            LpcnetWavs(corpus, 2, **bad)
    with pytest.raises(Error, match="rows is 0"):
        LpcnetWavs(corpus, 0)
