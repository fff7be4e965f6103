"""``pyvoc devices``: the audio devices for ``pyvoc live``."""

from __future__ import annotations

import argparse
import json
from typing import Any

from pyvoc.live import devices

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "devices",
        help="list the audio devices for pyvoc live",
        description="List the audio devices that `pyvoc live --input` and `--output` take, by "
        "number or by words of the name; > is the default input, < the default output.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; raises :class:`pyvoc.Error`."""
    found = devices()
    if args.json:
        print(json.dumps([device.as_dict() for device in found], indent=2))
        return 0
    if not found:
        print("no audio devices")
    for d in found:
        mark = (">" if d.default_input else " ") + ("<" if d.default_output else " ")
        print(
            f"{mark} {d.index:>3}  {d.name} ({d.host}): {d.inputs} in, {d.outputs} out, "
            f"{d.rate} Hz, {d.input_latency_ms:g} + {d.output_latency_ms:g} ms"
        )
    return 0
