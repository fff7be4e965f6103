"""Speed measurements: `pyvoc bench`, and the same in Python.

`run` measures synthesis and feature extraction in pinned child processes, beside peers, and returns
a `Report`; `docs/performance.md` says how. What can be
measured is in the families' records: a `Case` prepares its inputs and gives results.
"""

from pyvoc.bench.report import Absent, Machine, Peer, Report, Result, Spread
from pyvoc.bench.runner import run
from pyvoc.bench.session import Options

__all__ = ["Absent", "Machine", "Options", "Peer", "Report", "Result", "Spread", "run"]
