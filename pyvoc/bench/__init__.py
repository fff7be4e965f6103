"""Speed measurements: `pyvoc bench`, and the same in Python.

`run` measures synthesis and feature extraction in pinned child processes, beside a peer when one is
given, and returns a `Report`; `docs/performance.md` says how.
"""

from pyvoc.bench.report import Machine, Peer, Report, Result, Spread
from pyvoc.bench.runner import Options, run

__all__ = ["Machine", "Options", "Peer", "Report", "Result", "Spread", "run"]
