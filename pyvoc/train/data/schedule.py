"""Which part of which segment a row trains on at a step: pure functions of seed, step and row.

A segment is `chunks` chunks that follow one another, through which the recurrent state is carried.
Rows are staggered: row r is r chunks ahead, so that at every step about one row in `chunks` starts
a new segment. At step 0 rows start in the middle of a segment, with `reset` set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyvoc.errors import Error

__all__ = ["Place", "check_rows", "generator", "place", "row_seeds"]

_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Place:
    """Segment number of the row, chunk within it, and whether the state starts from zero."""

    segment: int
    chunk: int
    reset: bool


def place(step: int, row: int, chunks: int) -> Place:
    """Where `row` is at `step`."""
    segment, chunk = divmod(step + row % chunks, chunks)
    return Place(segment, chunk, chunk == 0 or step == 0)


def check_rows(step: int, rows: range, total: int) -> None:
    """Refuse what is outside the global batch.

    Raises
    ------
    Error
        A negative step, no rows, or rows outside 0..total - 1.
    """
    if step < 0:
        raise Error(f"step {step} is negative")
    if not rows or min(rows) < 0 or max(rows) >= total:
        raise Error(f"rows {rows} are not in the batch of {total}")


def generator(seed: int, purpose: int, *where: int) -> np.random.Generator:
    """Independent draws for a purpose and up to two numbers below 2**64."""
    a, b = (*where, 0, 0)[:2]
    return np.random.Generator(np.random.Philox(key=[seed & _MASK, purpose], counter=[0, 0, a, b]))


def row_seeds(seed: int, step: int, rows: range) -> npt.NDArray[np.int64]:
    """Seeds int64 [rows], not negative: SplitMix64's finaliser over seed, step and row."""
    out = np.empty(len(rows), np.int64)
    for i, row in enumerate(rows):
        x = seed & _MASK
        for word in (step, row):
            x = (x + 0x9E3779B97F4A7C15 * (word + 1)) & _MASK
            x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
            x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
            x ^= x >> 31
        out[i] = x >> 1
    return out
