"""FARGAN from Opus's sources, which carry its weights as C arrays (Opus 1.5 and later)."""

from __future__ import annotations

import os
import re

from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.csource import parse_arrays
from pyvoc.convert.sourcetree import Found, find
from pyvoc.errors import Error, ModelError
from pyvoc.families.fargan.exported import read_arrays
from pyvoc.families.fargan.names import wanted

INSIDE = "dnn/fargan_data.c"
PITCH = "pitchdnn_data.c"
"""Beside it: the network that tells the pitch in FARGAN's features."""
_MARK = re.compile(rb"\bconst\s+\w+\s+(?:cond|sig)_net_\w+\s*\[")


def holds(path: str | os.PathLike[str]) -> bool:
    """Whether it is an Opus source tree, an archive of one, or the file of it that has FARGAN."""
    try:
        found = find(path, INSIDE)
    except (Error, ModelError):
        return False
    return found is not None and _MARK.search(found.data) is not None


def read_sources(path: str | os.PathLike[str]) -> Checkpoint:
    """Read FARGAN's weights out of Opus's sources.

    Parameters
    ----------
    path
        The folder of a source tree, its ``.tar.gz`` or ``.tar.xz``, or ``dnn/fargan_data.c``. The
        network for the pitch is taken from ``pitchdnn_data.c`` beside it.

    Raises
    ------
    ModelError
        The file is none such or damaged, or arrays are missing, unexpected, or of another size;
        one error lists all.
    Error
        The operating system refused to read.
    """
    found = find(path, INSIDE)
    if found is None:
        raise ModelError(f"{path}: has no {INSIDE}, expected the sources of Opus 1.5 or later")
    arrays = parse_arrays(found.data, found.name, wanted=wanted)
    pitch = _pitch_beside(path, found)
    if pitch is not None:
        arrays |= parse_arrays(pitch.data, pitch.name, wanted=wanted)
    return read_arrays(arrays, source=found.name, format="opus-c", file=found.file)


def _pitch_beside(path: str | os.PathLike[str], found: Found) -> Found | None:
    if found.name != str(found.file):  # in an archive
        return find(path, f"dnn/{PITCH}")
    beside = found.file.with_name(PITCH)
    return find(beside, "") if beside.is_file() else None
