"""Voices: names before paths, what the package ships, commands without -m, the demo."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from voices import FARGAN, HIFIGAN, ROOT, TREE, make_features

import pyvoc
from pyvoc import voices
from pyvoc.cli import main
from pyvoc.cli.inspection import inspect
from pyvoc.files.loading import load_input
from pyvoc.voices.shelf import describe

MOST_BYTES, MOST_BYTES_OF_ALL = 4_000_000, 12_000_000


@pytest.fixture(autouse=True)
def no_voices_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voices, "folder", lambda: tmp_path / "mine")


@pytest.fixture
def two_voices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder with the voices `default` and `alto`, and another current directory."""
    folder = tmp_path / "package"
    folder.mkdir()
    for name in ("alto", "default"):
        shutil.copy(TREE, folder / f"{name}.gguf")
    monkeypatch.setattr(voices, "_FOLDER", folder)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder


@pytest.mark.parametrize(("name", "family"), [("default", "fargan"), ("lpcnet", "lpcnet")])
def test_the_voices_that_commands_fall_back_on(name: str, family: str) -> None:
    model = pyvoc.load(name)
    assert (pyvoc.load().info == model.info) == (name == voices.DEFAULT)
    assert model.info.architecture == family
    assert (model.info.sample_rate, model.info.precision) == (16000, "int8")
    assert Path(model.info.path).name == f"{name}.gguf"
    with pytest.raises(pyvoc.UnsupportedError, match="holds int8 weights, not f32"):
        pyvoc.load(name, precision="f32")


@pytest.mark.parametrize("name", voices.bundled())
def test_a_bundled_voice(name: str) -> None:
    """It loads, says where it is from and what it is for, is small, and speaks."""
    facts = describe(name)
    assert not facts.problem and facts.licence and facts.purpose
    assert facts.bytes <= MOST_BYTES
    text = Path(voices.card(name)).read_text(encoding="utf-8")
    for words in (f"`{name}`", "## Data", "## Figures", "Do not pass off"):
        assert words in text
    pytest.importorskip("soxr")
    model = pyvoc.load(name)
    assert model.info.architecture == facts.family
    rows = load_input(voices.demo_speech(), model, layout=None)
    samples = model.synthesize(rows, seed=1)
    assert len(samples) == len(rows) * model.info.hop_length
    assert np.isfinite(samples).all() and np.abs(samples).max() <= 1
    assert abs(level(samples) - level(pyvoc.audio.read(voices.demo_speech())[0])) < 8
    again = pyvoc.features.extract(samples, model=model)[: len(rows)]
    loud, its = (loudness(frames, model) for frames in (rows[: len(again)], again))
    assert np.corrcoef(loud, its)[0, 1] > 0.8


def level(samples: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))))


def loudness(rows: np.ndarray, model: pyvoc.Model) -> np.ndarray:
    """Of frames: the mean of their bands' logarithms."""
    return np.asarray(rows[:, 0] if model.info.mel is None else rows.mean(axis=1))


def test_what_is_shipped() -> None:
    assert voices.bundled()[0] == voices.DEFAULT
    assert sum(describe(name).bytes for name in voices.bundled()) <= MOST_BYTES_OF_ALL
    speech = Path(voices.demo_speech())
    assert speech.stat().st_size <= 200_000
    samples, rate = pyvoc.audio.read(speech)
    assert rate == 22050 and 3 <= len(samples) / rate <= 4
    text = speech.with_suffix(".md").read_text(encoding="utf-8")
    assert "Licence: CC0-1.0" in text and "kathleen" in text
    demo = Path(voices.demo_features())
    assert demo.stat().st_size < 150_000
    rows = pyvoc.features.load(demo)
    assert pyvoc.features.layout_of(rows).name == "lpcnet20"
    assert 300 <= len(rows) <= 1000
    voiced = rows[:, 19] > 0.2
    assert 0.2 < voiced.mean() < 0.9


def test_names_come_before_paths(two_voices: Path) -> None:
    assert voices.names() == ("default", "alto")
    for name in ("alto", "default"):
        assert voices.resolve(name) == str(two_voices / f"{name}.gguf")
        assert pyvoc.load(name).info.path == str(two_voices / f"{name}.gguf")
    Path("alto").write_bytes(b"not a model")
    assert voices.resolve("alto") == str(two_voices / "alto.gguf")
    for path in ("./alto", Path("alto")):
        assert Path(voices.resolve(path)) == Path("alto")
        with pytest.raises(pyvoc.ModelError, match="alto"):
            pyvoc.load(path)
    Path("mine").write_bytes(TREE.read_bytes())  # a file of any name still works
    assert pyvoc.load("mine").info.path == "mine"


def test_errors_name_the_voices(two_voices: Path) -> None:
    with pytest.raises(pyvoc.Error, match=r"no voice and no file; voices: default, alto"):
        pyvoc.load("tenor")
    with pytest.raises(pyvoc.Error, match=r"no voice and no file; voices: default, alto"):
        inspect("tenor")
    with pytest.raises(pyvoc.Error, match="xxx' is no voice and no file"):
        pyvoc.load("x" * 5000)  # longer than a file's name can be
    with pytest.raises(pyvoc.Error, match=r"tenor\.gguf.*cannot be opened"):
        pyvoc.load("tenor.gguf")
    with pytest.raises(pyvoc.Error, match=r"'tenor' is no voice; .*default, alto"):
        voices.card("tenor")
    with pytest.raises(pyvoc.Error, match=r"alto\.md' is missing"):
        voices.card("alto")
    (two_voices / "default.gguf").unlink()
    Path("default").write_bytes(TREE.read_bytes())  # not taken for the voice that is missing
    with pytest.raises(pyvoc.Error, match=r"'default' is no voice and no file.*alto"):
        pyvoc.load("default")


def test_commands_take_names(
    two_voices: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = make_features(20)
    pyvoc.features.save("a.f32", rows)
    outputs = []
    for arguments in ([], ["-m", "default"], ["-m", "alto"], ["-m", str(TREE)]):
        assert main(["synth", "a.f32", "-o", "a.s16", *arguments]) == 0
        outputs.append(Path("a.s16").read_bytes())
    assert len(outputs[0]) == 2 * 20 * 160
    assert len(set(outputs)) == 1  # copies of one model
    assert main(["synth", "a.f32", "-o", "a.s16", "-m", "tenor"]) == 3
    assert "voices: default, alto" in capfd.readouterr().err
    assert main(["info", "alto", "--json"]) == 0
    (report,) = json.loads(capfd.readouterr().out)
    assert (report["kind"], report["path"]) == ("model", str(two_voices / "alto.gguf"))
    assert main(["info"]) == 0
    assert "voices   default, alto\n" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "model", "targets"),
    [
        ([], "default.gguf", ("fargan", "features")),
        (["lpcnet"], "alto.gguf", ("lpcnet",)),
        (["features"], "alto.gguf", ("features",)),
        (["-m", "alto"], "alto.gguf", ("lpcnet", "features")),
        (["-m", str(HIFIGAN[0])], HIFIGAN[0].name, ("hifigan",)),
        (["--model", "x.gguf"], "x.gguf", ("lpcnet", "features")),
        (["--precision", "int8"], None, ("lpcnet", "features")),
        (["--peer", "demo"], None, ("lpcnet", "features")),
        (["fargan"], None, ("fargan",)),
    ],
)
def test_bench_measures_the_voice_unless_told_otherwise(
    two_voices: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    model: str | None,
    targets: tuple[str, ...],
) -> None:
    from pyvoc import bench

    shutil.copy(FARGAN[0], two_voices / "default.gguf")
    asked: list[bench.Options] = []

    def stop(options: bench.Options, **_: object) -> None:
        asked.append(options)
        raise pyvoc.Error("enough")

    monkeypatch.setattr(bench, "run", stop)
    assert main(["bench", *arguments]) == 3
    assert (asked[0].model and asked[0].model.name) == model
    assert asked[0].targets == targets


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py", folder / "out"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_demo_speaks(tmp_path: Path) -> None:
    """Every voice, from the recording's features; tests/python/evaluate looks at pages."""
    pytest.importorskip("soxr")
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / "out"
    recording, rate = pyvoc.audio.read(voices.demo_speech())
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.count("<audio") == 1 + len(voices.bundled())
    for name in voices.bundled():
        (row,) = (line for line in done.stdout.splitlines() if line.startswith(f"{name} "))
        facts = describe(name)
        assert facts.family in row and f"{facts.bytes / 1e6:.2f}" in row
        assert float(row.split()[-1]) > 0  # x real time
        assert f"<bdi>{name}</bdi>" in page
        spoken, its = pyvoc.audio.read(out / f"{name}.wav")
        assert its == facts.sample_rate
        assert len(spoken) / its == pytest.approx(len(recording) / rate, abs=0.05)
    assert (out / "original.wav").stat().st_size == 44 + 2 * len(recording)
    pytest.importorskip("matplotlib")
    assert (out / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_the_demo_goes_on_where_a_voice_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("soxr")
    package = tmp_path / "package"
    package.mkdir()
    shutil.copy(TREE, package / "default.gguf")
    (package / "alto.gguf").write_bytes(TREE.read_bytes()[:5000])
    monkeypatch.setattr(voices, "_FOLDER", package)
    speech = Path(voices.__file__).with_name("demo.flac")
    monkeypatch.setattr(voices, "demo_speech", lambda: str(speech))
    main_of_demo = runpy.run_path(str(ROOT / "examples" / "demo.py"))["main"]
    assert main_of_demo(tmp_path / "out") == 1
    out, err = capsys.readouterr()
    assert "alto     failed: " in out and err == "failed: alto\n"
    assert (tmp_path / "out" / "default.wav").exists()
    assert not (tmp_path / "out" / "alto.wav").exists()
    assert "<bdi>default</bdi>" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
