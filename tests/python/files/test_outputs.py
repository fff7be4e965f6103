"""No output overwrites an input, whatever name it goes by."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import ROOT

import pyvoc
from pyvoc.cli import main
from pyvoc.errors import Error
from pyvoc.files.outputs import check_outputs, check_place, create_folder

GOLDEN = ROOT / "tests" / "golden"
MODEL = str(GOLDEN / "tree_sparse.int8.gguf")
MELGAN = sorted((GOLDEN / "melgan").glob("*.gguf"))[0]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_name_of_a_file_is_seen_through() -> None:
    Path("a").write_bytes(b"1")
    Path("folder").mkdir()
    os.link("a", "hard")
    Path("soft").symlink_to("a")
    Path("there").symlink_to("folder", target_is_directory=True)
    Path("folder/b").write_bytes(b"2")
    for output, source in (
        ("a", "a"),
        ("./folder/../a", "a"),
        (os.path.abspath("a"), "a"),
        ("hard", "a"),
        ("a", "hard"),
        ("soft", "a"),
        ("a", "soft"),
        ("there/b", "folder/b"),
        ("folder/new", "there/new"),
    ):
        with pytest.raises(Error, match=f"'{output}' would overwrite the input"):
            check_outputs(["other", output], inputs=[None, "x", source])
    with pytest.raises(Error, match="'folder/c' and 'there/c' are one output"):
        check_outputs(["folder/c", "there/c"], inputs=[])


def test_what_cannot_be_overwritten_may_be_both() -> None:
    Path("a").write_bytes(b"")
    Path("b").write_bytes(b"")
    for name in ("-", os.devnull, "."):
        check_outputs([name, name], inputs=[name])
    check_outputs(["c", "b"], inputs=["a", None, "absent"])
    with pytest.raises(Error, match="holds a null character"):
        check_outputs(["a\0b"], inputs=[])


def test_folders_that_cannot_be() -> None:
    create_folder(Path("x/y"))
    create_folder(Path("x/y"))
    Path("file").write_bytes(b"")
    with pytest.raises(Error, match="cannot create 'file/below'"):
        create_folder(Path("file/below"))


def test_places_where_no_file_can_appear() -> None:
    os.mkdir("folder")
    check_place("folder/new")
    Path("folder/old").write_bytes(b"")
    check_place("folder/old")
    for name, why in (
        ("folder", "it is a folder"),
        ("", "it is a folder"),
        ("none/new", "its folder does not exist"),
        (os.devnull, "no ordinary file"),
    ):
        with pytest.raises(Error, match=f"'{name}': cannot be written: .*{why}"):
            check_place(name)


def sound(name: str) -> str:
    Path(name).parent.mkdir(exist_ok=True)
    pcm = 3000 * np.sin(np.arange(16000) / 20)
    if name.endswith(".wav"):
        pyvoc.audio.write_wav(name, pcm.astype(np.int16), 16000)
    else:
        pcm.astype("<i2").tofile(name)
    return name


def test_no_command_overwrites_its_inputs(capfd: pytest.CaptureFixture[str]) -> None:
    wav, other = sound("in/a.wav"), sound("in/b.wav")
    os.link(wav, "hard.wav")
    Path("list.txt").write_text("in/a.wav\n")
    Path("model.gguf").write_bytes(Path(MODEL).read_bytes())
    Path("mel.gguf").write_bytes(MELGAN.read_bytes())
    np.zeros(16000 * 8, "<f4").tofile("draws.f32")
    np.save("mel.npy", np.full((30, 80), -5.0, np.float32))
    before = {path: path.read_bytes() for path in Path().rglob("*.*") if path.is_file()}
    for arguments in (
        ["synth", wav, "-m", MODEL, "-o", "hard.wav"],
        ["synth", wav, other, "-m", MODEL, "-o", "in/"],
        ["synth", wav, "-m", "model.gguf", "--format", "wav", "-o", "model.gguf"],
        ["synth", wav, "-m", MODEL, "--format", "s16", "--draws=draws.f32", "-o", "draws.f32"],
        ["synth", "--from-bin", "draws.f32", "--rate=16000", "--raw", "-o", "draws.f32"],
        ["features", wav, "-o", wav],
        ["features", "list.txt", "-o", "list.txt"],
        ["features", wav, "-m", "model.gguf", "-o", "model.gguf"],
        ["check-mel", "mel.npy", "-m", str(MELGAN), "--fix", "-o", "mel.npy"],
        ["convert", "model.gguf", "-o", "model.gguf"],
        ["quantize", "mel.gguf", "--calibrate", wav, "-o", "mel.gguf"],
        ["quantize", "mel.gguf", "--calibrate", wav, "-o", wav],
        ["export", "mel.gguf", "--force", "--onnx", "mel.gguf"],
        ["evaluate", wav, other, "--plot", other],
        ["live", "-m", MODEL, "--from", wav, "--to", "hard.wav"],
        ["live", "-m", MODEL, "--from", wav, "--to", "x.wav", "--record", wav],
        ["bench", "features", "-m", "model.gguf", "-o", "model.gguf"],
    ):
        assert main(arguments) == 3, arguments
        assert "would overwrite the input" in capfd.readouterr().err, arguments
        assert {p: p.read_bytes() for p in Path().rglob("*.*") if p.is_file()} == before


def test_the_list_of_lengths_is_an_output_too(capfd: pytest.CaptureFixture[str]) -> None:
    sound("a.wav")
    Path("lengths.txt").write_text("a.wav\n")
    arguments = ["features", "lengths.txt", "-m", str(MELGAN), "--format=bin", "-o", "./"]
    assert main(arguments) == 3
    assert "'lengths.txt' would overwrite the input" in capfd.readouterr().err
    assert not Path("a.bin").exists()


def test_other_outputs_are_written(capfd: pytest.CaptureFixture[str]) -> None:
    sound("in/a.wav")
    assert main(["features", "in/a.wav", "-o", "in/a.f32", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["frames"] == 100
    assert main(["synth", "in/a.f32", "-m", MODEL, "-o", "a.wav"]) == 0
    assert main(["synth", "in/a.f32", "-m", MODEL, "-o", "a.wav"]) == 0  # outputs are replaced
