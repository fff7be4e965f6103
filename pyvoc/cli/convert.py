"""``pyvoc convert``: an upstream checkpoint to a model file."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from typing import Any

from pyvoc import families, voices
from pyvoc.cli.arguments import whole
from pyvoc.cli.options import add_options, given
from pyvoc.container.layout import PRECISIONS
from pyvoc.container.mel import MAX_RATE, RECIPES
from pyvoc.convert.run import Conversion, convert


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the sub-command's arguments."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "convert",
        help="convert an upstream checkpoint to a model file",
        description="Convert an upstream checkpoint to a GGUF model file, reload it and print what "
        "the precision costs. Recognised by content: "
        + "; ".join(f"{f.title}: {f.checkpoints}" for f in families.everyone())
        + ".",
    )
    parser.add_argument(
        "checkpoint",
        metavar="CKPT",
        help="the upstream checkpoint, or a wheel, another zip archive or a folder that holds it; "
        "or, by itself, a model file or the name of a voice, to have it at another precision",
    )
    parser.add_argument(
        "-o", "--output", metavar="MODEL.gguf", required=True, help="the model file to write"
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="f32", help="element types (default: f32)"
    )
    parser.add_argument(
        "--arch", choices=("auto", *families.names()), default="auto", help="default: auto"
    )
    parser.add_argument(
        "--rate",
        type=whole(1000, MAX_RATE),
        metavar="HZ",
        help="sample rate of a model that reads mels (default: what the checkpoint or a settings "
        "file beside it says, else its upstream's usual one, and it says so)",
    )
    parser.add_argument(
        "--recipe",
        metavar="NAME|FILE",
        help=f"what the mels are: {', '.join(RECIPES)}, or a file of settings such as upstream's "
        "config.yaml (default: as for --rate)",
    )
    parser.add_argument(
        "--weights",
        metavar="plain|ema|NAME",
        help="where the checkpoint also holds weights averaged over training, which to take "
        "(default: plain)",
    )
    parser.add_argument(
        "--which",
        metavar="NAME",
        help="of several checkpoints in a wheel or a folder: its name, or a part that no other has",
    )
    parser.add_argument(
        "--mel",
        metavar="MEL",
        help="measure on this mel spectrogram (.npy, .pt) instead of a synthetic one",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    add_options(parser, "convert")
    return parser


def run(args: argparse.Namespace) -> int:
    """Convert and print; raises what `pyvoc.convert.convert` raises."""
    import pyvoc

    result = convert(
        args.checkpoint if os.path.exists(args.checkpoint) else voices.resolve(args.checkpoint),
        args.output,
        precision=args.precision,
        arch=args.arch,
        load=pyvoc.load,
        mel=args.mel,
        rate=args.rate,
        recipe=args.recipe,
        weights=args.weights,
        which=args.which,
        **given(args, "convert"),
    )
    for note in result.notes:
        print(f"pyvoc: note: {note}", file=sys.stderr)
    if args.json:
        json.dump(dataclasses.asdict(result), sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        print("\n".join(summary(result)))
    return 0


def summary(result: Conversion) -> list[str]:
    """The conversion in lines for people."""
    lines = [
        f"{result.source} ({result.format}) -> {result.target}",
        f"{result.architecture}, {result.precision}, {result.bytes / 1e6:.2f} MB",
        f"{result.sample_rate} Hz" + (f" (from {result.rate_from})" if result.rate_from else ""),
    ]
    sparse = result.sparsity
    if sparse is not None and (sparse.zero_before or sparse.pruned):
        rows, columns = sparse.block
        line = f"{rows} x {columns} blocks of the sample loop: {sparse.zero_before:.1%} were zero"
        if sparse.snr_db is not None:
            line += f", {sparse.pruned:.1%} pruned (SNR of the weights {sparse.snr_db:.1f} dB)"
        lines.append(line)
    if result.report is not None:
        lines.append(result.report.line())
    return lines
