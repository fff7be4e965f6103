"""Output files that appear complete or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pyvoc.errors import Error

__all__ = ["atomic_open", "atomic_path"]

_NAME = 40  # characters of the target's name that a temporary file's name has: 255 bytes at most
_PROBE = bytes(1 << 20)


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file beside ``path`` to write, which takes its name when the block ends well.

    The bytes are on the disk before the name is. On an exception the file is removed, and what was
    there before stays as it was.

    Parameters
    ----------
    path
        Target, an ordinary file.

    Yields
    ------
    Path
        An empty file in the same folder.

    Raises
    ------
    Error
        The operating system refused: no such directory, no permission, no space left.
    """
    target = Path(path)
    try:
        is_folder = target.is_dir()
    except OSError as error:
        raise Error(f"cannot create '{target}': {error.strerror}") from error
    if is_folder:
        raise Error(f"cannot write '{target}': it is a directory")
    temporary = target.parent / f"{target.name[:_NAME]}.tmp-{os.urandom(6).hex()}"
    try:
        _create(temporary, target)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise Error(f"cannot write '{target}': {_reason(error, temporary)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_open(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open ``path`` for writing; it is replaced when the block ends without an exception.

    Parameters
    ----------
    path
        Target. A device or pipe (``/dev/stdout``) is written directly.

    Raises
    ------
    Error
        As :func:`atomic_path`.
    """
    target = Path(path)
    try:
        direct = target.exists() and not target.is_file() and not target.is_dir()
    except OSError as error:
        raise Error(f"cannot create '{target}': {error.strerror}") from error
    if not direct:
        with atomic_path(target) as temporary, open(temporary, "wb") as stream:
            yield stream
        return
    try:
        with open(target, "wb") as stream:
            yield stream
    except OSError as error:
        raise Error(f"cannot write '{target}': {_reason(error, target)}") from error


def _create(temporary: Path, target: Path) -> None:
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except OSError as error:
        raise Error(f"cannot create '{target}': {error.strerror}") from error


def _reason(error: OSError, path: Path) -> str:
    """Why a file could not be written, in the operating system's words.

    numpy writes arrays through C and says of a short write only that it was short: the system is
    asked again.
    """
    if error.errno is None:
        try:
            with open(path, "ab") as file:
                file.write(_PROBE)
                file.flush()
                os.fsync(file.fileno())
        except OSError as again:
            error = again
    return error.strerror or str(error)


def _sync_folder(folder: Path) -> None:
    """Make the new name durable where folders can be synchronised."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
