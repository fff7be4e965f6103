"""The rule of the Python house: machinery reaches families through their records only."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pyvoc import families

PACKAGE = Path(__file__).resolve().parents[3] / "pyvoc"
ROOMS = (
    "bench",
    "bulk",
    "container",
    "convert",
    "evaluate",
    "export",
    "files",
    "live",
    "melcheck",
    "pickles",
    "quant",
    "runtime",
    "serve",
    "train",
    "voices",
)
LAYOUTS = re.compile(r"lpcnet(?:20|36|55)|LPCNet features", re.IGNORECASE)
"""Feature layouts are formats of files, as mel recipes are; these are named after a family."""
PRESETS = {"container/mel.py": ("hifigan", "HIFIGAN")}
"""A mel recipe whose upstream is called as a family is: the preset's name, where it is defined."""


def words(path: Path) -> list[tuple[int, str]]:
    """Names and strings of a module with their lines; docstrings and comments may name anyone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            found.append((line, node.value))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found += [(line, alias.name) for alias in node.names]
            found.append((line, getattr(node, "module", None) or ""))
        found += [
            (line, value)
            for key in ("id", "attr", "name", "arg")
            if isinstance(value := getattr(node, key, None), str)
        ]
    return found


def test_every_folder_is_a_room() -> None:
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders == {*ROOMS, "cli", "families"}


@pytest.mark.parametrize("room", ROOMS)
def test_machinery_names_no_family(room: str) -> None:
    names = re.compile("|".join([*families.names(), "vocos"]), re.IGNORECASE)
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line}: {text[:80]}"
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for line, text in words(path)
        if names.search(LAYOUTS.sub("", text))
        and text not in PRESETS.get(path.relative_to(PACKAGE).as_posix(), ())
    ]
    assert not wrong, "\n".join(wrong)


def test_families_do_not_know_each_other() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line}: {text}"
        for name in families.names()
        for path in sorted((PACKAGE / "families" / name).rglob("*.py"))
        for line, text in words(path)
        if re.match(r"pyvoc\.families\.(?!family\b)", text)
        and not text.startswith(f"pyvoc.families.{name}")
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "program", ["import pyvoc", "import pyvoc.cli; pyvoc.cli.main(['--help'])"]
)
def test_a_start_loads_no_family(program: str) -> None:
    code = (
        "import sys\n"
        f"try:\n    {program}\n"
        "except SystemExit:\n    pass\n"
        "print([m for m in sys.modules if m.startswith(('pyvoc.families', 'numpy', 'pyvoc._'))],"
        " file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stderr.strip() == "[]"


def test_records_hold_what_they_promise() -> None:
    """Every reference of every record leads somewhere, and records alone load no machinery."""
    for family in (f for f in families.everyone() if f.package is None):
        maybe = [family.tensors, family.noise_channels, family.report, family.exporter]
        if importlib.util.find_spec("torch") is not None:
            maybe += [family.network, family.trainer, family.recipes]
        references = [
            family.spec,
            *(file.reader for file in family.files),
            *family.benchmarks.values(),
            *(reference for reference in (*maybe, family.likelihood) if reference is not None),
        ]
        for reference in references:
            assert family.resolve(reference) is not None
        assert family.resolve(family.spec).architecture == family.architecture
        assert bool(family.exporter) != bool(family.not_exported)


def test_records_are_light() -> None:
    code = (
        "import sys\nfrom pyvoc import families\nfamilies.everyone()\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('numpy', 'torch', 'gguf')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
