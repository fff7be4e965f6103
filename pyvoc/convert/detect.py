"""Recognise a checkpoint by its content, never by its name."""

from __future__ import annotations

import os
from collections.abc import Callable

from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.dnnw import MAGIC
from pyvoc.convert.lpcnet_dnnw import read_lpcnet_dnnw
from pyvoc.convert.lpcnet_h5 import read_lpcnet_h5
from pyvoc.errors import Error, ModelError

Reader = Callable[[str | os.PathLike[str]], Checkpoint]
_HDF5 = b"\x89HDF\r\n\x1a\n"


def detect(path: str | os.PathLike[str]) -> Reader:
    """The reader for a checkpoint.

    Raises
    ------
    ModelError
        The content is of no known format.
    Error
        The operating system refused to read.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(8)
    except OSError as error:
        raise Error(f"{path}: cannot be read: {error.strerror}") from error
    if head == _HDF5:
        return read_lpcnet_h5
    if head.startswith(MAGIC):
        return read_lpcnet_dnnw
    if head.startswith(b"GGUF"):
        raise ModelError(f"{path}: is a model file already (GGUF), expected an upstream checkpoint")
    if not head:
        raise ModelError(f"{path}: the file is empty")
    raise ModelError(
        f"{path}: begins with {head!r}, expected a Keras HDF5 checkpoint or a DNNw weight blob"
    )
