"""Recognise a checkpoint by its content, never by its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.dnnw import MAGIC
from pyvoc.convert.families import FAMILIES, find_loader, read_tensors
from pyvoc.convert.lpcnet_dnnw import read_lpcnet_dnnw
from pyvoc.convert.lpcnet_h5 import read_lpcnet_h5
from pyvoc.errors import Error, ModelError
from pyvoc.pickles import HEAD

Reader = Callable[[str | os.PathLike[str]], Checkpoint]
ARCHITECTURES = ("lpcnet", *(family.arch for family in FAMILIES))
MODES = tuple(dict.fromkeys(mode for family in FAMILIES for mode in family.modes))
_LPCNET: tuple[tuple[bytes, str, Reader], ...] = (
    (b"\x89HDF\r\n\x1a\n", "a Keras HDF5 checkpoint", read_lpcnet_h5),
    (MAGIC, "a DNNw weight blob", read_lpcnet_dnnw),
)


def detect(path: str | os.PathLike[str], arch: str = "auto", mode: str | None = None) -> Reader:
    """The reader for a checkpoint.

    Parameters
    ----------
    path
        The file.
    arch
        ``auto``, or the one of `ARCHITECTURES` that it must be.
    mode
        None, or the one of `MODES` that it must be.

    Raises
    ------
    ModelError
        The content is of no known format, or of none that `arch` comes in.
    Error
        The operating system refused to read.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise Error(f"{path}: cannot be read: {error.strerror}") from error
    for magic, what, reader in _LPCNET:
        if head.startswith(magic):
            if arch not in ("auto", "lpcnet"):
                raise ModelError(f"{path}: is {what} of LPCNet, expected a {arch} checkpoint")
            if mode is not None:
                raise ModelError(f"{path}: is {what} of LPCNet, which has no mode '{mode}'")
            return reader
    if head.startswith(b"GGUF"):
        raise ModelError(f"{path}: is a model file already (GGUF), expected an upstream checkpoint")
    if not head:
        raise ModelError(f"{path}: the file is empty")
    found = find_loader(head, size)
    if found is None:
        raise ModelError(
            f"{path}: begins with {head[:8]!r}, expected a Keras HDF5 checkpoint, a DNNw weight "
            "blob, or a checkpoint of PyTorch, safetensors or MindSpore"
        )
    container, load = found
    if arch == "lpcnet":
        raise ModelError(
            f"{path}: is a {container} file, expected a Keras HDF5 checkpoint or a DNNw weight blob"
        )
    return partial(read_tensors, container=container, load=load, arch=arch, mode=mode)
