"""What FARGAN is trained on: sequences of sound with the features around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from train_speech import speech_like, write_clips
from voices import FARGAN as MODELS

from pyvoc import Error, audio
from pyvoc.families.fargan.train.data import FarganData, FarganWavs, make_segment, open_data
from pyvoc.files.features import Extractor
from pyvoc.train import from_mapping

NATURAL = {
    "gain_db": [0.0, 0.0],
    "random_sign": False,
    "mute": 0.0,
    "tilt": 0.0,
    "high_pass": False,
    "dither": False,
    "noise_share": 0.0,
}


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech")
    write_clips(folder, [1.3, 0.8, 1.1])
    return folder


def opened(speech: Path, rows: int = 4, **values: Any) -> FarganWavs:
    config = from_mapping(FarganData, {"path": str(speech), **values}, "data")
    return open_data(config, rows=rows, seed=7)


def same(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(one[name], two[name]) for name in one)


def test_frames_of_sound_are_centred_on_rows_of_features() -> None:
    """A burst around sample 160 r is loudest in row r, and lies in frame r."""
    samples = np.zeros(160 * 40, np.float32)
    burst = 160 * 25 + np.arange(-60, 60)
    samples[burst] = 8000 * np.sin(np.arange(120.0)).astype(np.float32)
    segment = make_segment(samples, 20, Extractor("opus20"))  # of frames 19 ... 38
    assert segment.features.shape == (22, 20) and segment.audio.shape == (3200,)
    assert np.argmax(segment.features[:, 0]) == 25 - 18  # the first row is of frame 18
    energy = np.square(segment.audio.reshape(20, 160)).sum(1)
    assert energy[25 - 19] > 0.999 * energy.sum()


def test_what_is_made_of_a_recording() -> None:
    samples = speech_like(0.6, seed=2).astype(np.float32)
    rows = Extractor("opus20").push(samples / np.float32(32768))
    samples = samples[: 160 * len(rows)]
    segment = make_segment(samples, 30, Extractor("opus20"))
    first = len(rows) - 31
    np.testing.assert_array_equal(segment.features, rows[first - 1 :])
    at = 160 * first - 80 + np.arange(4800)
    expected = (samples[at] - np.float32(0.85) * samples[at - 1]) / 32768
    np.testing.assert_allclose(segment.audio, expected, rtol=0, atol=1e-6)


def test_a_batch_is_a_function_of_seed_step_and_row(speech: Path) -> None:
    warm, scarce = opened(speech), opened(speech, memory_mb=0)
    for step in (0, 1, 2, 9, 30):
        whole = warm.batch(step, range(4))
        assert whole["features"].shape == (4, 17, 20) and whole["audio"].shape == (4, 2400)
        assert same(whole, scarce.batch(step, range(4)))
        assert same(whole, opened(speech).batch(step, range(4)))
        part = warm.batch(step, range(2, 4))
        assert same(part, {name: array[2:] for name, array in whole.items()})
        assert len(np.unique(whole["seed"])) == 4
    assert not scarce._segments and warm._segments


def test_sequences_of_a_segment_follow_one_another(speech: Path) -> None:
    data = opened(speech, long_share=0.0, sequences_per_segment=3)
    one, two = data.batch(3, range(4)), data.batch(4, range(4))
    for row in (0, 1, 3):  # of row 2 a new one begins
        np.testing.assert_array_equal(one["features"][row, -2:], two["features"][row, :2])
    assert not np.array_equal(one["features"][2, -2:], two["features"][2, :2])


def test_long_sequences_are_made_of_two_rows(speech: Path) -> None:
    data = opened(speech, long_share=0.4)
    found = [data.batch(step, range(4)) for step in range(200)]
    flags = [bool(batch["long"].all()) for batch in found]
    assert flags == [bool(batch["long"].any()) for batch in found]
    assert 50 < sum(flags) < 110
    for batch, long in zip(found, flags, strict=True):
        for row in (0, 2):
            end, begin = batch["features"][row, -2:], batch["features"][row + 1, :2]
            assert np.array_equal(end, begin) == long
    with pytest.raises(Error, match=r"rows 1 to 2 of the batch part two .*data\.long_share: 0"):
        data.batch(0, range(1, 3))
    assert not any(
        opened(speech, rows=3, long_share=1.0).batch(k, range(3))["long"].any() for k in range(9)
    )


def test_augmentation_is_heard(speech: Path) -> None:
    plain = opened(speech, augment=NATURAL, long_share=0.0)
    noisy = opened(
        speech, augment={**NATURAL, "noise_share": 1.0, "noise_snr": [20.0, 20.0]}, long_share=0.0
    )
    quiet = opened(speech, augment={**NATURAL, "gain_db": [-6.0, -6.0]}, long_share=0.0)
    mute = opened(speech, augment={**NATURAL, "mute": 1.0}, long_share=0.0)
    a, b, c, d = (data.batch(5, range(4)) for data in (plain, noisy, quiet, mute))
    np.testing.assert_allclose(c["audio"], a["audio"] * 10**-0.3, rtol=1e-4, atol=1e-7)
    assert not d["audio"].any() and (d["features"][..., 0] < -12).all()
    assert not np.array_equal(a["features"], b["features"])
    samples = 100 * np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    noise = (noisy._noisy(samples, np.random.default_rng(1)) - samples).astype(float)
    ratio = np.square(samples.astype(float)).sum() / np.square(noise).sum()
    assert 10 * np.log10(ratio) == pytest.approx(20.0, abs=1e-3)


def test_held_out_clips_are_heard_as_they_are(speech: Path) -> None:
    data = opened(speech, validation_names=["clip1"], validation_seconds=0.7031, frames=10)
    found = list(data.validation(2))
    assert [len(batch["audio"]) for batch in found] == [1]
    (batch,) = found
    assert len(list(opened(speech, validation_names=["clip1"], min_seconds=0.1).validation(2))) == 1
    assert batch["audio"].shape == (1, 160 * 40) and not batch["long"].any()
    pcm = audio.read_int16(speech / "clip1.wav", rate=16000).astype(np.float32) / 32768
    expected = pcm.copy()
    expected[1:] -= np.float32(0.85) * pcm[:-1]
    np.testing.assert_allclose(batch["audio"][0, 80:], expected[: 6400 - 80], rtol=0, atol=1e-6)
    rows = Extractor("opus20").push(pcm)
    np.testing.assert_array_equal(data.example(), Extractor("opus20").push(pcm[:11249]))
    np.testing.assert_allclose(batch["features"][0, 25:, :18], rows[24:41, :18], rtol=0, atol=1e-4)


def test_features_from_a_model(speech: Path) -> None:
    model = next(path for path in MODELS if path.stem == "even.f32")
    one, two = opened(speech, features_from=str(model)), opened(speech)
    a, b = one.batch(0, range(4)), two.batch(0, range(4))
    assert np.array_equal(a["audio"], b["audio"])
    np.testing.assert_allclose(a["features"][..., :18], b["features"][..., :18], rtol=0, atol=1e-4)
    other = Path(__file__).parents[3] / "golden" / "tree_sparse.f32.gguf"
    with pytest.raises(Error, match=r"tree_sparse\.f32\.gguf: reads lpcnet\d+, expected opus20"):
        opened(speech, features_from=str(other))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frames": 8}, "'frames' is 8, expected 9 at least"),
        ({"long_share": 1.5}, "'long_share' is 1.5"),
        ({"path": ""}, "give either 'path'"),
        ({"augment": {"noise_share": 2.0}}, "'noise_share' is no share"),
        ({"sequences_per_segment": 0}, "are not positive"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, Any], message: str) -> None:
    with pytest.raises(Error, match=message):
        from_mapping(FarganData, {"path": "x", **values}, "data")
