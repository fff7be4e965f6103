"""``pyvoc evaluate`` of several systems, of voices that speak the originals, and its page."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import RATE, save, speechlike
from voices import SOFTMAX, TREE

from pyvoc import audio
from pyvoc.cli import main
from pyvoc.evaluate import perceptual
from pyvoc.evaluate.page import writer

SPEECH = speechlike(0.8)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(perceptual, "_package", lambda name: None)  # slow; tested elsewhere
    return tmp_path


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert main(["evaluate", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["evaluate", *arguments]) == 3
    captured = capsys.readouterr()
    assert not captured.out
    return captured.err


def heard(page: str) -> dict[str, tuple[np.ndarray, int]]:
    """Samples and rate of every player, by its name."""
    found = re.findall(
        r'aria-label="([^"]*)" src="data:audio/flac;base64,([^"]*)"',
        Path(page).read_text(encoding="utf-8"),
    )
    return {
        name: soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="int16")
        for name, data in found
    }


def test_several_systems(capsys: pytest.CaptureFixture[str]) -> None:
    for clip in ("x", "deep/y"):
        save(f"ref/{clip}.wav", SPEECH)
        save(f"loud/{clip}.wav", 2 * SPEECH)
        save(f"soft/{clip}.wav", 0.5 * SPEECH)
    report = as_json(capsys, "ref", "loud", "soft")
    levels = {label: found["mean"]["level_db"] for label, found in report["systems"].items()}
    assert levels == {
        "loud": pytest.approx(6.02, abs=0.01),
        "soft": pytest.approx(-6.02, abs=0.01),
    }
    files = report["systems"]["soft"]["files"]
    assert [f["output"] for f in files] == ["soft/deep/y.wav", "soft/x.wav"]
    assert "lsd_db" in report["recipes"]
    assert report["failed"] == []
    assert main(["evaluate", "ref", "loud", "soft"]) == 0
    text = capsys.readouterr().out
    assert "mean of 2 files of loud" in text
    assert "median of 2 files of soft" in text
    assert text.count("log-spectral distance:") == 1


def test_labels_tell_systems_apart(capsys: pytest.CaptureFixture[str]) -> None:
    save("ref.wav", SPEECH)
    for folder in ("a", "b"):
        save(f"{folder}/out.wav", SPEECH)
    systems = as_json(capsys, "ref.wav", "a/out.wav", "b/out.wav", "ref.wav")["systems"]
    assert list(systems) == ["a/out.wav", "b/out.wav", "ref.wav"]
    assert "'a/out.wav' is given twice" in error_of(capsys, "ref.wav", "a/out.wav", "a/out.wav")


def test_voices_speak_the_originals(capsys: pytest.CaptureFixture[str]) -> None:
    save("ref/x.wav", SPEECH)
    save("ref/y.wav", 0.5 * SPEECH)
    assert main(["synth", "ref/x.wav", "-m", str(TREE), "-o", "x.wav"]) == 0
    capsys.readouterr()
    models = ("-m", str(TREE), "-m", str(SOFTMAX), "--delay", "80")
    report = as_json(capsys, "ref", *models, "--page", "page")
    systems = report["systems"]
    assert list(systems) == [TREE.stem, SOFTMAX.stem]
    names = [f["output"] for f in systems[TREE.stem]["files"]]
    assert names == [f"ref/x.wav by {TREE.stem}", f"ref/y.wav by {TREE.stem}"]
    (by_hand,) = as_json(capsys, "ref/x.wav", "x.wav", "--delay", "80")["files"]
    spoken = systems[TREE.stem]["files"][0]
    assert spoken["mcd_db"] == by_hand["mcd_db"]
    samples, rate = heard("page/index.html")[f"{TREE.stem}, x"]
    np.testing.assert_array_equal(samples, audio.read_int16("x.wav", rate=RATE)[80:])
    assert rate == RATE
    lone = as_json(capsys, "ref/x.wav", "-m", str(TREE), "--delay", "80")
    assert [f["mcd_db"] for f in lone["files"]] == [by_hand["mcd_db"]]


def test_one_original_that_cannot_be_spoken(capsys: pytest.CaptureFixture[str]) -> None:
    save("ref/x.wav", SPEECH)
    Path("ref/broken.wav").write_text("no audio")
    assert "broken.wav" in error_of(capsys, "ref", "-m", str(TREE))
    assert main(["evaluate", "ref", "-m", str(TREE), "--keep-going", "--json"]) == 3
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert [f["reference"] for f in report["files"]] == ["ref/x.wav"]
    assert [failure["input"] for failure in report["failed"]] == ["ref/broken.wav"]
    assert "1 of 2 failed" in captured.err
    assert "no voice" in error_of(capsys, "ref/x.wav", "-m", "nobody")


# ---- the page ------------------------------------------------------------------------------------


def test_page(capsys: pytest.CaptureFixture[str]) -> None:
    late = np.concatenate([np.zeros(80), 0.5 * SPEECH])
    for clip in ("x", "deep/y"):
        save(f"ref/{clip}.wav", SPEECH)
        save(f"late/{clip}.wav", late)
        save(f"early/{clip}.wav", SPEECH[160:])
    report = as_json(capsys, "ref", "late", "early", "--bounds", "--page", "out/page")
    assert {"ceiling", "floor", "systems"} <= report.keys()
    page = Path("out/page/index.html").read_text(encoding="utf-8")
    sounds = heard("out/page/index.html")
    systems = ("original", "late", "early", "ceiling", "floor")
    assert list(sounds) == [f"{s}, {clip}" for clip in ("deep/y", "x") for s in systems]
    assert all(rate == RATE for _, rate in sounds.values())
    original, moved, padded = (sounds[f"{s}, x"][0] for s in systems[:3])
    np.testing.assert_array_equal(original, audio.to_int16(SPEECH))
    np.testing.assert_array_equal(moved, audio.to_int16(0.5 * SPEECH))
    np.testing.assert_array_equal(padded, np.pad(original[160:], (160, 0)))
    assert "+80 samples of delay taken off (waveform)." in page
    assert "-160 samples of delay taken off (waveform)." in page
    assert page.count("<td>−6.02</td>") == 1
    assert "log-spectral distance: Hann" in page
    assert "<h1>ref, compared</h1>" in page
    assert "from late and early." in page


def test_a_folder_may_be_called_like_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    save("x.wav", SPEECH)
    Path("there.html").mkdir()
    for folder in ("there.html", "new.html/"):
        assert main(["evaluate", "x.wav", "x.wav", "--page", folder]) == 0
        assert Path(folder, "index.html").is_file()


def test_page_plays_files_at_their_own_rates(capsys: pytest.CaptureFixture[str]) -> None:
    soxr = pytest.importorskip("soxr")
    save("ref.wav", SPEECH)
    high = soxr.resample(np.concatenate([np.zeros(160), SPEECH]), RATE, 32000, quality="VHQ")
    save("high.wav", high, 32000)
    as_json(capsys, "ref.wav", "high.wav", "--rate", "16000", "--page", "p.html")
    (samples, rate), name = heard("p.html")["high.wav, ref"], "high.wav"
    assert rate == 32000
    np.testing.assert_array_equal(samples, audio.read_int16(name, rate=32000)[320:])


def test_page_that_leaves_out_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MOST_SECONDS", 0.5)
    save("ref.wav", SPEECH)
    save("out.wav", SPEECH)
    assert main(["evaluate", "ref.wav", "out.wav", "--page", "p"]) == 0
    message = "pyvoc: note: 'p/index.html': clips that are longer than 0.5 s are cut there: 1"
    assert message in capsys.readouterr().err


def test_page_of_hostile_names(capsys: pytest.CaptureFixture[str]) -> None:
    name = "<img src=x onerror=alert(1)>\udcff.wav"
    save(f"ref/{name}", SPEECH)
    save(f"o&<u>/{name}", SPEECH)
    as_json(capsys, "ref", "o&<u>", "--page", "p")
    page = Path("p/index.html").read_text(encoding="utf-8")
    assert "<bdi>&lt;img src=x onerror=alert(1)&gt;\ufffd</bdi>" in page
    assert "<bdi>o&amp;&lt;u&gt;</bdi>" in page
    assert page.count("<img ") == 2
    assert "<u>" not in page


def test_no_page_when_something_fails(capsys: pytest.CaptureFixture[str]) -> None:
    for clip in ("x", "y"):
        save(f"ref/{clip}.wav", SPEECH)
        save(f"out/{clip}.wav", SPEECH)
    save("out/y.wav", np.zeros(RATE))
    assert "is silent" in error_of(capsys, "ref", "out", "--page", "p")
    assert not list(Path().glob("p/*"))
    assert main(["evaluate", "ref", "out", "--page", "p", "--keep-going"]) == 3
    assert list(heard("p/index.html")) == ["original, x", "out, x"]
    capsys.readouterr()
    Path("ref/x.wav").rename("a.html")
    message = error_of(capsys, "a.html", "out/x.wav", "--page", "a.html")
    assert "'a.html' would overwrite the input" in message
    assert audio.read("a.html")[1] == RATE
    Path("file").write_text("")
    assert "cannot create 'file" in error_of(capsys, "a.html", "out/x.wav", "--page", "file/p")
