"""Resident memory of this process and of another, from Linux's /proc; None elsewhere.

``ru_maxrss`` will not do: a child inherits its parent's.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence

from pyvoc.errors import Error

_POLL_SECONDS = 0.002


def _status(pid: int | str, field: str) -> int | None:
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.startswith(f"{field}:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return None


def resident_bytes() -> int | None:
    """Resident memory of this process now."""
    return _status("self", "VmRSS")


def peak_bytes() -> int | None:
    """The most resident memory that this process had since `restart_peak`."""
    return _status("self", "VmHWM")


def restart_peak() -> None:
    """Forget the peak, where the system lets us; otherwise it counts from the start."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass


def peak_bytes_of(command: Sequence[str]) -> int | None:
    """Run a command that lives for some time, and watch its peak resident memory.

    Raises
    ------
    Error
        The command cannot be started or fails.
    """
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
    except OSError as error:
        raise Error(f"cannot run '{command[0]}': {error.strerror}") from error
    with process:
        peak = None
        while process.poll() is None:
            peak = _status(process.pid, "VmHWM") or peak
            time.sleep(_POLL_SECONDS)
        problem = process.stderr.read().strip() if process.stderr else ""
    if process.returncode != 0:
        raise Error(f"'{command[0]}' failed with code {process.returncode}: {problem}")
    return peak
