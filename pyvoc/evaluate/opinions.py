"""What listeners are predicted to think of recordings that have no original."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyvoc.errors import AudioError
from pyvoc.evaluate import asked
from pyvoc.evaluate.compare import check, read
from pyvoc.evaluate.report import means, recipes_of, table
from pyvoc.files import audio
from pyvoc.files.failures import Failures, look_first

__all__ = ["MosReport", "Opinion", "evaluate_mos"]


@dataclass(frozen=True)
class Opinion:
    """What is predicted of one file.

    Attributes
    ----------
    path
        The file.
    rate
        Hz.
    seconds
        Its length.
    values
        By :attr:`pyvoc.evaluate.compare.Measure.key`; None where nothing can be predicted.
    notes
        What a reader of the figures must know.
    """

    path: str
    rate: int
    seconds: float
    values: Mapping[str, float | None]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MosReport:
    """What is predicted of files.

    Attributes
    ----------
    opinions
        At least one.
    """

    opinions: tuple[Opinion, ...]

    def recipes(self) -> dict[str, str]:
        """What each figure is, and of which version."""
        return recipes_of({key for o in self.opinions for key in o.values}, original=False)

    def to_json(self) -> dict[str, Any]:
        """For machines: every figure, note and recipe."""
        return {
            "files": [
                {
                    "path": o.path,
                    "sample_rate": o.rate,
                    "seconds": o.seconds,
                    **o.values,
                    "notes": list(o.notes),
                }
                for o in self.opinions
            ],
            **means([o.values for o in self.opinions]),
            "recipes": self.recipes(),
        }

    def to_text(self) -> str:
        """For people: a table, notes, and what each figure means."""
        rows = [(o.path, o.values) for o in self.opinions]
        if len(self.opinions) > 1:
            summary = means([o.values for o in self.opinions])
            rows += [
                (f"{name} of {len(self.opinions)} files", row) for name, row in summary.items()
            ]
        lines = table(rows)
        for o in self.opinions:
            lines.extend(f"note on {o.path}: {note}" for note in o.notes)
        lines.extend(self.recipes().values())
        return "\n".join(line.rstrip() for line in lines)


def evaluate_mos(
    paths: Sequence[str],
    require: Sequence[str] = ("mos",),
    *,
    rate: int | None = None,
    failures: Failures | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MosReport:
    """Predict what listeners think of recordings, without originals.

    Parameters
    ----------
    paths
        Audio files.
    require
        ``mos`` (DistillMOS), ``dnsmos``.
    rate
        Resample to this rate in Hz first, so as to judge what is left of them there.
    failures
        Takes what fails of them; None: the first failure ends the work. Of several the headers are
        looked at before the work.
    progress
        Called with the files done and in all.

    Raises
    ------
    AudioError
        No files, or none left; one that is no audio, silent, too short or too long.
    UnsupportedError
        What was required is not installed.
    """
    for name in require:
        asked.require(name)
    paths = [str(path) for path in paths]
    failures = failures or Failures()
    look_first(paths, audio.look, failures)
    found = []
    for i, path in enumerate(paths):
        with failures.attempt(path):
            found.append(_predict(path, require, rate))
        if progress is not None:
            progress(i + 1, len(paths))
    if not found:
        raise AudioError(f"none of the {len(paths)} audio files could be judged")
    return MosReport(tuple(found))


def _predict(path: str, require: Sequence[str], rate: int | None) -> Opinion:
    sound = read(path, rate=rate)
    check(sound)
    values: dict[str, float | None] = {}
    notes = list(sound.notes)
    for name in require:
        found, more = asked.alone(name, sound)
        values |= found
        notes += more
    return Opinion(path, sound.rate, len(sound.samples) / sound.rate, values, tuple(notes))
