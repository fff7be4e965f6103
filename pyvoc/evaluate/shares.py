"""Work on many files, divided among the processes that torchrun started."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from pyvoc.errors import Error
from pyvoc.files.doubts import collect, doubt
from pyvoc.files.failures import Failures

__all__ = ["in_shares"]

T = TypeVar("T")


def in_shares(
    paths: Sequence[str],
    work: Callable[[str], T],
    failures: Failures,
    progress: Callable[[int, int], None] | None = None,
) -> dict[int, T]:
    """What the work on each file gives, by its number; what failed is left out.

    Without torchrun this is a loop. With it, each process does every so manieth file and has in the
    end what all found: results, failures, doubts.

    Parameters
    ----------
    paths
        The files.
    work
        What is done with each.
    failures
        Takes what fails.
    progress
        Called with the files done and in all (of this process).

    Raises
    ------
    Error
        What `work` raised in any process, where nothing is left out.
    """

    def done(numbers: range) -> dict[int, T]:
        found: dict[int, T] = {}
        for count, i in enumerate(numbers):
            with failures.attempt(paths[i]):
                found[i] = work(paths[i])
            if progress is not None:
                progress(count + 1, len(numbers))
        return found

    if os.environ.get("WORLD_SIZE", "1") == "1":
        return done(range(len(paths)))
    import torch

    from pyvoc.train.distributed import Ranks

    mine: dict[int, T] = {}
    error: Error | None = None
    with Ranks(torch.device("cpu")) as ranks, collect() as doubts:
        try:
            mine = done(range(ranks.rank, len(paths), ranks.size))
        except Error as raised:  # the others wait to be told
            error = raised
        everyone = ranks.gather((mine, failures.found, doubts.found, error))
    failures.found[:] = [failure for _, failed, _, _ in everyone for failure in failed]
    for _, _, doubted, wrong in everyone:
        for one in doubted:
            doubt(one.kind, one.message, grave=one.grave)
        if wrong is not None:
            raise wrong
    found = {i: result for results, _, _, _ in everyone for i, result in results.items()}
    return dict(sorted(found.items()))
