"""The figures of one system or several, gathered while comparisons go by."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from pyvoc.evaluate.compare import Comparison
from pyvoc.evaluate.references import CEILING_RECIPE, FLOOR_RECIPE
from pyvoc.evaluate.report import Report, to_text
from pyvoc.evaluate.systems import Compared

__all__ = ["Gathered"]


class Gathered:
    """Figures without signals, so that many comparisons take little memory.

    Parameters
    ----------
    several
        Systems go by their labels, even if one alone could be compared.
    """

    def __init__(self, *, several: bool) -> None:
        self._several = several
        self._systems: dict[str, list[Comparison]] = {}
        self._bounds: dict[str, list[Comparison]] = {}

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._systems)

    def passing(self, compared: Iterable[Compared]) -> Iterator[Compared]:
        """The same comparisons; the figures of each stay here."""
        for one in compared:
            for kept, found in ((self._systems, one.comparisons), (self._bounds, one.bounds)):
                for label, comparison in found.items():
                    kept.setdefault(label, []).append(comparison.without_signals())
            yield one

    def to_json(self) -> dict[str, Any]:
        """For machines: one system's report as it is, those of several by their labels."""
        reports = [(label, Report(tuple(found))) for label, found in self._systems.items()]
        if self._several:
            by_label = {label: report.to_json() for label, report in reports}
            shared: dict[str, str] = {}
            for report in by_label.values():
                shared |= report.pop("recipes")
            whole: dict[str, Any] = {"systems": by_label, "recipes": shared}
        else:
            ((_, only),) = reports
            whole = only.to_json()
        for name, bound in self._bounds.items():
            whole[name] = Report(tuple(bound)).summary()
        if self._bounds:
            whole["recipes"] |= {"ceiling": CEILING_RECIPE, "floor": FLOOR_RECIPE}
        return whole

    def to_text(self) -> str:
        """For people: one table, and what each figure means."""
        reports = {
            label if self._several else "": Report(tuple(found))
            for label, found in self._systems.items()
        }
        means = {name: Report(tuple(f)).summary()["mean"] for name, f in self._bounds.items()}
        text = to_text(reports, extra_rows=means)
        return os.linesep.join([text, CEILING_RECIPE, FLOOR_RECIPE]) if means else text
