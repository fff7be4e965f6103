"""``pyvoc dump-data``: LPCNet training and test data, as upstream's ``dump_data``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from pyvoc.cli.arguments import whole
from pyvoc.families.lpcnet.dump import DEFAULT_TRAIN_FRAMES, dump_test, dump_train

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "dump-data",
        help="make LPCNet training data from raw speech",
        description="Features (and with -train the sample stream) from raw 16-bit mono PCM at "
        "16 kHz, with upstream's command line and, for a seed, upstream's bytes.",
        allow_abbrev=False,
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument(
        "-train",
        "--train",
        nargs=3,
        metavar=("SPEECH", "FEATURES", "DATA"),
        help="augment, go round the input, write features and sample stream",
    )
    mode.add_argument(
        "-test",
        "--test",
        nargs=2,
        metavar=("SPEECH", "FEATURES"),
        help="go through the input once, write features (with dither)",
    )
    parser.add_argument("--layout", choices=["lpcnet36", "lpcnet55"], default="lpcnet36")
    parser.add_argument(
        "--seed", type=whole(0, 2**32 - 1), default=1, help="of the random draws (default 1)"
    )
    parser.add_argument(
        "--frames",
        type=whole(1, 2**48),
        default=DEFAULT_TRAIN_FRAMES,
        help="-train stops after at least N frames and one full pass "
        f"(default {DEFAULT_TRAIN_FRAMES}: 13.9 hours, 720 MB of features, 3.2 GB of data)",
        metavar="N",
    )
    parser.add_argument("--json", action="store_true", help="print a report as JSON")
    parser.set_defaults(run=run, parser=parser)


def _show(done: int, expected: int) -> None:
    print(f"\r{done}/{expected} frames", end="", file=sys.stderr, flush=True)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; raises :class:`pyvoc.Error`."""
    terminal = sys.stderr.isatty()
    progress = _show if terminal else None
    try:
        if args.train is not None:
            report = dump_train(
                *args.train,
                layout=args.layout,
                seed=args.seed,
                frames=args.frames,
                progress=progress,
            )
        else:
            report = dump_test(*args.test, layout=args.layout, seed=args.seed, progress=progress)
    finally:
        if terminal:
            print(file=sys.stderr)
    if args.json:
        fields = ("frames", "rows", "dims", "passes")
        print(json.dumps({field: getattr(report, field) for field in fields}))
    return 0
