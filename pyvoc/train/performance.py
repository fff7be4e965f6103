"""How fast a run was: throughput and end-to-end time, as JSON and as a table."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass

__all__ = ["Clock", "Performance"]

_WARM_UP = 3


@dataclass(frozen=True)
class Performance:
    """Figures of one session.

    Parameters
    ----------
    family, device, processes, batch_size, precision
        What ran where; `precision` is ``f32``, ``bf16`` or ``fp16`` (mixed).
    steps
        Updates of this session.
    steps_per_s, samples_per_s
        Over the steps alone (data included; validation, checkpoints and the first 3 steps not, if
        there were more); samples of all processes. 0 where nothing was measured.
    waiting
        Share of the time in steps, counted as for `steps_per_s`, that passed waiting for data.
    step_s, data_wait_s, end_to_end_s
        Seconds in steps, in them waiting for data, and altogether.
    """

    family: str
    device: str
    processes: int
    batch_size: int
    precision: str
    steps: int
    steps_per_s: float
    samples_per_s: float
    waiting: float
    step_s: float
    data_wait_s: float
    end_to_end_s: float

    def to_dict(self) -> dict[str, str | int | float]:
        """For JSON."""
        return dataclasses.asdict(self)

    def table(self) -> str:
        """A table with one row, precision in columns."""
        speed = f"{self.samples_per_s:.1f}"
        full, mixed = (speed, "-") if self.precision == "f32" else ("-", speed)
        columns = {
            "Model": self.family,
            "Devices": f"{self.processes} x {self.device}",
            "Batch size": str(self.batch_size),
            "Throughput, FP32 (samples/s)": full,
            "Throughput, mixed precision (samples/s)": mixed,
            "Steps/s": f"{self.steps_per_s:.2f}",
            "Waiting for data (%)": f"{100 * self.waiting:.1f}",
            "End to end (s)": f"{self.end_to_end_s:.1f}",
        }
        widths = [max(len(name), len(value)) for name, value in columns.items()]
        cells = (columns.keys(), ["-" * width for width in widths], columns.values())
        return "\n".join(
            " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in cells
        )


class Clock:
    """Measures steps.

    Parameters
    ----------
    samples_per_step
        Of the global batch.
    """

    def __init__(self, samples_per_step: int) -> None:
        self._samples = samples_per_step
        self._begin = time.perf_counter()
        self._warm_up: list[tuple[float, float]] = []
        self._data = 0.0
        self._lap = (0, 0.0)
        self._total = 0.0
        self._count = 0

    def elapsed(self) -> float:
        """Seconds since the session began."""
        return time.perf_counter() - self._begin

    def add(self, seconds: float, waiting: float) -> None:
        """A step was done."""
        self._total += seconds
        self._data += waiting
        steps, since = self._lap
        self._lap = steps + 1, since + seconds
        if len(self._warm_up) < _WARM_UP:
            self._warm_up.append((seconds, waiting))
        self._count += 1

    def lap(self) -> float:
        """Samples per second since the last call."""
        steps, seconds = self._lap
        self._lap = (0, 0.0)
        return steps * self._samples / seconds if seconds > 0 else 0.0

    def report(
        self, *, family: str, device: str, processes: int, batch_size: int, precision: str
    ) -> Performance:
        """What was measured."""
        steps, seconds, waited = self._count, self._total, self._data
        if steps > _WARM_UP:
            first, first_waited = map(sum, zip(*self._warm_up, strict=True))
            steps, seconds, waited = steps - _WARM_UP, seconds - first, waited - first_waited
        rate = steps / seconds if seconds > 0 else 0.0
        return Performance(
            family=family,
            device=device,
            processes=processes,
            batch_size=batch_size,
            precision=precision,
            steps=self._count,
            steps_per_s=rate,
            samples_per_s=rate * self._samples,
            waiting=waited / seconds if seconds > 0 else 0.0,
            step_s=self._total,
            data_wait_s=self._data,
            end_to_end_s=self.elapsed(),
        )
