"""How finely values were stored: a network run in half precision leaves its mark on a mel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Resolution", "resolution_of"]


@dataclass(frozen=True)
class Resolution:
    """What rounding did to values.

    Attributes
    ----------
    name
        "" for single precision or finer.
    relative
        Largest rounding error of a value, as a part of it.
    """

    name: str
    relative: float


SINGLE = Resolution("", 2.0**-24)
HALF = Resolution("half precision", 2.0**-11)
BFLOAT16 = Resolution("bfloat16", 2.0**-9)


def resolution_of(values: npt.NDArray[Any]) -> Resolution:
    """The coarsest format that holds all of the values."""
    single = np.ascontiguousarray(values, dtype=np.float32)
    if not single.size:
        return SINGLE
    if not (single.view(np.uint32) & 0xFFFF).any():
        return BFLOAT16
    with np.errstate(over="ignore"):
        same = np.array_equal(single.astype(np.float16).astype(np.float32), single)
    return HALF if same else SINGLE
