"""Comparisons of many files as tables and JSON, each figure with its recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from pyvoc.evaluate import cepstra, f0, levels, perceptual, spectra
from pyvoc.evaluate.compare import MEASURES, Comparison, Measure

__all__ = ["Report", "recipes", "to_text"]

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


@dataclass(frozen=True)
class Report:
    """Comparisons, and what they have in common.

    Attributes
    ----------
    comparisons
        At least one.
    """

    comparisons: tuple[Comparison, ...]

    def _values(self, key: str) -> list[float]:
        found = (c.values.get(key) for c in self.comparisons)
        return [value for value in found if value is not None]

    def summary(self) -> dict[str, dict[str, float]]:
        """``mean`` and ``median`` over files by measure, of those that have a value."""
        columns = {m.key: self._values(m.key) for m in MEASURES}
        return {
            "mean": {key: fmean(column) for key, column in columns.items() if column},
            "median": {key: float(median(column)) for key, column in columns.items() if column},
        }

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
            "recipes": recipes(),
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
    shown = [m for m in MEASURES if any(m.key in c.values for c in comparisons)]
    rows = [[m.label for m in shown], [m.unit for m in shown]]
    names = ["", ""]
    for label, report in reports.items():
        for c in report.comparisons:
            rows.append(_row(shown, c.values))
            names.append(f"{c.output}  (delay {c.alignment.delay}, {c.alignment.method})")
        if len(report.comparisons) > 1:
            for name, values in report.summary().items():
                rows.append(_row(shown, values))
                of = f" of {label}" if label else ""
                names.append(f"{name} of {len(report.comparisons)} files{of}")
    for name, extra in (extra_rows or {}).items():
        rows.append(_row(shown, extra))
        names.append(f"{name} (mean)")
    widths = [max(len(row[i]) for row in rows) for i in range(len(shown))]
    lines = [
        "  ".join([*(cell.rjust(width) for cell, width in zip(row, widths, strict=True)), name])
        for row, name in zip(rows, names, strict=True)
    ]
    for c in comparisons:
        lines.extend(f"note on {c.output}: {note}" for note in c.notes)
    lines.extend(recipes().values())
    return "\n".join(line.rstrip() for line in lines)


def _row(shown: Sequence[Measure], values: Mapping[str, float | None]) -> list[str]:
    given = ((measure, values.get(measure.key)) for measure in shown)
    return ["-" if value is None else f"{value:.{m.digits}f}" for m, value in given]
