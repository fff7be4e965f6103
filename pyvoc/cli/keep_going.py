"""``--keep-going``: bad inputs are left out, said as they come up, and counted at the end."""

from __future__ import annotations

import argparse
import sys

from pyvoc.cli import BAD_INPUT, OK
from pyvoc.files.failures import Failures

__all__ = ["add_keep_going", "failures_of", "verdict"]


def add_keep_going(parser: argparse.ArgumentParser) -> None:
    """Add the option, which :func:`failures_of` obeys."""
    parser.add_argument(
        "--keep-going",
        action="store_true",
        help="leave out inputs that cannot be used and do the others; they are counted at the end, "
        f"and the exit code is {BAD_INPUT}",
    )


def failures_of(args: argparse.Namespace) -> Failures:
    """What fails, said at once."""
    return Failures(keep_going=args.keep_going, say=_say)


def verdict(failures: Failures, total: int) -> int:
    """Say how many of how many inputs failed; the exit code."""
    if not failures.found:
        return OK
    print(f"pyvoc: {len(failures.found)} of {total} failed", file=sys.stderr)
    return BAD_INPUT


def _say(message: str) -> None:
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""  # a line of progress may stand there
    print(f"{clear}pyvoc: left out: {message}", file=sys.stderr)
