"""Files as no one would write them, some of each kind; ``make fuzz`` goes on for longer."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from lpcnet_files import ROOT

pytest.importorskip("torch")  # of what is changed, some comes from it


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readers", ROOT / "tests/fuzz/readers.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["readers"] = module  # for its dataclasses
    spec.loader.exec_module(module)
    return module


FUZZ = load()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FUZZ.READERS)
def test_changed_files(name: str, tmp_path: Path) -> None:
    found = FUZZ.fuzz(name, tmp_path, 150, 0.0, 1)
    assert found["runs"] == 150 and found["taken"] > 0
    assert found["taken"] < 150 or name == "kind"


def test_a_reader_that_fails_is_found(tmp_path: Path) -> None:
    def bad(path: Path) -> None:
        if path.read_bytes()[:4] != b"good":
            raise KeyError("x")

    FUZZ.READERS["bad"] = FUZZ.Reader("x", lambda _: [b"good" * 20], bad, [FUZZ.flipped])
    try:
        with pytest.raises(FUZZ.Found, match="KeyError"):
            FUZZ.fuzz("bad", tmp_path, 100, 0.0, 1)
        assert (tmp_path / "found-bad-x").exists()
    finally:
        del FUZZ.READERS["bad"]
