"""What is made for others to take: the audit of wheels, cibuildwheel's configuration, the workflows
of a forge, the site. What can be told of them here: that they are read by those who read them.
"""

from __future__ import annotations

import importlib.util
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = ROOT / "scripts"
AUDIT = runpy.run_path(str(SCRIPTS / "audit_wheel.py"))
problems_of = AUDIT["problems_of"]


def call(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def needs(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs the package {package}")


def made_wheel(folder: Path, module: bytes, **other: str) -> Path:
    """A wheel with all that an audit asks for."""
    path = folder / "pyvoc_vocoder-0.1.0-cp311-cp311-linux_x86_64.whl"
    voices = [f"voices/{v}" for v in ("default.gguf", "default.md", "lpcnet.gguf", "lpcnet.md")]
    info = "pyvoc_vocoder-0.1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (*AUDIT["PRESENT"], *voices):
            archive.writestr(f"pyvoc/{name}", "")
        archive.writestr(f"{info}/METADATA", "")
        archive.writestr(f"{info}/licenses/LICENSE", "")
        archive.writestr("pyvoc/_pyvoc.cpython-311.so", module)
        for name in other.values():
            archive.writestr(name, "")
    return path


def shared_object(folder: Path, source: str, *flags: str) -> bytes:
    if sys.platform != "linux" or None in map(shutil.which, ("cc", "nm", "readelf")):
        pytest.skip("needs a C compiler and binutils")
    out = folder / "module.so"
    run = subprocess.run(
        ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", out, *flags], input=source.encode()
    )
    assert run.returncode == 0
    return out.read_bytes()


def test_audit_finds_what_is_wrong(tmp_path: Path) -> None:
    good = shared_object(tmp_path, "int PyInit__pyvoc(void) { return 0; }")
    assert problems_of(made_wheel(tmp_path, good)) == []
    strangers = {"a": "pyvoc/include/pyvoc.h", "b": "tests/test_x.py", "c": "pyvoc/_pyvoc.abi3.so"}
    said = "\n".join(problems_of(made_wheel(tmp_path, good, **strangers)))
    assert "pyvoc/include/pyvoc.h does not belong" in said and "tests/test_x.py" in said
    assert "expected one" in said
    leaky = 'int PyInit__pyvoc(void) { return 0; }\nconst char* path = "/home/me/pyvoc/x.cc";'
    bad = shared_object(tmp_path, leaky, "-Wl,-rpath,/opt/lib")
    said = "\n".join(problems_of(made_wheel(tmp_path, bad)))
    assert "exports ['PyInit__pyvoc', 'path']" in said
    assert "/home/me/pyvoc/x.cc" in said and "search path" in said
    run = call(sys.executable, SCRIPTS / "audit_wheel.py", made_wheel(tmp_path, bad))
    assert run.returncode == 1 and "search path" in run.stdout
    empty = tmp_path / "empty.whl"
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("pyvoc/voices/lonely.gguf", "")
    said = "\n".join(problems_of(empty))
    for part in ("no licence", "no card voices/lonely.md", "no pyvoc/py.typed", "expected one"):
        assert part in said


def test_cibuildwheel_reads_its_configuration() -> None:
    needs("cibuildwheel")
    for platform, archs, expected in (
        ("linux", "x86_64 aarch64", {"cp310-manylinux_x86_64", "cp313-musllinux_aarch64"}),
        ("macos", "x86_64 arm64", {"cp310-macosx_x86_64", "cp313-macosx_arm64"}),
        ("windows", "AMD64", {"cp310-win_amd64", "cp313-win_amd64"}),
    ):
        options = ("--print-build-identifiers", "--platform", platform, "--archs", archs)
        run = call(sys.executable, "-m", "cibuildwheel", *options, ".")
        assert run.returncode == 0, run.stderr
        assert expected <= set(run.stdout.split()), run.stdout
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    programs = re.findall(r"python \{project\}/([\w/.]+)", text)
    assert len(programs) == 2 and all((ROOT / p).is_file() for p in programs)


def test_workflows_are_workflows() -> None:
    needs("check_jsonschema")
    workflows = sorted((ROOT / ".github/workflows").glob("*.yml"))
    assert len(workflows) == 3
    run = call(
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
        *workflows,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = re.findall(
        r"\bmake (\w+)", "".join(p.read_text(encoding="utf-8") for p in workflows)
    )
    assert {"test", "docs"} <= set(commands)
    assert all(re.search(rf"^{c}:", makefile, re.MULTILINE) for c in commands)


def test_versions_are_one() -> None:
    def found(pattern: str, path: str) -> str:
        match = re.findall(pattern, (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
        return ".".join(match)

    version = found(r'^version = "(.+)"', "pyproject.toml")
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert found(r"^project\(pyvoc VERSION (\S+)", "CMakeLists.txt") == version
    assert found(r"^#define PYVOC_VERSION_\w+ (\d+)", "csrc/include/pyvoc/pyvoc.h") == version


@pytest.mark.timeout(900)
def test_site_builds_and_its_links_hold(tmp_path: Path) -> None:
    needs("mkdocs")
    needs("mkdocstrings")
    pages = ROOT / "build/docs/pages"
    shutil.rmtree(pages, ignore_errors=True)
    run = call(sys.executable, SCRIPTS / "docs_pages.py", pages)
    assert run.returncode == 0, run.stderr
    site = tmp_path / "site"
    run = call(sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", site)
    assert run.returncode == 0, run.stdout + run.stderr
    shown = (site / "reference/python-pyvoc.html").read_text(encoding="utf-8")
    for name in ("pyvoc.runtime.model.load", "pyvoc.runtime.stream.Stream", "pyvoc.errors.Error"):
        assert f'id="{name}"' in shown
    assert "pyvoc_stream_pull" in (site / "reference/c.html").read_text(encoding="utf-8")
    assert "--keep-going" in (site / "reference/commands.html").read_text(encoding="utf-8")
