"""How a Python process of the package's own is started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["command", "environment"]

_ROOT = Path(__file__).resolve().parents[2]


def command(module: str) -> list[str]:
    """``python -m MODULE`` of the package that is running.

    A ``./pyvoc`` in the current folder (a checkout, which lacks the compiled module) does not come
    before it.
    """
    code = (
        "import runpy, sys\n"
        "sys.path[:] = [folder for folder in sys.path if folder]\n"
        f"runpy.run_module({module!r}, run_name='__main__')"
    )
    return [sys.executable, "-c", code]


def environment() -> dict[str, str]:
    """This process's, with which a child finds this pyvoc, however it was found here."""
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}
