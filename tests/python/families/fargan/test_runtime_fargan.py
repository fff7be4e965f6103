"""FARGAN in the runtime: the float64 oracle on every tier, and upstream's own output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fargan_files import BLOB, GOLDEN, oracle
from tier_worker import run, tiers
from voices import FARGAN, TREE, features_for, voice

import pyvoc
from pyvoc._pyvoc import testing
from pyvoc.convert import convert

EVERY = pytest.mark.parametrize("path", FARGAN, ids=lambda p: p.stem)
TOLERANCE = 2e-6
"""Of samples that reach 0.1 and more."""
golden_data = pytest.mark.skipif(not BLOB.exists(), reason="no golden data")
LEAST = {"f32": (80.0, 100.0), "bf16": (15.0, 40.0), "int8": (0.0, 28.0)}
"""dB against the float64 network of the same weights: free run, and with its history forced. int8
runs away from it, as upstream's own does (6 dB)."""


def decibels(found: np.ndarray, expected: np.ndarray) -> float:
    error = found.astype(np.float64) - expected
    return float(10 * np.log10((expected**2).sum() / (error**2).sum()))


@pytest.mark.parametrize("tier", tiers())
@EVERY
def test_samples_are_the_oracles(path: Path, tier: str, tmp_path: Path) -> None:
    model = voice(path)
    given = {f"n{n}": features_for(model, n, seed=n) for n in (1, 2, 3, 12)}
    found = run(path, tier, tmp_path, **given)
    for name, rows in given.items():
        expected = oracle(path).synthesize(rows)
        assert found[name].shape == (160 * len(rows),)
        if model.info.precision == "int8":  # activations are rounded too
            assert decibels(found[name], expected) > 12
        else:
            np.testing.assert_allclose(found[name], expected, rtol=0, atol=TOLERANCE)
    assert np.ptp(expected) > 0.1


@EVERY
def test_looks_a_frame_and_a_half_ahead(path: Path) -> None:
    """A frame is centred on the edge of a hop, and the network looks a frame ahead of it."""
    model = voice(path)
    assert (model.info.lookahead_frames, model.info.latency_samples) == (1, 240)
    rows = features_for(model, 12, seed=3)
    whole = model.synthesize(rows)
    for frame in (6, 7):
        changed = rows.copy()
        changed[frame, 1] += 1
        same = model.synthesize(changed)[:800] == whole[:800]
        assert same.all() == (frame == 7)
        assert same[:720].all()
    with model.stream() as stream:
        stream.push(rows[:6])
        early = stream.pull()
    assert len(early) == 720, "what frame 6 does not move is there before it"
    np.testing.assert_array_equal(early, whole[:720])


@EVERY
def test_batch_equals_single(path: Path) -> None:
    """Utterances of different lengths side by side, more than go into one lockstep."""
    model = voice(path)
    lengths = (1, 7, 4, 3, 2, 5, 5, 5, 1, 1, 6, 2, 3, 3, 3, 3, 3, 4, 4)
    many = [features_for(model, n, seed=i) for i, n in enumerate(lengths)]
    for count in (2, 5, len(many)):
        for rows, audio in zip(many, pyvoc.synthesize_batch(model, many[:count]), strict=False):
            np.testing.assert_array_equal(audio, model.synthesize(rows))


@EVERY
@pytest.mark.parametrize("cut", [1, 7, 160, 1000])
def test_primed_streams(path: Path, cut: int) -> None:
    """What the network itself gives, frame by frame, and beyond the last one the same again; the
    last samples and frames of those given count."""
    model = voice(path)
    rows = features_for(model, 10, seed=4)
    past = 0.2 * np.sin(0.1 * np.arange(320)).astype(np.float32)
    after = [*rows[5:], rows[-1], rows[-1]]
    expected = testing.fargan_calls(model._native, past, rows[:5], np.stack(after)).ravel()
    with model.stream() as stream:
        for _ in range(2):
            stream.prime(np.concatenate([past[::-1], past]), np.concatenate([rows[5:], rows[:5]]))
            assert stream.available == 0
            found = []
            for frame in rows[5:]:
                stream.push(frame[None])
                assert stream.available == 160
                found.append(stream.pull(160))
            stream.flush()
            assert stream.available == 240
            while stream.available:
                found.append(stream.pull(cut))
            np.testing.assert_array_equal(np.concatenate(found), expected[: 5 * 160 + 240])
            stream.reset()
        stream.prime(past, rows[:5])
        stream.flush()
        assert stream.available == 240, "the last frame again"


def test_primed_streams_in_lockstep() -> None:
    """Primed and not, side by side."""
    model = voice(FARGAN[0])
    rows = features_for(model, 8)
    past = np.zeros(320, np.float32)
    alone = []
    native = [pyvoc._pyvoc.Stream(model._native, 1, 1) for _ in range(3)]
    for i, stream in enumerate(native):
        if i != 1:
            stream.prime(past, rows[:5])
        stream.push(rows[i:])
        stream.flush()
        alone.append(stream.pull(10_000))
        stream.reset(1)
        if i != 1:
            stream.prime(past, rows[:5])
        stream.push(rows[i:])
        stream.flush()
    assert [len(a) for a in alone] == [8 * 160 + 240, 7 * 160, 6 * 160 + 240]
    for one, many in zip(alone, pyvoc._pyvoc.pull_lockstep(native, 10_000), strict=True):
        np.testing.assert_array_equal(one, many)


def test_what_cannot_be_primed() -> None:
    model = voice(FARGAN[0])
    rows, past = features_for(model, 5), np.zeros(320, np.float32)
    with model.stream() as stream:
        with pytest.raises(pyvoc.Error, match=r"319 samples and 5 frames .* 320 and 5"):
            stream.prime(past[1:], rows)
        with pytest.raises(pyvoc.Error, match="needs the last 320 and 5"):
            stream.prime(past, rows[1:])
        with pytest.raises(pyvoc.Error, match=r"a sample is not within -1\.\.1"):
            stream.prime(past + 1.5, rows)
        with pytest.raises(pyvoc.FeatureError, match="frame 4"):
            stream.prime(past, np.where(np.arange(5)[:, None] == 4, np.nan, rows))
        stream.push(rows)
        with pytest.raises(pyvoc.Error, match="has begun: reset it first"):
            stream.prime(past, rows)
        stream.flush()
        np.testing.assert_array_equal(stream.pull(), model.synthesize(rows))
    with model.stream(speed=2.0) as stream, pytest.raises(pyvoc.Error, match="speed"):
        stream.prime(past, rows)
    other = voice(TREE)
    assert other.info.prime_samples == 0
    with other.stream() as stream, pytest.raises(pyvoc.UnsupportedError, match="lpcnet cannot"):
        stream.prime(past, features_for(other, 5))


def test_nothing_is_drawn() -> None:
    model = voice(FARGAN[0])
    rows = features_for(model, 5)
    np.testing.assert_array_equal(model.synthesize(rows, seed=1), model.synthesize(rows, seed=2))
    assert model.info.draws_per_sample == 0


@pytest.mark.parametrize("pitch", [-100.0, -3.0, 2.5, 8.0, 100.0])
def test_absurd_pitches(pitch: float) -> None:
    """The period stays within what the network can look back on (upstream reads beyond)."""
    path = FARGAN[1]
    model = voice(path)
    rows = features_for(model, 8)
    rows[2:5, 18] = pitch
    found = testing.fargan_calls(model._native, np.zeros(320, np.float32), rows[:5], rows)
    net = oracle(path)
    net.prime(np.zeros(320), rows[:5].astype(np.float64))
    expected = [net.call(row) for row in rows.astype(np.float64)]
    assert (32 if pitch > 0 else 256) in [int(period) for period in net.trace["period"]]
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -101.0])
def test_absurd_features(value: float) -> None:
    model = voice(FARGAN[0])
    rows = features_for(model, 5)
    rows[3, 2] = value
    with pytest.raises(pyvoc.FeatureError, match="feature 2 of frame 3"):
        model.synthesize(rows)


@golden_data
@pytest.mark.parametrize("precision", ["f32", "bf16", "int8"])
def test_upstreams_weights(precision: str, tmp_path: Path) -> None:
    """Free, forced frame by frame, and started in the middle of speech."""
    convert(BLOB, tmp_path / "m.gguf", precision=precision)
    model = pyvoc.load(tmp_path / "m.gguf")
    rows = np.fromfile(GOLDEN / "LJ001-0002.features_generic_int8.f32", "<f4").reshape(-1, 20)
    free, forced = LEAST[precision]
    with np.load(GOLDEN / "free_run_LJ001-0002.npz") as data:
        expected = data["ref64_pcm"].ravel()[80:]
        upstream = data[f"c_pcm_generic_{'int8' if precision == 'int8' else 'float'}"].ravel()[80:]
    found = model.synthesize(rows)
    assert decibels(found[: len(expected)], expected) > free
    if precision == "f32":
        assert decibels(found[: len(expected)], upstream) > 30
    level = 10 * np.log10((found**2).sum() / (upstream.astype(np.float64) ** 2).sum())
    assert abs(level) < 0.1
    with np.load(GOLDEN / "forced_frames_LJ001-0002.npz") as data:
        excitation, expected = data["forced_excitation"], data["ref64_pcm_float"]
        theirs = decibels(data["c_pcm_generic_int8"], expected)
    histories = [excitation[160 * i : 160 * i + 256] for i in range(len(expected))]
    found = testing.fargan_calls(
        model._native,
        np.zeros(320, np.float32),
        np.repeat(rows[:1], 5, axis=0),
        rows[1:],
        np.concatenate(histories).astype(np.float32),
    )
    assert decibels(found, expected) > forced
    assert decibels(found, expected) > theirs  # at int8, closer than upstream's own
    with np.load(GOLDEN / "continuation_LJ001-0002.npz") as data:
        start, first = int(data["start_frame"]), int(data["first_sample"])
        expected = data["ref64_pcm"]
    speech = np.fromfile(GOLDEN.parent / "lpcnet" / "LJ001-0002.s16", "<i2") / np.float32(32768)
    with model.stream() as stream:
        stream.prime(speech[first : first + 320], rows[start - 5 : start])
        stream.push(rows[start : start + 40])
        found = stream.pull()
    assert decibels(found, expected.ravel()) > free
