"""FARGAN from upstream's weight blobs, which hold other networks of Opus beside it."""

from __future__ import annotations

import os

import numpy as np

from pyvoc.container.base import raise_problems
from pyvoc.container.tensors import AnyArray
from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.dnnw import TYPE_NAMES, read_blob
from pyvoc.errors import ModelError
from pyvoc.families.fargan.exported import read_arrays
from pyvoc.families.fargan.names import PREFIXES, wanted

_TYPES = {0: "<f4", 3: "i1"}


def holds(path: str | os.PathLike[str]) -> bool:
    """Whether a sound blob has arrays of FARGAN."""
    try:
        return any(name.startswith(PREFIXES) for name in read_blob(path))
    except ModelError:
        return False


def read_dnnw(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a weight blob that has FARGAN among its networks, and perhaps PitchDNN.

    Raises
    ------
    ModelError
        The file is damaged, or arrays are missing, unexpected, or of another type or size; one
        error lists all.
    Error
        The operating system refused to read.
    """
    arrays: dict[str, AnyArray] = {}
    problems = []
    for name, record in read_blob(path).items():
        if not wanted(name):
            continue
        dtype = _TYPES.get(record.kind)
        if dtype is None or len(record.data) % np.dtype(dtype).itemsize:
            problems.append(
                f"array '{name}' has {len(record.data)} bytes of type {TYPE_NAMES[record.kind]}, "
                "expected float or int8"
            )
            continue
        arrays[name] = np.frombuffer(record.data, dtype)
    if problems:
        raise_problems(str(path), problems)
    return read_arrays(arrays, source=str(path), format="dnnw")
