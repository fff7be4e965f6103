"""Where outputs go: never over an input or each other, and into folders that are there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from pyvoc.errors import Error

__all__ = ["check_outputs", "check_place", "create_folder"]

Name = str | os.PathLike[str]


def check_outputs(outputs: Iterable[Name], *, inputs: Iterable[Name | None]) -> None:
    """Refuse outputs that would overwrite an input or each other, whatever name a file goes by.

    Links, hard ones too, and other spellings of a path are seen through. Devices, pipes and ``-``
    cannot be overwritten, nor can folders.

    Parameters
    ----------
    outputs
        Files that shall be written.
    inputs
        Files that are read; None is passed over.

    Raises
    ------
    Error
        One is both, or is written twice.
    """
    taken = {key: name for name in inputs if name is not None for key in _identities(name)}
    written: dict[str | tuple[int, int], Name] = {}
    for output in outputs:
        keys = _identities(output)
        found = next((taken[key] for key in keys if key in taken), None)
        if found is not None:
            same = "" if os.fspath(found) == os.fspath(output) else f" '{os.fspath(found)}'"
            raise Error(
                f"'{os.fspath(output)}' would overwrite the input{same}: give another output"
            )
        for path in keys[:1]:
            if path in written:
                raise Error(f"'{written[path]}' and '{os.fspath(output)}' are one output")
            written[path] = output


def check_place(output: Name) -> None:
    """Refuse before long work where no complete file could appear after it.

    Parameters
    ----------
    output
        A file that shall be written.

    Raises
    ------
    Error
        It is a folder, a device or a pipe, or would lie in a folder that is not there.
    """
    path = Path(output)
    if os.path.isdir(path):
        raise Error(f"'{os.fspath(output)}': cannot be written: it is a folder")
    if os.path.exists(path) and not os.path.isfile(path):
        raise Error(f"'{os.fspath(output)}': cannot be written: it is no ordinary file")
    if not os.path.isdir(path.parent):
        raise Error(f"'{os.fspath(output)}': cannot be written: its folder does not exist")


def _identities(name: Name) -> list[str | tuple[int, int]]:
    """What tells a file from others: its real path, and its number where there is one."""
    if os.fspath(name) == "-":
        return []
    if "\0" in os.fspath(name):
        raise Error(f"{os.fspath(name)!r} is no file: the name holds a null character")
    path = os.path.realpath(name)
    try:
        status = os.stat(path)
    except OSError:  # not there, or not to be looked at: whoever opens it says so
        return [path]
    return [path, (status.st_dev, status.st_ino)] if stat.S_ISREG(status.st_mode) else []


def create_folder(folder: Path) -> None:
    """Create a folder, and those above it, where they are not there.

    Raises
    ------
    Error
        The operating system refused.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Error(f"cannot create '{folder}': {error.strerror}") from error
