"""Comparisons of many files as tables and JSON, each figure with its recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from pyvoc.evaluate import asked, cepstra, f0, levels, perceptual, spectra
from pyvoc.evaluate.compare import MEASURES, Comparison, Measure

__all__ = ["Report", "means", "recipes", "recipes_of", "table", "to_text"]

_ALIGNMENT_RECIPE = (
    "alignment: the delay given; else waveform cross-correlation within 100 ms when its peak is "
    "clear, else that of 10 ms log energies (a few ms of error), else none"
)


def recipes() -> dict[str, str]:
    """What each figure is, with the estimators that this installation has."""
    found = {
        "alignment": _ALIGNMENT_RECIPE,
        "mcd_db": cepstra.RECIPE.format(envelope=cepstra.envelope_name()),
        "lsd_db": spectra.RECIPE,
        "f0": f0.RECIPE.format(tracker=f0.tracker_name()),
        "level_db": levels.LEVEL_RECIPE,
        "clicks": levels.CLICK_RECIPE,
    }
    for name, text in (("pesq", perceptual.PESQ_RECIPE), ("stoi", perceptual.STOI_RECIPE)):
        found[name] = text if perceptual.installed(name) else f"{name}: not installed, not measured"
    return found


def recipes_of(keys: Iterable[str], *, original: bool) -> dict[str, str]:
    """The recipes of those among figures that are measured only when asked for.

    Parameters
    ----------
    keys
        :attr:`Measure.key` of what was measured.
    original
        Whether originals were given.
    """
    measured = set(keys)
    return {
        name: asked.recipe(name, original=original)
        for name, module in asked.ASKED.items()
        if measured.issuperset(module.FIGURES)
    }


def means(rows: Sequence[Mapping[str, float | None]]) -> dict[str, dict[str, float]]:
    """``mean`` and ``median`` over files by measure, of those that have a value."""
    columns = {m.key: [v for row in rows if (v := row.get(m.key)) is not None] for m in MEASURES}
    return {
        "mean": {key: fmean(column) for key, column in columns.items() if column},
        "median": {key: float(median(column)) for key, column in columns.items() if column},
    }


def table(rows: Sequence[tuple[str, Mapping[str, float | None]]]) -> list[str]:
    """Lines of a table, with those measures that some row has.

    Parameters
    ----------
    rows
        What stands at the end of a line, and values by measure.
    """
    shown = [m for m in MEASURES if m.in_table and any(m.key in values for _, values in rows)]
    heads = [[m.label for m in shown], [m.unit for m in shown]]
    heads = [row for row in heads if any(row)]
    cells = heads + [_row(shown, values) for _, values in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(shown))]
    names = [""] * len(heads) + [name for name, _ in rows]
    return [
        "  ".join([*(cell.rjust(width) for cell, width in zip(row, widths, strict=True)), name])
        for row, name in zip(cells, names, strict=True)
    ]


@dataclass(frozen=True)
class Report:
    """Comparisons, and what they have in common.

    Attributes
    ----------
    comparisons
        At least one.
    """

    comparisons: tuple[Comparison, ...]

    def summary(self) -> dict[str, dict[str, float]]:
        """``mean`` and ``median`` over files by measure, of those that have a value."""
        return means([c.values for c in self.comparisons])

    def recipes(self) -> dict[str, str]:
        """What each figure is."""
        keys = {key for c in self.comparisons for key in c.values}
        return recipes() | recipes_of(keys, original=True)

    def to_json(self) -> dict[str, Any]:
        """For machines: every figure, alignment, note and recipe."""
        return {
            "files": [
                {
                    "reference": c.reference,
                    "output": c.output,
                    "sample_rate": c.rate,
                    "seconds": c.seconds,
                    "alignment": {
                        "delay": c.alignment.delay,
                        "method": c.alignment.method,
                        "peak": c.alignment.peak,
                        "fraction": c.alignment.fraction,
                    },
                    **c.values,
                    "notes": list(c.notes),
                }
                for c in self.comparisons
            ],
            **self.summary(),
            "recipes": self.recipes(),
        }

    def to_text(self, *, extra_rows: Mapping[str, Mapping[str, float]] | None = None) -> str:
        """For people: a table, notes, and what each figure means.

        Parameters
        ----------
        extra_rows
            Values by measure to print below the files, by name.
        """
        return to_text({"": self}, extra_rows=extra_rows)


def to_text(
    reports: Mapping[str, Report], *, extra_rows: Mapping[str, Mapping[str, float]] | None = None
) -> str:
    """For people: the reports of several systems as one table, notes, and what each figure means.

    Parameters
    ----------
    reports
        By the systems' labels; the label of a lone one may be empty.
    extra_rows
        As for :meth:`Report.to_text`.
    """
    comparisons = [c for report in reports.values() for c in report.comparisons]
    rows: list[tuple[str, Mapping[str, float | None]]] = []
    for label, report in reports.items():
        for c in report.comparisons:
            name = f"{c.output}  (delay {c.alignment.delay}, {c.alignment.method})"
            rows.append((name, c.values))
        if len(report.comparisons) > 1:
            of = f" of {label}" if label else ""
            count = len(report.comparisons)
            rows += [
                (f"{name} of {count} files{of}", row) for name, row in report.summary().items()
            ]
    if original := _of_originals(comparisons):
        rows.append(("original (mean)", original))
    rows += [(f"{name} (mean)", row) for name, row in (extra_rows or {}).items()]
    lines = table(rows)
    for c in comparisons:
        lines.extend(f"note on {c.output}: {note}" for note in c.notes)
    lines.extend(Report(tuple(comparisons)).recipes().values())
    return "\n".join(line.rstrip() for line in lines)


def _of_originals(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """Means of what was measured of the originals themselves, as if each were an output."""
    end = "_reference"
    each = {c.reference: c.values for c in comparisons}  # several systems share an original
    found = means(list(each.values()))["mean"].items()
    return {key.removesuffix(end): value for key, value in found if key.endswith(end)}


def _row(shown: Sequence[Measure], values: Mapping[str, float | None]) -> list[str]:
    given = ((measure, values.get(measure.key)) for measure in shown)
    return ["-" if value is None else f"{value:.{m.digits}f}" for m, value in given]
