"""Figures of a likelihood: of one signal, of one file, of many, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pyvoc.runtime.model import Model

__all__ = ["FileScore", "Measured", "NllReport", "Scorer", "marginal_nats", "report"]


@dataclass(frozen=True)
class Measured:
    """A model's likelihood of one signal.

    Attributes
    ----------
    samples
        How many were scored.
    nats
        Mean negative log-likelihood, nats per sample.
    figures
        What else the family measures, nats per sample.
    histogram
        int64 [labels]: how often each label occurred; None where there are no labels.
    impossible
        Labels that the model gave no probability at all.
    """

    samples: int
    nats: float
    figures: Mapping[str, float]
    histogram: npt.NDArray[np.int64] | None = None
    impossible: int = 0


@dataclass(frozen=True)
class Scorer:
    """How the models of an architecture are scored.

    Attributes
    ----------
    measure
        Scores mono int16 [samples] at the model's rate. Raises AudioError for what is too short.
    recipe
        What its figures mean.
    """

    measure: Callable[[Model, npt.NDArray[np.int16]], Measured]
    recipe: Mapping[str, str]


@dataclass(frozen=True)
class FileScore:
    """Means over one file.

    Attributes
    ----------
    path
        The file.
    samples
        Samples scored.
    nats
        Negative log-likelihood, nats per sample.
    figures
        What else the family measures, nats per sample.
    """

    path: str
    samples: int
    nats: float
    figures: Mapping[str, float]


@dataclass(frozen=True)
class NllReport:
    """Means over all samples of all files.

    Attributes
    ----------
    model, architecture, precision
        What was asked.
    files
        One by one.
    samples
        In all.
    nats
        Negative log-likelihood, nats per sample.
    figures
        What else the family measures, nats per sample.
    marginal
        Entropy of the labels' histogram, nats; None where there are no labels.
    impossible
        Labels that the model gave no probability at all.
    recipe
        What each figure means.
    """

    model: str
    architecture: str
    precision: str
    files: tuple[FileScore, ...]
    samples: int
    nats: float
    figures: Mapping[str, float]
    marginal: float | None
    impossible: int
    recipe: Mapping[str, str]

    @property
    def bits(self) -> float:
        """The negative log-likelihood in bits per sample."""
        return self.nats / log(2)

    def to_json(self) -> dict[str, Any]:
        """For machines: every figure, and the recipes."""
        marginal = {} if self.marginal is None else {"marginal_nats": self.marginal}
        return {
            "model": self.model,
            "architecture": self.architecture,
            "precision": self.precision,
            "samples": self.samples,
            **_figures(self),
            **marginal,
            "impossible": self.impossible,
            "files": [
                {"path": file.path, "samples": file.samples, **_figures(file)}
                for file in self.files
            ],
            "recipes": dict(self.recipe),
        }

    def to_text(self) -> str:
        """For people: a table, and what each figure means."""
        names = ("nats", "bits", *self.figures)
        lines = [
            f"model {self.model} ({self.precision}), {len(self.files)} files, "
            f"{self.samples} samples",
            f"{' '.join(f'{name:>8}' for name in names)}  file",
            *(_row(file, file.path) for file in self.files),
            _row(self, "all samples"),
        ]
        if self.marginal is not None:
            space = "" if not self.figures else " " * (9 * len(self.figures))
            figures = f"{self.marginal:8.4f} {self.marginal / log(2):8.4f}"
            lines.append(f"{figures}{space}  marginal entropy")
        if self.impossible:
            lines.append(f"{self.impossible} labels had no probability at all")
        lines.extend(f"{name}: {text}" for name, text in self.recipe.items())
        return "\n".join(lines)


def _figures(score: FileScore | NllReport) -> dict[str, float]:
    return {
        "nats_per_sample": score.nats,
        "bits_per_sample": score.nats / log(2),
        **{f"{name}_nats": value for name, value in score.figures.items()},
    }


def _row(score: FileScore | NllReport, name: str) -> str:
    values = (score.nats, score.nats / log(2), *score.figures.values())
    return f"{' '.join(f'{value:8.4f}' for value in values)}  {name}"


def marginal_nats(histogram: npt.NDArray[np.int64]) -> float:
    """Entropy in nats of a histogram of labels."""
    share = histogram[histogram > 0] / histogram.sum()
    return float(-(share * np.log(share)).sum())


def report(
    model: Model, scorer: Scorer, paths: Sequence[str], found: Sequence[Measured]
) -> NllReport:
    """Means over files, weighted by their samples.

    Parameters
    ----------
    paths, found
        Of each file, one at least.
    """
    weights = np.array([one.samples for one in found])
    histograms = [one.histogram for one in found if one.histogram is not None]
    return NllReport(
        model=model.info.path,
        architecture=model.info.architecture,
        precision=model.info.precision,
        files=tuple(
            FileScore(path, one.samples, one.nats, one.figures)
            for path, one in zip(paths, found, strict=True)
        ),
        samples=int(weights.sum()),
        nats=float(np.average([one.nats for one in found], weights=weights)),
        figures={
            name: float(np.average([one.figures[name] for one in found], weights=weights))
            for name in found[0].figures
        },
        marginal=marginal_nats(np.sum(histograms, axis=0)) if histograms else None,
        impossible=sum(one.impossible for one in found),
        recipe=scorer.recipe,
    )
