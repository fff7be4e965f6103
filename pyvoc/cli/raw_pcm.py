"""Samples without a header on the command line: ``--rate`` and ``--channels``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from pyvoc.cli.arguments import whole
from pyvoc.files.audio import RAW_RATE, RAW_SUFFIXES

__all__ = ["add_pcm", "check_pcm"]


def add_pcm(parser: argparse.ArgumentParser, *, also: str = "") -> None:
    """Add the two options; `also` is what else the rate is for."""
    parser.add_argument(
        "--rate",
        type=whole(1, 384000),
        metavar="HZ",
        help=f"of raw PCM (.s16, ... or a pipe without a header); default: {RAW_RATE}{also}",
    )
    parser.add_argument(
        "--channels", type=whole(1, 1024), metavar="N", help="of raw PCM, averaged; default: 1"
    )


def check_pcm(args: argparse.Namespace, names: Iterable[str], *, also: str = "") -> None:
    """A usage error where no input can be raw PCM; `also` is what else the rate goes with."""
    given = [flag for flag in ("rate", "channels") if getattr(args, flag) is not None]
    raw = any(name == "-" or Path(name).suffix.lower() in RAW_SUFFIXES for name in names)
    if given and not raw:
        args.parser.error(
            f"--{given[0]} is for raw PCM ({' '.join(sorted(RAW_SUFFIXES))}, or a pipe){also}: "
            "other files say their own"
        )
