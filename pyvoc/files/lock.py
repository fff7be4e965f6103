"""One run in a folder at a time: a lock that ends with the process, however that ends."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyvoc.errors import Error
from pyvoc.files.atomic import sweep
from pyvoc.files.doubts import doubt
from pyvoc.files.outputs import create_folder

try:
    import fcntl
except ImportError:  # not on this system
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK", "locked"]

LOCK = "lock"
"""The file that a run holds while it goes on; it says who that is."""


@contextmanager
def locked(folder: Path, *, doing: str = "training", option: str = "--model-dir") -> Iterator[None]:
    """Hold a run's folder, so that no other run writes there.

    The folder is made where it is not there, and removed where nothing was put into it. What a run
    that was killed left half written is removed. Where files cannot be locked (some network file
    systems), that is remarked on and nothing is held.

    Parameters
    ----------
    folder
        Where the run writes.
    doing
        What such a run does, for the one that is refused: ``training``.
    option
        What names the folder on the command line.

    Raises
    ------
    Error
        A run that goes on holds it; or the operating system refused.
    """
    existed = folder.is_dir()
    create_folder(folder)
    try:
        handle = _lock(folder, doing, option)
        try:
            if handle is not None:  # nobody else writes here: what is unfinished was abandoned
                _sweep(folder)
            yield
        finally:
            if handle is not None:
                with contextlib.suppress(OSError):
                    (folder / LOCK).unlink()  # while it is held: see `_lock`
                os.close(handle)
    finally:
        if not existed:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _sweep(folder: Path) -> None:
    for place in (folder, *(found for found in folder.iterdir() if found.is_dir())):
        sweep(place, older=0.0)


def _lock(folder: Path, doing: str, option: str) -> int | None:
    """The lock file, open and held; None where there are no locks."""
    if fcntl is None:
        return None
    path = folder / LOCK
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise Error(f"cannot create '{path}': {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = path.stat().st_ino == os.fstat(handle).st_ino
        except BlockingIOError as error:
            holder = os.pread(handle, 256, 0).decode(errors="replace").strip() or "another process"
            os.close(handle)
            raise Error(
                f"'{folder}' is in use: {holder} is {doing} there; wait for it or end it, or "
                f"choose another {option}"
            ) from error
        except FileNotFoundError:
            held = False
        except OSError as error:
            os.close(handle)
            path.unlink(missing_ok=True)
            doubt(
                "no lock",
                f"'{folder}' cannot be locked ({error.strerror}): see to it that no other run "
                "writes there",
                grave=False,
            )
            return None
        if held:
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            text = f"process {os.getpid()} on {socket.gethostname()}, since {since},\n"
            with contextlib.suppress(OSError):  # it is held without words too
                os.truncate(handle, 0)
                os.write(handle, text.encode())
            return handle
        os.close(handle)  # the run that held it has removed the file meanwhile: make it anew
