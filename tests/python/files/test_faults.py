"""Kills and failures at operations on files, a few of each kind; ``make soak`` does all of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lpcnet_files import ROOT

FAULTS = ROOT / "tests" / "faults"


def injected(tmp_path: Path, program: str, most: int, *names: str) -> dict[str, int]:
    """What a program of tests/faults reports."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    shim = tmp_path / "shim.so"
    build = [compiler, "-shared", "-fPIC", "-O1", str(FAULTS / "shim.c"), "-o", str(shim), "-ldl"]
    subprocess.run(build, check=True)
    done = subprocess.run(
        [
            *(sys.executable, str(FAULTS / program), str(shim), str(tmp_path / "out"), str(most)),
            *names,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "LD_PRELOAD": str(shim),
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return report


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a shim for Linux")
def test_what_is_written_is_whole_or_not_there(tmp_path: Path) -> None:
    report = injected(tmp_path, "inject.py", 40, "f32", "npy", "wav", "gguf")
    assert report["f32: operations"] >= 4  # opened, written, synchronised, renamed
    cases = {name: n for name, n in report.items() if not name.endswith("operations")}
    assert len(cases) == 5 and sum(cases.values()) >= 120


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a shim for Linux")
def test_a_folder_is_gone_on_with_whatever_ended_its_run(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    report = injected(tmp_path, "folders.py", 4, "train", "resume", "bulk")
    assert report["train: operations"] > 50 and report["bulk: operations"] > 8
    assert sum(n for name, n in report.items() if not name.endswith("operations")) == 12
