"""What the live tests run in a process of its own, with JACK or ALSA as its sound system.

Usage: live_worker.py TASK [ARGUMENT ...]; prints JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import numpy as np

import pyvoc
from pyvoc import _pyvoc
from pyvoc.live import Options, Session, measure_latency
from pyvoc.live.latency import ProbeSession


def loop_back() -> dict[str, object]:
    """The probe over the loopback, sample by sample."""
    session = ProbeSession(pyvoc.load("lpcnet"), Options(bypass=True, margin_ms=40))
    with session:
        session.wait(3.0)
        stats = session.stats()
    heard, made = np.concatenate(session.tapped).T
    sent = session.probe[: len(heard)]
    trip = _lag(sent, heard)
    engine = _lag(heard, made)
    # The first fade is over, the probe too.
    return {
        "trip": trip,
        "engine": engine,
        "counted": sum(v for k, v in stats.latency_parts.items() if not k.endswith("device")),
        "heard_wrong": _wrong(sent, heard, trip),
        "made_wrong": _wrong(heard, made, engine),
        "samples": len(heard),
        "stats": stats.as_dict(),
    }


def _lag(a: np.ndarray, b: np.ndarray) -> int:
    piece = a[8000:12000]
    products = np.correlate(b[8000:20000], piece, "valid")
    return int(np.argmax(products))


def _wrong(a: np.ndarray, b: np.ndarray, lag: int) -> int:
    n = min(len(a), len(b) - lag)
    return int((a[8000:n] != b[8000 + lag : n + lag]).sum())


def busy(seconds: str, python: str = "") -> dict[str, object]:
    """LPCNet while another Python thread never lets go of the interpreter but by force."""
    stop = threading.Event()

    def burn() -> None:
        while not stop.is_set():
            sum(i * i for i in range(10000))

    burner = threading.Thread(target=burn)
    with Session(pyvoc.load("lpcnet"), python_callback=bool(python), margin_ms=20) as session:
        burner.start()
        session.wait(float(seconds))
        stats = session.stats()
        stop.set()
    burner.join()
    return stats.as_dict()


def stall(times: str) -> dict[str, object]:
    """Callbacks that sleep, now and then, before they call the native one."""
    import cffi

    ffi = cffi.FFI()
    kind = "int(const void*, void*, unsigned long, const void*, unsigned long, void*)"
    native = ffi.cast(kind.replace("int(", "int(*)("), _pyvoc.live_callback_address())
    session = Session(pyvoc.load("lpcnet"), bypass=True)
    calls, stalls = 0, int(times)

    @ffi.callback(kind)
    def callback(*arguments: object) -> int:
        nonlocal calls
        calls += 1
        if calls % 50 == 0 and calls <= 50 * stalls:
            time.sleep(0.1)
        return int(native(*arguments))

    original = _pyvoc.live_callback_address
    _pyvoc.live_callback_address = lambda: int(ffi.cast("intptr_t", callback))
    try:
        with session:
            session.wait(0.01 * 50 * (stalls + 2) + 0.2 * stalls)
            stats = session.stats()
    finally:
        _pyvoc.live_callback_address = original
    return stats.as_dict()


def latency(bypass: str = "") -> dict[str, object]:
    return measure_latency(pyvoc.load("lpcnet"), bypass=bool(bypass), margin_ms=40).as_dict()


def play(source: str, device: str, rate: str) -> dict[str, object]:
    """A short file, whole in the ring before the device may have it."""
    options = Options(source=source, output=device, rate=int(rate), margin_ms=1000, channels=(1, 1))
    with Session(pyvoc.load("lpcnet"), options) as session:
        session.wait(10.0)
        return session.stats().as_dict()


def main() -> None:
    task = {f.__name__: f for f in (loop_back, busy, stall, latency, play)}[sys.argv[1]]
    print(json.dumps(task(*sys.argv[2:])))


if __name__ == "__main__":
    main()
