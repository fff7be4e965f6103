"""``pyvoc convert``: an upstream checkpoint to a model file."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any

from pyvoc.convert.detect import ARCHITECTURES
from pyvoc.convert.run import Conversion, convert
from pyvoc.convert.waveglow_names import HALVES
from pyvoc.convert.wavernn import MODES
from pyvoc.quant.audio_report import AudioReport
from pyvoc.quant.logit_report import LogitReport
from pyvoc.specs.layout import PRECISIONS


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the sub-command's arguments."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "convert",
        help="convert an upstream checkpoint to a model file",
        description="Convert an upstream checkpoint to a GGUF model file, reload it and print what "
        "the precision costs. LPCNet: Keras .h5, DNNw weight blob. MelGAN, WaveGlow, WaveRNN: "
        "PyTorch .pt, .pyt, .safetensors, MindSpore .ckpt. Recognised by content.",
    )
    parser.add_argument("checkpoint", metavar="CKPT", help="the upstream checkpoint")
    parser.add_argument(
        "-o", "--output", metavar="MODEL.gguf", required=True, help="the model file to write"
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="f32", help="element types (default: f32)"
    )
    parser.add_argument(
        "--arch", choices=("auto", *ARCHITECTURES), default="auto", help="default: auto"
    )
    parser.add_argument(
        "--mel",
        metavar="MEL",
        help="measure on this mel spectrogram (.npy, .pt) instead of a synthetic one",
    )
    parser.add_argument(
        "--halves",
        choices=("auto", *HALVES),
        default="auto",
        help="WaveGlow: which half of the channels the flows read: the first, or one and the other "
        "in turns as in the generation of 2018 (default: what the file says)",
    )
    parser.add_argument(
        "--mode",
        choices=("auto", *MODES),
        default="auto",
        help="WaveRNN: what the outputs are: a mixture of logistics, mu-law labels, or labels on a "
        "linear scale (default: told from their number, labels being mu-law)",
    )
    parser.add_argument(
        "--sparsity",
        type=float,
        metavar="FRACTION",
        help="WaveRNN: make this fraction (0.9) of the sample loop's weights zero, the smallest in "
        "8 x 4 blocks; for a model that was trained for it, or to see what speed it would have "
        "(default: prune nothing; zeros that are there are made use of)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Convert and print; raises what `pyvoc.convert.convert` raises."""
    import pyvoc

    result = convert(
        args.checkpoint,
        args.output,
        precision=args.precision,
        arch=args.arch,
        load=pyvoc.load,
        mel=args.mel,
        options={
            name: value
            for name, value in (("halves", args.halves), ("mode", args.mode))
            if value != "auto"
        },
        sparsity=args.sparsity,
    )
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
        *(f"note: {note}" for note in result.notes),
    ]
    sparse = result.sparsity
    if sparse is not None and (sparse.zero_before or sparse.pruned):
        rows, columns = sparse.block
        line = f"{rows} x {columns} blocks of the sample loop: {sparse.zero_before:.1%} were zero"
        if sparse.snr_db is not None:
            line += f", {sparse.pruned:.1%} pruned (SNR of the weights {sparse.snr_db:.1f} dB)"
        lines.append(line)
    report = result.report
    if isinstance(report, AudioReport):
        snr = "exact" if report.snr_db is None else f"{report.snr_db:.1f} dB"
        lines.append(
            f"against float, {report.seconds:.2f} s of audio from a {report.probe} mel: SNR {snr}, "
            f"log-spectral distance {report.log_spectral_distance_db:.3f} dB"
        )
    elif isinstance(report, LogitReport):
        snr = "exact" if report.logit_snr_db is None else f"{report.logit_snr_db:.1f} dB"
        lines.append(
            f"against float, teacher-forced on {report.samples} samples of a {report.probe} mel: "
            f"KL {report.kl_mean:.2e} nats (worst {report.kl_max:.2e}), NLL {report.nll:.4f} nats "
            f"({report.nll - report.nll_exact:+.1e}), logit SNR {snr}"
        )
    elif report is not None:
        snr = "exact" if report.logit_snr_db is None else f"{report.logit_snr_db:.1f} dB"
        lines.append(
            f"against float, teacher-forced on {report.samples} probe samples: "
            f"KL {report.kl_mean:.2e} nats (worst {report.kl_max:.2e}), logit SNR {snr}"
        )
    return lines
