"""Worker processes, as seen by the process that starts them."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from typing import Any

from pyvoc.errors import Error
from pyvoc.runtime.child import command, environment

__all__ = ["Died", "Process"]


class Died(Exception):
    """A worker ended in the middle of its work; the message says how."""


class Process:
    """One worker.

    Raises
    ------
    Error
        It cannot be started.
    """

    def __init__(self) -> None:
        # Its own session: Ctrl-C is the starter's to act on, which then ends it.
        self._process = subprocess.Popen(
            command("pyvoc.bulk.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"OMP_NUM_THREADS": "1", **environment()},
            start_new_session=True,
            encoding="utf-8",
        )
        try:
            self._reply()
        except Died as error:
            raise Error(f"a worker process does not start: {error}") from error

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Hand over a group of utterances, and wait for what becomes of it.

        Raises
        ------
        Died
            The worker ended.
        """
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the reply says that it ended
            stdin.write(json.dumps(job) + "\n")
            stdin.flush()
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        line = stdout.readline()
        if not line.endswith("\n"):
            code = self._process.wait()
            if code < 0:
                with contextlib.suppress(ValueError):
                    raise Died(f"it was ended by {signal.Signals(-code).name}")
            raise Died(f"it ended with code {code}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def kill(self) -> None:
        """End it at once; any thread may."""
        self._process.kill()

    def close(self) -> None:
        """End it, and wait for that."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait()
