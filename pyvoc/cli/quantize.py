"""``pyvoc quantize``: the int8 form of a model whose activations must be measured."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any

import pyvoc
from pyvoc import families, voices
from pyvoc.cli.arguments import counter, fraction
from pyvoc.cli.doubtful import add_strict
from pyvoc.errors import UnsupportedError
from pyvoc.files.doubts import messages
from pyvoc.files.listing import expand
from pyvoc.files.outputs import check_outputs
from pyvoc.quant.calibrate import (
    FLOAT_SHARE,
    GOAL_SNR_DB,
    MIN_SNR_DB,
    LayerReport,
    QuantizationReport,
    quantize,
)
from pyvoc.runtime.synthesis import load_utterances

__all__ = ["add_parser", "run"]

BAD_INPUT = 3


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    able = [family.title for family in families.everyone() if family.calibrated]
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "quantize",
        help="make a model int8 after listening to speech",
        usage="pyvoc quantize MODEL --calibrate PATH [PATH ...] -o OUT.gguf [--min-snr DB] "
        "[--float-share F] [--strict] [--json]",
        description=f"Round a convolutional model ({', '.join(able)}) to int8: a scale per "
        "output channel, activations in the ranges that they reach on the speech given. Prints "
        "what each layer and the audio lose, and what they would if that layer alone were int8, "
        "where that was measured. A minute or two of varied speech is enough. LPCNet "
        "needs none of this: pyvoc convert --precision int8.",
        epilog="example: pyvoc quantize melgan.gguf --calibrate wavs/ -o melgan.int8.gguf",
    )
    parser.add_argument(
        "model", metavar="MODEL", help="float32 or bfloat16: a .gguf file or a voice"
    )
    parser.add_argument(
        "--calibrate",
        nargs="+",
        required=True,
        metavar="PATH",
        help="audio files, folders (and all below), lists (.txt) or mels (.npy, .pt); with two or "
        "more, every fourth is held out to measure the error",
    )
    parser.add_argument("-o", "--output", required=True, metavar="OUT.gguf")
    parser.add_argument(
        "--min-snr",
        type=float,
        default=MIN_SNR_DB,
        metavar="DB",
        help="write nothing if the audio is further from the float model's (default: %(default)s)",
    )
    parser.add_argument(
        "--float-share",
        type=fraction,
        default=FLOAT_SHARE,
        metavar="F",
        help=f"where the audio would be below {GOAL_SNR_DB:g} dB, layers that cost most stay in "
        "floats, up to this share of the multiplications (default: %(default)s; 0: none)",
    )
    add_strict(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; raises :class:`pyvoc.Error`."""
    source = voices.resolve(args.model)
    model = pyvoc.load(source)
    if model.info.mel is None:
        raise UnsupportedError(
            f"'{args.model}': {model.info.architecture} has no activations to calibrate; "
            "pyvoc convert --precision int8 quantises it"
        )
    names = expand(args.calibrate)
    check_outputs([args.output], inputs=[source, *args.calibrate, *names])
    report = quantize(
        source,
        args.output,
        load_utterances(names, model),
        names=[f"'{name}'" for name in names],
        min_snr_db=args.min_snr,
        float_share=args.float_share,
        progress=counter("utterances"),
    )
    if args.json:
        print(json.dumps(dataclasses.asdict(report) | {"warnings": messages()}))
    else:
        print("\n".join(_lines(report)))
    if report.target is None:
        message = (
            f"pyvoc: '{args.output}' was not written: {report.snr_db:.1f} dB is below "
            f"{args.min_snr:g} dB; more varied speech may help, --min-snr decides"
        )
        print(message, file=sys.stderr)
        return BAD_INPUT
    return 0


def _lines(report: QuantizationReport) -> list[str]:
    heard = f"{report.utterances} utterances, {report.frames} frames"
    if report.held_out:
        tested = f"{report.held_out} held-out utterances"
    else:
        tested = "the same speech: give more to measure it on speech that was not heard"
    width = max(len(layer.name) for layer in report.layers)
    return [
        f"{report.source} -> {report.target or '(not written)'}: {report.bytes / 1e6:.2f} MB",
        f"calibrated on {heard}; error measured on {tested}",
        "",
        f"{'layer':<{width}}  {'input from':>10}  {'to':>8}  {'input dB':>8}  {'weights dB':>10}  "
        f"{'alone dB':>8}",
        *(
            f"{layer.name:<{width}}  {layer.low:10.3f}  {layer.high:8.3f}  "
            f"{layer.input_snr_db:8.1f}  {layer.weight_snr_db:10.1f}  {_alone(layer)}"
            for layer in report.layers
        ),
        "",
        *(
            [f"in floats: {floats} of the layers, {report.float_share:.1%} of the multiplications"]
            if (floats := sum(layer.stays_float for layer in report.layers))
            else []
        ),
        f"audio against float: SNR {report.snr_db:.1f} dB (worst utterance "
        f"{report.worst_snr_db:.1f} dB), log-spectral distance {report.lsd_db:.2f} dB",
    ]


def _alone(layer: LayerReport) -> str:
    measured = "-" if layer.alone_snr_db is None else f"{layer.alone_snr_db:.1f}"
    return f"{measured:>8}" + ("  stays float" if layer.stays_float else "")
