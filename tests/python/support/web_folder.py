"""The web package with a WebAssembly module, and Node to run it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
NODE, EMCC = shutil.which("node"), shutil.which("emcc")
FAMILIES = "fargan,lpcnet"


@cache
def built() -> Path:
    """The folder that a server would show.

    ``PYVOC_WEB`` names one that `make web` made; otherwise it is made here, with the module of the
    families of the bundled voices.
    """
    if "PYVOC_WEB" in os.environ:
        return Path(os.environ["PYVOC_WEB"]).resolve()
    folder = ROOT / "build" / "web-test"
    command = [ROOT / "scripts" / "build_web.sh", folder, FAMILIES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def web() -> Path:
    """The same, or the test is skipped."""
    if EMCC is None and "PYVOC_WEB" not in os.environ:
        pytest.skip("needs emscripten")
    return built()


def node(script: str, *arguments: object, code: int = 0) -> Any:
    """What an ES module prints as JSON. `WEB` in it is the address of the web folder."""
    if NODE is None:
        pytest.skip("needs node")
    script = script.replace("WEB", web().as_uri())
    command = [NODE, "--input-type=module", "-e", script, "--", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)
