"""The SHA-256 of a file."""

from __future__ import annotations

import hashlib
import os

from pyvoc.errors import Error

__all__ = ["sha256"]


def sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of what a file holds, in hexadecimal digits.

    Raises
    ------
    Error
        The operating system refused the file.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise Error(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()
