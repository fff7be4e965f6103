"""Doubtful input on the command line: ``--strict``, a line on standard error for each, a count."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from pyvoc.files.doubts import Doubt, collect

__all__ = ["add_strict", "told"]

_SHOWN = 10
"""Lines of one kind; what follows is counted."""


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Add ``--strict``, which :func:`told` obeys."""
    parser.add_argument(
        "--strict",
        action="store_true",
        help="take nothing doubtful: half a file, integers in a float file, channels that cancel, "
        "too low a rate, files that a folder's walk passed over are errors, not warnings",
    )


class _Teller:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._on = os.environ.get("RANK", "0") == "0"  # of several processes one speaks

    def say(self, doubt: Doubt) -> None:
        self.counts[doubt.kind] += doubt.grave
        if self._on and (not doubt.grave or self.counts[doubt.kind] <= _SHOWN):
            clear = "\r\x1b[K" if sys.stderr.isatty() else ""  # a line of progress may stand there
            sort = "warning" if doubt.grave else "note"
            print(f"{clear}pyvoc: {sort}: {doubt.message}", file=sys.stderr)

    def close(self) -> None:
        total = self.counts.total()
        if self._on and total > 1:
            kinds = ", ".join(f"{n} {kind}" for kind, n in self.counts.items() if n)
            print(f"pyvoc: {total} warnings: {kinds}", file=sys.stderr)


@contextmanager
def told(*, strict: bool) -> Iterator[None]:
    """Say what is doubtful as it comes up, and how much there was in the end."""
    teller = _Teller()
    try:
        with collect(strict=strict, say=teller.say):
            yield
    finally:
        teller.close()
