"""LPCNet batches from speech: alignment, the runtime's codes, purity, noise laws, validation."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from train_speech import RATE, prediction_gain, predictions, speech_like, write_clips
from voices import TREE, voice

from pyvoc import _pyvoc, dump, features
from pyvoc.errors import Error, UnsupportedError
from pyvoc.train.data import AugmentConfig, Corpus, Holdout, LpcnetWavs, Source, load_corpus
from pyvoc.train.data.augment import change_speed, draw_noise, draw_treatment
from pyvoc.train.data.lpcnet import lead_in, make_segment

training = _pyvoc.training


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Three clips to train on, two to validate with."""
    folder = tmp_path_factory.mktemp("speech")
    write_clips(folder, [1.5, 1.0, 1.0, 1.31, 0.87])
    return load_corpus([folder], Holdout(names=("clip3", "clip4")))


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


# ---- alignment ----


@pytest.mark.parametrize("generation", ["latest", "2019"])
def test_prediction_is_best_where_it_should_be(corpus: Corpus, generation: str) -> None:
    natural = AugmentConfig.natural()
    data = LpcnetWavs(
        corpus,
        4,
        generation=generation,
        frames_per_chunk=60,
        chunks_per_segment=1,
        augment=natural,
    )
    batch = data.batch(3, range(4))
    gains = {shift: prediction_gain(batch, shift) for shift in (-3, -2, -1, 0, 1, 2, 3)}
    assert gains[0] > 10
    assert gains[0] == max(gains.values())
    assert gains[0] > gains[-2] + 0.3 and gains[0] > gains[2] + 0.3
    # The distance to frames before and after is even: PCM is centred on its row.
    assert abs(gains[-2] - gains[2]) < 0.5 * (gains[0] - min(gains[-2], gains[2]))


@pytest.mark.parametrize("generation", ["latest", "2019"])
def test_features_lpc_and_clean_are_those_of_the_clip(corpus: Corpus, generation: str) -> None:
    layout, dims = {"latest": ("lpcnet36", 20), "2019": ("lpcnet55", 38)}[generation]
    clip = max(corpus.validation, key=lambda c: c.pcm.size)
    data = LpcnetWavs(corpus, 1, generation=generation, frames_per_chunk=7)
    batches = []
    for batch in data.validation(2):
        assert batch["features"].dtype == batch["lpc"].dtype == np.float32
        assert batch["features"].shape == (2, 11, dims)
        batches.append(batch)
    clean = np.concatenate([b["clean"][0] for b in batches])
    x = clip.pcm.astype(np.float64)
    emphasised = x - 0.85 * np.concatenate([[0.0], x[:-1]])
    count = min(clean.size - 80, x.size // 160 * 160)
    np.testing.assert_allclose(clean[80 : 80 + count], emphasised[:count], atol=0.01)
    assert not clean[:80].any()

    # The same with the lead-in of silence that the data analyses before a clip.
    total = len(batches) * 7
    lead = lead_in(total, 20)
    padded = np.zeros((lead + total + 4) * 160, np.int16)
    padded[lead * 160 :][: clip.pcm.size] = clip.pcm[: total * 160]
    rows = features.extract(padded, layout=layout)
    for i, batch in enumerate(batches):
        at = lead + 7 * i
        np.testing.assert_array_equal(batch["features"][0], rows[at - 2 : at + 9, :dims])
        np.testing.assert_array_equal(batch["lpc"][0], rows[at - 1 : at + 7, -16:])


def test_codes_are_the_runtimes() -> None:
    """The runtime, forced to the signal, sees the codes that the data implies."""
    pcm = speech_like(0.6, seed=2)
    frames = 50
    lead = lead_in(frames, 20)
    samples = np.zeros((lead + frames + 2) * 160, np.float32)
    samples[lead * 160 :] = pcm[: (frames + 2) * 160]
    segment = make_segment(samples, frames, np.zeros((frames + 2) * 160, np.int32))
    _, codes = training.excite(
        segment.clean, np.ascontiguousarray(segment.lpc[1:]), np.zeros(frames * 160, np.int32)
    )
    heard = segment.signal[17:].astype(np.float64)  # times t0 ..
    speech = np.empty_like(heard)
    memory = 0.0
    for t, value in enumerate(heard):
        memory = value + 0.85 * memory
        speech[t] = memory
    found = _pyvoc.testing.lpcnet_steps(
        voice(TREE)._native, segment.features[2:], (speech / 32768).astype(np.float32)
    )
    np.testing.assert_array_equal(found["codes"][:, 3], codes[: heard.size])
    batch = {
        "signal": segment.signal[None],
        "clean": segment.clean[None],
        "lpc": segment.lpc[None],
    }
    ours = predictions(batch)[0, : heard.size]
    np.testing.assert_allclose(found["prediction"][:, 0], ours, atol=0.5)


def test_noise_is_fed_back(corpus: Corpus) -> None:
    config = replace(AugmentConfig.natural(), noise="latest")
    options = {"frames_per_chunk": 50, "chunks_per_segment": 1}
    quiet = LpcnetWavs(corpus, 8, augment=AugmentConfig.natural(), **options).batch(0, range(8))
    noisy = LpcnetWavs(corpus, 8, augment=config, **options).batch(0, range(8))
    np.testing.assert_array_equal(quiet["features"], noisy["features"])
    np.testing.assert_array_equal(quiet["clean"], noisy["clean"])

    def error(batch: dict) -> np.ndarray:
        return np.abs(batch["signal"][:, 17:] - batch["clean"][:, :-1]).mean(axis=1)

    assert (error(noisy) > error(quiet)).all()
    assert np.median(error(noisy) / error(quiet)) > 1.5


# ---- purity ----


def equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("generation", ["latest", "2019"])
def test_a_batch_depends_on_seed_step_and_row_alone(corpus: Corpus, generation: str) -> None:
    def make(seed: int = 5) -> LpcnetWavs:
        return LpcnetWavs(
            corpus, 6, generation=generation, frames_per_chunk=4, chunks_per_segment=3, seed=seed
        )

    warm = make()
    batches = [warm.batch(step, range(6)) for step in range(8)]
    cold = make()
    for step in (7, 0, 4, 5):  # resuming in the middle of segments, going back
        assert equal(cold.batch(step, range(6)), batches[step])
    part = make().batch(4, range(1, 6, 2))  # another process's share
    assert all(np.array_equal(part[k], batches[4][k][1:6:2]) for k in part)
    other = make(6).batch(4, range(6))
    assert all(not np.array_equal(other[k], batches[4][k]) for k in other if k != "reset")
    assert len({int(s) for b in batches for s in b["seed"]}) == 48
    assert (batches[0]["seed"] >= 0).all()
    for rows in (range(7), range(-1, 2), range(0)):
        with pytest.raises(Error, match="not in the batch of 6"):
            warm.batch(0, rows)
    with pytest.raises(Error, match="negative"):
        warm.batch(-1, range(6))


def test_chunks_follow_one_another_until_reset(corpus: Corpus) -> None:
    data = LpcnetWavs(corpus, 5, frames_per_chunk=4, chunks_per_segment=3)
    batches = [data.batch(step, range(5)) for step in range(10)]
    resets = np.array([b["reset"] for b in batches])
    assert resets[0].all()
    expected = np.array([[(step + row) % 3 == 0 for row in range(5)] for step in range(1, 10)])
    np.testing.assert_array_equal(resets[1:], expected)
    for before, after in itertools.pairwise(batches):
        for row in range(5):
            same = [
                np.array_equal(before["features"][row, 4:], after["features"][row, :4]),
                np.array_equal(before["lpc"][row, -1:], after["lpc"][row, :1]),
                np.array_equal(before["signal"][row, -16:], after["signal"][row, :16]),
            ]
            assert all(same) if not after["reset"][row] else not any(same[:2])


def test_signal_holds_what_the_excitation_before_needs(corpus: Corpus) -> None:
    # signal = prediction + a decoded code at every time, the sample before the chunk included.
    data = LpcnetWavs(corpus, 4, frames_per_chunk=4, augment=AugmentConfig.natural())
    batch = data.batch(2, range(4))
    signal = batch["signal"].astype(np.float64)
    before = -(batch["lpc"][:, 0] * signal[:, 15::-1]).sum(axis=1)  # of time t0 - 1
    excitation = signal[:, 16] - before
    nearest = np.abs(excitation[:, None] - decode(np.arange(256))[None]).min(axis=1)
    assert (nearest < 0.01 + 1e-4 * np.abs(before)).all()
    inside = signal[:, 17:] - predictions(batch)[:, :-1]
    nearest = np.abs(inside[..., None] - decode(np.arange(256))).min(axis=-1)
    assert (nearest < 0.01 + 1e-4 * np.abs(signal[:, 17:]).max()).all()


# ---- corpora ----


def test_sources_get_their_shares(tmp_path: Path) -> None:
    write_clips(tmp_path / "soft", [0.8], level=300)
    write_clips(tmp_path / "loud", [2.0], level=6000)
    corpus = load_corpus([Source(tmp_path / "soft", 3), Source(tmp_path / "loud", 1)])
    data = LpcnetWavs(
        corpus, 400, frames_per_chunk=2, chunks_per_segment=1, augment=AugmentConfig.natural()
    )
    clean = data.batch(0, range(400))["clean"].astype(np.float64)
    soft = np.mean(np.abs(clean).max(axis=1) < 2500)
    assert 0.65 < soft < 0.85
    assert data.steps_per_epoch == 1
    small = LpcnetWavs(corpus, 4, frames_per_chunk=2)
    assert small.steps_per_epoch == round(2.8 * RATE / (4 * 320))


def test_every_sample_of_a_short_corpus_is_used(tmp_path: Path) -> None:
    path = tmp_path / "ramp.s16"
    np.arange(1000, 9000).astype("<i2").tofile(path)
    corpus = load_corpus([path])
    data = LpcnetWavs(
        corpus, 200, frames_per_chunk=4, chunks_per_segment=20, augment=AugmentConfig.natural()
    )
    clean = data.batch(0, range(200))["clean"][:, 1:]
    values = clean / 0.15  # a ramp keeps its slope: x - 0.85 (x - 1)
    assert values.min() < 1100 and values.max() > 8900
    steps = np.diff(data.batch(0, range(200))["signal"], axis=1)
    assert np.isfinite(steps).all()


@pytest.mark.parametrize("generation", ["latest", "2019"])
def test_validation_covers_every_clip_once(corpus: Corpus, generation: str) -> None:
    data = LpcnetWavs(corpus, 9, generation=generation, frames_per_chunk=5)
    for rows in (1, 2, 3):
        batches = list(data.validation(rows))
        assert all(equal(a, b) for a, b in zip(batches, data.validation(rows), strict=True))
        counted = sum(int(b["mask"].sum()) for b in batches)
        lengths = [c.pcm.size for c in corpus.validation]
        assert sum(n - 5 * 160 for n in lengths) < counted <= sum(lengths)
        assert counted >= sum(n // 160 * 160 - 80 for n in lengths)
        starts = sum(int((b["reset"] & b["mask"].any(axis=1)).sum()) for b in batches)
        assert starts == 2
        for batch in batches:
            assert batch["mask"].shape == batch["clean"].shape
            idle = ~batch["mask"].any(axis=1)
            assert batch["reset"][idle].all()
            assert all(np.isfinite(batch[k]).all() for k in batch)
    assert list(LpcnetWavs(replace(corpus, validation=()), 2).validation(2)) == []


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
        patch.setitem(__import__("sys").modules, "soxr", None)
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
