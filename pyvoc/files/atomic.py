"""Output files that appear complete or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pyvoc.errors import Error

__all__ = ["atomic_open"]


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
        The operating system refused: no such directory, no permission, disk full.
    """
    target = Path(path)
    try:
        if target.is_dir():
            raise Error(f"cannot write '{target}': it is a directory")
        if target.exists() and not target.is_file():
            with open(target, "wb") as stream:
                yield stream
            return
        handle, name = tempfile.mkstemp(prefix=f"{target.name}.tmp-", dir=target.parent)
    except OSError as error:
        raise Error(f"cannot create '{target}': {error.strerror}") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    except OSError as error:
        raise Error(f"cannot write '{target}': {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
