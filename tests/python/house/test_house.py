"""The rules of the house: which layer may include which, file lengths, symbols, the header's C99.

Needs no built module. The symbol tests look at what the native builds left under ``build/`` (or
under ``PYVOC_BUILD_DIR``) and skip without them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CSRC = ROOT / "csrc"
MAX_LINES = 600
"""Far beyond what one thing needs; a file that passes 400 deserves a look, not a cut."""

# layer -> the layers whose headers it may include (itself too)
LAYERS = {
    "base": {"base"},
    "kernels": {"base", "kernels"},
    "backends": {"base", "kernels", "backends"},
    "nn": {"base", "kernels", "backends", "nn"},
    "training": {"base", "kernels", "training"},
    "dsp": {"base", "kernels", "backends", "nn", "dsp"},
    "io": {"base", "io"},
    "models": {"base", "kernels", "backends", "nn", "dsp", "io", "models"},
    "api": {"base", "kernels", "backends", "nn", "dsp", "io", "models", "api", "pyvoc"},
    "include": {"pyvoc"},
}
MODEL_NAMES = ("lpcnet", "wavernn", "waveglow", "melgan", "hifigan", "vocos", "fargan")
# Layers that know no model; dsp names the feature layouts of some.
MODEL_FREE_LAYERS = ("base", "kernels", "backends", "nn", "io")
INTRINSICS = re.compile(r"(\w*mmintrin|x86intrin|intrin|arm_\w+|wasm_simd128|riscv_vector)\.h")
# Control registers, not vectors: flush-to-zero and MSVC's cpuid.
INTRINSICS_ELSEWHERE = {("csrc/base/denormals.h", "xmmintrin.h"), ("csrc/base/cpu.cc", "intrin.h")}

C_SUFFIXES = {".h", ".hpp", ".c", ".cc", ".inl"}


def sources(*folders: str, suffixes: set[str] = C_SUFFIXES) -> list[Path]:
    """Our source files below these folders of the project."""
    found = [p for f in folders for p in (ROOT / f).rglob("*") if p.suffix in suffixes]
    return sorted(p for p in found if p.is_file() and "build" not in p.relative_to(ROOT).parts)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def includes(path: Path) -> list[tuple[str, str]]:
    """The ``#include`` lines of a file as (opening delimiter, name)."""
    pattern = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
    return pattern.findall(path.read_text(encoding="utf-8"))


def test_every_folder_of_csrc_is_a_known_layer() -> None:
    folders = {p.name for p in CSRC.iterdir() if p.is_dir()}
    assert folders <= set(LAYERS), f"not in LAYERS: {sorted(folders - set(LAYERS))}"
    assert {"base", "kernels", "include"} <= folders


def test_includes_point_down() -> None:
    wrong = []
    for path in sources("csrc"):
        layer = path.relative_to(CSRC).parts[0]
        for delimiter, name in includes(path):
            if delimiter == "<":
                continue
            if not (CSRC / name).is_file() and not (CSRC / "include" / name).is_file():
                wrong.append(f'{relative(path)}: "{name}" is no file below csrc/')
            elif name.split("/")[0] not in LAYERS[layer]:
                wrong.append(f'{relative(path)}: {layer} must not include "{name}"')
    assert not wrong, "\n".join(wrong)


def test_c_examples_use_the_public_header_only() -> None:
    for path in sources("examples", "mobile", "tests/capi"):
        quoted = {name for delimiter, name in includes(path) if delimiter == '"'}
        assert quoted <= {"pyvoc/pyvoc.h", "pyvoc/pyvoc.hpp"}, relative(path)


def test_intrinsics_only_in_simd() -> None:
    wrong = []
    for path in sources("csrc", "python_bindings", "tools"):
        if path.is_relative_to(CSRC / "kernels" / "simd"):
            continue
        for _, name in includes(path):
            if INTRINSICS.fullmatch(name) and (relative(path), name) not in INTRINSICS_ELSEWHERE:
                wrong.append(f"{relative(path)}: <{name}>")
    assert not wrong, "intrinsics outside csrc/kernels/simd:\n" + "\n".join(wrong)


def test_lower_layers_name_no_model() -> None:
    names = re.compile("|".join(MODEL_NAMES), re.IGNORECASE)
    wrong = []
    for path in sources(*(f"csrc/{layer}" for layer in MODEL_FREE_LAYERS)):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if names.search(line):
                wrong.append(f"{relative(path)}:{number}: {line.strip()}")
    assert not wrong, "a model is named below models/:\n" + "\n".join(wrong)


def test_models_name_no_isa_vendor_or_python() -> None:
    words = re.compile(
        r"avx|neon|sse[234]|_mm\d|onednn|cublas|cudnn|pybind|Python\.h", re.IGNORECASE
    )
    wrong = []
    for path in sources("csrc/models"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if words.search(line):
                wrong.append(f"{relative(path)}:{number}: {line.strip()}")
    assert not wrong, "\n".join(wrong)


def test_files_are_short() -> None:
    suffixes = C_SUFFIXES | {".py", ".pyi", ".cmake", ".sh"}
    folders = (
        "csrc",
        "pyvoc",
        "python_bindings",
        "tools",
        "tests",
        "examples",
        "mobile",
        "cmake",
        "scripts",
        "recipes",
    )
    long = {
        relative(path): lines
        for path in sources(*folders, suffixes=suffixes)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert not long, f"over {MAX_LINES} lines, so about two things: {long}"


def test_headers_are_guarded() -> None:
    for path in sources("csrc", suffixes={".h", ".hpp"}):
        inside = path.relative_to(CSRC)
        if inside.parts[:2] == ("include", "pyvoc"):
            inside = inside.relative_to("include")
        name = (
            "_".join(inside.parts)
            if inside.parts[0] == "pyvoc"
            else "_".join(("pyvoc", *inside.parts))
        )
        guard = re.sub(r"\W", "_", name).upper() + "_"
        assert f"#ifndef {guard}\n#define {guard}\n" in path.read_text(encoding="utf-8"), (
            f"{relative(path)}: expected the guard {guard}"
        )


def compiler(variable: str, default: str) -> list[str]:
    command = os.environ.get(variable, default).split()
    if shutil.which(command[0]) is None:
        pytest.skip(f"no compiler {command[0]}")
    return command


@pytest.mark.parametrize(
    ("header", "standard"),
    [
        ("pyvoc.h", "c99"),
        ("pyvoc.h", "c11"),
        ("pyvoc.h", "c++17"),
        ("live.h", "c99"),
        ("pyvoc.hpp", "c++17"),
        ("pyvoc.hpp", "c++20"),
    ],
)
def test_public_headers_stand_alone(header: str, standard: str) -> None:
    plain_c = not standard.startswith("c++")
    command = compiler("CC", "cc") if plain_c else compiler("CXX", "c++")
    flags = [f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    if plain_c:
        flags.append("-Wstrict-prototypes")
    include = f'#include "pyvoc/{header}"\n'
    run = subprocess.run(
        [*command, "-x", "c" if plain_c else "c++", *flags, "-I", CSRC / "include", "-"],
        input=f"{include}{include}int main({'void' if plain_c else ''}) {{ return 0; }}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_windows_takes_the_functions_from_the_dll() -> None:
    """What the macros make of the header there: only with a shared library."""
    for flags, wanted in (
        ([], ""),
        (["-DPYVOC_SHARED"], "__declspec(dllimport)"),
        (["-DPYVOC_SHARED", "-DPYVOC_BUILDING"], "__declspec(dllexport)"),
    ):
        run = subprocess.run(
            [*compiler("CC", "cc"), "-E", "-P", "-D_WIN32", *flags, "-x", "c", "-"],
            input='#include "pyvoc/pyvoc.h"\n',
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "C_INCLUDE_PATH": str(CSRC / "include")},
        )
        if not wanted:
            assert "__declspec" not in run.stdout
        assert f"{wanted} const char* pyvoc_version(void)".strip() in run.stdout


# ---- symbols of what was built ------------------------------------------------------------------


def build_folder() -> Path:
    return Path(os.environ.get("PYVOC_BUILD_DIR", ROOT / "build"))


def nm(*arguments: str | Path) -> list[tuple[str, str]]:
    """The symbols as (type letter, name)."""
    if shutil.which("nm") is None:
        pytest.skip("no nm (package binutils)")
    run = subprocess.run(["nm", *arguments], capture_output=True, text=True, check=True)
    rows = [line.split() for line in run.stdout.splitlines() if line.strip()]
    return [(row[-2], row[-1].split("@")[0]) for row in rows if len(row) >= 2]


def tier_objects() -> list[Path]:
    """Object files of the tiers, in every build but the sanitizers' and WebAssembly's."""
    objects = sorted(build_folder().glob("**/pyvoc_tier_*.dir/**/*.o"))
    objects = [p for p in objects if not p.read_bytes().startswith(b"\0asm")]
    checked = ("asan", "tsan", "fuzz")
    return [p for p in objects if not any(kind in part for kind in checked for part in p.parts)]


def test_tier_objects_export_their_table_and_nothing_weak() -> None:
    objects = tier_objects()
    if not objects:
        pytest.skip(f"no tier objects below {build_folder()}: build the native tests first")
    wrong = []
    for path in objects:
        tier = path.stem.removesuffix(".cc")
        symbols = nm(path)
        exported = [name for kind, name in symbols if kind.isupper() and kind != "U"]
        if len(exported) != 1 or f"kTier_{tier}" not in exported[0]:
            wrong.append(f"{path}: exports {exported}, expected its table kTier_{tier} only")
        weak = [name for kind, name in symbols if kind in "wWvVu"]
        if weak:
            wrong.append(f"{path}: weak symbols {weak}: the linker may take them for another tier")
        runtime = [name for kind, name in symbols if kind == "U" and name.startswith("_Z")]
        if runtime:
            wrong.append(f"{path}: needs C++ symbols {runtime}")
        start_up = [name for _, name in symbols if "_GLOBAL__sub_I" in name]
        if start_up:
            wrong.append(f"{path}: runs code at start-up: {start_up}")
    assert not wrong, "\n".join(wrong)


def shared_libraries() -> list[Path]:
    found = sorted(build_folder().glob("**/libpyvoc.so.*.*.*"))
    return [p for p in found if not any("asan" in part for part in p.parts)]


def declared_functions() -> set[str]:
    headers = (CSRC / "include/pyvoc").glob("*.h")
    text = "".join(path.read_text(encoding="utf-8") for path in headers)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return set(re.findall(r"^PYVOC_API [^;(]*?\b(pyvoc_\w+)\(", text, flags=re.MULTILINE))


def test_shared_library_exports_the_declared_functions_only() -> None:
    libraries = shared_libraries()
    if not libraries:
        pytest.skip(f"no shared library below {build_folder()}")
    declared = declared_functions()
    assert len(declared) > 20
    for path in libraries:
        exported = {name for kind, name in nm("-D", "--defined-only", path) if kind != "A"}
        assert exported == declared, (
            f"{path}: not declared {sorted(exported - declared)}, "
            f"not exported {sorted(declared - exported)}"
        )
