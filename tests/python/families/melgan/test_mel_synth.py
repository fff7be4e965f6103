"""A mel-driven model from files of every kind, through its own recipe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import ROOT
from mel_sounds import voice

import pyvoc
from pyvoc import FeatureError, audio, features, mels
from pyvoc.cli import main

MODEL = ROOT / "tests" / "golden" / "melgan" / "reflect.f32.gguf"


@pytest.fixture(scope="module")
def model() -> pyvoc.Model:
    return pyvoc.load(MODEL)


@pytest.fixture(scope="module")
def rows(model: pyvoc.Model) -> np.ndarray:
    assert model.info.mel is not None
    return features.extract(voice(0.4), model=model)


def test_a_loaded_model_knows_its_recipe(model: pyvoc.Model, rows: np.ndarray) -> None:
    recipe = model.info.mel
    assert recipe is not None
    assert recipe == mels.recipe_of(MODEL) == mels.recipe_of(model)
    assert (recipe.bands, recipe.hop_length, recipe.sample_rate) == (
        model.info.layout_dims,
        model.info.hop_length,
        model.info.sample_rate,
    )
    np.testing.assert_array_equal(rows, features.extract(voice(0.4), recipe=recipe))
    assert pyvoc.load(ROOT / "tests" / "golden" / "tree_sparse.f32.gguf").info.mel is None


def test_every_kind_of_file_gives_the_same_speech(
    tmp_path: Path, model: pyvoc.Model, rows: np.ndarray
) -> None:
    audio.write_wav(tmp_path / "voice.wav", voice(0.4), model.info.sample_rate)
    np.save(tmp_path / "rows.npy", rows)
    np.save(tmp_path / "turned.npy", rows.T)
    np.save(tmp_path / "batch.npy", rows.T[None])
    mels.save(tmp_path / "raw.f32", rows)
    made = []
    for name in ("voice.wav", "rows.npy", "turned.npy", "batch.npy", "raw.f32"):
        out = tmp_path / f"{name}.s16"
        assert main(["synth", str(tmp_path / name), "-m", str(MODEL), "-o", str(out)]) == 0
        made.append(out.read_bytes())
    assert len(set(made)) == 1
    assert len(made[0]) == 2 * len(rows) * model.info.hop_length


def test_a_pipe_of_frames(rows: np.ndarray, model: pyvoc.Model) -> None:
    command = [sys.executable, "-m", "pyvoc", "synth", "-", "-m", str(MODEL), "-o", "-"]
    run = subprocess.run(command, input=rows.tobytes(), capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
    assert len(run.stdout) == 2 * len(rows) * model.info.hop_length
    bad = rows.copy()
    bad[3, 2] = np.nan
    run = subprocess.run(command, input=bad.tobytes(), capture_output=True, check=False)
    assert run.returncode == 3
    assert b"band 2 of frame 3" in run.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a[:, :-1], "bands along one axis"),
        (lambda a: a * np.float32("nan"), "is nan"),
        (lambda a: np.tile(a[:1, :1], (a.shape[1], a.shape[1])), "square"),
    ],
)
def test_wrong_mels_are_explained(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: np.ndarray,
    change: object,
    words: str,
) -> None:
    many = np.tile(rows, (4, 1))
    np.save(tmp_path / "a.npy", change(many))  # type: ignore[operator]
    code = main(["synth", str(tmp_path / "a.npy"), "-m", str(MODEL), "-o", str(tmp_path / "a.wav")])
    assert code == 3
    assert words in capsys.readouterr().err
    assert not (tmp_path / "a.wav").exists()


def test_arrays_have_one_orientation(model: pyvoc.Model, rows: np.ndarray) -> None:
    with pytest.raises(FeatureError, match="transposed"):
        model.synthesize(np.ascontiguousarray(rows.T))
    with pytest.raises(FeatureError, match="mel bands"):
        model.synthesize(rows[:, :-1])


def test_check_mel_against_the_model(tmp_path: Path, rows: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", rows[:, :-1])
    assert main(["check-mel", str(tmp_path / "a.npy"), "-m", str(MODEL)]) == 1


def test_a_mel_of_another_recipe_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is synthesised all the same: the check may be wrong."""
    mel = features.extract(voice(1.0), model=pyvoc.load(MODEL))
    np.save(tmp_path / "ours.npy", mel)
    np.save(tmp_path / "ln.npy", mel * np.log(10.0))  # the model's is log10
    out = tmp_path / "out.wav"
    for name, fits in (("ln.npy", False), ("ours.npy", True)):
        arguments = ["synth", str(tmp_path / name), "-m", str(MODEL), "-o", str(out)]
        assert main(arguments) == 0
        assert ("warning: " in capsys.readouterr().err) != fits
        assert main([*arguments, "--json"]) == 0
        warnings = json.loads(capsys.readouterr().out)["warnings"]
        assert (warnings == []) == fits
        assert fits or "log: ln, expected log10" in warnings[0]
