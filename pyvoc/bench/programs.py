"""Peers that are other programs, timed as processes on the same core.

A program's start and the loading of its weights are not its speed: each round runs it on a long and
on a short file and takes the difference.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.errors import Error

__all__ = ["differences"]

_SHARE = 5
"""The short file holds one part in five of what the long one holds beyond it."""
_TRIES = 3
_TIMEOUT_SECONDS = 600


@contextmanager
def differences(
    program: str | None, mode: str, rows: npt.NDArray[Any]
) -> Iterator[Callable[[], float] | None]:
    """A function that returns the seconds in which a program does its work on `rows`.

    Parameters
    ----------
    program
        Called with `mode`, a file of rows and the file to write. None: there is no such function.
    mode
        The program's first argument.
    rows
        In the type and the order of bytes that the program reads.
    """
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="pyvoc-bench-") as folder:
        short, long, out = (Path(folder) / name for name in ("short", "long", "out"))
        head = rows[: max(1, len(rows) // _SHARE)]
        head.tofile(short)
        np.concatenate([head, rows]).tofile(long)

        def measure() -> float:
            for _ in range(_TRIES):
                seconds = _run(program, mode, long, out) - _run(program, mode, short, out)
                if seconds > 0:
                    return seconds
            raise Error(f"'{program}' is over too soon to be timed; ask for more --seconds")

        yield measure


def _run(program: str, mode: str, source: Path, target: Path) -> float:
    start = time.perf_counter()
    try:
        subprocess.run(
            [program, mode, str(source), str(target)],
            check=True,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
        )
    except OSError as error:
        raise Error(f"cannot run '{program}': {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        raise Error(f"'{program} {mode}' failed with code {error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise Error(f"'{program} {mode}' ran for more than {_TIMEOUT_SECONDS} s") from error
    seconds = time.perf_counter() - start
    if not target.exists() or target.stat().st_size == 0:
        raise Error(f"'{program} {mode}' wrote nothing")
    target.unlink()
    return seconds
