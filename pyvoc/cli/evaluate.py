"""``pyvoc evaluate``: how near speech is to its original, or how likely it is under a model."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pyvoc.cli.arguments import counter, whole
from pyvoc.cli.doubtful import add_strict
from pyvoc.cli.keep_going import add_keep_going, failures_of, verdict
from pyvoc.errors import AudioError
from pyvoc.files.doubts import messages
from pyvoc.files.failures import Failures, look_first
from pyvoc.files.outputs import check_outputs, create_folder

if TYPE_CHECKING:
    from pyvoc.evaluate.systems import Compared

__all__ = ["add_parser", "run"]

_DELAY_LIMIT = 48000 * 60
_OF_TWO = ("delay", "plot", "page", "model", "bounds", "pesq", "stoi", "visqol")
_OPTIONAL = ("pesq", "stoi", "mos", "dnsmos", "visqol")


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "evaluate",
        help="compare speech with its original; likelihood of speech under a model",
        usage="pyvoc evaluate REF OUT... [-m MODEL]... [--delay N] [--rate HZ] [--bounds] [--pesq] "
        "[--stoi] [--mos] [--dnsmos] [--visqol] [--plot P.png] [--page DIR] [--strict] "
        "[--keep-going] [--json]\n"
        "       pyvoc evaluate WAV {--mos | --dnsmos} [--rate HZ] [--strict] [--keep-going] "
        "[--json]\n"
        "       pyvoc evaluate --nll MODEL WAV... [--strict] [--keep-going] [--json]",
        description="Compare OUT with REF (two files, or two directories, sub-folders and all, "
        "matched by name without suffix): mel-cepstral distortion, log-spectral distance, F0, "
        "voicing, level, clicks; PESQ and STOI where the extra 'evaluate' is installed. Several "
        "systems, each OUT and each MODEL one, are compared with the same REF. With --mos and "
        "--dnsmos also what listeners are predicted to think of both; with these WAV, one file or "
        "directory, needs no original. Or, with --nll, the likelihood of recordings under a model "
        "(LPCNet, WaveRNN, WaveGlow); several processes divide them: torchrun --nproc-per-node N "
        "-m pyvoc evaluate --nll ... Each figure's recipe is printed below it.",
        epilog="To listen and compare in a browser: pyvoc evaluate originals/ copies/ "
        "other-copies/ -m default --page page/ writes page/index.html.",
        allow_abbrev=False,
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="audio file or directory")
    parser.add_argument(
        "--nll", metavar="MODEL", help="score the recordings PATH... under a model (.gguf)"
    )
    parser.add_argument(
        "-m",
        "--model",
        action="append",
        metavar="MODEL",
        help="a voice or .gguf file that speaks REF here (copy synthesis) and is compared like an "
        "OUT; may be given several times",
    )
    parser.add_argument(
        "--delay",
        type=whole(-_DELAY_LIMIT, _DELAY_LIMIT),
        metavar="N",
        help="samples by which OUT lags REF (LPCNet copy synthesis: 80); default: found by "
        "cross-correlation",
    )
    parser.add_argument(
        "--rate",
        type=whole(8000, 48000),
        metavar="HZ",
        help="resample both to this rate (extra soxr); default: both must have one rate",
    )
    parser.add_argument(
        "--bounds",
        action="store_true",
        help="measure beside it what LPC can do at best (true excitation, 8-bit mu-law) and "
        "without a network (noise excitation, true gain); at 16 kHz",
    )
    parser.add_argument("--pesq", action="store_true", help="fail when PESQ is not installed")
    parser.add_argument("--stoi", action="store_true", help="fail when STOI is not installed")
    parser.add_argument(
        "--mos",
        action="store_true",
        help="opinion predicted by DistillMOS, 1 to 5, and how it differs from the original's "
        "(extra mos)",
    )
    parser.add_argument(
        "--dnsmos",
        action="store_true",
        help="the same by DNSMOS: overall quality and, for noise, P.808 (extra mos)",
    )
    parser.add_argument(
        "--visqol", action="store_true", help="ViSQOL's similarity to REF, 1 to 5 (extra mos)"
    )
    parser.add_argument(
        "--plot",
        metavar="P.png",
        help="draw spectrograms and F0 there; for directories a directory, one PNG per pair",
    )
    parser.add_argument(
        "--page",
        metavar="DIR",
        help="write DIR/index.html (or a file, .html): the originals and all systems beside each "
        "other, to hear and see in a browser, with their figures; the file holds its sounds and "
        "needs no network",
    )
    add_strict(parser)
    add_keep_going(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; raises :class:`pyvoc.Error`."""
    if args.nll is not None:
        _refuse(args, (*_OF_TWO, "rate", "mos", "dnsmos"), "cannot be used with --nll")
        return _run_nll(args)
    systems = len(args.paths) - 1 + len(args.model or [])
    if not systems and (args.mos or args.dnsmos):
        _refuse(args, _OF_TWO, "compares two signals; give REF and OUT")
        return _run_mos(args)
    if not systems:
        args.parser.error("expected REF and OUT, got 1 path")
    if systems > 1 and args.plot is not None:
        args.parser.error("--plot draws one OUT; --page shows several")
    return _run_compare(args)


def _refuse(args: argparse.Namespace, flags: tuple[str, ...], why: str) -> None:
    for flag in flags:
        if getattr(args, flag) is not None and getattr(args, flag) is not False:
            args.parser.error(f"--{flag} {why}")


def _run_mos(args: argparse.Namespace) -> int:
    from pyvoc.evaluate.files import expand
    from pyvoc.evaluate.opinions import evaluate_mos

    names, failures = expand(args.paths), failures_of(args)
    report = evaluate_mos(
        names, _required(args), rate=args.rate, failures=failures, progress=counter("files")
    )
    found = report.to_json() | _found_besides(failures)
    print(json.dumps(found, indent=2, allow_nan=False) if args.json else report.to_text())
    return verdict(failures, len(names))


def _required(args: argparse.Namespace) -> tuple[str, ...]:
    """What cannot be left out where it is not installed."""
    return tuple(name for name in _OPTIONAL if getattr(args, name))


def _run_nll(args: argparse.Namespace) -> int:
    from pyvoc.evaluate import nll
    from pyvoc.evaluate.files import expand
    from pyvoc.runtime.model import load

    names, failures = expand(args.paths), failures_of(args)
    report = nll.evaluate_nll(load(args.nll), names, failures=failures, progress=counter("files"))
    if os.environ.get("RANK", "0") != "0":  # of several processes one reports
        return 0
    found = report.to_json() | _found_besides(failures)
    print(json.dumps(found, indent=2) if args.json else report.to_text())
    return verdict(failures, len(names))


def _found_besides(failures: Failures) -> dict[str, Any]:
    failed = [asdict(failure) for failure in failures.found]
    return {"warnings": messages(), "failed": failed}


def _run_compare(args: argparse.Namespace) -> int:
    from pyvoc.evaluate import asked, perceptual, systems
    from pyvoc.evaluate.files import expand
    from pyvoc.evaluate.gathered import Gathered
    from pyvoc.evaluate.page.clips import write_compared
    from pyvoc.files import audio

    failures = failures_of(args)
    original, given, spoken = args.paths[0], args.paths[1:], args.model or []
    labels = systems.labels(given + spoken)
    outputs = dict(zip(labels, given, strict=False))
    models = dict(zip(labels[len(given) :], spoken, strict=True))
    found = systems.of_paths(original, outputs, failures=failures)
    originals = systems.originals_of(found) if found else expand([original])
    required = _required(args)
    for name in required:
        (asked if name in asked.ASKED else perceptual).require(name)
    drawings, page = _drawings(args, originals), _page(args)
    inputs = [name for system in found for both in system.outputs.items() for name in both]
    inputs = list(dict.fromkeys([*inputs, *originals]))
    check_outputs([*drawings.values(), *([page] if page else [])], inputs=inputs)
    look_first(inputs, audio.look, failures)
    with TemporaryDirectory() as folder:
        found += systems.speak(originals, models, Path(folder), failures=failures)
        total = sum(len(system.outputs) for system in found) + len(failures.found)
        compared = systems.compare_systems(
            found,
            rate=args.rate,
            delay=args.delay,
            bounds=args.bounds,
            require=required,
            failures=failures,
            progress=counter("files"),
        )
        figures = Gathered(several=len(labels) > 1)
        passing = figures.passing(_drawn(compared, drawings, make_folders=Path(original).is_dir()))
        first = next(passing, None)
        if first is None:
            raise AudioError(f"none of the {total} pairs could be compared")
        passing = chain([first], passing)
        if page is None:
            deque(passing, maxlen=0)
        else:
            create_folder(page.parent)
            for sentence in write_compared(
                page, passing, root=original, labels=labels, require=required
            ):
                print(f"pyvoc: note: '{page}': {sentence}", file=sys.stderr)
    if args.json:
        print(json.dumps(figures.to_json() | _found_besides(failures), indent=2, allow_nan=False))
    else:
        print(figures.to_text())
    return verdict(failures, total)


def _drawings(args: argparse.Namespace, originals: list[str]) -> dict[str, Path]:
    """Where the pictures go, by original; none where none are wanted."""
    if args.plot is None:
        return {}
    target, folder = Path(args.plot), Path(args.paths[0])
    if not folder.is_dir():
        return dict.fromkeys(originals, target)
    places = {original: Path(original).relative_to(folder) for original in originals}
    return {original: target / place.with_suffix(".png") for original, place in places.items()}


def _page(args: argparse.Namespace) -> Path | None:
    """The page's file, where one is wanted."""
    if args.page is None:
        return None
    path = Path(args.page)
    named = path.suffix.lower() in (".html", ".htm")
    return path if named and not _is_folder(args.page) else path / "index.html"


def _is_folder(name: str) -> bool:
    return name.endswith(("/", os.sep)) or Path(name).is_dir()


def _drawn(
    compared: Iterator[Compared], drawings: dict[str, Path], *, make_folders: bool
) -> Iterator[Compared]:
    """The same comparisons, with the picture of each drawn that shall have one."""
    from pyvoc.evaluate import plot

    for one in compared:
        if one.original in drawings:
            path = drawings[one.original]
            if make_folders:
                create_folder(path.parent)
            (comparison,) = one.comparisons.values()
            plot(comparison, path)
        yield one
