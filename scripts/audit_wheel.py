"""audit_wheel.py WHEEL ...: is in a wheel what belongs there, and nothing else?

Its module exports its beginning only, looks for libraries nowhere but where the system does and
names no folder of the machine it was made on; licence, voices and types are there; headers,
libraries and strangers are not. Prints a line per wheel. Exit code 1 and a sentence for each thing
that is wrong. Reads ELF modules with binutils' nm and readelf; of other systems' modules only the
contents are looked at.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES = 16 << 20
PRESENT = (
    "py.typed",
    "_pyvoc.pyi",
    "evaluate/page/page.css",
    "evaluate/page/page.js",
    "voices/demo.f32",
    "voices/demo.flac",
    "voices/demo.md",
    "voices/mit.txt",
    "voices/order.json",
    "voices/table.json",
)
STRANGERS = re.compile(r".*\.(a|lib|h|hpp|c|cc|inl|cmake|pyc|log)$")
FOLDERS = re.compile(
    rb"(?:/home|/root|/Users|/tmp|/project|/private|[A-Z]:\\\\?Users)[/\\][ -~]{2,60}"
)
"""Folders in which sources and builds lie; none of them is a system's own."""


def output(*command: str | Path) -> str:
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return run.stdout


def module_problems(module: Path) -> list[str]:
    """What is wrong with the compiled module."""
    data = module.read_bytes()
    found = set(FOLDERS.findall(data)) | {p for p in [str(ROOT).encode()] if p in data}
    problems = [f"{module.name} names a folder: {path.decode()}" for path in sorted(found)]
    if not data.startswith(b"\x7fELF"):
        return problems
    lines = output("nm", "-D", "--defined-only", module).splitlines()
    exported = sorted(line.split()[-1] for line in lines)
    if exported != ["PyInit__pyvoc"]:
        problems.append(f"{module.name} exports {exported[:5]}, expected PyInit__pyvoc alone")
    paths = [line for line in output("readelf", "-d", module).splitlines() if "PATH)" in line]
    return problems + [f"{module.name} has a search path: {line.strip()}" for line in paths]


def problems_of(wheel: Path) -> list[str]:
    """What is wrong with a wheel, a sentence each.

    Parameters
    ----------
    wheel
        The file.

    Returns
    -------
    list
        Empty where all is well.
    """
    problems = []
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        inside = [n.removeprefix("pyvoc/") for n in names if n.startswith("pyvoc/")]
        info = next((n.split("/")[0] for n in names if n.endswith(".dist-info/METADATA")), "")
        problems += [f"no pyvoc/{name}" for name in PRESENT if name not in inside]
        if f"{info}/licenses/LICENSE" not in names:
            problems.append("no licence")
        voices = {n[:-5] for n in inside if re.fullmatch(r"voices/[\w-]+\.gguf", n)}
        if not {"voices/default", "voices/lpcnet"} <= voices:
            problems.append(f"the voices are {sorted(voices)}")
        problems += [
            f"no card {voice}.md" for voice in sorted(voices) if f"{voice}.md" not in inside
        ]
        ours = ("pyvoc/", f"{info}/")
        other = [n for n in names if not n.startswith(ours) or STRANGERS.match(n)]
        problems += [f"{name} does not belong there" for name in other]
        modules = [n for n in names if re.fullmatch(r"pyvoc/_pyvoc\..*\.?(so|pyd)", n)]
        if len(modules) != 1:
            problems.append(f"compiled modules {modules}, expected one")
        with tempfile.TemporaryDirectory() as folder:
            for name in modules:
                problems += module_problems(Path(archive.extract(name, folder)))
    size = wheel.stat().st_size
    return problems + ([f"{size} bytes, limit {MOST_BYTES}"] if size > MOST_BYTES else [])


def main() -> int:
    failed = False
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    for wheel in map(Path, sys.argv[1:]):
        problems = problems_of(wheel)
        failed |= bool(problems)
        print(f"{wheel.name}: {'; '.join(problems) or f'{wheel.stat().st_size} bytes, in order'}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
