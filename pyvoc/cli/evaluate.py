"""``pyvoc evaluate``: how near speech is to its original, or how likely it is under a model."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pyvoc.cli.arguments import counter, whole
from pyvoc.cli.doubtful import add_strict
from pyvoc.cli.keep_going import add_keep_going, failures_of, verdict
from pyvoc.errors import AudioError
from pyvoc.files.doubts import messages
from pyvoc.files.failures import Failures, look_first
from pyvoc.files.outputs import check_outputs, create_folder

__all__ = ["add_parser", "run"]

_DELAY_LIMIT = 48000 * 60


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "evaluate",
        help="compare speech with its original; likelihood of speech under a model",
        usage="pyvoc evaluate REF OUT [--delay N] [--rate HZ] [--bounds] [--pesq] [--stoi] "
        "[--plot P.png] [--strict] [--keep-going] [--json]\n"
        "       pyvoc evaluate --nll MODEL WAV... [--strict] [--keep-going] [--json]",
        description="Compare OUT with REF (two files, or two directories, sub-folders and all, "
        "matched by name without suffix): mel-cepstral distortion, log-spectral distance, F0, "
        "voicing, level, clicks; PESQ and STOI where the extra 'evaluate' is installed. Or, with "
        "--nll, the likelihood of recordings under a model (LPCNet, WaveRNN, WaveGlow). Each "
        "figure's recipe is printed "
        "below it.",
        allow_abbrev=False,
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="audio file or directory")
    parser.add_argument(
        "--nll", metavar="MODEL", help="score the recordings PATH... under a model (.gguf)"
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
        "--plot",
        metavar="P.png",
        help="draw spectrograms and F0 there; for directories a directory, one PNG per pair",
    )
    add_strict(parser)
    add_keep_going(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; raises :class:`pyvoc.Error`."""
    if args.nll is not None:
        for flag in ("delay", "rate", "plot", "bounds", "pesq", "stoi"):
            if getattr(args, flag) is not None and getattr(args, flag) is not False:
                args.parser.error(f"--{flag} compares two signals; --nll scores recordings")
        return _run_nll(args)
    if len(args.paths) != 2:
        args.parser.error(f"expected REF and OUT, got {len(args.paths)} paths")
    return _run_compare(args)


def _run_nll(args: argparse.Namespace) -> int:
    from pyvoc.evaluate import nll
    from pyvoc.evaluate.files import expand
    from pyvoc.runtime.model import load

    names, failures = expand(args.paths), failures_of(args)
    report = nll.evaluate_nll(load(args.nll), names, failures=failures, progress=counter("files"))
    found = report.to_json() | _found_besides(failures)
    print(json.dumps(found, indent=2) if args.json else report.to_text())
    return verdict(failures, len(names))


def _found_besides(failures: Failures) -> dict[str, Any]:
    failed = [asdict(failure) for failure in failures.found]
    return {"warnings": messages(), "failed": failed}


def _run_compare(args: argparse.Namespace) -> int:
    from pyvoc.evaluate import Report, compare, perceptual, plot, read_pair
    from pyvoc.evaluate.files import pair
    from pyvoc.evaluate.references import bounds as measure
    from pyvoc.files import audio

    failures = failures_of(args)
    pairs = pair(*args.paths, failures=failures)
    total = len(pairs) + len(failures.found)
    names = [name for both in pairs for name in both]
    for name in ("pesq", "stoi"):
        if getattr(args, name):
            perceptual.require(name)
    drawings = _drawings(args, pairs)
    check_outputs(drawings, inputs=names)
    look_first(names, audio.look, failures)
    found, bounds = [], []
    show = counter("files")
    for i, (reference, output) in enumerate(pairs):
        result = None
        with failures.attempt(output):
            left, right = read_pair(reference, output, rate=args.rate)
            result = compare(left, right, delay=args.delay)
            if args.bounds:
                bounds.append(measure(left))
            found.append(result.without_signals())
        if result is not None and drawings:
            if drawings[i] != Path(args.plot):
                create_folder(drawings[i].parent)
            plot(result, drawings[i])
        show(i + 1, len(pairs))
    if not found:
        raise AudioError(f"none of the {total} pairs could be compared")
    reports = {"": Report(tuple(found))}
    if bounds:
        reports["ceiling"] = Report(tuple(ceiling for ceiling, _ in bounds))
        reports["floor"] = Report(tuple(floor for _, floor in bounds))
    print(_as_json(reports, failures) if args.json else _as_text(reports))
    return verdict(failures, total)


def _drawings(args: argparse.Namespace, pairs: list[tuple[str, str]]) -> list[Path]:
    """Where the pictures of the pairs go; none where none are wanted."""
    if args.plot is None:
        return []
    target, folder = Path(args.plot), Path(args.paths[0])
    if not folder.is_dir():
        return [target]
    return [target / Path(file).relative_to(folder).with_suffix(".png") for file, _ in pairs]


def _as_json(reports: dict[str, Any], failures: Failures) -> str:
    whole = reports[""].to_json() | _found_besides(failures)
    for name in ("ceiling", "floor"):
        if name in reports:
            whole[name] = reports[name].summary()
    if len(reports) > 1:
        from pyvoc.evaluate.references import CEILING_RECIPE, FLOOR_RECIPE

        whole["recipes"] |= {"ceiling": CEILING_RECIPE, "floor": FLOOR_RECIPE}
    return json.dumps(whole, indent=2, allow_nan=False)


def _as_text(reports: dict[str, Any]) -> str:
    if len(reports) == 1:
        return str(reports[""].to_text())
    from pyvoc.evaluate.references import CEILING_RECIPE, FLOOR_RECIPE

    extra = {name: report.summary()["mean"] for name, report in reports.items() if name}
    return os.linesep.join([reports[""].to_text(extra_rows=extra), CEILING_RECIPE, FLOOR_RECIPE])
