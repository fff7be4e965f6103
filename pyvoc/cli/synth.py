"""``pyvoc synth``: features to speech; audio files through their features."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyvoc
from pyvoc import families
from pyvoc.cli.arguments import whole
from pyvoc.cli.doubtful import add_strict
from pyvoc.cli.keep_going import add_keep_going, failures_of, verdict
from pyvoc.cli.manifest import add_manifest, run_manifest
from pyvoc.cli.options import add_options, given
from pyvoc.cli.raw_pcm import add_pcm, check_pcm
from pyvoc.errors import Error
from pyvoc.files.audio import RAW_SUFFIXES
from pyvoc.files.layouts import LAYOUTS
from pyvoc.files.outputs import check_outputs
from pyvoc.runtime import synthesis
from pyvoc.runtime.inputs import MOST_LOOKAHEAD
from pyvoc.runtime.lookahead import LookaheadReport
from pyvoc.runtime.speed import FASTEST, SLOWEST, as_speed
from pyvoc.voices import DEFAULT, resolve
from pyvoc.voices.choice import choose

__all__ = ["add_parser", "run"]

_OF_THE_NETWORK = (
    "seed",
    "layout",
    "channels",
    "precision",
    "threads",
    "draws",
    "denoise",
    "speed",
    "lookahead",
)
"""Options that nothing comes of where samples are there already."""


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "synth",
        help="speech from features, or a copy of speech through its features",
        description="Synthesise speech from feature files, or from audio files by way of their "
        "features (copy synthesis). Several inputs run in lockstep.",
        epilog="examples: pyvoc synth speech.wav -o out.wav; pyvoc synth *.f32 -o out/; "
        "pyvoc synth --manifest list.jsonl -o out/ (many thousand, resumable)",
    )
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="IN",
        help="features (.f32, .npy), audio (.wav, .flac, raw .s16, ...), or - for standard input: "
        "raw float32 frames, synthesised as they arrive; audio with a header; or, with --rate or "
        "--channels, raw 16-bit PCM",
    )
    parser.add_argument(
        "-m",
        "--model",
        metavar="MODEL",
        help="a voice (`pyvoc voices` lists them) or a .gguf file; default: the best bundled one "
        f"that reads the input, for audio and pipes {DEFAULT}",
    )
    parser.add_argument(
        "-o",
        "--output",
        "--out",
        metavar="OUT",
        help=".wav, raw 16-bit PCM (.s16, .raw, .pcm, .sw), - for standard output (raw PCM; "
        "--format wav: with a header), or a directory (ends in / or exists). Default: the input's "
        "name with .wav in the current directory; standard output when the input is standard input",
    )
    parser.add_argument("--seed", type=whole(0, 2**64 - 1), default=0, metavar="N")
    parser.add_argument(
        "--layout", choices=list(LAYOUTS), help="of the features; default: recognised"
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "f32", "bf16", "int8"),
        default="auto",
        help="insist on what the model file holds (pyvoc convert chooses it)",
    )
    parser.add_argument(
        "--threads",
        type=whole(1, 64),
        default=1,
        metavar="N",
        help="for several inputs, and for one with a model that can share it",
    )
    parser.add_argument("--format", choices=("wav", "s16"), help="default: by the output's suffix")
    parser.add_argument("--raw", action="store_const", const="s16", dest="format", help="raw PCM")
    parser.add_argument(
        "--draws",
        metavar="FILE.f32",
        help="raw float32 in place of the seeded generator: " + _draws(),
    )
    parser.add_argument(
        "--denoise",
        type=_strength,
        default=0.0,
        metavar="STRENGTH",
        help="take the model's own hum out: the part of it that is subtracted, 0..1 (where "
        "upstreams do it: 0.1); default: 0, not at all",
    )
    parser.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="FACTOR",
        help=f"how much faster to speak, at the same pitch: {SLOWEST:g}..{FASTEST:g} (1.25: a "
        "quarter faster); default: 1, as the features say",
    )
    parser.add_argument(
        "--lookahead",
        type=whole(0, MOST_LOOKAHEAD),
        metavar="N",
        help="frames in place of the model's own: fewer, where the model can, give samples "
        "earlier, and approximate; files are streamed 8 frames at a time, and the error is "
        "measured",
    )
    parser.add_argument(
        "--from-bin",
        action="store_true",
        help="the inputs are samples that another runtime computed from `pyvoc export`'s graph, "
        "raw float32: check and write them, at the rate of the model (-m) or --rate",
    )
    add_pcm(parser, also=". With --from-bin: of the samples")
    add_strict(parser)
    add_keep_going(parser)
    parser.add_argument("--json", action="store_true", help="print a report as JSON")
    add_manifest(parser)
    add_options(parser, "synth")


def _draws() -> str:
    """What draws are, family by family."""
    kinds: dict[str, list[str]] = {}
    for family in families.everyone():
        if family.draws:
            kinds.setdefault(family.draws, []).append(family.title)
    return "; ".join(f"{', '.join(titles)}: {draws}" for draws, titles in kinds.items())


def _strength(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:  # NaN too
        raise argparse.ArgumentTypeError(f"'{text}' is no strength in 0..1")
    return number


def _speed(text: str) -> float:
    try:
        return as_speed(float(text))
    except (ValueError, Error):
        range_ = f"{SLOWEST:g}..{FASTEST:g}"
        raise argparse.ArgumentTypeError(f"'{text}' is no speed in {range_}") from None


class _Progress:
    """A line on standard error, where that is a terminal."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._shown = 0.0
        self._on = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._on and (now - self._shown > 0.1 or done == total):
            self._shown = now
            line = f"\r{done / self._rate:.1f} of {total / self._rate:.1f} s"
            print(line, end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the line, whether or not the work was done."""
        if self._shown:
            print(file=sys.stderr)


def _format(args: argparse.Namespace, output: str | None) -> bool:
    """Whether the output is raw PCM; a usage error where that cannot be told."""
    if output == "-" and args.format is None:
        return True
    if args.format is not None:
        return bool(args.format == "s16")
    suffix = Path(output).suffix.lower() if output is not None else ".wav"
    if suffix != ".wav" and suffix not in RAW_SUFFIXES:
        args.parser.error(f"'{output}': which format is '{suffix}'? Say --format wav or s16")
    return suffix != ".wav"


def _is_folder(output: str | None) -> bool:
    return output is not None and (output.endswith(("/", os.sep)) or Path(output).is_dir())


def _targets(args: argparse.Namespace) -> tuple[list[str], bool]:
    """The output of each input, and whether they are raw PCM."""
    output, inputs = args.output, args.inputs
    into_folder = _is_folder(output)
    if "-" in inputs and (len(inputs) > 1 or into_folder):
        args.parser.error("standard input goes alone, and to one output")
    if len(inputs) > 1 and output is not None and not into_folder:
        args.parser.error(f"{len(inputs)} inputs need a directory: -o '{output}/'")
    if into_folder or output is None:
        if inputs == ["-"]:
            return ["-"], _format(args, "-")
        raw = _format(args, None)
        folder = Path(output or ".")
        suffix = ".s16" if raw else ".wav"
        targets = [str(folder / f"{Path(name).stem}{suffix}") for name in inputs]
        for i, target in enumerate(targets):
            if target in targets[:i]:
                first = inputs[targets.index(target)]
                args.parser.error(f"'{first}' and '{inputs[i]}' would both become '{target}'")
        return targets, raw
    return [output], _format(args, output)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; raises :class:`pyvoc.Error`."""
    if args.manifest is not None:
        return run_manifest(args)
    if args.workers is not None:
        args.parser.error("--workers goes with --manifest")
    if not args.inputs:
        args.parser.error("give inputs, or --manifest LIST.jsonl")
    targets, raw = _targets(args)
    if not args.from_bin:
        check_pcm(args, args.inputs, also=" or with --from-bin")
    if args.draws is not None and len(args.inputs) > 1:
        args.parser.error("--draws goes with one input")
    options = given(args, "synth")
    whole = {o.flag: o.name for _, o in families.options_for("synth") if not o.streams}
    if any(name in options for name in whole.values()):
        if args.lookahead is not None:
            args.parser.error(f"--lookahead streams, {' and '.join(whole)} do not")
        if args.inputs == ["-"]:
            args.parser.error(f"{' and '.join(whole)} need the whole utterance: give a file")
    to_stdout = targets == ["-"]
    if to_stdout and args.json:
        args.parser.error("--json and -o - both want standard output")
    if to_stdout and sys.stdout.isatty():
        args.parser.error("standard output is a terminal: give -o, or a pipe")
    if args.from_bin:
        return _from_bin(args, targets, raw=raw)
    check_outputs(targets, inputs=[args.draws])
    failures = failures_of(args)
    voice = choose(args.inputs, layout=args.layout) if args.model is None else args.model
    model = pyvoc.load(voice, precision=args.precision, threads=args.threads)
    draws = None if args.draws is None else synthesis.load_draws(args.draws)
    if args.inputs == ["-"]:
        report = synthesis.from_stream(
            model,
            sys.stdin.buffer,
            targets[0],
            layout=args.layout,
            pcm_rate=args.rate,
            pcm_channels=args.channels,
            raw=raw,
            seed=args.seed,
            draws=draws,
            options=options,
            denoise=args.denoise,
            speed=args.speed,
            lookahead=args.lookahead,
        )
    else:
        progress = _Progress(model.info.sample_rate)
        try:
            report = synthesis.from_files(
                model,
                args.inputs,
                targets,
                layout=args.layout,
                pcm_rate=args.rate,
                pcm_channels=args.channels,
                raw=raw,
                seed=args.seed,
                draws=draws,
                options=options,
                denoise=args.denoise,
                speed=args.speed,
                lookahead=args.lookahead,
                make_folder=_is_folder(args.output),
                failures=failures,
                progress=progress,
            )
        finally:
            progress.close()
    _print(report, as_json=args.json)
    return verdict(failures, len(args.inputs))


def _from_bin(args: argparse.Namespace, targets: list[str], *, raw: bool) -> int:
    """Check what another runtime computed, and write it."""
    useless = [
        f"--{name}"
        for name in _OF_THE_NETWORK
        if getattr(args, name) != args.parser.get_default(name)
    ]
    useless += [f"--{name.replace('_', '-')}" for name in given(args, "synth")]
    if useless:
        args.parser.error(f"--from-bin has its samples already: {useless[0]} does nothing")
    if (args.model is None) == (args.rate is None):
        args.parser.error("--from-bin needs -m MODEL or --rate HZ, one of them")
    if args.inputs == ["-"]:
        args.parser.error("--from-bin reads files")
    from pyvoc.export.samples import write_samples

    failures = failures_of(args)
    report = write_samples(
        args.inputs,
        targets,
        model=None if args.model is None else resolve(args.model),
        rate=args.rate,
        raw=raw,
        make_folder=_is_folder(args.output),
        failures=failures,
    )
    if args.json:
        print(json.dumps(asdict(report)))
    else:
        what = _where(report.outputs)
        print(f"{what}: {report.audio_seconds:.2f} s at {report.sample_rate} Hz", file=sys.stderr)
    return verdict(failures, len(args.inputs))


def _print(report: synthesis.Report, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report.as_dict()))
        return
    print(
        f"{_where(report.outputs)}: {report.frames} frames, {report.audio_seconds:.2f} s of audio "
        f"in {report.synthesis_seconds:.2f} s, {report.times_real_time:.1f} x real time "
        f"({report.precision}, {report.tier}, latency {report.latency_ms:.0f} ms)",
        file=sys.stderr,
    )
    if report.lookahead is not None:
        print(_measured(report.lookahead), file=sys.stderr)


def _where(outputs: Sequence[str]) -> str:
    return ", ".join(outputs) if 0 < len(outputs) < 4 else f"{len(outputs)} files"


def _measured(found: LookaheadReport) -> str:
    pushes = "as frames came" if found.push_frames is None else f"{found.push_frames} at a time"
    error = (
        "the exact samples"
        if found.max_error == 0
        else f"against the exact samples SNR {_decibels(found.snr_db)}, largest difference "
        f"{found.max_error:.2g} of full scale"
    )
    plural = "" if found.frames == 1 else "s"
    return f"look-ahead {found.frames} frame{plural}, pushed {pushes}: {error}"


def _decibels(snr_db: float | None) -> str:
    return "unknown (silence)" if snr_db is None else f"{snr_db:.1f} dB"
