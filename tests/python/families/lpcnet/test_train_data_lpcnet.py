"""LPCNet batches from speech: alignment, the runtime's codes, purity, noise laws, validation."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from train_speech import RATE, prediction_gain, predictions, speech_like, write_clips
from voices import TREE, voice

from pyvoc import _pyvoc, features
from pyvoc.errors import Error
from pyvoc.families.lpcnet.train.recordings import LpcnetWavs, lead_in, make_segment
from pyvoc.train.data import AugmentConfig, Corpus, Holdout, Source, load_corpus

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
