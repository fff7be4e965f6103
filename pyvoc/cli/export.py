"""``pyvoc export``: a model as an ONNX graph for other runtimes, and clips' lengths for it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

from pyvoc import families, voices

if TYPE_CHECKING:
    from pyvoc.export import Export

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    able = [family.title for family in families.everyone() if family.exporter is not None]
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "export",
        help="write a model as an ONNX graph",
        usage="pyvoc export MODEL --onnx OUT.onnx [--z-inside] [--sigma S] [--opset N] "
        "[--force] [--json]\n"
        "       pyvoc export MODEL --dynamic-dims WAV [WAV ...] [--z-inside] [--json]",
        description=f"Write a {', '.join(able[:-1])} or {able[-1]} as an ONNX graph in float32 "
        "with dynamic length, check it and, where onnxruntime is installed, compare it with this "
        "runtime (needs the extra 'onnx'); or print the lengths of clips as Ascend's ATC takes "
        "them.",
        allow_abbrev=False,
    )
    parser.add_argument("model", metavar="MODEL", help="the model: a .gguf file or a voice")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--onnx", metavar="OUT.onnx", help="the file to write")
    what.add_argument(
        "--dynamic-dims",
        nargs="+",
        metavar="WAV",
        help="print the different numbers of frames of audio files (or of those in a directory, or "
        "a list, .txt) for ATC's --dynamic_dims",
    )
    parser.add_argument(
        "--z-inside",
        action="store_true",
        help="WaveGlow: the graph draws its noise itself; without it, noise is the input 'z'",
    )
    parser.add_argument(
        "--sigma",
        type=float,
        metavar="S",
        help="standard deviation of that noise, 0 to 4 (default: the model's)",
    )
    parser.add_argument(
        "--opset", type=int, metavar="N", help="version of ONNX's operators, from 13 (default 17)"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Export or look at clips, and print; raises what `pyvoc.export` raises."""
    if args.dynamic_dims is not None:
        if args.force or args.opset is not None or args.sigma is not None:
            args.parser.error("--opset, --sigma and --force are for --onnx")
        return _dynamic_dims(args)
    if args.sigma is not None and not args.z_inside:
        args.parser.error("--sigma goes with --z-inside: noise that is given has its sigma already")
    from pyvoc.export import export_onnx
    from pyvoc.export.run import DEFAULT_OPSET

    opset = DEFAULT_OPSET if args.opset is None else args.opset
    result = export_onnx(
        voices.resolve(args.model),
        args.onnx,
        opset=opset,
        z_inside=args.z_inside,
        sigma=args.sigma,
        overwrite=args.force,
    )
    _print(result, "\n".join(summary(result)), as_json=args.json)
    return 0


def _dynamic_dims(args: argparse.Namespace) -> int:
    """The dimensions on standard output, ready for a shell's $(...); commands on standard error."""
    from pyvoc.export import dynamic_dims
    from pyvoc.files.listing import expand

    result = dynamic_dims(args.model, expand(args.dynamic_dims), z_inside=args.z_inside)
    _print(result, result.dynamic_dims, as_json=args.json)
    if not args.json:
        print(f"{result.atc}\n{result.ais_infer}", file=sys.stderr)
    return 0


def _print(result: Any, text: str, *, as_json: bool) -> None:
    print(json.dumps(dataclasses.asdict(result), indent=2) if as_json else text)


def summary(result: Export) -> list[str]:
    """The export in lines for people."""

    def shapes(named: Any) -> str:
        return ", ".join(f"{name} [{', '.join(map(str, s))}]" for name, s in named.items())

    compared = (
        ""
        if result.max_error is None
        else f"onnxruntime's samples agree with this runtime's: max error {result.max_error:.1e}"
    )
    return [
        f"{result.source} ({result.architecture}, {result.precision}) -> {result.target}",
        f"opset {result.opset}, float32, {result.bytes / 1e6:.2f} MB: "
        f"{shapes(result.inputs)} -> {shapes(result.outputs)}",
        "; ".join(filter(None, (compared, result.note))),
    ]
