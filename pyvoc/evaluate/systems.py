"""Several systems against the same originals: which files are whose, and every comparison."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyvoc.errors import Error
from pyvoc.evaluate.compare import Comparison, compare, read_pair
from pyvoc.evaluate.files import pair
from pyvoc.evaluate.references import bounds as measure_bounds
from pyvoc.files.failures import Failures
from pyvoc.files.outputs import create_folder

__all__ = ["Compared", "System", "compare_systems", "labels", "of_paths", "originals_of", "speak"]


@dataclass(frozen=True)
class System:
    """What speaks.

    Attributes
    ----------
    label
        Its name.
    outputs
        Files by the originals that they are of.
    spoken
        The files were made here, and go by their originals' names.
    """

    label: str
    outputs: Mapping[str, str]
    spoken: bool = False

    def name_of(self, original: str) -> str:
        """What to call its output."""
        return f"{original} by {self.label}" if self.spoken else self.outputs[original]


@dataclass(frozen=True)
class Compared:
    """An original beside what the systems made of it.

    Attributes
    ----------
    original
        The file.
    outputs
        Files by the systems' labels.
    comparisons
        By the systems' labels, signals and all; at least one.
    bounds
        The ceiling and the floor, where they were asked for.
    """

    original: str
    outputs: Mapping[str, str]
    comparisons: Mapping[str, Comparison]
    bounds: Mapping[str, Comparison]


def labels(names: Sequence[str]) -> list[str]:
    """Short names of folders, files and models: the last part of a path where it tells them apart.

    Raises
    ------
    Error
        One is given twice.
    """
    short = [Path(os.path.abspath(name)).name.removesuffix(".gguf") for name in names]
    count = Counter(short)
    found = [n if count[s] > 1 else s for s, n in zip(short, names, strict=True)]
    twice = [label for label, n in Counter(found).items() if n > 1]
    if twice:
        raise Error(f"'{twice[0]}' is given twice")
    return found


def originals_of(systems: Sequence[System]) -> list[str]:
    """The originals that systems have outputs of, each once."""
    return list(dict.fromkeys(name for system in systems for name in system.outputs))


def of_paths(
    original: str, outputs: Mapping[str, str], *, failures: Failures | None = None
) -> list[System]:
    """Systems whose output is there.

    Parameters
    ----------
    original
        A file or a directory.
    outputs
        As many of the same kind, by label.
    failures
        As for :func:`pyvoc.evaluate.files.pair`.

    Raises
    ------
    Error
        As :func:`pyvoc.evaluate.files.pair`.
    """
    return [
        System(label, dict(pair(original, output, failures=failures)))
        for label, output in outputs.items()
    ]


def speak(
    originals: Sequence[str],
    models: Mapping[str, str],
    folder: Path,
    *,
    failures: Failures | None = None,
) -> list[System]:
    """Let models speak the originals: copy synthesis, as of ``pyvoc synth``.

    Parameters
    ----------
    originals
        Audio files.
    models
        Voices or model files by label.
    folder
        For what they say.
    failures
        Takes originals that a model cannot speak.

    Raises
    ------
    Error
        As :func:`pyvoc.load` and :func:`pyvoc.runtime.synthesis.from_files`.
    """
    from pyvoc.runtime import synthesis
    from pyvoc.runtime.model import load

    loaded = {label: load(name) for label, name in models.items()}  # all of them are there
    systems = []
    for i, (label, model) in enumerate(loaded.items()):
        where = folder / str(i)
        create_folder(where)
        targets = [str(where / f"{k}.wav") for k in range(len(originals))]
        report = synthesis.from_files(model, originals, targets, failures=failures)
        made = dict(zip(report.inputs, report.outputs, strict=True))
        systems.append(System(label, made, spoken=True))
    return systems


def compare_systems(
    systems: Sequence[System],
    *,
    rate: int | None = None,
    delay: int | None = None,
    bounds: bool = False,
    require: tuple[str, ...] = (),
    failures: Failures,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Compared]:
    """Compare every system's outputs with their originals, one original after the other.

    Parameters
    ----------
    systems
        Of the same originals, or some of them.
    rate, delay
        As for :func:`pyvoc.evaluate.read_pair` and :func:`pyvoc.evaluate.compare`.
    bounds
        Measure what LPC can do, too (:mod:`pyvoc.evaluate.references`).
    require
        As for :func:`pyvoc.evaluate.compare`.
    failures
        Takes what cannot be compared.
    progress
        Called with the outputs done and in all.

    Raises
    ------
    Error
        As :func:`pyvoc.evaluate.compare`, where nothing is left out.
    """
    done, total = 0, sum(len(system.outputs) for system in systems)
    for original in originals_of(systems):
        comparisons: dict[str, Comparison] = {}
        limits: dict[str, Comparison] = {}
        for system in systems:
            if original not in system.outputs:
                continue
            name = system.name_of(original)
            with failures.attempt(name):
                left, right = read_pair(original, system.outputs[original], rate=rate, called=name)
                found = compare(left, right, delay=delay, require=require)
                if bounds and not limits:
                    both = measure_bounds(left, require=require)
                    limits = dict(zip(("ceiling", "floor"), both, strict=True))
                comparisons[system.label] = found
            done += 1
            if progress is not None:
                progress(done, total)
        if comparisons:
            outputs = {s.label: s.outputs[original] for s in systems if s.label in comparisons}
            yield Compared(original, outputs, comparisons, limits)
