"""The child process of a benchmark: one job as JSON on stdin, its figures as JSON on stdout.

Every job has a process of its own, so that memory and pinning are its own too.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from pyvoc.errors import Error


def _run(job: dict[str, Any]) -> dict[str, Any]:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, job["cores"])
    from pyvoc.bench import jobs

    run = {
        "machine": jobs.machine,
        "synthesis": jobs.synthesis,
        "features": jobs.features,
        "memory": jobs.memory,
    }[job["kind"]]
    return run(job)


def main() -> int:
    """Run the job; 0, or 1 with the error as JSON."""
    try:
        reply, code = _run(json.load(sys.stdin)), 0
    except Error as error:
        reply, code = {"error": type(error).__name__, "message": str(error)}, 1
    json.dump(reply, sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main())
