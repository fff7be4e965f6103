"""FARGAN live: what the engine counts as its delay is what correlation finds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fargan_files import BLOB
from jack import server

from pyvoc.convert import convert


@pytest.mark.skipif(not BLOB.exists(), reason="no golden data")
def test_latency_by_correlation_is_the_engines_own_count(tmp_path: Path) -> None:
    convert(BLOB, tmp_path / "m.gguf", precision="int8")
    options = ("--measure-latency", "--margin", "40", "--json")
    with server() as jack:
        for _ in range(3):  # the host may stall
            process = jack.run("-m", "pyvoc", "live", "-m", tmp_path / "m.gguf", *options)
            jack.loop_back()
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            found = json.loads(out)
            if found["moved"] <= 1.0 and found["underruns"] == 0:
                break
    assert found["moved"] <= 1.0 and found["underruns"] == 0
    # A frame, a frame and a half of look-ahead, the reserve.
    assert found["counted"] == pytest.approx(10 + 15 + 40)
    assert found["engine"] == pytest.approx(found["counted"], abs=2.5)
