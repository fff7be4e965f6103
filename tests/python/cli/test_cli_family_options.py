"""``pyvoc synth`` with options of a family, through files, several of them, and a pipe."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from voices import MELGAN, TREE, WAVEGLOW, features_for, make_features, voice

import pyvoc
from pyvoc.cli import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pcm(samples: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(samples * np.float32(32768) + np.float32(0.5)), -32768, 32767)


def synth(*arguments: object) -> int:
    return main(["synth", *map(str, arguments)])


def test_zero_is_a_value() -> None:
    model = voice(WAVEGLOW[0])
    mel = features_for(model, 12)
    np.save("a.npy", mel)
    assert synth("a.npy", "-m", WAVEGLOW[0], "-o", "o.s16", "--sigma", "0") == 0
    silent_noise = pcm(model.synthesize(mel, sigma=0.0))
    np.testing.assert_array_equal(np.fromfile("o.s16", "<i2"), silent_noise)
    assert not np.array_equal(silent_noise, pcm(model.synthesize(mel)))


def test_tail_frames(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    model = voice(MELGAN[0])
    mels = [features_for(model, n, seed=n) for n in (24, 31)]
    wanted = [pcm(model.synthesize(mel, tail_frames=4)) for mel in mels]
    for i, mel in enumerate(mels):
        np.save(f"{i}.npy", mel)
    options = ("-m", MELGAN[0], "--tail-frames", 4, "--raw")
    assert synth("0.npy", *options, "-o", "one.s16") == 0
    assert synth("0.npy", "1.npy", *options, "-o", "out/") == 0
    mels[0].astype("<f4").tofile("0.f32")
    with Path("0.f32").open("rb") as pipe:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(pipe))
        assert synth("-", *options, "-o", "pipe.s16") == 0
    for name, expected in (("one", 0), ("out/0", 0), ("out/1", 1), ("pipe", 0)):
        np.testing.assert_array_equal(np.fromfile(f"{name}.s16", "<i2"), wanted[expected])
    make_features(5).tofile("f.f32")
    assert synth("f.f32", "-m", TREE, "--tail-frames", 4) == 2
    assert "MelGAN" in capfd.readouterr().err
    assert synth("0.npy", "-m", MELGAN[0], "--tail-frames", -1, "-o", "no.wav") == 3
    assert "tail_frames is -1, expected a whole number from 0 to 1000" in capfd.readouterr().err
    assert not Path("no.wav").exists()


def test_a_value_of_another_form_is_a_usage_error() -> None:
    np.save("a.npy", features_for(voice(MELGAN[0]), 5))
    with pytest.raises(SystemExit, match="2"):
        synth("a.npy", "-m", MELGAN[0], "--tail-frames", "ten")


def test_python_names_the_option_that_it_lacks() -> None:
    with pytest.raises(TypeError, match="tail_frame"):
        voice(MELGAN[0]).synthesize(features_for(voice(MELGAN[0]), 5), tail_frame=3)
    with pytest.raises(pyvoc.OptionError, match="MelGAN"):
        voice(WAVEGLOW[0]).stream(tail_frames=3)
