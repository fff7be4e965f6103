"""Wheels, other zip archives and folders that hold checkpoints: which one, and hostile ones."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hifigan_checkpoints import checkpoint_bytes, config, state_dict, write_folder
from torch_files import save_zip

from pyvoc.cli import main
from pyvoc.container import read_container
from pyvoc.convert import convert
from pyvoc.convert.bundle import MAX_BESIDE_BYTES, checkpoints_in
from pyvoc.errors import Error, ModelError

ONE, TWO = "pkg/data/first.pth.tar", "pkg/data/second.pth.tar"


def changed() -> dict[str, object]:
    """Weights that tell the second checkpoint from the first."""
    state = state_dict()
    state["conv_post.bias"] = state["conv_post.bias"] + 0.125
    return state


def wheel(path: Path, members: dict[str, bytes] | None = None, *, method: int = 8) -> Path:
    """Two checkpoints with their settings and what else a wheel has."""
    contents = {
        "pkg/__init__.py": b"raise RuntimeError('never imported')\n",
        "pkg/data/config.json": json.dumps(config()).encode(),
        ONE: checkpoint_bytes(),
        TWO: checkpoint_bytes(changed()),  # type: ignore[arg-type]
        "pkg-1.dist-info/METADATA": b"Metadata-Version: 2.1\n",
    }
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in (contents if members is None else members).items():
            file.writestr(name, data)
    return path


def unpacked(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path) as file:
        file.extractall(folder)
    return folder


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("folder", [False, True])
def test_one_of_several(tmp_path: Path, method: int, folder: bool) -> None:
    path = wheel(tmp_path / "x.whl", method=method)
    source = unpacked(path, tmp_path / "x") if folder else path
    assert checkpoints_in(source) == (ONE, TWO)
    alone = write_folder(tmp_path / "alone", "second.pth.tar", state=changed())  # type: ignore[arg-type]
    convert(alone / "second.pth.tar", tmp_path / "alone.gguf")
    expected = (tmp_path / "alone.gguf").read_bytes()
    for which in (TWO, "second.pth.tar", "second", "sec"):
        report = convert(source, tmp_path / "m.gguf", which=which)
        assert (tmp_path / "m.gguf").read_bytes() == expected
        assert report.rate_from == "config.json" and report.source == str(source)
        assert not any("nothing says" in note for note in report.notes)
    convert(source, tmp_path / "m.gguf", which="first")
    assert (tmp_path / "m.gguf").read_bytes() != expected


@pytest.mark.parametrize(
    ("which", "asked"),
    [
        (None, "holds 2 checkpoints; "),
        ("third", "'third' is none of them"),
        ("pth", "'pth' is several of them"),
        ("pkg", "'pkg' is none of them"),  # folders tell nothing
    ],
)
def test_it_asks_which(tmp_path: Path, which: str | None, asked: str) -> None:
    path = wheel(tmp_path / "x.whl")
    for source in (path, unpacked(path, tmp_path / "x")):
        with pytest.raises(ModelError) as caught:
            convert(source, tmp_path / "m.gguf", which=which)
        for words in (f"{source}: holds", asked, "--which", f"'{ONE}', '{TWO}'"):
            assert words in str(caught.value)
    assert not (tmp_path / "m.gguf").exists()


def test_the_only_one_needs_no_name(tmp_path: Path) -> None:
    path = wheel(tmp_path / "x.zip", {"a/g_1": checkpoint_bytes(), "a/notes.txt": b"hello there"})
    report = convert(path, tmp_path / "m.gguf")
    assert any("no config beside" in note for note in report.notes)
    folder = write_folder(tmp_path / "run", "g_00000001")
    convert(folder, tmp_path / "n.gguf")
    assert read_container(tmp_path / "n.gguf").metadata["general.name"] == "g_00000001"
    with pytest.raises(ModelError, match="holds one checkpoint, 'x' is none of them"):
        convert(folder, tmp_path / "n.gguf", which="x")


def test_settings_beside_are_those_of_the_archive(tmp_path: Path) -> None:
    """Small ones only, from the folder of the checkpoint and the one above it."""
    other = json.dumps(config() | {"sampling_rate": 16000}).encode()
    path = wheel(tmp_path / "x.zip", {"a/b/g_1": checkpoint_bytes(), "config.json": other})
    (tmp_path / "config.json").write_bytes(other)  # not the archive's
    assert convert(path, tmp_path / "m.gguf").sample_rate == 22050
    wheel(path, {"a/b/g_1": checkpoint_bytes(), "a/b/config.json": other})
    assert convert(path, tmp_path / "m.gguf").sample_rate == 16000
    large = other + b" " * MAX_BESIDE_BYTES
    wheel(path, {"a/b/g_1": checkpoint_bytes(), "a/b/config.json": large})
    assert convert(path, tmp_path / "m.gguf").sample_rate == 22050


def test_pytorchs_own_archives_are_checkpoints(tmp_path: Path) -> None:
    path = save_zip(tmp_path / "g_1", {"generator": state_dict()})
    assert checkpoints_in(path) == ()
    convert(path, tmp_path / "m.gguf")
    with pytest.raises(ModelError, match="holds no checkpoints of which 'x' could be one"):
        convert(path, tmp_path / "m.gguf", which="x")
    inner = wheel(tmp_path / "x.zip", {"deep/g_1": path.read_bytes(), "deep/inner.zip": b""})
    assert checkpoints_in(inner) == ("deep/g_1",)
    convert(inner, tmp_path / "n.gguf")
    assert (tmp_path / "n.gguf").read_bytes() == (tmp_path / "m.gguf").read_bytes()


def test_what_holds_none(tmp_path: Path) -> None:
    inside = wheel(tmp_path / "inner.zip").read_bytes()
    path = wheel(tmp_path / "x.zip", {"a.txt": b"hello", "inner.zip": inside, "empty": b""})
    assert checkpoints_in(path) == ()
    with pytest.raises(ModelError, match=r"x\.zip: is a zip archive of 'a\.txt'"):
        convert(path, tmp_path / "m.gguf")
    (tmp_path / "none").mkdir()
    os.mkfifo(tmp_path / "none" / "pipe")  # opening it would wait for ever
    with pytest.raises(ModelError, match="is a folder, expected"):
        convert(tmp_path / "none", tmp_path / "m.gguf")


def test_errors_name_the_archive_and_its_member(tmp_path: Path) -> None:
    whole = checkpoint_bytes()
    path = wheel(tmp_path / "x.whl", {"a/g_1": whole[: len(whole) // 2]})
    with pytest.raises(ModelError, match=rf"^{path}: a/g_1: .*truncated"):
        convert(path, tmp_path / "m.gguf")
    state = state_dict()
    state["conv_pre.bias"][0] = float("nan")
    wheel(path, {"a/g_1": checkpoint_bytes(state)})
    with pytest.raises(ModelError, match=rf"^{path}: a/g_1: .*NaN"):
        convert(path, tmp_path / "m.gguf")
    assert not (tmp_path / "m.gguf").exists()


@pytest.mark.parametrize("name", ["../g_1", "/g_1", "a/../../g_1", "a\\g_1", "a/\x07"])
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    path = wheel(tmp_path / "x.whl", {name: checkpoint_bytes()})
    with pytest.raises(ModelError, match="a name that leads elsewhere"):
        convert(path, tmp_path / "m.gguf")


def test_a_member_in_a_members_place(tmp_path: Path) -> None:
    """A file where another member wants a folder."""
    path = wheel(tmp_path / "x.whl", {"a/g_1": checkpoint_bytes(), "a": b"{}"})
    with pytest.raises(Error, match=rf"^{path}: '.*' cannot be unpacked"):
        convert(path, tmp_path / "m.gguf")


def test_bombs(tmp_path: Path) -> None:
    """What would inflate out of proportion, and what inflates to more than it says."""
    head = checkpoint_bytes()
    bomb = wheel(tmp_path / "bomb.whl", {"a/g_1": head + bytes(200 << 20)})
    liar = wheel(tmp_path / "liar.whl", {"a/g_1": head + bytes(40 << 20)})
    data = bytearray(liar.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\1\2") + 24, len(head))  # the directory's word
    liar.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match="would inflate to"):
            convert(bomb, tmp_path / "m.gguf")
        with pytest.raises(ModelError, match=rf"'a/g_1' does not inflate to its {len(head)} bytes"):
            convert(liar, tmp_path / "m.gguf")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert not (tmp_path / "m.gguf").exists()


@pytest.mark.parametrize(
    ("place", "format", "value", "match"),
    [
        (8, "<H", 1, "is encrypted"),
        (10, "<H", 14, "compressed by method 14"),
        (16, "<I", 1, "'a/g_1' does not match its checksum"),
        (24, "<I", 1 << 24, "'a/g_1' does not inflate to its 16777216 bytes"),
    ],
)
def test_damaged_entries(tmp_path: Path, place: int, format: str, value: int, match: str) -> None:
    path = wheel(tmp_path / "x.whl", {"a/g_1": checkpoint_bytes()})
    data = bytearray(path.read_bytes())
    struct.pack_into(format, data, data.index(b"PK\1\2") + place, value)
    path.write_bytes(data)
    with pytest.raises(ModelError, match=match):
        convert(path, tmp_path / "m.gguf")
    assert os.listdir(tmp_path) == ["x.whl"]


def test_truncated_archives(tmp_path: Path) -> None:
    whole = wheel(tmp_path / "x.whl").read_bytes()
    for size in (30, len(whole) // 2, len(whole) - 1):
        (tmp_path / "x.whl").write_bytes(whole[:size])
        with pytest.raises(ModelError, match="damaged or truncated: the zip file has no end"):
            convert(tmp_path / "x.whl", tmp_path / "m.gguf")


def test_damaged_data_of_a_member(tmp_path: Path) -> None:
    """Every byte of the compressed data counts: none is lost in silence."""
    path = wheel(tmp_path / "x.whl", {"a/g_1": checkpoint_bytes()})
    whole = path.read_bytes()
    for at in range(100, whole.index(b"PK\1\2"), 997):
        data = bytearray(whole)
        data[at] ^= 0x55
        path.write_bytes(data)
        with pytest.raises(ModelError):
            convert(path, tmp_path / "m.gguf", which="g_1")
    assert not (tmp_path / "m.gguf").exists()


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(wheel(tmp_path / "x.whl"))
    target = str(tmp_path / "m.gguf")
    assert main(["convert", path, "-o", target]) == 3
    assert "--which tells one: " in capsys.readouterr().err
    assert main(["convert", path, "-o", target, "--which", "second"]) == 0
    assert "hifigan, f32" in capsys.readouterr().out
    assert main(["info", path]) == 0
    text = capsys.readouterr().out
    assert "2 checkpoints" in text and TWO in text and "--which" in text
    assert main(["info", path, "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert (report["kind"], report["checkpoints"]) == ("checkpoints", [ONE, TWO])
    wheel(Path(path), {"a/g_1": checkpoint_bytes()})
    assert main(["info", path]) == 0
    assert "checkpoint, HiFi-GAN (jik876.torch)" in capsys.readouterr().out
