"""Two runs do not share a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
fcntl = pytest.importorskip("fcntl")
from test_train_loop import config  # noqa: E402

from pyvoc import Error  # noqa: E402
from pyvoc.cli import main  # noqa: E402
from pyvoc.files.doubts import collect  # noqa: E402
from pyvoc.files.lock import LOCK, locked  # noqa: E402
from pyvoc.train import train  # noqa: E402


def test_a_folder_is_held_by_one(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with locked(folder):
        refusal = rf"in use: process {os.getpid()} on .*, since 2"
        with pytest.raises(Error, match=refusal), locked(folder):
            pass
        assert (folder / LOCK).exists()
    assert not folder.exists()  # nothing was put into it
    folder.mkdir()
    with locked(folder):
        pass
    assert os.listdir(folder) == []


def test_resume_removes_what_a_killed_run_was_writing(tmp_path: Path) -> None:
    """At once, however new: the folder is this run's alone; files of other names stay."""
    run = tmp_path / "run"
    train(config(run, epochs=1))
    left = [run / "checkpoint-000000001.pt.tmp-pyvoc-0123456789ab", run / "samples" / "a.wav"]
    left[1].parent.mkdir(exist_ok=True)
    left[1] = left[1].with_name("a.wav.tmp-pyvoc-0123456789ab")
    others = [run / "a.tmp-pyvoc-012", run / "notes.tmp"]
    for path in (*left, *others):
        path.write_bytes(b"x")
    train(config(run, epochs=2), resume="latest")
    assert not any(path.exists() for path in left) and all(path.exists() for path in others)


def test_what_a_dead_process_left_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("process 1 on elsewhere, since the beginning,\n" * 9)
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text().startswith(f"process {os.getpid()} on ")
        assert (tmp_path / LOCK).read_text().count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_a_lock_file_that_is_removed_meanwhile_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, turns = fcntl.flock, []

    def flock(handle: int, operation: int) -> None:
        real(handle, operation)
        turns.append(handle)
        if len(turns) == 1:  # the run before ends between opening and locking
            (tmp_path / LOCK).unlink()

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path):
        assert len(turns) == 2
        with pytest.raises(Error, match="is in use"), locked(tmp_path):
            pass


def test_where_files_cannot_be_locked_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(handle: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with collect(strict=True) as doubts, locked(tmp_path):
        assert os.listdir(tmp_path) == []
    assert "cannot be locked (No locks available)" in doubts.messages[0]


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    with pytest.raises(Error, match=r"cannot create '.*lock': Is a directory"), locked(tmp_path):
        pass


HOLDER = """
import sys, time
from pathlib import Path
from pyvoc.files.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_two_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    train(config(run, epochs=1))
    before = sorted((path.name, path.read_bytes()) for path in run.iterdir())
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        for arguments in (["--resume"], ["--resume=auto"], ["--resume", str(run / "best.pt")]):
            assert main(["train", "toy", "--model-dir", str(run), *arguments]) == 3
            assert f"'{run}' is in use: process {other.pid} on " in capfd.readouterr().err
        with pytest.raises(Error, match="is in use"):
            train(config(run))
        (run / LOCK).rename(tmp_path / LOCK)
        assert sorted((path.name, path.read_bytes()) for path in run.iterdir()) == before
        (tmp_path / LOCK).rename(run / LOCK)
    finally:
        other.kill()  # which nobody can clean up after
        other.communicate()
    assert str(other.pid) in (run / LOCK).read_text()
    assert train(config(run), resume="latest").step == 20
    assert not (run / LOCK).exists()


def test_outputs_of_a_run_that_would_overwrite_its_inputs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "run" / "toy.gguf"
    model.parent.mkdir()
    model.write_bytes(b"weights")
    with pytest.raises(Error, match="would overwrite the input"):
        train(config(tmp_path / "run", finetune=str(model)))
    settings = tmp_path / "run" / "config.yaml"
    settings.write_text("epochs: 1  # mine\n")
    arguments = ["train", "toy", "--model-dir", str(tmp_path / "run"), "--config", str(settings)]
    assert main(arguments) == 3
    assert "config.yaml' would overwrite the input" in capfd.readouterr().err
    assert settings.read_text().endswith("# mine\n") and model.read_bytes() == b"weights"
