"""``pyvoc evaluate``: files, directories, likelihoods, and what can be wrong with them."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest
from sounds import RATE, noise, save, speechlike
from voices import SOFTMAX, TREE

from pyvoc.cli import main
from pyvoc.evaluate import cepstra, f0, perceptual

SPEECH = speechlike()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(perceptual, "_package", lambda name: None)  # slow; tested elsewhere
    return tmp_path


def save_channels(name: str, samples: np.ndarray, rate: int = RATE) -> str:
    with wave.open(name, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
    return name


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert main(["evaluate", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 3) -> str:
    assert main(["evaluate", *arguments]) == code
    captured = capsys.readouterr()
    assert not captured.out
    lines = [line for line in captured.err.splitlines() if "pyvoc: warning: " not in line]
    assert lines[0].startswith("pyvoc: ")
    assert len(lines) == 1
    return lines[0]


# ---- comparing -----------------------------------------------------------------------------------


def test_files(capsys: pytest.CaptureFixture[str]) -> None:
    save("a.wav", SPEECH)
    save("b.wav", 0.5 * np.concatenate([np.zeros(80), SPEECH]))
    assert main(["evaluate", "a.wav", "b.wav"]) == 0
    text = capsys.readouterr().out
    for label in (
        "MCD",
        "LSD",
        "lnF0rms",
        "V/UV",
        "level",
        "clicks",
        "b.wav  (delay 80, waveform)",
    ):
        assert label in text
    for recipe in ("all-pass warp 0.42", "Hann 25 ms", "71-500 Hz", "20 log10", "alignment:"):
        assert recipe in text
    assert "-6.02" in text


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    save("a.wav", SPEECH)
    save("b.wav", 0.5 * np.concatenate([np.zeros(80), SPEECH]))
    report = as_json(capsys, "a.wav", "b.wav", "--delay", "80")
    (file,) = report["files"]
    assert file["alignment"] == {"delay": 80, "method": "given", "peak": None, "fraction": 0.0}
    assert file["level_db"] == pytest.approx(-6.02, abs=0.01)
    assert file["clicks"] == 0
    assert file["mcd_db"] < 0.2
    assert report["mean"]["level_db"] == file["level_db"]
    assert {"mcd_db", "lsd_db", "f0", "level_db", "clicks", "alignment"} <= set(report["recipes"])
    assert "not installed" in report["recipes"]["pesq"]


def test_directories(capsys: pytest.CaptureFixture[str]) -> None:
    gains = {"x": 0.5, "y": 0.25, "z": 1.0}
    for name, gain in gains.items():
        save(f"ref/{name}.wav", SPEECH)
        save(f"out/{name}.wav", gain * SPEECH)
    report = as_json(capsys, "ref", "out")
    levels = [file["level_db"] for file in report["files"]]
    np.testing.assert_allclose(levels, [-6.02, -12.04, 0], atol=0.01)
    assert report["mean"]["level_db"] == pytest.approx(-6.02, abs=0.01)
    assert report["median"]["level_db"] == pytest.approx(-6.02, abs=0.01)
    assert main(["evaluate", "ref", "out"]) == 0
    text = capsys.readouterr().out
    assert "mean of 3 files" in text
    assert "median of 3 files" in text


def test_plot(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    save("ref/x.wav", SPEECH)
    save("out/x.wav", SPEECH)
    assert main(["evaluate", "ref/x.wav", "out/x.wav", "--plot", "p.png"]) == 0
    assert main(["evaluate", "ref", "out", "--plot", "plots"]) == 0
    for path in (Path("p.png"), Path("plots/x.png")):
        assert path.read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    assert "No such file" in error_of(capsys, "ref/x.wav", "out/x.wav", "--plot", "none/p.png")


def test_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    save("a.wav", SPEECH)
    report = as_json(capsys, "a.wav", "a.wav", "--bounds")
    assert report["mean"]["mcd_db"] == 0
    assert 0 < report["ceiling"]["mean"]["mcd_db"] < report["floor"]["mean"]["mcd_db"]
    assert "mu-law" in report["recipes"]["ceiling"]
    assert main(["evaluate", "a.wav", "a.wav", "--bounds"]) == 0
    text = capsys.readouterr().out
    assert "ceiling (mean)" in text
    assert "floor (mean)" in text


def test_own_estimators_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f0, "world", lambda: None)
    monkeypatch.setattr(cepstra, "world", lambda: None)
    save("a.wav", SPEECH)
    recipes = as_json(capsys, "a.wav", "a.wav")["recipes"]
    assert "pyvoc's correlation tracker" in recipes["f0"]
    assert "pyvoc's numpy" in recipes["mcd_db"]


def test_no_clear_alignment_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    save("a.wav", noise(1, seed=1))
    save("b.wav", noise(1, seed=2))
    assert main(["evaluate", "a.wav", "b.wav"]) == 0
    assert "note on b.wav: no clear alignment" in capsys.readouterr().out


def test_channels_are_averaged_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    save("a.wav", SPEECH)
    save_channels("b.wav", np.stack([SPEECH, 0.5 * SPEECH], axis=1))
    (file,) = as_json(capsys, "a.wav", "b.wav")["files"]
    assert file["level_db"] == pytest.approx(20 * np.log10(0.75), abs=0.01)
    assert file["notes"] == ["'b.wav': 2 channels averaged"]


def test_rates(capsys: pytest.CaptureFixture[str]) -> None:
    save("a.wav", SPEECH)
    save("b.wav", SPEECH, 22050)
    message = error_of(capsys, "a.wav", "b.wav")
    assert "'a.wav' is at 16000 Hz and 'b.wav' at 22050 Hz" in message
    assert "--rate 16000" in message
    soxr = pytest.importorskip("soxr")
    save("c.wav", soxr.resample(SPEECH, RATE, 22050, quality="VHQ"), 22050)
    (file,) = as_json(capsys, "a.wav", "c.wav", "--rate", "16000")["files"]
    assert file["sample_rate"] == 16000
    assert file["notes"][0] == "'c.wav': resampled from 22050 to 16000 Hz with soxr VHQ"
    assert file["level_db"] == pytest.approx(0, abs=0.01)
    assert file["lnf0_median"] < 0.005
    assert file["vuv_error"] < 0.05
    assert file["alignment"]["delay"] == 0


def test_lengths(capsys: pytest.CaptureFixture[str]) -> None:
    save("a.wav", SPEECH)
    save("b.wav", SPEECH[: len(SPEECH) // 2])
    (file,) = as_json(capsys, "a.wav", "b.wav")["files"]
    assert file["seconds"] == pytest.approx(0.75)
    assert "lengths differ by 0.75 s" in file["notes"][0]
    assert file["lsd_db"] == 0


def test_directories_below_directories(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("ref/x/a.wav", "ref/y/a.wav", "out/x/a.wav", "out/y/a.wav"):
        save(name, SPEECH)
    report = as_json(capsys, "ref", "out", "--plot", "png")
    assert [f["reference"] for f in report["files"]] == ["ref/x/a.wav", "ref/y/a.wav"]
    assert report["warnings"] == []
    assert Path("png/x/a.png").exists()
    assert Path("png/y/a.png").exists()


def test_no_partner(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("ref/x.wav", "ref/y.wav", "out/x.wav", "out/z.wav"):
        save(name, SPEECH)
    message = error_of(capsys, "ref", "out")
    assert "'out' lacks y" in message
    assert "'ref' lacks z" in message
    assert "give two of a kind" in error_of(capsys, "ref", "out/x.wav")
    save("ref/x.flac.wav", SPEECH)
    Path("ref/x.flac.wav").rename("ref/x.aiff")
    assert "have the same stem" in error_of(capsys, "ref", "out")
    Path("empty").mkdir()
    assert "without audio files" in error_of(capsys, "empty", "out")


def test_bad_files(capsys: pytest.CaptureFixture[str]) -> None:
    import soundfile

    save("a.wav", SPEECH)
    save("silent.wav", np.zeros(RATE))
    assert "'silent.wav' is silent" in error_of(capsys, "a.wav", "silent.wav")
    assert "'silent.wav' is silent" in error_of(capsys, "silent.wav", "a.wav")
    save("short.wav", SPEECH[:500])
    assert "'short.wav' is too short" in error_of(capsys, "a.wav", "short.wav")
    save("none.wav", SPEECH[:0])
    assert "'none.wav' holds no samples" in error_of(capsys, "a.wav", "none.wav")
    broken = SPEECH.copy()
    broken[77] = np.nan
    soundfile.write("nan.wav", broken, RATE, subtype="FLOAT")
    assert "'nan.wav' holds NaN" in error_of(capsys, "a.wav", "nan.wav")
    Path("text.wav").write_text("no audio")
    assert "'text.wav' is no audio file" in error_of(capsys, "a.wav", "text.wav")
    assert "cannot read 'missing.wav'" in error_of(capsys, "a.wav", "missing.wav")
    message = error_of(capsys, "a.wav", "a.wav", "--delay", "-99999")
    assert "share 0 samples" in message
    assert "pip install pyvoc-vocoder[evaluate]" in error_of(
        capsys, "a.wav", "a.wav", "--stoi", code=4
    )


# ---- likelihood ----------------------------------------------------------------------------------


def test_nll(capsys: pytest.CaptureFixture[str]) -> None:
    save("wavs/a.wav", SPEECH)
    save("wavs/b.wav", 0.3 * SPEECH)
    report = as_json(capsys, "--nll", str(TREE), "wavs")
    assert report["precision"] == "int8"
    assert report["samples"] == 2 * 24000
    assert report["bits_per_sample"] == pytest.approx(report["nats_per_sample"] / np.log(2))
    assert report["gain_nats"] == pytest.approx(report["laplace_nats"] - report["nats_per_sample"])
    assert [Path(file["path"]).name for file in report["files"]] == ["a.wav", "b.wav"]
    assert {"nll", "marginal", "laplace", "gain"} <= set(report["recipes"])
    assert main(["evaluate", "--nll", str(SOFTMAX), "wavs/a.wav"]) == 0
    text = capsys.readouterr().out
    assert "marginal entropy" in text
    assert "teacher forced" in text


def test_nll_bad_files(capsys: pytest.CaptureFixture[str]) -> None:
    save("silent.wav", np.zeros(RATE))
    assert "is silent" in error_of(capsys, "--nll", str(TREE), "silent.wav")
    save("short.wav", SPEECH[:100])
    message = error_of(capsys, "--nll", str(TREE), "short.wav")
    assert "'short.wav': 100 samples are too short" in message
    Path("model.gguf").write_bytes(b"no model")
    assert "model.gguf" in error_of(capsys, "--nll", "model.gguf", "short.wav")


@pytest.mark.parametrize(
    "arguments",
    [
        ["a.wav"],
        ["a.wav", "b.wav", "c.wav", "--plot", "p.png"],
        ["a.wav", "b.wav", "-m", "default", "--plot", "p.png"],
        ["--nll", "m.gguf"],
        ["--nll", "m.gguf", "a.wav", "--delay", "0"],
        ["--nll", "m.gguf", "a.wav", "--plot", "p.png"],
        ["--nll", "m.gguf", "a.wav", "--bounds"],
        ["--nll", "m.gguf", "a.wav", "--page", "p"],
        ["--nll", "m.gguf", "a.wav", "-m", "default"],
        ["a.wav", "b.wav", "--delay", "1.5"],
        ["a.wav", "b.wav", "--rate", "4000"],
        ["a.wav", "b.wav", "--pes"],
    ],
)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", *arguments])
    assert caught.value.code == 2
    assert "usage: pyvoc" in capsys.readouterr().err
