"""Outputs appear complete or not at all, and a full disk is called so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import ROOT

import pyvoc
from pyvoc.container import read_container, write_container
from pyvoc.errors import Error
from pyvoc.families.lpcnet.spec import LPCNET
from pyvoc.files import features, mels
from pyvoc.files.atomic import atomic_open, atomic_path, sweep
from pyvoc.files.audio import write_wav
from pyvoc.files.pcm import open_output

FULL = Path("/dev/full")
MODEL = ROOT / "tests" / "golden" / "tree_sparse.int8.gguf"


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file that is written anew lies on a device that has no room."""
    if not FULL.exists():
        pytest.skip("no /dev/full")

    real = os.open

    def opened(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if ".tmp-" in str(path):
            os.symlink(FULL, path)
            flags = os.O_WRONLY
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", opened)


def write_model(path: Path) -> None:
    write_container(path, read_container(MODEL), spec=LPCNET)


def write_raw(path: Path) -> None:
    with open_output(path, 16000, raw=True) as write:
        write(np.zeros(100, np.float32))


def write_pieces(path: Path) -> None:
    with open_output(path, 16000, raw=False) as write:
        for _ in range(20):
            write(np.zeros(4000, np.float32))


MEL = np.full((2000, 80), -1.0, np.float32)
WRITERS: dict[str, Callable[[Path], None]] = {
    "m.gguf": write_model,
    "a.wav": lambda path: write_wav(path, np.zeros(100, np.float32), 16000),
    "pieces.wav": write_pieces,
    "a.s16": write_raw,
    "a.f32": lambda path: features.save(path, np.zeros((9, 20), np.float32)),
    "a.npy": lambda path: features.save(path, np.zeros((999, 20), np.float32)),
    "mel.npy": lambda path: mels.save(path, MEL),
    "mel.bin": lambda path: mels.save(path, MEL),
}


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_called_so_and_nothing_is_left(name: str, tmp_path: Path) -> None:
    target = tmp_path / name
    target.write_bytes(b"before")
    with pytest.raises(Error, match=rf"cannot write '.*{name}': No space left on device"):
        WRITERS[name](target)
    assert target.read_bytes() == b"before"
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", WRITERS)
def test_writers_write(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).stat().st_size > 100


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_a_device_without_room() -> None:
    with (
        pytest.raises(Error, match="cannot write '/dev/full': No space left on device"),
        atomic_open(FULL) as stream,
    ):
        stream.write(b"x")


def test_a_short_write_whose_cause_is_not_known_keeps_its_words(tmp_path: Path) -> None:
    with (
        pytest.raises(Error, match=r"cannot write '.*a': 5 requested and 3 written"),
        atomic_path(tmp_path / "a"),
    ):
        raise OSError("5 requested and 3 written")
    assert os.listdir(tmp_path) == []


def test_names_as_long_as_a_folder_takes(tmp_path: Path) -> None:
    name = "ü" * 125 + ".s16"  # 254 bytes
    with atomic_open(tmp_path / name) as stream:
        stream.write(b"x")
    assert os.listdir(tmp_path) == [name]
    with pytest.raises(Error, match="File name too long"), atomic_open(tmp_path / ("x" * 300)):
        pass
    assert os.listdir(tmp_path) == [name]


def test_an_exception_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.wav"
    target.write_bytes(b"before")
    with pytest.raises(pyvoc.AudioError), atomic_open(target) as stream:
        stream.write(b"half")
        raise pyvoc.AudioError("the input ends")
    assert target.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["a.wav"]


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "real").write_bytes(b"before")
    (tmp_path / "link").symlink_to("there/real")
    (tmp_path / "ahead").symlink_to("there/new")  # to nothing yet
    (tmp_path / "circle").symlink_to("circle")
    for name in ("link", "ahead"):
        with atomic_open(tmp_path / name) as stream:
            stream.write(name.encode())
        assert (tmp_path / name).is_symlink()
    assert (tmp_path / "there" / "real").read_bytes() == b"link"
    assert (tmp_path / "there" / "new").read_bytes() == b"ahead"
    with (
        pytest.raises(Error, match=r"cannot create '.*circle': Too many levels"),
        atomic_open(tmp_path / "circle"),
    ):
        pass
    assert sorted(os.listdir(tmp_path)) == ["ahead", "circle", "link", "there"]
    assert sorted(os.listdir(tmp_path / "there")) == ["new", "real"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_the_mode_is_kept(mode: int, tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"before")
    target.chmod(mode)
    with atomic_path(target) as temporary:
        assert temporary.stat().st_mode & 0o077 & ~mode == 0  # no more than it will have
        temporary.write_bytes(b"after")
    assert target.read_bytes() == b"after"
    assert target.stat().st_mode & 0o777 == mode


def test_what_is_no_ordinary_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Error, match="it is no ordinary file"), atomic_path(tmp_path / "pipe"):
        pass
    assert os.listdir(tmp_path) == ["pipe"]


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    """Only what has such a name, is old and is held by nobody."""
    pid = os.fork()
    if pid == 0:
        with atomic_path(tmp_path / "a.wav"):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    (left,) = os.listdir(tmp_path)
    others = ["a.tmp-pyvoc-0123", "a.tmp-0123456789ab", f"x{left}x", "a.tmp-pyvoc-0123456789aB"]
    for name in others:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    sweep(tmp_path)
    assert left in os.listdir(tmp_path)  # it is new
    os.utime(tmp_path / left, (0, 0))
    with atomic_path(tmp_path / "b.wav") as held:
        os.utime(held, (0, 0))
        sweep(tmp_path)
        assert held.exists()
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "b.wav"])


def test_writing_sweeps(tmp_path: Path) -> None:
    left = tmp_path / "a.wav.tmp-pyvoc-0123456789ab"
    left.touch()
    os.utime(left, (0, 0))
    with atomic_open(tmp_path / "a.wav") as stream:
        stream.write(b"x")
    assert os.listdir(tmp_path) == ["a.wav"]


def test_standard_output_as_a_file_is_written_to(tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as handle:
        code = "from pyvoc.files.atomic import atomic_open\n"
        code += "with atomic_open('/dev/stdout') as file: file.write(b'x')"
        subprocess.run([sys.executable, "-c", code], stdout=handle, check=True, cwd=ROOT)
        handle.seek(0, os.SEEK_END)
        handle.write(b"y")  # the shell's own handle is still that file's
    assert (tmp_path / "out").read_bytes() == b"xy"
    assert os.listdir(tmp_path) == ["out"]
