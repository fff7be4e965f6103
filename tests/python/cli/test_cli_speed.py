"""``pyvoc synth --speed``: files, several of them, a pipe, and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from voices import HOP, TREE, WAVEGLOW, features_for, make_features, voice

from pyvoc.cli import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pcm(samples: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(samples * np.float32(32768) + np.float32(0.5)), -32768, 32767)


def synth(*arguments: object) -> int:
    return main(["synth", *map(str, arguments)])


def test_one_file_several_and_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    utterances = [make_features(n, seed=n) for n in (30, 17)]
    wanted = [pcm(voice(TREE).synthesize(rows, speed=1.25)) for rows in utterances]
    for i, rows in enumerate(utterances):
        rows.tofile(f"{i}.f32")
    options = ("-m", TREE, "--speed", "1.25", "--raw")
    assert synth("0.f32", *options, "-o", "one.s16", "--json") == 0
    reports = [json.loads(capfd.readouterr().out)]
    assert synth("0.f32", "1.f32", *options, "-o", "out/") == 0
    with Path("0.f32").open("rb") as pipe:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(pipe))
        assert synth("-", *options, "-o", "pipe.s16", "--json") == 0
    reports.append(json.loads(capfd.readouterr().out))
    for name, expected in (("one", 0), ("out/0", 0), ("out/1", 1), ("pipe", 0)):
        np.testing.assert_array_equal(np.fromfile(f"{name}.s16", "<i2"), wanted[expected])
    for report in reports:
        assert report["speed"] == 1.25
        assert report["frames"] == 30
        assert report["samples"] == len(wanted[0]) == 24 * HOP
        assert report["latency_ms"] == 20.0 + 8.0


def test_with_less_lookahead(capfd: pytest.CaptureFixture[str]) -> None:
    """The error is measured against the exact samples at that speed."""
    model = voice(WAVEGLOW[0])
    mel = features_for(model, 40)
    np.save("a.npy", mel)
    ahead = model.info.lookahead_frames
    options = ("-m", WAVEGLOW[0], "--speed", "0.8", "--raw", "--json")
    assert synth("a.npy", *options, "--lookahead", ahead, "-o", "o.s16") == 0
    assert json.loads(capfd.readouterr().out)["lookahead"]["max_error"] == 0
    np.testing.assert_array_equal(
        np.fromfile("o.s16", "<i2"), pcm(model.synthesize(mel, speed=0.8))
    )
    assert synth("a.npy", *options, "--lookahead", 0, "-o", "p.s16") == 0
    report = json.loads(capfd.readouterr().out)
    assert report["samples"] == 50 * model.info.hop_length
    assert report["lookahead"]["max_error"] > 0


@pytest.mark.parametrize("wrong", ("0", "-1", "nan", "3", "fast", "1,5", ""))
def test_impossible_speeds(wrong: str, capfd: pytest.CaptureFixture[str]) -> None:
    make_features(5).tofile("a.f32")
    with pytest.raises(SystemExit, match="2"):
        synth("a.f32", "-m", TREE, f"--speed={wrong}", "-o", "o.wav")
    assert f"'{wrong}' is no speed in 0.5..2" in capfd.readouterr().err
    assert not Path("o.wav").exists()
