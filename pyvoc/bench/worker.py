"""The child process of a benchmark: one job per line as JSON on stdin, its figures on stdout.

The first line names what to do, ``module:name``. A function is called with the
job; a class is made with it and stays, and the lines that follow call its methods. Every job has a
process of its own, so that memory and pinning are its own too. What libraries print goes to stderr.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

from pyvoc.errors import Error, UnsupportedError

Job = dict[str, Any]


class _Worker:
    """What was made by the first job."""

    def __init__(self) -> None:
        self.made: Any = None

    def do(self, job: Job) -> Job:
        if "call" in job:
            reply: Job = getattr(self.made, job["call"])()
            return reply
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, job["cores"])
        module, _, name = job["kind"].partition(":")
        thing = getattr(importlib.import_module(module), name)
        result = thing(job)
        if not isinstance(thing, type):
            return dict(result)
        self.made = result
        return {}


def main() -> int:
    """Do jobs until there is none; 0, or 1 after an error, which is replied as JSON."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = _Worker()
    for line in sys.stdin:
        try:
            reply, code = worker.do(json.loads(line)), 0
        except Error as error:
            reply, code = {"error": type(error).__name__, "message": str(error)}, 1
        except ImportError as error:
            why = f"{error.name} is not installed" if error.name else str(error)
            reply, code = {"error": UnsupportedError.__name__, "message": why}, 1
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
