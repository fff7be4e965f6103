"""``pyvoc features``: features of audio files, LPCNet's or mel frames."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pyvoc import voices
from pyvoc.container.mel import RECIPES
from pyvoc.container.reader import read_metadata
from pyvoc.errors import AudioError, Error
from pyvoc.files import audio, mels
from pyvoc.files.atomic import atomic_open
from pyvoc.files.features import LAYOUTS, Extractor, read_pcm, save, too_short
from pyvoc.files.listing import expand

__all__ = ["LENGTHS", "add_parser", "run"]

_CHUNK_SECONDS = 10
_FORMATS = ("f32", "npy", "bin")
LENGTHS = "lengths.txt"
"""Beside ``.bin`` files: a line for each of frames, samples and the file's name."""
Samples = npt.NDArray[np.int16] | npt.NDArray[np.float32]


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "features",
        help="extract a model's features from speech",
        description="Extract the features that a model reads (-m), mel frames of a recipe "
        "(--recipe), or LPCNet features (--layout). Several inputs are one signal, in the order "
        "given, unless the output is a directory. Another rate than the features' needs the soxr "
        "extra.",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="IN",
        help="audio file (.wav, .flac, ...), raw 16-bit PCM (.s16, 16 kHz), directory, list of "
        "files (.txt, one per line), or - for raw PCM on stdin",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="feature file (.f32, .npy, or for mels .bin), directory (ends in / or exists: one "
        "file per input), or - for stdout",
    )
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        help="of the files in a directory (default: f32, for mels npy); bin: raw float32 mels "
        f"[1, bands, frames] for other runtimes, and their lengths in '{LENGTHS}'",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "-m",
        "--model",
        metavar="MODEL",
        help="the features that this model reads: a bundled voice or a .gguf file",
    )
    kind.add_argument(
        "--recipe", choices=list(RECIPES), help="mel frames [frames, bands] of a preset"
    )
    kind.add_argument("--layout", choices=list(LAYOUTS), help="default: lpcnet36")
    parser.add_argument("--json", action="store_true", help="print a report as JSON")
    parser.set_defaults(run=run, parser=parser)


def _read(name: str, extractor: Extractor) -> Samples:
    """LPCNet hears 16 bits, as its upstream; mel frames are of the file's own samples."""
    if name != "-":
        if extractor.recipe is None:
            return read_pcm(name)
        return audio.read(name, rate=extractor.sample_rate)[0]
    data = sys.stdin.buffer.read()
    if not data:
        raise AudioError(
            f"standard input is empty; expected raw 16-bit PCM at {extractor.sample_rate} Hz"
        )
    if len(data) % 2:
        raise AudioError(
            f"standard input has {len(data)} bytes, an odd number; expected 16-bit PCM"
        )
    return np.frombuffer(data, dtype="<i2").astype(np.int16)


class _Progress:
    """A line on a terminal's stderr; silent elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._shown = sys.stderr.isatty()

    def show(self, done: int, seconds: float) -> None:
        if self._shown:
            line = f"\r{done}/{self._total} files, {seconds / 60:.1f} min of audio"
            print(line, end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._shown:
            print(file=sys.stderr)


@contextmanager
def _open_output(output: str) -> Iterator[BinaryIO]:
    if output == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with atomic_open(output) as stream:
            yield stream


def _push(extractor: Extractor, pcm: Samples) -> Iterator[npt.NDArray[np.float32]]:
    chunk = _CHUNK_SECONDS * extractor.sample_rate
    for start in range(0, len(pcm), chunk):
        yield extractor.push(pcm[start : start + chunk])


def _too_short(files: list[str], samples: int, extractor: Extractor) -> AudioError:
    what = f"'{files[0]}'" if len(files) == 1 else f"the {len(files)} inputs"
    return too_short(f"{what}: ", samples, extractor)


def _save(path: str | Path, rows: npt.NDArray[np.float32], extractor: Extractor) -> None:
    if extractor.recipe is None:
        save(path, rows)
    else:
        mels.save(path, rows)


def _run_one_output(
    files: list[str], output: str, extractor: Extractor, progress: _Progress
) -> tuple[int, int]:
    """Concatenate the inputs into one feature file; returns samples and frames."""
    samples = frames = 0
    kept: list[npt.NDArray[np.float32]] = []
    suffix = Path(output).suffix.lower()
    whole = suffix == ".npy" or (suffix == mels.BIN_SUFFIX and extractor.recipe is not None)
    with _open_output(os.devnull if whole else output) as stream:

        def take(rows: npt.NDArray[np.float32]) -> int:
            if whole:
                kept.append(rows)
            else:
                stream.write(np.ascontiguousarray(rows, dtype="<f4").tobytes())
            return len(rows)

        for index, name in enumerate(files):
            pcm = _read(name, extractor)
            samples += len(pcm)
            frames += sum(take(rows) for rows in _push(extractor, pcm))
            progress.show(index + 1, samples / extractor.sample_rate)
        frames += take(extractor.flush())
        if frames == 0:
            raise _too_short(files, samples, extractor)
    if whole:
        _save(output, np.concatenate(kept), extractor)
    return samples, frames


def _run_directory(
    files: list[str], output: Path, extractor: Extractor, progress: _Progress, suffix: str
) -> tuple[int, int]:
    """Write one feature file per input, and for ``.bin`` their lengths; samples and frames."""
    targets: dict[Path, str] = {}
    lengths: list[str] = []
    for name in files:
        target = output / f"{Path(name).stem}{suffix}"
        if "\n" in target.name:
            raise AudioError(f"'{name}' has a line break in its name")
        if target in targets:
            raise AudioError(f"'{targets[target]}' and '{name}' would both become '{target}'")
        targets[target] = name
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Error(f"cannot create '{output}': {error.strerror}") from error
    samples = frames = 0
    for index, (target, name) in enumerate(targets.items()):
        extractor.reset()
        pcm = _read(name, extractor)
        rows = np.concatenate([*_push(extractor, pcm), extractor.flush()])
        if not len(rows):
            raise _too_short([name], len(pcm), extractor)
        _save(target, rows, extractor)
        lengths.append(f"{len(rows)} {len(pcm)} {target.name}\n")
        samples += len(pcm)
        frames += len(rows)
        progress.show(index + 1, samples / extractor.sample_rate)
    if suffix == mels.BIN_SUFFIX:
        with atomic_open(output / LENGTHS) as stream:
            stream.write(os.fsencode("".join(lengths)))
    return samples, frames


def _suffix(args: argparse.Namespace, extractor: Extractor) -> str:
    """Of the files in a directory."""
    is_mel = extractor.recipe is not None
    if args.format == "bin" and not is_mel:
        args.parser.error(
            f"--format bin is for mels [1, bands, frames]; {extractor.name} features are "
            "[frames, dims]: give -m a model that reads mels, or --recipe"
        )
    return f".{args.format or ('npy' if is_mel else 'f32')}"


def _open(args: argparse.Namespace) -> Extractor:
    """The extractor that the options ask for; of a model, the metadata alone is read."""
    if args.model is None:
        return Extractor(args.layout, recipe=args.recipe)
    source = voices.resolve(args.model)
    metadata = read_metadata(source)
    recipe = mels.recipe_in(metadata, source=source)
    return Extractor(recipe=recipe) if recipe else Extractor(mels.layout_in(metadata))


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; raises :class:`pyvoc.Error`."""
    into_directory = args.output.endswith(("/", os.sep)) or Path(args.output).is_dir()
    if into_directory and "-" in args.inputs:
        args.parser.error("standard input needs a file as output")
    if args.format is not None and not into_directory:
        args.parser.error(
            "--format is for a directory (-o DIR/); the suffix of a file says its format"
        )
    if args.json and args.output == "-":
        args.parser.error("--json and -o - both want standard output")
    files = expand(args.inputs)
    extractor = _open(args)
    progress = _Progress(len(files))
    started = time.perf_counter()
    try:
        if into_directory:
            suffix = _suffix(args, extractor)
            folder = Path(args.output)
            samples, frames = _run_directory(files, folder, extractor, progress, suffix)
        else:
            samples, frames = _run_one_output(files, args.output, extractor, progress)
    finally:
        progress.close()
    elapsed = time.perf_counter() - started
    seconds = samples / extractor.sample_rate
    if args.json:
        report = {
            "inputs": len(files),
            "output": args.output,
            "layout": extractor.name,
            "dims": extractor.dims,
            "frames": frames,
            "audio_seconds": round(seconds, 3),
            "elapsed_seconds": round(elapsed, 3),
        }
        print(json.dumps(report))
    elif args.output != "-":
        print(
            f"{args.output}: {frames} frames of {extractor.dims} floats ({extractor.name}) from "
            f"{len(files)} file{'s' if len(files) > 1 else ''}, {seconds:.1f} s of audio"
        )
    return 0
