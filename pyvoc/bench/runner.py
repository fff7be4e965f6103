"""Runs the cases of a benchmark and puts the report together."""

from __future__ import annotations

import datetime
import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from pyvoc.bench.process import allowed, choose_cores, job, l2_bytes
from pyvoc.bench.report import Machine, Report
from pyvoc.bench.session import Case, Options, Session

CASES = {
    "lpcnet": "pyvoc.bench.lpcnet.case:Lpcnet",
    "features": "pyvoc.bench.lpcnet.case:Features",
    "melgan": "pyvoc.bench.melgan.case:Melgan",
    "waveglow": "pyvoc.bench.waveglow.case:Waveglow",
}
"""What can be measured, and the class that does it."""
TARGETS = tuple(CASES)


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
        measured = job("machine:measure", cores[:1], l2_bytes=l2)
        machine = Machine(cores=len(allowed()), l2_bytes=l2, **measured)
        results = [result for case in cases for result in case.measure(machine)]
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return Report(machine, results, today, __version__)


def _case(target: str, session: Session) -> Case:
    module, _, name = CASES[target].partition(":")
    case: Case = getattr(importlib.import_module(module), name)(session)
    return case
