"""``pyvoc check-mel``: could this mel be what a model reads, and if not, what is it?"""

from __future__ import annotations

import argparse
import json
from typing import Any

from pyvoc import voices
from pyvoc.container.mel import RECIPES
from pyvoc.files import mels
from pyvoc.files.outputs import check_outputs
from pyvoc.melcheck import Report, check_file
from pyvoc.melcheck.check import recipe_for

__all__ = ["add_parser", "run"]

FITS, DOES_NOT_FIT = 0, 1


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "check-mel",
        help="could this mel spectrogram be what a model reads?",
        description="Says whether a mel could be the one that a model reads and, if not, what "
        "it looks like instead, with the evidence.",
        epilog="Exit codes: 0 it could be (or was converted), 1 it is not, 3 bad input.",
    )
    parser.add_argument("input", metavar="MEL", help=".npy, or a torch tensor (.pt, .mel)")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("-m", "--model", metavar="MODEL", help="whose mel: a voice or a .gguf file")
    target.add_argument("--recipe", choices=list(RECIPES), help="a preset instead of a model")
    parser.add_argument(
        "--audio", metavar="WAV", help="the recording: compares, where the mel alone leaves a guess"
    )
    parser.add_argument("--fix", action="store_true", help="convert where that is exact")
    parser.add_argument("-o", "--output", metavar="OUT", help="where to: .npy or .f32")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; raises :class:`pyvoc.Error`."""
    if args.fix != (args.output is not None):
        args.parser.error("--fix and -o go together")
    model = None if args.model is None else voices.resolve(args.model)
    if args.output is not None:
        check_outputs([args.output], inputs=[args.input, args.audio, model])
    report = check_file(args.input, recipe_for(model, args.recipe), recording=args.audio)
    written = args.fix and report.fixed is not None
    if args.fix and report.fixed is not None:
        mels.save(args.output, report.fixed)
    if args.json:
        print(json.dumps({**report.as_dict(), "written": args.output if written else None}))
    else:
        print("\n".join(_lines(report)))
        if args.fix:
            print(f"  wrote {args.output}" if written else "  not converted: it would not be exact")
    return FITS if report.fits or written else DOES_NOT_FIT


def _lines(report: Report) -> list[str]:
    verdict = "could be" if report.fits else "is not"
    lines = [f"{report.path}: {verdict} a {report.recipe} mel"]
    for finding in report.findings:
        lines.append(f"  {finding.setting}: {finding.found}; expected {finding.expected}")
        lines.append(f"    {finding.evidence}")
    lines += [f"  note: {note}" for note in report.notes]
    if report.findings and report.fixable:
        lines.append("  can be converted without loss: --fix -o OUT.npy")
    return lines
