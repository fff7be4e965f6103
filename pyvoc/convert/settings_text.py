"""Numbers out of YAML-like settings, read line by line: no tags, no anchors, nothing executed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

MAX_TEXT = 1 << 16
_LINE = re.compile(r"\s*([A-Za-z_]\w{0,63})\s*:\s*([^\s#'\"]{1,64})\s*(?:#.*)?")


def scalars(text: str) -> dict[str, str]:
    """The ``name: value`` lines of a text, whatever they are nested in; the first of a name counts.

    Parameters
    ----------
    text
        YAML, one entry per line. Longer than 64 kB is cut off.
    """
    found: dict[str, str] = {}
    for line in text[:MAX_TEXT].splitlines():
        match = _LINE.fullmatch(line)
        if match:
            found.setdefault(match[1], match[2])
    return found


def number(settings: Mapping[str, str], name: str) -> float | None:
    """A setting as a finite number; None where it is absent or something else (``null``)."""
    try:
        value = float(settings.get(name, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def whole(settings: Mapping[str, str], name: str) -> int | None:
    """A setting as a whole number; None where it is absent or something else."""
    value = number(settings, name)
    return int(value) if value is not None and value == int(value) else None


def read_beside(path: Path) -> dict[str, str] | None:
    """`scalars` of a file; None where there is none that could be read."""
    try:
        with open(path, "rb") as file:
            return scalars(file.read(MAX_TEXT).decode("utf-8", "replace"))
    except OSError:
        return None
