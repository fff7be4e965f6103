"""A page in headless Chromium, driven by its DevTools protocol over a pair of pipes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COMMAND = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PATIENCE = 60.0  # seconds for one answer, on a machine that does much else


class Browser:
    """One page. What it asks for and what it complains of is kept.

    Attributes
    ----------
    events
        All that the browser told, oldest first.
    """

    def __init__(self, folder: Path, *more: str) -> None:
        assert COMMAND is not None
        self.events: list[dict[str, Any]] = []
        self._buffer, self._last, self._session = b"", 0, ""
        ours, theirs = _pipe()
        self._read = ours[0]
        self._write = theirs[1]
        switches = (
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--mute-audio", "--no-first-run", "--disable-background-networking"),
            *("--autoplay-policy=no-user-gesture-required", "--remote-debugging-pipe"),
            *more,
        )
        self._process = subprocess.Popen(  # it reads commands from 3 and answers on 4
            [
                *("bash", "-c", f'exec "$@" 3<&{theirs[0]} 4>&{ours[1]}', "bash"),
                *(COMMAND, *switches, f"--user-data-dir={folder}", "about:blank"),
            ],
            pass_fds=(theirs[0], ours[1]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs[0])
        os.close(ours[1])
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._session = ""
            self.call("Browser.close")
            self._process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # a session of its own: none but its own
        self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers to a command of the protocol."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self._last:
                assert "error" not in found, f"{method}: {found['error']}"
                return dict(found["result"])

    def open(self, path: Path) -> None:
        """Load a file; return when all of it is there."""
        self.visit(path.resolve().as_uri())

    def visit(self, address: str) -> None:
        """The same with what is at an address."""
        seen = len(self.events)
        self.call("Page.navigate", url=address)
        while not any(e["method"] == "Page.loadEventFired" for e in self.events[seen:]):
            self._next()

    def run(self, expression: str) -> Any:
        """The value of an expression on the page; promises are awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key: a digit or the space bar."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" else {}
            code = ord(key)
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text
            )

    def requests(self) -> list[str]:
        """Every address that was asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[Any]:
        """What the console shows, whatever its level, and exceptions."""
        kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [event["params"] for event in self.events if event["method"] in kinds]

    def _next(self) -> dict[str, Any]:
        """The next message; events are kept."""
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0, until - time.monotonic()))
            data = os.read(self._read, 1 << 16) if ready else b""
            if not data:
                raise TimeoutError(f"the browser said nothing for {PATIENCE:g} s, or ended")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        if "method" in found:
            self.events.append(found)
        return found


def _pipe() -> tuple[tuple[int, int], tuple[int, int]]:
    """Two pipes, numbered from 10 on, out of the way of what the browser uses."""
    pipes = []
    for _ in range(2):
        low = os.pipe()
        pipes.append(tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low))
        for end in low:
            os.close(end)
    return pipes[0], pipes[1]


@contextlib.contextmanager
def browser(folder: Path, *switches: str) -> Iterator[Browser]:
    """A browser that keeps its files in `folder`; more switches go to its command line."""
    found = Browser(folder, *switches)
    try:
        yield found
    finally:
        found.close()
