"""The package as users get it: sdist -> wheel -> a clean environment; and the stub beside it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def call(command: Sequence[str | Path], cwd: Path) -> str:
    """Standard output of a command that must succeed."""
    run = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"{command}:\n{run.stdout[-4000:]}\n{run.stderr[-4000:]}"
    return run.stdout


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of this checkout and the wheel built from that sdist alone."""
    if importlib.util.find_spec("build") is None:
        pytest.skip("needs the package build")
    out = tmp_path_factory.mktemp("dist")
    quick = [  # what is packed is tested here, not its speed
        "-Ccmake.define.CMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG",
        "-Ccmake.define.PYVOC_TIER_OPTIMIZE=-O1",
        "-Ccmake.define.PYVOC_TIERS=scalar",
    ]
    call([sys.executable, "-m", "build", *quick, "--outdir", out, ROOT], cwd=out)
    return out


def test_sdist_holds_the_sources(dist: Path) -> None:
    (sdist,) = dist.glob("pyvoc_vocoder-*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for expected in (
        "CMakeLists.txt",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "csrc/include/pyvoc/pyvoc.h",
        "csrc/kernels/tiers/avx2.cc",
        "python_bindings/CMakeLists.txt",
        "pyvoc/py.typed",
        "pyvoc/voices/default.gguf",
        "pyvoc/voices/default.md",
        "pyvoc/voices/demo.f32",
        "pyvoc/voices/demo.flac",
        "pyvoc/voices/mit.txt",
        "pyvoc/voices/table.json",
        "recipes/lpcnet_voice/make_speech.py",
        "recipes/lpcnet_voice/sentences.txt",
    ):
        assert expected in names
    unwanted = [n for n in names if n.startswith(("build/", "dist/", ".ci/", ".venv/"))]
    assert not unwanted


def test_wheel_is_in_order(dist: Path) -> None:
    (wheel,) = dist.glob("pyvoc_vocoder-*.whl")
    call([sys.executable, ROOT / "scripts/audit_wheel.py", wheel], cwd=dist)


def test_wheel_works_in_a_clean_environment(dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("pyvoc_vocoder-*.whl")
    environment = tmp_path / "clean"
    venv.create(environment, with_pip=True)
    folder = environment / ("Scripts" if sys.platform == "win32" else "bin")
    call([folder / "python", "-m", "pip", "install", "--quiet", wheel], cwd=tmp_path)
    said = call([folder / "python", ROOT / "scripts/smoke_test.py"], cwd=tmp_path)
    assert wheel.name.split("-")[1] in said and "scalar: " in said
    assert "usage" in call([folder / "python", "-m", "pyvoc", "--help"], cwd=tmp_path)


def test_import_needs_no_optional_package() -> None:
    program = (
        "import sys, pyvoc, pyvoc.cli\n"
        "heavy = {'h5py', 'gguf', 'soxr', 'matplotlib', 'sounddevice', 'torch', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert call([sys.executable, "-c", program], cwd=Path(sys.prefix)).strip() == "[]"


def test_stub_matches_the_module(tmp_path: Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("needs mypy")
    out = call([sys.executable, "-m", "mypy.stubtest", "pyvoc._pyvoc"], cwd=tmp_path)
    assert "Success" in out
