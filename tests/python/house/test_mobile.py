"""mobile/: what of it needs no NDK and no Mac. The JNI library and its Kotlin on the desktop's
Java, the Android archive that is made of them, the module map of the C headers.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
ANDROID = ROOT / "mobile/android"
VOICE = ROOT / "pyvoc/voices/lpcnet.gguf"
ON_X86 = pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux", reason="made for x86-64 Linux here"
)
BUILDS = pytest.mark.timeout(1800)  # the library with one family and two tiers


def need(*programs: str) -> None:
    missing = [p for p in programs if shutil.which(p) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


def call(command: Sequence[str | Path], **options: object) -> str:
    run = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert run.returncode == 0, f"{command}:\n{run.stdout}\n{run.stderr}"
    return str(run.stdout)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """libpyvoc.so with the JNI functions, for this machine."""
    need("cmake", "javac")
    folder = tmp_path_factory.mktemp("android")
    launcher = [f"-DCMAKE_CXX_COMPILER_LAUNCHER={c}" for c in ["ccache"] if shutil.which(c)]
    parts = ["-DPYVOC_MODELS=lpcnet", "-DPYVOC_TIERS=avx2", "-DPYVOC_EXCEPTIONS=OFF"]
    configured = call(["cmake", "-S", ANDROID, "-B", folder, *parts, *launcher])
    assert "JNI" in configured
    call(["cmake", "--build", folder, "--parallel", "2", "--target", "pyvoc_android"])
    return folder / "libpyvoc.so"


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vocoder.kt and the program of the test, in one archive that a Java runs."""
    need("kotlinc", "java")
    jar = tmp_path_factory.mktemp("kotlin") / "speak.jar"
    sources = [ANDROID / "Vocoder.kt", ROOT / "tests/mobile/Speak.kt"]
    call(["kotlinc", *sources, "-include-runtime", "-d", jar])
    return jar


@ON_X86
@BUILDS
def test_kotlin_says_what_python_says(library: Path, classes: Path, tmp_path: Path) -> None:
    pyvoc = pytest.importorskip("pyvoc")
    pcm = pyvoc.features.read_pcm(pyvoc.voices.demo_speech())[:16000].astype(np.float32) / 32768
    pcm.tofile(tmp_path / "pcm.f32")
    demo = np.fromfile(pyvoc.voices.demo_features(), "<f4")[: 20 * 60]
    demo.tofile(tmp_path / "demo.f32")
    environment = {**os.environ, "PYVOC_ISA": "avx2"}
    java = ["java", f"-Djava.library.path={library.parent}", "-cp", classes, "SpeakKt"]
    inputs = [VOICE, tmp_path / "demo.f32", tmp_path / "pcm.f32", tmp_path]
    said = call([*java, *inputs], env=environment)
    assert said.endswith("done\n") and "family=lpcnet" in said and "sampleRate=16000" in said
    program = f"""
import numpy as np, pyvoc
model = pyvoc.load({str(VOICE)!r})
def floats(name): return np.fromfile({str(tmp_path)!r} + "/" + name, "<f4")
whole = model.synthesize(floats("demo.f32").reshape(-1, 20), seed=7)
assert np.array_equal(floats("whole.f32"), whole)
features = pyvoc.features.extract(floats("pcm.f32"), model=model)
assert np.array_equal(floats("features.f32").reshape(features.shape), features)
copy = model.synthesize(features, seed=7)
assert np.array_equal(floats("copy.f32"), copy)
assert np.array_equal(floats("live.f32")[:15000], copy[:15000])
"""
    call([sys.executable, "-c", program], env=environment)


@ON_X86
@BUILDS
def test_archive_is_what_gradle_reads(library: Path, classes: Path, tmp_path: Path) -> None:
    out = tmp_path / "pyvoc.aar"
    make = [sys.executable, ANDROID / "aar.py", out, "--classes", classes]
    call([*make, f"x86_64={library}"])
    with zipfile.ZipFile(out) as aar:
        names = set(aar.namelist())
        module = "prefab/modules/pyvoc"
        assert {
            "AndroidManifest.xml",
            "classes.jar",
            "R.txt",
            "jni/x86_64/libpyvoc.so",
            "prefab/prefab.json",
            f"{module}/module.json",
            f"{module}/include/pyvoc/pyvoc.h",
            f"{module}/include/pyvoc/live.h",
            f"{module}/libs/android.x86_64/libpyvoc.so",
        } <= names
        assert json.loads(aar.read("prefab/prefab.json"))["schema_version"] == 2
        abi = json.loads(aar.read(f"{module}/libs/android.x86_64/abi.json"))
        assert abi == {"abi": "x86_64", "api": 21, "ndk": 27, "stl": "none", "static": False}
        assert 'minSdkVersion="21"' in aar.read("AndroidManifest.xml").decode()
    wrong = subprocess.run([*make, f"arm64-v8a={library}"], capture_output=True, text=True)
    assert wrong.returncode == 1 and "is not for arm64-v8a" in wrong.stderr
    small = tmp_path / "libsmall.so"
    code = "int JNI_OnLoad(void) { return 0; } int other;"
    pages = ["-Wl,-z,max-page-size=4096", "-Wl,-z,common-page-size=4096"]
    compiler = ["cc", "-shared", "-fPIC", "-x", "c", "-", *pages, "-o", small]
    assert subprocess.run(compiler, input=code.encode(), check=False).returncode == 0
    wrong = subprocess.run([*make, f"x86_64={small}"], capture_output=True, text=True)
    assert wrong.returncode == 1
    for sentence in ("expected 16384", "exports ['other']", "lacks pyvoc_model_load"):
        assert sentence in wrong.stderr


def test_module_map_has_the_whole_header(tmp_path: Path) -> None:
    clangs = [c for c in ("clang", "clang-19", "clang-14") if shutil.which(c)]
    if not clangs:
        pytest.skip("needs clang")
    shutil.copytree(ROOT / "csrc/include/pyvoc", tmp_path / "include/pyvoc")
    shutil.copy(ROOT / "mobile/apple/module.modulemap", tmp_path / "include")
    source = (
        "#pragma clang module import CPyvoc\n"
        "pyvoc_status f(pyvoc_live_path* path) { return pyvoc_live_path_set_shift(path, 1, 0); }\n"
        "const char* g(void) { return pyvoc_version(); }\n"
    )
    flags = ["-fmodules", f"-fmodules-cache-path={tmp_path / 'cache'}", "-Werror", "-fsyntax-only"]
    command = [clangs[0], *flags, "-I", tmp_path / "include", "-x", "c", "-"]
    call(command, input=source)


def test_scripts_are_shell() -> None:
    need("bash")
    for name in ("build_aar.sh", "build_xcframework.sh"):
        call(["bash", "-n", ROOT / "scripts" / name])
    run = subprocess.run(
        [ROOT / "scripts/build_aar.sh"],
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "ANDROID_NDK_HOME"},
    )
    assert run.returncode != 0 and "ANDROID_NDK_HOME" in run.stderr
