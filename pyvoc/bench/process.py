"""Child processes that measure, and the cores that they are pinned to."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import pyvoc.errors
from pyvoc.errors import Error, UnsupportedError
from pyvoc.runtime.child import command, environment
from pyvoc.runtime.cores import allowed

_DEFAULT_L2 = 1 << 20


class Child:
    """A child process that does what `worker` describes; a context manager.

    Parameters
    ----------
    kind
        ``module:name``: a function, or a class whose methods `call` calls.
    cores
        The logical processors it may use; its libraries' threads are as many.
    arguments
        The rest of the job.
    """

    def __init__(self, kind: str, cores: list[int], **arguments: Any) -> None:
        self.kind = kind
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115  (`close` closes it)
        self._process = subprocess.Popen(
            command("pyvoc.bench.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            env={**environment(), "OMP_NUM_THREADS": str(len(cores))},
        )
        self.reply: dict[str, Any] = {}
        try:
            self.reply = self._ask({"kind": kind, "cores": cores, **arguments})
        except BaseException:
            self.close()
            raise

    def call(self, method: str) -> dict[str, Any]:
        """Call a method of what the child made, and return its figures.

        Raises
        ------
        Error
            What the child raised, or that it died.
        """
        return self._ask({"call": method})

    def close(self) -> None:
        """End the child."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._process.wait()
        self._messages.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, job: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        try:
            stdin.write(json.dumps(job).encode() + b"\n")
            stdin.flush()
            reply: dict[str, Any] = json.loads(stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError) as error:
            code = self._process.wait()
            self._messages.seek(0)
            lines = self._messages.read().decode("utf-8", "replace").strip().splitlines()
            last = (lines or ["no message"])[-1]
            raise Error(
                f"the benchmark's '{self.kind}' process ended with code {code}: {last}"
            ) from error
        if "error" in reply:
            raise getattr(pyvoc.errors, reply["error"], Error)(reply["message"])
        return reply


def job(kind: str, cores: list[int], **arguments: Any) -> dict[str, Any]:
    """Run a function in a child process and return its figures.

    Raises
    ------
    Error
        What the child raised, or that it died.
    """
    with Child(kind, cores, **arguments) as child:
        return child.reply


def choose_cores(core: int | None, threads: int) -> list[int]:
    """As many logical processors as threads, from `core` on; None takes the last ones allowed.

    Raises
    ------
    UnsupportedError
        They are not there.
    """
    found = allowed()
    if core is not None and core not in found:
        raise UnsupportedError(
            f"core {core} is not one this process may use ({', '.join(map(str, found))})"
        )
    first = max(len(found) - threads if core is None else found.index(core), 0)
    cores = found[first : first + threads]
    if len(cores) < threads:
        raise UnsupportedError(
            f"{threads} threads need as many cores, found {len(cores)} from core "
            f"{core if core is not None else found[0]}"
        )
    return cores


def l2_bytes(core: int) -> int:
    """Size of the core's second-level cache; 1 MB where the system does not say."""
    for folder in Path(f"/sys/devices/system/cpu/cpu{core}/cache").glob("index*"):
        try:
            if (folder / "level").read_text().strip() == "2":
                return int((folder / "size").read_text().strip().removesuffix("K")) * 1024
        except (OSError, ValueError):
            continue
    return _DEFAULT_L2
