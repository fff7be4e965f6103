"""``pyvoc features``: features of audio files, LPCNet's or mel frames."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pyvoc import voices
from pyvoc.cli.doubtful import add_strict
from pyvoc.cli.keep_going import add_keep_going, failures_of, verdict
from pyvoc.cli.raw_pcm import add_pcm, check_pcm
from pyvoc.container.mel import RECIPES
from pyvoc.container.reader import read_metadata
from pyvoc.errors import AudioError
from pyvoc.files import audio, mels
from pyvoc.files.atomic import atomic_open
from pyvoc.files.doubts import messages
from pyvoc.files.failures import Failures, look_first
from pyvoc.files.features import LAYOUTS, Extractor, read_pcm, save, too_short
from pyvoc.files.listing import Found, find
from pyvoc.files.outputs import check_outputs, create_folder
from pyvoc.runtime.model import load

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
        epilog="examples: pyvoc features corpus/ -o feats/ (with its sub-folders); "
        "cat a.wav | pyvoc features - -o a.f32; "
        "arecord -f S16_LE -r 48000 -c 2 | pyvoc features - --rate 48000 --channels 2 -o a.f32",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="IN",
        help="audio file (.wav, .flac, .mp3, ...), raw 16-bit PCM (.s16), directory (and all below "
        "it), list of files (.txt, one per line), or - for standard input: audio with a header, or "
        "raw 16-bit PCM",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="feature file (.f32, .npy, or for mels .bin), directory (ends in / or exists: one "
        "file per input, in the sub-folders that the inputs have), or - for stdout",
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
        help="the features that this model reads: a voice or a .gguf file",
    )
    kind.add_argument(
        "--recipe", choices=list(RECIPES), help="mel frames [frames, bands] of a preset"
    )
    kind.add_argument(
        "--layout",
        choices=list(LAYOUTS),
        help="default: lpcnet36; opus20 has the pitch that LPCNet's estimator finds, -m of a model "
        "with a network for the pitch that of the network",
    )
    add_pcm(parser)
    add_strict(parser)
    add_keep_going(parser)
    parser.add_argument("--json", action="store_true", help="print a report as JSON")
    parser.set_defaults(run=run, parser=parser)


@dataclass(frozen=True)
class _Reader:
    """LPCNet hears 16 bits, as its upstream; mel frames are of the file's own samples."""

    extractor: Extractor
    pcm_rate: int | None
    pcm_channels: int | None

    def look(self, name: str) -> None:
        """Refuse a file that cannot be read, by its header alone."""
        audio.look(name, pcm_channels=self.pcm_channels)

    def read(self, name: str) -> Samples:
        """The samples of a file or of standard input."""
        source = sys.stdin.buffer if name == "-" else name
        recipe = self.extractor.recipe
        if recipe is None:
            return read_pcm(source, pcm_rate=self.pcm_rate, pcm_channels=self.pcm_channels)
        return audio.read(
            source,
            rate=recipe.sample_rate,
            band=recipe.fmax,
            pcm_rate=self.pcm_rate,
            pcm_channels=self.pcm_channels,
        )[0]


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


def _push(
    extractor: Extractor, pcm: Samples, name: str, *, whole: bool = False
) -> Iterator[npt.NDArray[np.float32]]:
    """Frames of a signal; `whole`: none before all of it was found good."""
    chunk = max(len(pcm), 1) if whole else _CHUNK_SECONDS * extractor.sample_rate
    for start in range(0, len(pcm), chunk):
        try:
            yield extractor.push(pcm[start : start + chunk])
        except AudioError as error:
            what = "standard input" if name == "-" else f"'{name}'"
            raise AudioError(f"{what}: {error}") from error


def _too_short(files: list[str], samples: int, extractor: Extractor) -> AudioError:
    what = f"'{files[0]}'" if len(files) == 1 else f"the {len(files)} inputs"
    return too_short(f"{what}: ", samples, extractor)


def _save(path: str | Path, rows: npt.NDArray[np.float32], extractor: Extractor) -> None:
    if extractor.recipe is None:
        save(path, rows)
    else:
        mels.save(path, rows)


def _run_one_output(
    files: list[str], output: str, reader: _Reader, progress: _Progress, failures: Failures
) -> tuple[int, int]:
    """Concatenate the inputs into one feature file; returns samples and frames."""
    extractor = reader.extractor
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
            with failures.attempt(name):
                pcm = reader.read(name)
                pieces = _push(extractor, pcm, name, whole=failures.keep_going)
                for rows in pieces:
                    frames += take(rows)
                samples += len(pcm)
            progress.show(index + 1, samples / extractor.sample_rate)
        frames += take(extractor.flush())
        if frames == 0:
            raise _too_short(files, samples, extractor)
    if whole:
        _save(output, np.concatenate(kept), extractor)
    return samples, frames


def _targets(files: list[Found], output: Path, suffix: str) -> dict[Path, str]:
    """The feature file of each input, in a directory: target -> input."""
    targets: dict[Path, str] = {}
    for file in files:
        name, target = file.path, output / f"{file.place}{suffix}"
        if "\n" in str(file.place):
            raise AudioError(f"'{name}' has a line break in its name")
        if target in targets:
            raise AudioError(f"'{targets[target]}' and '{name}' would both become '{target}'")
        targets[target] = name
    return targets


def _run_directory(
    targets: dict[Path, str],
    output: Path,
    reader: _Reader,
    progress: _Progress,
    failures: Failures,
) -> tuple[int, int]:
    """Write one feature file per input, and for ``.bin`` their lengths; samples and frames."""
    extractor = reader.extractor
    lengths: list[str] = []
    for folder in sorted({target.parent for target in targets}):
        create_folder(folder)
    samples = frames = 0
    for index, (target, name) in enumerate(targets.items()):
        extractor.reset()
        rows = np.empty((0, extractor.dims), np.float32)
        with failures.attempt(name):
            pcm = reader.read(name)
            rows = np.concatenate([*_push(extractor, pcm, name), extractor.flush()])
            if not len(rows):
                raise _too_short([name], len(pcm), extractor)
        if len(rows):
            _save(target, rows, extractor)
            lengths.append(f"{len(rows)} {len(pcm)} {target.relative_to(output).as_posix()}\n")
            samples += len(pcm)
            frames += len(rows)
        progress.show(index + 1, samples / extractor.sample_rate)
    if lengths and next(iter(targets)).suffix == mels.BIN_SUFFIX:
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
    """The extractor that the options ask for; of a model that reads mel frames, the metadata
    alone is read."""
    if args.model is None:
        return Extractor(args.layout, recipe=args.recipe)
    source = voices.resolve(args.model)
    metadata = read_metadata(source)
    recipe = mels.recipe_in(metadata, source=source)
    return Extractor(recipe=recipe) if recipe else Extractor(model=load(source))


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
    files = find(args.inputs)
    names = [file.path for file in files]
    check_pcm(args, names)
    extractor = _open(args)
    output = Path(args.output)
    suffix = _suffix(args, extractor) if into_directory else ""
    targets = _targets(files, output, suffix) if into_directory else {}
    lengths = [output / LENGTHS] if suffix == mels.BIN_SUFFIX else []
    check_outputs(
        [*targets, *lengths] if into_directory else [args.output],
        inputs=[*args.inputs, *names, args.model and voices.resolve(args.model)],
    )
    reader = _Reader(extractor, args.rate, args.channels)
    failures = failures_of(args)
    look_first(names, reader.look, failures)
    progress = _Progress(len(files))
    started = time.perf_counter()
    try:
        if into_directory:
            samples, frames = _run_directory(targets, output, reader, progress, failures)
        else:
            samples, frames = _run_one_output(names, args.output, reader, progress, failures)
    finally:
        progress.close()
    elapsed = time.perf_counter() - started
    seconds = samples / extractor.sample_rate
    done = len(files) - len(failures.found)
    if args.json:
        report = {
            "inputs": done,
            "output": args.output,
            "layout": extractor.name,
            "dims": extractor.dims,
            "frames": frames,
            "audio_seconds": round(seconds, 3),
            "elapsed_seconds": round(elapsed, 3),
            "warnings": messages(),
            "failed": [asdict(failure) for failure in failures.found],
        }
        print(json.dumps(report))
    elif args.output != "-":
        print(
            f"{args.output}: {frames} frames of {extractor.dims} floats ({extractor.name}) from "
            f"{done} file{'' if done == 1 else 's'}, {seconds:.1f} s of audio"
        )
    return verdict(failures, len(files))
