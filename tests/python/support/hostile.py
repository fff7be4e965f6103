"""What it means that a hostile file is refused."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyvoc.errors import ModelError
from pyvoc.pickles import load_torch

MEMORY = 200 << 20
SECONDS = 20.0
BAIT = "pyvoc-was-here"


def refused(path: Path, match: str, load: Callable[[Path], Any] = load_torch) -> None:
    """The file is refused in a sentence that names it, fast and without much memory."""
    tracemalloc.start()
    begin = time.monotonic()
    try:
        with pytest.raises(ModelError, match=match) as caught:
            load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ") and len(str(caught.value)) < 600
    assert peak < MEMORY and time.monotonic() - begin < SECONDS
    assert not Path(BAIT).exists()
