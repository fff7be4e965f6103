"""Backends: what is there, how one is forced, and the convolutional tests on each of them.

Forced for a whole process, as ``PYVOC_BACKEND`` is: the tests of the runtime run in a pytest of
their own. They skip where a backend is unavailable, with its reason.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lpcnet_files import ROOT
from voices import MELGAN, TREE

import pyvoc

HERE = Path(__file__).resolve().parents[1]
NATIVE, *OTHERS = pyvoc.system_info()["backends"]
CONVOLUTIONS = ("conv", "conv_transposed")


def forced(backend: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYVOC_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )


def plan(backend: str, model: Path) -> list[dict[str, object]]:
    done = forced(backend, "-m", "pyvoc", "info", "--json", str(model))
    assert done.returncode == 0, done.stderr
    entries: list[dict[str, object]] = json.loads(done.stdout)[0]["plan"]
    return entries


def available(backend: dict[str, str]) -> str:
    if backend["unavailable"]:
        pytest.skip(f"{backend['name']}: {backend['unavailable']}")
    return backend["name"]


every_other = pytest.mark.parametrize("backend", OTHERS, ids=lambda b: b["name"])


def test_native_is_always_there() -> None:
    assert NATIVE == {"name": "native", "about": "", "unavailable": ""}
    assert [b["name"] for b in OTHERS] == ["onednn"]


def test_an_unknown_backend_is_refused() -> None:
    done = forced("abacus", "-m", "pyvoc", "info", str(TREE))
    assert done.returncode == 4
    assert '"abacus" is unknown; valid: native, onednn' in done.stderr


@every_other
def test_an_unavailable_backend_is_refused(backend: dict[str, str]) -> None:
    name, why = backend["name"], backend["unavailable"]
    if not why:
        pytest.skip(f"{name} is available")
    done = forced(name, "-m", "pyvoc", "info", str(MELGAN[0]))
    assert done.returncode == 4
    assert f"PYVOC_BACKEND={name}: unavailable, {why}" in done.stderr
    assert name in forced(name, "-m", "pyvoc", "doctor").stdout


@every_other
def test_a_library_that_is_not_there(
    backend: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason names the file, and models run all the same."""
    available(backend)
    monkeypatch.setenv("PYVOC_ONEDNN_LIBRARY", "/nowhere/libdnnl.so.3")
    done = forced("", "-m", "pyvoc", "info", "--json")
    found = {b["name"]: b["unavailable"] for b in json.loads(done.stdout)["backends"]}
    assert "/nowhere/libdnnl.so.3" in found["onednn"]
    assert {e["backend"] for e in plan("", MELGAN[0])} == {"native"}


@every_other
@pytest.mark.parametrize("path", MELGAN, ids=lambda p: p.stem)
def test_a_forced_backend_has_the_convolutions(backend: dict[str, str], path: Path) -> None:
    """The last one, with one output, is native in any case."""
    name = available(backend)
    for entry in plan(name, path):
        native = entry["layer"] == "conv_out" or (entry["weights"] == "i8" and not vnni())
        assert entry["op"] in CONVOLUTIONS
        assert entry["backend"] == ("native" if native else name), entry


def vnni() -> bool:
    tiers = pyvoc.system_info()["tiers"]
    return any(tier["name"] == "avx512vnni" and tier["supported"] for tier in tiers)


@every_other
def test_other_layers_stay_native(backend: dict[str, str]) -> None:
    assert {e["backend"] for e in plan(available(backend), TREE)} == {"native"}


@every_other
@pytest.mark.parametrize(
    ("file", "expression"),
    [
        ("families/melgan/test_golden_melgan.py", "not every_tier"),
        ("families/melgan/test_runtime_melgan.py", ""),
        ("runtime/test_stream.py", "chunking or reset_is_a_fresh_stream or batch"),
    ],
    ids=lambda value: value.removesuffix(".py") if value.endswith(".py") else "",
)
def test_the_same_tests(backend: dict[str, str], file: str, expression: str) -> None:
    """Golden audio, the oracle on tiny models, any chunking, batches and threads."""
    name = available(backend)
    arguments = [
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(ROOT),
        "-p",
        "no:cacheprovider",
    ]
    done = forced(name, "-m", "pytest", *arguments, str(HERE / file), "-k", expression)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
