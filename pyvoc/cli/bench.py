"""``pyvoc bench``: speed, latency and memory on this machine, beside a peer."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from pyvoc import families
from pyvoc.bench.runner import targets
from pyvoc.cli.arguments import whole
from pyvoc.container.layout import PRECISIONS
from pyvoc.container.mel import LAYOUT
from pyvoc.container.reader import read_metadata
from pyvoc.errors import Error
from pyvoc.files.atomic import atomic_open
from pyvoc.files.mels import layout_in
from pyvoc.files.outputs import check_outputs
from pyvoc.voices import DEFAULT, bundled, resolve
from pyvoc.voices.shelf import describe

__all__ = ["add_parser", "run"]

_DEFAULT = ("lpcnet", "features")
"""Where no model says what it is."""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(whole(1, 64)(part) for part in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _precisions(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    for part in parts:
        if part not in PRECISIONS:
            raise argparse.ArgumentTypeError(f"'{part}' is not one of {', '.join(PRECISIONS)}")
    return parts


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "bench",
        help="measure speed, latency and memory",
        usage="pyvoc bench [TARGET] [options]",
        description="Measure on pinned cores, in turns with peers when they are given. Without "
        "--model: the default voice, or the best bundled one of the target; with --precision or a "
        "peer, and for all other vocoders than LPCNet, models of the usual size with "
        "seeded weights, which need the extra 'convert'. PYVOC_ISA=avx2 and the like measure "
        "another tier.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "target",
        nargs="?",
        choices=sorted(targets()),
        metavar="TARGET",
        help=f"what to measure: {', '.join(sorted(targets()))} (default: what the model is, and "
        "features)",
    )
    parser.add_argument("-m", "--model", metavar="MODEL", help="a voice or a .gguf file")
    parser.add_argument(
        "--precision",
        type=_precisions,
        metavar="P[,P]",
        help="of the seeded models: f32, bf16, int8 (default, beside a peer: all)",
    )
    parser.add_argument(
        "--seconds",
        type=whole(1, 600),
        default=5,
        metavar="N",
        help="audio per round and stream (default 5; features: 20 times as much, wavernn: a tenth)",
    )
    parser.add_argument(
        "--repeats", type=whole(1, 1000), default=9, metavar="N", help="rounds (default 9)"
    )
    parser.add_argument(
        "--core",
        type=whole(0, 65535),
        metavar="N",
        help="the core to use (default: the last one)",
    )
    parser.add_argument(
        "--streams",
        type=_numbers,
        default=(),
        metavar="N[,N]",
        help="streams in lockstep (default: lpcnet, fargan 1,4; wavernn 1,16)",
    )
    parser.add_argument(
        "--threads",
        type=whole(1, 1024),
        default=1,
        metavar="N",
        help="lpcnet, fargan: threads, each with its own core and --streams streams; others: "
        "threads of one stream or lockstep, and of the peers (default 1)",
    )
    parser.add_argument(
        "--peer",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="upstream's program to measure in turns with ours (lpcnet, features: lpcnet_demo, "
        "fargan: fargan_demo): an int8 build and, for f32 and bf16, a float build",
    )
    parser.add_argument(
        "--peers",
        action="store_true",
        help="measure what is installed too: lpcnet_demo; others: onnxruntime, torch, and for "
        "mel vocoders openvino",
    )
    parser.add_argument(
        "--against",
        type=_names,
        default=(),
        metavar="NAME[,NAME]",
        help="of --peers only these, such as onnxruntime or openvino:bf16 (others than lpcnet, "
        "features and fargan)",
    )
    parser.add_argument(
        "--batch",
        type=_numbers,
        default=(),
        metavar="N[,N]",
        help="mel vocoders: hand so many utterances of 832 frames over together, besides",
    )
    parser.add_argument(
        "--c-example", type=Path, metavar="PATH", help="binary of examples/c, to see its memory"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.add_argument("-o", "--output", metavar="FILE", help="write there instead of stdout")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print; raises :class:`pyvoc.Error`."""
    from pyvoc.bench import Options
    from pyvoc.bench import run as measure

    if args.peer is not None and len(args.peer) > 2:
        args.parser.error("--peer takes an int8 build and a float build")
    if args.model is not None and args.precision is not None:
        args.parser.error("--precision is for seeded models; --model has its own")
    if args.output is not None:
        programs = (*(args.peer or ()), args.c_example)
        check_outputs([args.output], inputs=[args.model, *programs])
    given: list[Path | None] = [*(args.peer or []), None, None]
    own = args.target is not None and args.target not in _DEFAULT
    batched = [f.name for f in families.everyone() if f.calibrated]
    if args.batch and args.target not in batched:
        args.parser.error(f"--batch is for {' and '.join(batched)}")
    if args.against and (args.target is None or args.target in (*_DEFAULT, "fargan")):
        args.parser.error("--against is for the vocoders whose peers are runtimes")
    if args.peers and given[0] is None and not own:
        given[0] = _installed_peer()
    seeded = args.precision is not None or given[0] is not None or own
    model = args.model or (None if seeded else _voice_for(args.target))
    path = None if model is None else Path(resolve(model))
    options = Options(
        targets=_targets_of(path) if args.target is None else (args.target,),
        model=path,
        precisions=args.precision or PRECISIONS,
        seconds=args.seconds,
        repeats=args.repeats,
        core=args.core,
        streams=args.streams,
        threads=args.threads,
        peer_int8=given[0],
        peer_f32=given[1],
        c_example=args.c_example,
        peers=args.peers or bool(args.against),
        against=args.against,
        batches=args.batch,
    )
    report = measure(options, progress=_show if sys.stderr.isatty() else None)
    text = (report.to_json() if args.json else report.to_text()) + "\n"
    if args.output is None:
        sys.stdout.write(text)
    else:
        with atomic_open(args.output) as stream:
            stream.write(text.encode())
    return 0


def _voice_for(target: str | None) -> str:
    """The default voice, or the best bundled one of the family that a target measures."""
    if target is None:
        return DEFAULT
    family = targets()[target].name
    return next((voice for voice in bundled() if describe(voice).family == family), DEFAULT)


def _targets_of(model: Path | None) -> tuple[str, ...]:
    """What is measured where nobody said it: what the model is, and what it reads."""
    try:
        metadata = {} if model is None else read_metadata(model)
    except Error:
        metadata = {}  # whoever loads it says what is wrong
    name = str(metadata.get("general.architecture", "")).removeprefix("pyvoc.")
    own = [target for target, family in targets().items() if family.name == name]
    if not own:
        return _DEFAULT
    return (own[0],) if layout_in(metadata) == LAYOUT else (own[0], "features")


def _installed_peer() -> Path | None:
    from pyvoc.families.lpcnet.bench.case import find_peer

    found = find_peer()
    if found is None:
        print("no lpcnet_demo is installed: measuring without a peer", file=sys.stderr)
    return found


def _show(line: str) -> None:
    print(f"pyvoc bench: {line}", file=sys.stderr)
