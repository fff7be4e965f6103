"""Timing of calls, alone and in turns with a peer."""

from __future__ import annotations

import time
from collections.abc import Callable


def timed(call: Callable[[], object]) -> float:
    """Wall seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def repeated(call: Callable[[], object], most: int, *, enough: float = 10.0) -> list[float]:
    """Wall seconds of each of `most` calls, or fewer (at least one) after `enough` seconds."""
    times: list[float] = []
    while len(times) < most and (not times or sum(times) < enough):
        times.append(timed(call))
    return times


def in_turns(
    ours: Callable[[], float], peer: Callable[[], float] | None, repeats: int
) -> tuple[list[float], list[float]]:
    """Seconds of ours and of the peer, in turns."""
    mine: list[float] = []
    theirs: list[float] = []
    for _ in range(repeats):
        mine.append(ours())
        if peer is not None:
            theirs.append(peer())
    return mine, theirs
