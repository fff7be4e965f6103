"""What an app pays that embeds one family: ``tests/embed``, built as a part of another project.

For AArch64 with a cross compiler, and for x86-64 with four tiers: that it is small, that it makes
the samples of the whole library, that pyvoc changes nothing of the project it is a part of.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
VOICE = ROOT / "pyvoc" / "voices" / "lpcnet.gguf"
LIMIT_AARCH64 = 320 * 1024
LIMIT_X86 = 700 * 1024
TOOLCHAIN = ROOT / "cmake" / "aarch64-linux-gnu.cmake"

BUILDS = pytest.mark.timeout(1800)  # most of the library; a minute on two free cores
pytestmark = pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")


def call(command: Sequence[str | Path], **options: object) -> subprocess.CompletedProcess[bytes]:
    run = subprocess.run(command, capture_output=True, check=False, **options)  # type: ignore[call-overload]
    assert run.returncode == 0, f"{command}:\n{run.stdout.decode()}\n{run.stderr.decode()}"
    return run  # type: ignore[no-any-return]


def built(folder: Path, *options: str) -> Path:
    """The program ``copy``, linked with what the options leave of pyvoc."""
    launcher = [f"-DCMAKE_CXX_COMPILER_LAUNCHER={c}" for c in ["ccache"] if shutil.which(c)]
    made = ["-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *launcher, *options]
    call(["cmake", "-S", ROOT / "tests/embed", "-B", folder, *made])
    call(["cmake", "--build", folder, "--parallel", "2"])
    return folder / "copy"


def refusal(folder: Path, *options: str) -> str:
    """What CMake says of options that it refuses, or warns of."""
    command = ["cmake", "-S", ROOT / "tests/embed", "-B", folder, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def tone(n: int = 8000) -> bytes:
    """Half a second, with a voice's harmonics."""
    t = np.arange(n) / 16000
    wave = sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 15))
    return bytes((6000 * wave).astype("<i2").tobytes())


@BUILDS
def test_an_app_on_aarch64_is_small(tmp_path: Path) -> None:
    if shutil.which("aarch64-linux-gnu-g++") is None:
        pytest.skip("no aarch64-linux-gnu-g++")
    app = built(
        tmp_path,
        f"-DCMAKE_TOOLCHAIN_FILE={TOOLCHAIN}",
        "-DCMAKE_BUILD_TYPE=MinSizeRel",
        "-DPYVOC_SCALAR=OFF",
    )
    assert app.stat().st_size <= LIMIT_AARCH64
    if shutil.which("qemu-aarch64") is None:
        pytest.skip("small, but not run: no qemu-aarch64")
    spoken = call(
        ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", app, VOICE], input=tone(1600)
    ).stdout
    assert len(spoken) == 2 * 1600
    assert np.abs(np.frombuffer(spoken, "<i2").astype(int)).max() > 300


def test_options_are_checked(tmp_path: Path) -> None:
    said = refusal(tmp_path / "model", "-DPYVOC_MODELS=lpcnet,vocos")
    assert '"vocos" is unknown' in said and "fargan" in said
    said = refusal(tmp_path / "tier", "-DPYVOC_SCALAR=OFF", "-DPYVOC_TIERS=avxvnni")
    assert "no kernels" in said
    said = refusal(tmp_path / "scalar", "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=z80")
    assert "scalar kernels alone" in " ".join(said.split()) and "z80" in said
    cache = (tmp_path / "scalar" / "CMakeCache.txt").read_text()
    assert "CMAKE_BUILD_TYPE:STRING=\n" in cache, "the parent's build type was set"


@BUILDS
@pytest.mark.skipif(platform.machine() != "x86_64", reason="needs an x86-64 processor")
def test_an_app_on_x86_is_small_and_speaks_as_the_library(tmp_path: Path) -> None:
    app = built(
        tmp_path / "app",
        "-DCMAKE_BUILD_TYPE=MinSizeRel",
        "-DPYVOC_TIERS=avx2,avx512,avx512vnni",
    )
    assert app.stat().st_size <= LIMIT_X86
    commands = json.loads((app.parent / "compile_commands.json").read_text())
    tiers = [c["command"] for c in commands if "/kernels/tiers/" in c["file"]]
    assert len(tiers) == 4
    assert all(" -O3 " in c and " -Os " not in c for c in tiers), "kernels are made for speed"
    call([app.parent / "left_out", VOICE])
    runtime = pytest.importorskip("pyvoc")
    pcm = np.frombuffer(tone(), "<i2").astype(np.float32) / 32768
    model = runtime.load(str(VOICE))
    samples = model.synthesize(runtime.features.extract(pcm, model=model))
    spoken = np.frombuffer(call([app, VOICE], input=tone()).stdout, "<i2")
    # A tier that this build leaves out (avxvnni) has the same int8 sums.
    expected = np.trunc(32767 * samples + np.copysign(0.5, samples))
    assert spoken.size == samples.size
    assert np.array_equal(spoken, expected.astype(np.int64))
