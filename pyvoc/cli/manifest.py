"""``pyvoc synth --manifest``: many thousand utterances, by one process per core."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING

from pyvoc.cli import BAD_INPUT, OK
from pyvoc.cli.arguments import whole
from pyvoc.cli.options import given

if TYPE_CHECKING:
    from pyvoc import bulk

__all__ = ["add_manifest", "run_manifest"]

_NOT_WITH_IT = ("draws", "from_bin", "lookahead", "threads")
_SHOWN = 10
"""Utterances left out that are said one by one; the report has all."""


def add_manifest(parser: argparse.ArgumentParser) -> None:
    """Add the options, which :func:`run_manifest` obeys."""
    group = parser.add_argument_group("of many utterances")
    group.add_argument(
        "--manifest",
        metavar="LIST.jsonl",
        help='in place of IN: a JSON object a line, {"input": "a.f32"} and, where they are not as '
        "the options say, output, voice, seed, speed, ...; -o is a folder, and what is done there "
        "already is not done again (docs/bulk.md)",
    )
    group.add_argument(
        "--workers",
        type=whole(1, 1024),
        metavar="N",
        help="processes that speak a manifest; default: one per core",
    )


def run_manifest(args: argparse.Namespace) -> int:
    """Speak a manifest; raises :class:`pyvoc.Error`."""
    parser = args.parser
    if args.inputs:
        parser.error("--manifest names the inputs: give no others")
    if args.output in (None, "-"):
        parser.error("--manifest needs the folder of the outputs: -o DIR")
    for name in _NOT_WITH_IT:
        if getattr(args, name) != parser.get_default(name):
            parser.error(f"--{name.replace('_', '-')} does not go with --manifest")
    defaults = {
        "voice": args.model,
        "layout": args.layout,
        "rate": args.rate,
        "channels": args.channels,
        "seed": args.seed,
        "denoise": args.denoise,
        "speed": args.speed,
        "format": args.format,
        **given(args, "synth"),
    }
    from pyvoc import bulk

    said = _Said()
    report = bulk.run(
        args.manifest,
        args.output,
        defaults=defaults,
        precision=args.precision,
        workers=args.workers,
        strict=args.strict,
        progress=said.progress,
        say=said.left_out,
    )
    said.close(report)
    if args.json:
        print(json.dumps(report.as_dict()))
    return BAD_INPUT if report.failed else OK


class _Said:
    """What is said on standard error: a line that counts, where that is a terminal; failures."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._shown = 0.0
        self._left_out = 0

    def progress(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._terminal and (now - self._shown > 0.2 or done == total):
            self._shown = now
            left = (now - self._started) * (total - done) / done if done else 0.0
            line = f"\r\x1b[K{done}/{total} utterances, about {left:.0f} s left"
            print(line, end="", file=sys.stderr, flush=True)

    def left_out(self, message: str) -> None:
        self._left_out += 1
        if self._left_out <= _SHOWN:
            self._clear()
            print(f"pyvoc: left out: {message}", file=sys.stderr)

    def close(self, report: bulk.Report) -> None:
        self._clear()
        for message in report.warnings[:_SHOWN]:
            print(f"pyvoc: warning: {message}", file=sys.stderr)
        before = f", {report.done_before} were there already" if report.done_before else ""
        print(
            f"{report.folder}: {report.done} utterances{before}, {report.audio_seconds:.1f} s of "
            f"audio in {report.wall_seconds:.1f} s, {report.times_real_time:.1f} x real time "
            f"({report.workers} workers)",
            file=sys.stderr,
        )
        if report.failed:
            print(
                f"pyvoc: {len(report.failed)} of {report.utterances} failed; "
                f"'{report.folder}' has report.json with the reasons",
                file=sys.stderr,
            )

    def _clear(self) -> None:
        if self._terminal and self._shown:
            print("\r\x1b[K", end="", file=sys.stderr)
