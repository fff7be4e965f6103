"""The recipe's scripts: text and files without flite, and with a stand-in for it; resampling."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import wave
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from lpcnet_files import ROOT, load_module

import pyvoc

RECIPE = ROOT / "recipes" / "lpcnet_voice"
posix_only = pytest.mark.skipif(os.name != "posix", reason="needs a script as flite")

# Speaks 0.5 s per call and notes what it was asked.
FAKE = """#!{python}
import os, sys, wave
arguments = sys.argv[1:]
if arguments == ["-lv"]:
    print("Voices available: kal rms slt kal16 awb "); sys.exit()
with open({log!r}, "a") as log:
    print(*arguments[:-4], sep=" ", file=log)
text, out = arguments[arguments.index("-t") + 1], arguments[-1]
if "broken" in text:
    print("cannot speak", file=sys.stderr); sys.exit(3)
with wave.open(out, "wb") as file:
    file.setparams((1, 2, {rate}, 0, "NONE", ""))
    file.writeframes(bytes({rate}))
"""


@pytest.fixture(scope="module")
def speech() -> ModuleType:
    return load_module(RECIPE / "make_speech.py")


@pytest.fixture(scope="module")
def preparation() -> ModuleType:
    pytest.importorskip("soxr")
    return load_module(RECIPE / "prepare.py")


def fake(folder: Path, rate: int = 16000) -> Path:
    path = folder / "flite"
    log = str(folder / "log")
    path.write_text(FAKE.format(python=sys.executable, log=log, rate=rate), encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_sentences(speech: ModuleType) -> None:
    text = (RECIPE / "sentences.txt").read_text(encoding="utf-8")
    sentences = speech.listed_sentences(text)
    assert len(sentences) >= 240
    assert len(set(sentences)) == len(sentences)
    assert text.isascii()
    assert all(40 <= len(s) <= 150 and s[-1] in '.!?"' for s in sentences)
    assert sum(s.endswith("?") for s in sentences) >= 20
    assert {c for s in sentences for c in s.lower() if c.isalpha()} == set(
        "abcdefghijklmnopqrstuvwxyz"
    )
    demo = (RECIPE / "make_demo.py").read_text(encoding="utf-8")
    assert not any(s in demo for s in sentences)


def test_cutting_text(speech: ModuleType) -> None:
    good = "The first sentence, e.g. this one, is broken over two lines."
    asked = "And is the second one, in the same paragraph, a question?"
    text = (
        good.replace("broken over", "broken\n  over")
        + f" Too short. {asked} {good} "
        + "This one goes on " + "and on " * 30 + "until it is too long. "
        + "Here is a verse 3:16 that nobody should read out aloud. "
        + "Other scripts, such as \u03b1\u03b2\u03b3, do not belong in here at all. "
        + "This text has an end without any punctuation mark at all"
    )  # fmt: skip
    assert speech.cut_sentences(text) == [good, asked]
    assert speech.cut_sentences("") == []


def test_draws_are_fixed_and_in_range(speech: ModuleType) -> None:
    slt, _, _, kal16 = speech.VOICES
    draws = [speech.draw(slt, number, 1) for number in range(200)]
    assert draws == [speech.draw(slt, number, 1) for number in range(200)]
    assert draws != [speech.draw(slt, number, 2) for number in range(200)]
    stretch, pitch = np.array(draws).T
    for values, low, high in ((stretch, 0.9, 1.12), (pitch, 0.88, 1.12)):
        assert low <= values.min() < low + 0.02 and high - 0.02 < values.max() <= high
    assert kal16.name == "kal16" and speech.draw(kal16, 5, 1) == (1, 1)
    assert sorted(speech.order(kal16, 30, 1)) == list(range(30))
    assert speech.order(slt, 30, 1) == list(range(30))


def test_choosing_voices(speech: ModuleType) -> None:
    assert speech.chosen([]) == speech.VOICES
    rms, mine, kal16 = speech.chosen(["rms=0.5", "mine", "kal16"])
    assert (rms.name, rms.minutes, rms.vary) == ("rms", 0.5, True)
    assert (mine.name, mine.minutes) == ("mine", None)
    assert (kal16.minutes, kal16.vary) == (1.0, False)
    with pytest.raises(speech.SpeechError, match="expected NAME or NAME=MINUTES"):
        speech.chosen(["rms=long"])


def test_without_flite(
    speech: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert speech.main([str(tmp_path), "--flite", "no-such-program"]) == 1
    assert "apt-get install flite" in capfd.readouterr().err
    assert speech.main([str(tmp_path), "--sentences", str(tmp_path / "none.txt")]) == 1
    assert "none.txt" in capfd.readouterr().err
    (tmp_path / "empty.txt").write_text("# nothing\n\n", encoding="utf-8")
    assert speech.main([str(tmp_path), "--sentences", str(tmp_path / "empty.txt")]) == 1
    assert "expected sentences, found none" in capfd.readouterr().err


@posix_only
def test_speech_is_made_once(
    speech: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    flite, out, log = fake(tmp_path), tmp_path / "out", tmp_path / "log"
    few = tmp_path / "few.txt"
    few.write_text("\n".join(f"Sentence {k}." for k in range(8)), encoding="utf-8")
    arguments = [str(out), "--flite", str(flite), "--sentences", str(few)]
    arguments += ["--voice", "slt", "--voice", "rms=0.02", "--voice", "kal16=0.02"]
    assert speech.main(arguments) == 0
    made = sorted(str(p.relative_to(out)) for p in out.rglob("*.wav"))
    assert made[-8:] == [f"slt/{k:05d}.wav" for k in range(8)]
    assert sum(name.startswith("rms/") for name in made) == 3  # 3 x 0.5 s reach 1.2 s
    lines = log.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(made) == 14
    assert sum("f0_shift" in line and "duration_stretch" in line for line in lines) == 11
    assert not any("--setf" in line for line in lines if "kal16" in line)
    (out / "slt" / "00003.wav").write_bytes(b"RIFF broken")  # as after a power cut
    (out / "slt" / "00005.wav").unlink()
    assert speech.main(arguments) == 0
    assert len(log.read_text(encoding="utf-8").splitlines()) == 16
    assert "slt: 0.1 min" in capfd.readouterr().out


@posix_only
def test_flite_fails(speech: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    few = tmp_path / "few.txt"
    few.write_text("This one is broken.\n", encoding="utf-8")
    arguments = [str(tmp_path / "out"), "--sentences", str(few), "--flite", str(fake(tmp_path))]
    assert speech.main([*arguments, "--voice", "slt"]) == 1
    err = capfd.readouterr().err
    assert "status 3" in err and "cannot speak" in err and "This one is broken." in err
    assert not list((tmp_path / "out").rglob("*.wav*"))
    assert speech.main([*arguments, "--voice", "nobody"]) == 1
    assert "expected the voices nobody, found kal, rms" in capfd.readouterr().err
    few.write_text("This one is fine.\n", encoding="utf-8")
    fake(tmp_path, rate=8000)
    assert speech.main([*arguments, "--voice", "kal"]) == 1
    assert "expected 16000 Hz mono 16 bit, found 8000 Hz" in capfd.readouterr().err


def test_flite_itself(speech: ModuleType, tmp_path: Path) -> None:
    if shutil.which("flite") is None:
        pytest.skip("needs flite")
    few = tmp_path / "few.txt"
    few.write_text("Good evening.\n", encoding="utf-8")
    for name in ("a", "b"):
        assert speech.main([str(tmp_path / name), "--sentences", str(few), "--voice", "slt"]) == 0
    first = (tmp_path / "a" / "slt" / "00000.wav").read_bytes()
    assert first == (tmp_path / "b" / "slt" / "00000.wav").read_bytes()
    samples, rate = pyvoc.audio.read(tmp_path / "a" / "slt" / "00000.wav")
    assert rate == 16000 and 0.5 < len(samples) / rate < 3 and np.abs(samples).max() > 0.1


def test_prepare(preparation: ModuleType, tmp_path: Path) -> None:
    t = np.arange(22050) / 22050
    for k in range(5):
        pyvoc.audio.write_wav(tmp_path / f"c{k}.wav", 0.5 * np.sin(2 * np.pi * 440 * t), 22050)
    out = tmp_path / "out"
    assert preparation.main([str(tmp_path), str(out)]) == 0
    assert sorted(p.name for p in (out / "train").iterdir()) == ["c0.wav", "c1.wav"]
    assert sorted(p.name for p in (out / "validation").iterdir()) == [
        f"c{k}.wav" for k in (2, 3, 4)
    ]
    with wave.open(str(out / "train" / "c0.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    assert len(samples) == 16000
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(samples[400:-400], expected[400:-400], atol=2e-4)  # level unchanged


def test_prepare_refuses(
    preparation: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "c.wav"
    steps = np.where(np.arange(22050) // 40 % 2, 0.9999, -0.9999)
    cases: list[tuple[np.ndarray, int, str]] = [
        (np.zeros((500, 2)), 22050, "expected one channel, found 2"),
        (np.full(500, 0.1), 8000, "expected at least 16000 Hz, found 8000"),
        (np.zeros(500), 22050, "silent or empty"),
        (steps, 22050, "over full scale"),
    ]
    soundfile = pytest.importorskip("soundfile")
    for samples, rate, message in cases:
        soundfile.write(clip, samples, rate)
        assert preparation.main([str(tmp_path), str(tmp_path / "o"), "--held-out", "0"]) == 1
        assert message in capfd.readouterr().err
    assert preparation.main([str(tmp_path), str(tmp_path / "o")]) == 1
    assert "expected more than 3 *.wav, found 1" in capfd.readouterr().err
