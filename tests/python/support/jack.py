"""A JACK server without a sound card: callbacks paced by the clock, ports connected at will.

From Debian's packages jackd2 and libportaudio2; tests that need it skip with the reason without.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import interrupts
import pytest

ROOT = Path(__file__).resolve().parents[3]


def need_port_audio() -> None:
    try:
        import cffi  # noqa: F401
        import sounddevice  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"live sound cannot run here: {error}")


@dataclass
class Server:
    name: str
    process: subprocess.Popen[bytes]
    environment: dict[str, str]

    def call(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=20
        )
        return done.stdout

    def ports(self) -> list[str]:
        return [line for line in self.call("jack_lsp").splitlines() if ":" in line]

    def loop_back(self, *, seconds: float = 20.0) -> None:
        """Connect the output of the PortAudio client that appears to its own input."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ports = [p for p in self.ports() if p.startswith("PortAudio")]
            sources = [p for p in ports if "out_0" in p]
            sinks = [p for p in ports if "in_0" in p]
            if sources and sinks:
                self.call("jack_disconnect", "system:capture_1", sinks[0])
                self.call("jack_connect", sources[0], sinks[0])
                return
            time.sleep(0.05)
        raise AssertionError(f"no PortAudio client among {self.ports()}")

    def run(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """``python ARGUMENTS`` with this server as its sound system."""
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=interrupts.heard,
        )

    def stop(self) -> str:
        """What it said."""
        if self.process.returncode is not None:
            return ""
        self.process.terminate()
        try:
            said, _ = self.process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            said, _ = self.process.communicate()
        return said.decode(errors="replace")


def environment(**more: str) -> dict[str, str]:
    """Of a process that imports this pyvoc and starts no sound server by itself."""
    path = os.pathsep.join(p for p in sys.path if p)
    return {**os.environ, "JACK_NO_START_SERVER": "1", "PYTHONPATH": path, **more}


@contextmanager
def server(*, rate: int = 16000, period: int = 160) -> Iterator[Server]:
    for program in ("jackd", "jack_lsp", "jack_connect"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} (Debian: apt-get install jackd2)")
    need_port_audio()
    name = f"pyvoc{os.getpid()}x{time.monotonic_ns() % 1000000}"
    env = environment(JACK_DEFAULT_SERVER=name, JACK_NO_AUDIO_RESERVATION="1")
    process = subprocess.Popen(
        [
            "jackd",
            "-r",
            "--no-mlock",
            "-n",
            name,
            "-d",
            "dummy",
            "-r",
            str(rate),
            "-p",
            str(period),
        ],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    running = Server(name, process, env)
    end = time.monotonic() + 10
    while not any(p.startswith("system:") for p in running.ports()):
        if process.poll() is not None or time.monotonic() > end:
            pytest.skip(f"jackd cannot run here: {running.stop()[-300:]}")
        time.sleep(0.1)
    try:
        yield running
    finally:
        running.stop()
