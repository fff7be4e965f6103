"""One bad file among many ends nothing that was asked for, or is found before the work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lpcnet_files import ROOT
from voices import SOFTMAX, TREE, make_features

import pyvoc
from pyvoc.cli import main
from pyvoc.runtime import synthesis

GOLDEN = ROOT / "tests" / "golden"
WAVERNN = sorted((GOLDEN / "wavernn").glob("*.gguf"))[0]
MELGAN = sorted((GOLDEN / "melgan").glob("*.gguf"))[0]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def save(name: str, rows: np.ndarray) -> str:
    Path(name).parent.mkdir(exist_ok=True)
    rows.astype("<f4").tofile(name)
    return name


def sound(name: str, *, seconds: float = 0.6, pitch: float = 200.0) -> str:
    Path(name).parent.mkdir(exist_ok=True)
    t = np.arange(int(16000 * seconds)) / 16000
    hum = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 6))
    pyvoc.audio.write_wav(name, 0.2 * hum, 16000)
    return name


def spoiled(rows: np.ndarray) -> np.ndarray:
    rows = rows.copy()
    rows[0, 5] = np.nan
    return rows


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Seven feature files in groups of two, the fifth and the sixth bad."""
    monkeypatch.setattr(synthesis, "_GROUP", 2)
    names = [save(f"in/u{i}.f32", make_features(5 + i, seed=i)) for i in range(7)]
    save(names[4], spoiled(make_features(9)))
    Path(names[5]).write_bytes(b"")
    return names


def test_synth_finds_bad_ones_before_the_work(
    many: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["synth", *many, "-m", str(TREE), "-o", "out/"]) == 3
    err = capfd.readouterr().err
    assert "2 of 7 inputs cannot be used (--keep-going does the others)" in err
    assert "'in/u4.f32' holds NaN" in err and "'in/u5.f32' is empty" in err
    assert not Path("out").exists()


def test_synth_keeps_going(many: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    many.append("in/absent.f32")
    arguments = ["synth", *many, "-m", str(TREE), "-o", "out/", "--keep-going"]
    assert main([*arguments, "--json"]) == 3
    printed = capfd.readouterr()
    good = [name for name in many if name[4] not in "45b"]
    report = json.loads(printed.out)
    assert report["inputs"] == good and len(report["outputs"]) == 5
    assert [f["input"] for f in report["failed"]] == [many[4], many[5], many[7]]
    assert "cannot read 'in/absent.f32'" in report["failed"][2]["error"]
    assert printed.err.splitlines()[-1] == "pyvoc: 3 of 8 failed"
    assert printed.err.count("pyvoc: left out: ") == 3
    assert sorted(p.name for p in Path("out").iterdir()) == [
        f"{Path(name).stem}.wav" for name in sorted(good)
    ]
    alone = {name: Path(f"out/{Path(name).stem}.wav").read_bytes() for name in good}
    assert main(["synth", *good, "-m", str(TREE), "-o", "again/", "--keep-going"]) == 0
    for name in good:
        assert Path(f"again/{Path(name).stem}.wav").read_bytes() == alone[name]


def test_synth_of_nothing_but_bad_ones(capfd: pytest.CaptureFixture[str]) -> None:
    names = [save(f"b{i}.f32", make_features(5)[:, :7]) for i in range(2)]
    arguments = ["synth", *names, "-m", str(TREE), "-o", "out/", "--keep-going", "--json"]
    assert main(arguments) == 3
    printed = capfd.readouterr()
    assert json.loads(printed.out)["outputs"] == []
    assert "2 of 2 failed" in printed.err
    assert not Path("out").exists()


def test_features_that_are_too_few_for_a_fold(capfd: pytest.CaptureFixture[str]) -> None:
    dims = pyvoc.load(WAVERNN).info.layout_dims
    for name, frames in (("long", 60), ("short", 3)):
        np.save(f"{name}.npy", np.full((frames, dims), 0.5, np.float32))
    arguments = ["synth", "long.npy", "short.npy", "-m", str(WAVERNN), "-o", "out/"]
    arguments.append("--fold=100,10")
    assert main(arguments) == 3
    assert "'short.npy': " in capfd.readouterr().err
    assert not Path("out").exists()
    assert main([*arguments, "--keep-going"]) == 3
    assert "1 of 2 failed" in capfd.readouterr().err
    assert [p.name for p in Path("out").iterdir()] == ["long.wav"]


def test_doubtful_ones_are_left_out_where_nothing_doubtful_is_taken(
    capfd: pytest.CaptureFixture[str],
) -> None:
    good = sound("a.wav")
    pyvoc.audio.write_wav("silent.wav", np.zeros(16000, np.int16), 16000)
    arguments = ["synth", good, "silent.wav", "-m", str(TREE), "-o", "out/", "--keep-going"]
    assert main([*arguments, "--strict"]) == 3
    assert "left out: 'silent.wav' is all but silent" in capfd.readouterr().err
    assert [p.name for p in Path("out").iterdir()] == ["a.wav"]
    assert main(arguments) == 0


def test_samples_of_another_runtime(capfd: pytest.CaptureFixture[str]) -> None:
    good = save("a.bin", np.zeros(100))
    bad = save("b.bin", np.full(100, np.nan))
    arguments = ["synth", "--from-bin", good, bad, "--rate=16000", "-o", "out/"]
    assert main(arguments) == 3
    assert not Path("out").exists()
    assert main([*arguments, "--keep-going", "--json"]) == 3
    printed = capfd.readouterr()
    assert "1 of 2 failed" in printed.err
    assert [f["input"] for f in json.loads(printed.out)["failed"]] == ["b.bin"]
    assert [p.name for p in Path("out").iterdir()] == ["a.wav"]


@pytest.fixture
def corpus() -> str:
    """Three recordings and three that are none, or too short."""
    for i in range(3):
        sound(f"corpus/good{i}.wav", pitch=150.0 + 30 * i)
    Path("corpus/empty.wav").write_bytes(b"")
    Path("corpus/text.wav").write_bytes(b"not audio at all" * 10)
    pyvoc.audio.write_wav("corpus/short.wav", np.full(40, 999, np.int16), 16000)
    return "corpus"


def test_features_finds_bad_ones_before_the_work(
    corpus: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for output in ("out/", "all.f32"):
        assert main(["features", corpus, "-o", output]) == 3
        err = capfd.readouterr().err
        assert "2 of 6 inputs cannot be used" in err
        assert "'corpus/empty.wav' is empty" in err and "'corpus/text.wav' is no audio" in err
        assert not Path("out").exists() and not Path("all.f32").exists()


@pytest.mark.parametrize("suffix", ["f32", "npy", "bin"])
def test_features_keeps_going(suffix: str, corpus: str, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["features", corpus, "-o", "out/", "--keep-going", "--json"]
    arguments += [f"--format={suffix}", *(["--recipe=fatchord"] if suffix == "bin" else [])]
    if suffix == "bin":
        pytest.importorskip("soxr")
    assert main(arguments) == 3
    printed = capfd.readouterr()
    report = json.loads(printed.out)
    failed = ["corpus/empty.wav", "corpus/short.wav", "corpus/text.wav"]
    if suffix == "bin":  # which pads: no signal is too short
        failed.remove("corpus/short.wav")
    assert [f["input"] for f in report["failed"]] == failed
    assert report["inputs"] == 6 - len(failed)
    assert f"{len(failed)} of 6 failed" in printed.err
    written = sorted(p.stem for p in Path("out").glob(f"*.{suffix}"))
    assert len(written) == 6 - len(failed) and "good2" in written
    if suffix == "bin":
        lines = Path("out/lengths.txt").read_text().splitlines()
        assert [line.split()[2] for line in lines] == [f"{name}.bin" for name in written]


def test_one_signal_of_many_files_has_nothing_of_the_bad_ones(corpus: str) -> None:
    names = [f"corpus/good{i}.wav" for i in range(3)]
    bad = ["corpus/text.wav", "corpus/empty.wav"]
    assert main(["features", names[0], bad[0], *names[1:], bad[1], "-o", "a.f32"]) == 3
    assert not Path("a.f32").exists()
    mixed = [names[0], bad[0], *names[1:], bad[1]]
    assert main(["features", *mixed, "-o", "a.f32", "--keep-going"]) == 3
    assert main(["features", *names, "-o", "b.f32"]) == 0
    assert Path("a.f32").read_bytes() == Path("b.f32").read_bytes()


def test_a_file_that_is_refused_half_way_leaves_nothing_in_one_signal() -> None:
    import soundfile

    rate = 22050
    good = 0.1 * np.sin(np.arange(rate) / 9)
    late = np.concatenate([0.1 * np.sin(np.arange(12 * rate) / 7), [3e4]])  # no audio, at the end
    for name, samples in (("a.wav", good), ("late.wav", late), ("b.wav", good)):
        soundfile.write(name, samples, rate, subtype="FLOAT")
    arguments = ["--recipe=nvidia", "--keep-going"]
    assert main(["features", "a.wav", "late.wav", "b.wav", "-o", "x.f32", *arguments]) == 3
    assert main(["features", "a.wav", "b.wav", "-o", "y.f32", *arguments]) == 0
    assert Path("x.f32").read_bytes() == Path("y.f32").read_bytes()


def result(capfd: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    printed = capfd.readouterr()
    return json.loads(printed.out), printed.err


def test_likelihood_keeps_going(corpus: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--nll", str(SOFTMAX), corpus]) == 3
    assert "2 of 6 inputs cannot be used" in capfd.readouterr().err
    names = ["corpus/good0.wav", "corpus/text.wav", "corpus/short.wav"]
    assert main(["evaluate", "--nll", str(SOFTMAX), *names, "--keep-going", "--json"]) == 3
    report, err = result(capfd)
    assert [f["path"] for f in report["files"]] == ["corpus/good0.wav"]
    assert [f["input"] for f in report["failed"]] == names[1:]
    assert "2 of 3 failed" in err
    assert main(["evaluate", "--nll", str(SOFTMAX), *names[1:], "--keep-going"]) == 3
    assert "none of the 2 audio files could be scored" in capfd.readouterr().err


def test_comparison_keeps_going(capfd: pytest.CaptureFixture[str]) -> None:
    for folder in ("ref", "out"):
        sound(f"{folder}/a.wav")
        sound(f"{folder}/b.wav")
    sound("ref/lonely.wav")
    Path("out/b.wav").write_bytes(b"nothing")
    assert main(["evaluate", "ref", "out"]) == 3
    assert "'out' lacks lonely" in capfd.readouterr().err
    assert main(["evaluate", "ref", "out", "--keep-going", "--json"]) == 3
    report, err = result(capfd)
    assert [f["output"] for f in report["files"]] == ["out/a.wav"]
    assert [f["input"] for f in report["failed"]] == ["ref/lonely.wav", "out/b.wav"]
    assert "2 of 3 failed" in err
    Path("ref/lonely.wav").unlink()
    assert main(["evaluate", "ref", "out", "--plot", "plots"]) == 3
    assert "'out/b.wav' is no audio file" in capfd.readouterr().err
    assert not Path("plots").exists()


def test_calibration_names_the_bad_file(capfd: pytest.CaptureFixture[str]) -> None:
    good = sound("a.wav")
    Path("b.wav").write_bytes(b"nothing")
    assert main(["quantize", str(MELGAN), "--calibrate", good, "b.wav", "-o", "m.gguf"]) == 3
    assert "'b.wav' is no audio file" in capfd.readouterr().err
    assert not Path("m.gguf").exists()
