"""Features with their pitch in octaves: as wide as others, so a file does not tell them apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from voices import FARGAN, TREE, features_for, make_features, voice

from pyvoc.errors import FeatureError
from pyvoc.files import features
from pyvoc.files.layouts import relaid
from pyvoc.files.loading import load_input

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
