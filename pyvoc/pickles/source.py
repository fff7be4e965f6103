"""A file that is read in pieces, each checked against its size."""

from __future__ import annotations

import os
from typing import NoReturn

from pyvoc.errors import Error, ModelError
from pyvoc.files.whole import open_file


class Source:
    """Bytes of a file by offset.

    Parameters
    ----------
    path
        A regular file.

    Raises
    ------
    Error
        The operating system refused to read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = str(path)
        try:
            self._file = open_file(path)
            self.size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise Error(f"{path}: cannot be read: {error.strerror}") from error

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def fail(self, what: str) -> NoReturn:
        """Raise a `ModelError` that names the file."""
        raise ModelError(f"{self.name}: {what}")

    def read(self, offset: int, size: int, what: str) -> bytes:
        """Exactly `size` bytes at `offset`; `what` names them in the error."""
        if offset < 0 or size < 0 or size > self.size - offset:
            self.fail(f"truncated: {what} needs {size} bytes at {offset}, the file has {self.size}")
        try:
            self._file.seek(offset)
            data = self._file.read(size)
        except OSError as error:
            raise Error(f"{self.name}: cannot be read: {error.strerror}") from error
        if len(data) != size:
            self.fail(f"truncated: the file became shorter while {what} was read")
        return data
