"""The server of `pyvoc serve` in a thread of the tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("starlette")
pytest.importorskip("websockets")
pytest.importorskip("uvicorn")

import uvicorn

import pyvoc
from pyvoc.serve import Limits
from pyvoc.serve.app import application
from pyvoc.serve.server import listen, server


@contextmanager
def running(model: pyvoc.Model, limits: Limits) -> Iterator[tuple[int, uvicorn.Server]]:
    """Its port, and itself; the model is called tree."""
    app = application({"tree": model}, limits=limits, threads=2)
    found, listening = server(app, limits), listen("127.0.0.1", 0, limits)
    thread = threading.Thread(target=found.run, args=([listening],), daemon=True)
    thread.start()
    while not found.started:
        time.sleep(0.01)
    yield listening.getsockname()[1], found
    found.should_exit = True
    thread.join(30)
    assert not thread.is_alive()
