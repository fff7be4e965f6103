"""``pyvoc evaluate``: how near synthesised speech is to the original, or how likely a model is."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "evaluate",
        help="compare speech with its original; likelihood of speech under a model",
        allow_abbrev=False,
    )
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--nll", metavar="MODEL")
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; raises :class:`pyvoc.Error`."""
    return _run_nll(args)


def _progress(done: int, total: int) -> None:
    print(f"\r{done}/{total} files", end="" if done < total else "\n", file=sys.stderr, flush=True)


def _run_nll(args: argparse.Namespace) -> int:
    from pyvoc.evaluate import nll
    from pyvoc.evaluate.files import expand
    from pyvoc.model import load

    shown = _progress if sys.stderr.isatty() else None
    report = nll.evaluate_nll(load(args.nll), expand(args.paths), progress=shown)
    print(json.dumps(report.to_json(), indent=2) if args.json else report.to_text())
    return 0
