"""Arrays of numbers in C sources, as programs write weights: nothing is compiled, and what is no
``const TYPE NAME[N] = { numbers };`` is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from pyvoc.container.base import raise_problems
from pyvoc.container.tensors import AnyArray

_ARRAY = re.compile(
    rb"\bconst\s+(?P<type>[A-Za-z_]\w{0,39})\s+(?P<name>[A-Za-z_]\w{0,99})\s*"
    rb"\[\s*(?P<count>\d{1,9})\s*\]\s*=\s*\{(?P<body>[^{};]*)(?P<end>\}\s*;)?"
)
_COMMENT = re.compile(rb"/\*.*?\*/|//[^\n]*", re.DOTALL)
_TYPES = {b"float": "<f4", b"opus_int8": "i1", b"int8_t": "i1"}


def parse_arrays(text: bytes, source: str, *, wanted: Callable[[str], bool]) -> dict[str, AnyArray]:
    """The arrays of a C source.

    Parameters
    ----------
    text
        The whole file.
    source
        Its name, for errors.
    wanted
        Whether an array of that name is looked into.

    Returns
    -------
    dict
        Flat float32 and int8 arrays by name.

    Raises
    ------
    ModelError
        An array that is wanted is cut off, of another type or length than it says, or holds
        something else than numbers; one error lists all.
    """
    found: dict[str, AnyArray] = {}
    problems = []
    for match in _ARRAY.finditer(_COMMENT.sub(b" ", text)):
        name = match["name"].decode("ascii")
        if not wanted(name):
            continue
        problem: str | None
        if match["end"] is None:
            problem = "is cut off"
        elif match["type"] not in _TYPES:
            problem = f"is of type {match['type'].decode('ascii')}, expected float or opus_int8"
        elif name in found:
            problem = "occurs twice"
        else:
            values = _numbers(match["body"], _TYPES[match["type"]])
            if values is None:
                problem = f"does not hold {match['type'].decode('ascii')} numbers alone"
            elif len(values) != int(match["count"]):
                problem = f"has {len(values)} numbers, expected {int(match['count'])}"
            else:
                problem, found[name] = None, values
        if problem is not None:
            problems.append(f"array '{name}' {problem}")
    if problems:
        raise_problems(source, problems)
    return found


def _numbers(body: bytes, dtype: str) -> AnyArray | None:
    parts = body.strip().rstrip(b",").split(b",")
    try:
        if dtype == "i1":
            whole = np.array([int(part) for part in parts])
            return whole.astype(np.int8) if (np.abs(whole) <= 128).all() else None
        values: AnyArray = np.array([float(part.strip().rstrip(b"fF")) for part in parts])
        with np.errstate(over="ignore"):
            return values.astype("<f4")
    except (ValueError, OverflowError):
        return None
