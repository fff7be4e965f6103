"""What no family can be trained on is refused before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sounds import speechlike
from voices import FARGAN, HIFIGAN, MELGAN, TREE, WAVEGLOW, WAVERNN

pytest.importorskip("torch")
pytest.importorskip("gguf")

from tiny_training import SETTINGS

from pyvoc import audio
from pyvoc.cli import main
from pyvoc.train.log import read_log

RATE = 16000
MODELS = {
    "lpcnet": TREE,
    "fargan": FARGAN[0],
    "hifigan": HIFIGAN[0],
    "melgan": MELGAN[0],
    "wavernn": WAVERNN[0],
    "waveglow": WAVEGLOW[0],
}
FAMILIES = list(SETTINGS)


def write(folder: Path, samples: np.ndarray, rate: int = RATE) -> None:
    audio.write_wav(folder / "a.wav", samples.astype(np.float32), rate)


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    folder = tmp_path / "speech"
    folder.mkdir()
    return folder


def run(family: str, speech: Path, folder: Path, *more: str) -> int:
    settings = {"device": "cpu", "threads": 1, "samples": False, "epochs": 1, "log_every": 1}
    config = speech.parent / "tiny.yaml"
    config.write_text(json.dumps(settings | SETTINGS[family] | {"steps_per_epoch": 1}))
    where = ["--data", str(speech), "--config", str(config), "--model-dir", str(folder)]
    return main(["train", family, *where, *more])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "without audio files"),
        (lambda folder: write(folder, np.zeros(RATE)), "1 silent"),
        (lambda folder: write(folder, 2e-5 * speechlike(1.0)), "1 silent"),
        (lambda folder: write(folder, np.sign(speechlike(1.0))), "1 clipped"),
        (lambda folder: write(folder, speechlike(0.05)), "1 too short"),
        (lambda folder: (folder / "a.wav").write_bytes(b"RIFFnonsense"), "1 unreadable"),
    ],
    ids=["none", "silent", "faint", "clipped", "short", "nonsense"],
)
def test_unusable_speech_is_refused(
    family: str,
    speech: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], None],
    message: str,
) -> None:
    make(speech)
    assert run(family, speech, tmp_path / "run") == 3
    told = capsys.readouterr().err
    assert message in told and str(speech) in told and "Traceback" not in told
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").glob("*.pt"))


@pytest.mark.parametrize("family", FAMILIES)
def test_one_clip_is_enough(family: str, speech: Path, tmp_path: Path) -> None:
    """Nothing is held out then: no validation, no best."""
    write(speech, speechlike(1.0))
    assert run(family, speech, tmp_path / "run") == 0
    kinds = [entry["event"] for entry in read_log(tmp_path / "run" / "log.jsonl")]
    assert "validation" not in kinds and kinds.count("step") == 1
    assert (tmp_path / "run" / f"{family}.gguf").is_file()


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_of_another_family_are_refused(
    family: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(speech, speechlike(1.0))
    other = FAMILIES[FAMILIES.index(family) - 1]
    assert run(family, speech, tmp_path / "run", "--finetune", str(MODELS[other])) == 3
    told = capsys.readouterr().err
    assert f"{MODELS[other].name}" in told
    assert f"pyvoc.{other}" in told and f"pyvoc.{family}" in told
    assert not list((tmp_path / "run").glob("*.pt"))


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_of_other_sizes_are_refused(
    family: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(speech, speechlike(1.0))
    more = ["--set", "model.gru_a=48"] if family == "lpcnet" else []
    assert run(family, speech, tmp_path / "run", "--finetune", str(MODELS[family]), *more) == 3
    told = capsys.readouterr().err
    assert f"{MODELS[family].name}" in told
    assert "does not fit this run's sizes" in told or "is another network" in told
    assert not list((tmp_path / "run").glob("*.pt"))


@pytest.mark.parametrize("family", FAMILIES)
def test_too_low_a_rate_is_said(
    family: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a recording lacks is not learned; nothing doubtful is trained on strictly."""
    pytest.importorskip("soxr")
    write(speech, speechlike(1.5, rate=8000), 8000)
    assert run(family, speech, tmp_path / "run", "--strict") == 3
    told = capsys.readouterr().err
    assert "8000 Hz" in told and "a.wav" in told
    assert not list((tmp_path / "run").glob("*.pt"))
