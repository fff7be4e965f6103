"""Speaking faster and slower: lengths, what lies between frames, streams, batches, the pitch."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import ROOT
from voices import MELGAN, SOFTMAX, TREE, WAVEGLOW, WAVERNN, features_for, make_features, voice

import pyvoc
from pyvoc.convert.run import convert
from pyvoc.evaluate import f0
from pyvoc.runtime.speed import scaled, scaled_length

GOLDEN = Path(os.environ.get("PYVOC_GOLDEN", ROOT.parent / "shared" / "golden"))
SOME = (TREE, SOFTMAX, MELGAN[0], WAVEGLOW[0], WAVERNN[0])
EVERY = pytest.mark.parametrize("path", SOME, ids=lambda p: f"{p.parent.name}-{p.stem}")
SPEEDS = (0.5, 0.83, 1.0, 1.25, 1.7, 2.0)
PITCH, CORRELATION = 18, 19


@pytest.mark.parametrize("speed", SPEEDS)
def test_lengths(speed: float) -> None:
    for frames in (1, 2, 3, 4, 7, 10, 100, 12345):
        spoken = scaled_length(frames, speed)
        assert 0 <= spoken - frames / speed < 1
        assert scaled_length(frames, 1.0) == frames
    assert scaled_length(0, speed) == 0


@EVERY
def test_speed_one_is_no_option(path: Path) -> None:
    model = voice(path)
    rows = features_for(model, 20)
    plain = model.synthesize(rows)
    np.testing.assert_array_equal(model.synthesize(rows, speed=1), plain)
    np.testing.assert_array_equal(pyvoc.synthesize_batch(model, [rows], speed=1.0)[0], plain)
    with model.stream(speed=1) as stream:
        assert stream.latency_samples == model.info.latency_samples
        stream.push(rows)
        stream.flush()
        np.testing.assert_array_equal(stream.pull(), plain)


@pytest.mark.parametrize("speed", (0.5, 0.83, 1.7, 2.0))
@EVERY
def test_samples_are_those_of_the_frames_between(path: Path, speed: float) -> None:
    """In one piece, in a batch, and in a stream, however it is cut."""
    model = voice(path)
    hop, latency = model.info.hop_length, model.info.latency_samples
    utterances = [features_for(model, n, seed=n) for n in (1, 2, 23)]
    together = pyvoc.synthesize_batch(model, utterances, speed=speed)
    rng = np.random.default_rng(1)
    with model.stream(speed=speed) as stream:
        assert latency < stream.latency_samples <= latency + hop / speed + 1
        for rows, batched in zip(utterances, together, strict=True):
            between = scaled(rows, model.info, speed)
            assert len(between) == scaled_length(len(rows), speed)
            expected = model.synthesize(between)
            np.testing.assert_array_equal(model.synthesize(rows, speed=speed), expected)
            np.testing.assert_array_equal(batched, expected)
            pieces, at = [], 0
            while at < len(rows):
                n = int(rng.integers(0, 5))
                stream.push(rows[at : at + n])
                at = min(at + n, len(rows))
                pieces.append(stream.pull())
                assert sum(map(len, pieces)) >= at * hop / speed - stream.latency_samples - hop
            stream.flush()
            stream.flush()
            pieces.append(stream.pull())
            np.testing.assert_array_equal(np.concatenate(pieces), expected)
            with pytest.raises(pyvoc.Error, match="after flush"):
                stream.push(rows)
            stream.reset()


def test_an_empty_stream_has_no_samples() -> None:
    with voice(TREE).stream(speed=1.3) as stream:
        stream.flush()
        assert stream.available == len(stream.pull()) == 0


def test_frames_lie_on_straight_lines() -> None:
    model = voice(MELGAN[0])
    rows = features_for(model, 9)
    np.testing.assert_array_equal(scaled(rows, model.info, 2.0), rows[::2])
    slow = scaled(rows, model.info, 0.5)
    np.testing.assert_array_equal(slow[::2], rows)
    np.testing.assert_allclose(slow[1:-1:2], (rows[:-1] + rows[1:]) / 2, atol=1e-5)
    np.testing.assert_array_equal(slow[-1], rows[-1])
    ramp = np.arange(40, dtype=np.float32)[:, None] * np.ones(rows.shape[1], np.float32)
    np.testing.assert_allclose(
        scaled(ramp, model.info, 0.7)[:, 0], np.minimum(0.7 * np.arange(58), 39), atol=1e-4
    )


def test_a_pitch_is_one_that_was_spoken() -> None:
    """It goes with its correlation, the cepstrum along a straight line."""
    info = voice(TREE).info
    rows = make_features(4, dims=20)
    rows[:, PITCH] = (0.5, 0.6, 1.6, 1.6)
    rows[:, CORRELATION] = (0.3, 0.4, -0.3, -0.2)
    found = scaled(rows, info, 0.6)  # at 0, 0.6, 1.2, 1.8, 2.4, 3 and beyond
    nearest = [0, 1, 1, 2, 2, 3, 3]
    np.testing.assert_array_equal(found[:, PITCH:], rows[nearest][:, PITCH:])
    line = 0.2 * rows[1, :18] + 0.8 * rows[2, :18]
    np.testing.assert_allclose(found[3, :18], line, rtol=1e-4, atol=1e-6)


def test_layouts_give_the_same_frames() -> None:
    """The LPC columns, which are computed from the cepstrum anyway, go."""
    rows = make_features(12, dims=36)
    for speed in (0.6, 1.4):
        found = scaled(rows, voice(TREE).info, speed)
        np.testing.assert_array_equal(found, scaled(rows[:, :20], voice(TREE).info, speed))
    old = make_features(12, dims=55)
    found = scaled(old, voice(SOFTMAX).info, 0.5)
    assert found.shape == (24, voice(SOFTMAX).info.feature_dims)
    np.testing.assert_array_equal(found[::2, 36:], old[:, 36:38])


@pytest.mark.parametrize("wrong", (0, -1, 0.49, 2.01, np.nan, np.inf, "1.5", None, [1.0, 2.0]))
def test_impossible_speeds_are_refused(wrong: object) -> None:
    model = voice(TREE)
    rows = features_for(model, 3)
    for call in (
        lambda: model.synthesize(rows, speed=wrong),
        lambda: model.stream(speed=wrong),
        lambda: pyvoc.synthesize_batch(model, [rows], speed=wrong),
    ):
        with pytest.raises(pyvoc.Error, match=r"speed is .*, expected a number from 0.5 to 2"):
            call()


def test_draws_are_for_the_frames_that_are_spoken() -> None:
    model = voice(TREE)
    rows = features_for(model, 6)
    draws = np.random.default_rng(3).random(12 * 160 * 8, np.float32)
    between = scaled(rows, model.info, 0.5)
    np.testing.assert_array_equal(
        model.synthesize(rows, speed=0.5, draws=draws), model.synthesize(between, draws=draws)
    )
    with pytest.raises(pyvoc.Error, match="draws"):
        model.synthesize(rows, speed=0.5, draws=draws[:-1])


def test_folds_are_of_the_frames_that_are_spoken() -> None:
    model = voice(WAVERNN[0])
    rows = features_for(model, 40)
    between = scaled(rows, model.info, 0.8)
    np.testing.assert_array_equal(
        model.synthesize(rows, speed=0.8, fold=(300, 50)), model.synthesize(between, fold=(300, 50))
    )


def pitch_changes(model: pyvoc.Model, rows: np.ndarray, speed: float, rate: int) -> np.ndarray:
    """ln of F0 at a speed to F0 at speed 1, where both are voiced at the same place of the text."""
    plain, found = (
        f0.track(model.synthesize(rows, speed=s).astype(np.float64), rate).f0 for s in (1.0, speed)
    )
    assert len(found) == pytest.approx(len(plain) / speed, abs=4)
    at = np.minimum(np.round(np.arange(len(found)) * speed).astype(int), len(plain) - 1)
    both = (found > 0) & (plain[at] > 0)
    assert both.mean() > 0.3
    return np.log(found[both] / plain[at][both])


@pytest.mark.parametrize("speed", (0.7, 1.4))
def test_the_pitch_stays(speed: float) -> None:
    """The bundled voice's F0, measured."""
    model = pyvoc.load("lpcnet")
    rows = pyvoc.features.load(Path(pyvoc.voices.__file__).with_name("demo.f32"))[100:300]
    changes = pitch_changes(model, rows, speed, model.info.sample_rate)
    assert abs(np.median(changes)) < 0.02
    assert np.median(np.abs(changes)) < 0.05


def test_the_pitch_stays_with_mels(tmp_path: Path) -> None:
    """A trained network of somebody else's, 16 kHz, mels of -4..4."""
    folder = GOLDEN / "wavernn_trained"
    checkpoints = [p for p in sorted(folder.glob("*.pyt")) if "single" not in p.name]
    if not checkpoints:
        pytest.skip(f"no trained WaveRNN in {folder}")
    convert(checkpoints[0], tmp_path / "model.gguf", mode="linear")
    (mel,) = (np.load(path) for path in folder.glob("mel-*.npy"))
    rows = np.ascontiguousarray((mel[60:160] + 4) / 8, np.float32)
    changes = pitch_changes(pyvoc.load(tmp_path / "model.gguf"), rows, 1.4, 16000)
    assert abs(np.median(changes)) < 0.02
    assert np.median(np.abs(changes)) < 0.05
