"""Runs the cases of a benchmark and puts the report together."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Callable
from pathlib import Path

from pyvoc import families
from pyvoc.bench.process import choose_cores, job, l2_bytes
from pyvoc.bench.report import Machine, Report
from pyvoc.bench.session import Case, Options, Session
from pyvoc.families import Family
from pyvoc.runtime.cores import allowed


def targets() -> dict[str, Family]:
    """What can be measured, and whose it is."""
    return {name: family for family in families.everyone() for name in family.benchmarks}


def run(options: Options, *, progress: Callable[[str], None] | None = None) -> Report:
    """Measure.

    Parameters
    ----------
    options
        What.
    progress
        Called with a line before each step.

    Raises
    ------
    ModelError, UnsupportedError, Error
        The model cannot be loaded, is of another architecture; a core that is not there; a peer
        that fails.
    """
    from pyvoc import __version__

    say = progress or (lambda line: None)
    cores = choose_cores(options.core, options.threads)
    with tempfile.TemporaryDirectory(prefix="pyvoc-bench-") as name:
        session = Session(options, cores, Path(name), say)
        cases = [_case(target, session) for target in options.targets]
        for case in cases:
            case.prepare()
        say("machine")
        l2 = l2_bytes(cores[0])
        measured = job("pyvoc.bench.machine:measure", cores[:1], l2_bytes=l2)
        machine = Machine(cores=len(allowed()), l2_bytes=l2, **measured)
        results = [result for case in cases for result in case.measure(machine)]
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return Report(machine, results, today, __version__)


def _case(target: str, session: Session) -> Case:
    family = targets()[target]
    case: Case = family.resolve(family.benchmarks[target])(session)
    return case
