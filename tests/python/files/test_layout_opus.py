"""Features with their pitch in octaves: as wide as others, so a file does not tell them apart."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from voices import FARGAN, TREE, features_for, make_features, voice

from pyvoc.errors import DoubtError, FeatureError
from pyvoc.files import doubts, features
from pyvoc.files.layouts import in_hundredths, relaid
from pyvoc.files.loading import load_input
from pyvoc.files.pipe import frames_of, rows_of

MODEL = next(path for path in FARGAN if path.stem == "even.f32")


def saved(folder: Path, rows: np.ndarray, suffix: str = "f32") -> Path:
    path = folder / f"x.{suffix}"
    features.save(path, rows)
    return path


@pytest.mark.parametrize("suffix", ["f32", "npy"])
def test_a_file_is_what_the_model_reads(suffix: str, tmp_path: Path) -> None:
    model = voice(MODEL)
    rows = features_for(model, 5)
    path = saved(tmp_path, rows, suffix)
    for layout in (None, "opus20"):
        np.testing.assert_array_equal(load_input(path, model, layout=layout), rows)
    assert features.load(path).shape == (5, 20)  # by itself it is lpcnet20


def test_said_to_be_of_another_unit(tmp_path: Path) -> None:
    path = saved(tmp_path, features_for(voice(MODEL), 5))
    with pytest.raises(FeatureError, match=r"lpcnet20, whose pitch has another unit .* opus20"):
        load_input(path, voice(MODEL), layout="lpcnet20")
    with pytest.raises(FeatureError, match=r"opus20, whose pitch has another unit .* lpcnet36"):
        load_input(path, voice(TREE), layout="opus20")


def test_a_pitch_that_no_period_has(tmp_path: Path) -> None:
    """Only LPCNet's pitches go beyond 1.6."""
    rows = make_features(5, dims=20)
    rows[2, 18] = 2.5
    path = saved(tmp_path, rows)
    with pytest.raises(FeatureError, match=r"as opus20, pitch \(column 18\) spans"):
        load_input(path, voice(MODEL), layout=None)


def test_no_unit_is_taken_for_the_other() -> None:
    wide = make_features(4, dims=36)
    assert relaid(wide, "opus20") is None and relaid(wide, "lpcnet20") is not None
    with pytest.raises(FeatureError, match=r"36 floats per frame \(lpcnet36\); the model reads 20"):
        voice(MODEL).synthesize(wide)


def test_a_pitch_in_whole_hundredths_is_no_octaves(tmp_path: Path) -> None:
    """LPCNet's estimator counts half samples; that is doubted where a file is read as opus20."""
    model = voice(MODEL)
    rows = features_for(model, 60)
    for steps, doubted in ((100, True), (3000, False)):  # 3000: some are whole hundredths
        rows[:, 18] = np.round(rows[:, 18] * steps) / np.float32(steps)
        assert in_hundredths(rows[:, 18]) == doubted
        path = saved(tmp_path, rows)
        with doubts.collect() as found:
            load_input(path, model, layout=None)
        assert found.counts == ({"another pitch": 1} if doubted else {})
        with doubts.collect(strict=True):
            load_input(path, model, layout="opus20")  # whoever says so is believed
        rows = features_for(model, 60)
    assert not in_hundredths(np.zeros(60))  # silence tells nothing
    pieces = rows_of(model.info, None)
    rows[:, 18] = np.round(rows[:, 18] * 100) / np.float32(100)
    refused = pytest.raises(DoubtError, match="standard input is read as opus20")
    with refused, doubts.collect(strict=True):
        list(frames_of(io.BytesIO(rows.tobytes()), pieces))
    with doubts.collect(strict=True):
        list(frames_of(io.BytesIO(rows.tobytes()), rows_of(model.info, "opus20")))


def test_other_frames_on_a_pipe_are_named() -> None:
    rows = make_features(60)
    with pytest.raises(FeatureError, match=r"they look like lpcnet36: --layout lpcnet36"):
        list(frames_of(io.BytesIO(rows.tobytes()), rows_of(voice(MODEL).info, None)))
