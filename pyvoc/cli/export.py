"""``pyvoc export``: a model as an ONNX graph for other runtimes."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyvoc.export import Export

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "export",
        help="write a model as an ONNX graph",
        description="Write a MelGAN as an ONNX graph in float32 with dynamic length, check it and, "
        "where onnxruntime is installed, compare it with this runtime: mel [batch, bands, frames] "
        "-> audio [batch, 1, samples]. Needs the extra 'onnx'.",
        allow_abbrev=False,
    )
    parser.add_argument("model", metavar="MODEL.gguf", help="the model file")
    parser.add_argument("--onnx", metavar="OUT.onnx", required=True, help="the file to write")
    parser.add_argument(
        "--opset", type=int, metavar="N", help="version of ONNX's operators, from 13 (default 17)"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Export and print; raises what `pyvoc.export.export_onnx` raises."""
    from pyvoc.export import export_onnx
    from pyvoc.export.run import DEFAULT_OPSET

    opset = DEFAULT_OPSET if args.opset is None else args.opset
    result = export_onnx(args.model, args.onnx, opset=opset, overwrite=args.force)
    if args.json:
        json.dump(dataclasses.asdict(result), sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        print("\n".join(summary(result)))
    return 0


def summary(result: Export) -> list[str]:
    """The export in lines for people."""

    def shapes(named: Any) -> str:
        return ", ".join(f"{name} [{', '.join(map(str, s))}]" for name, s in named.items())

    compared = (
        result.note
        if result.max_error is None
        else f"onnxruntime's samples agree with this runtime's: max error {result.max_error:.1e}"
    )
    return [
        f"{result.source} ({result.architecture}, {result.precision}) -> {result.target}",
        f"opset {result.opset}, float32, {result.bytes / 1e6:.2f} MB: "
        f"{shapes(result.inputs)} -> {shapes(result.outputs)}",
        compared or "",
    ]
