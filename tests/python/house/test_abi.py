"""The C ABI against the list of it that is committed, ``tests/capi/abi-<soname>.txt``.

The list is what a program that was compiled against this SONAME relies on: every function with its
types, the place of every member of every struct, every number of an enum. It is read from the
headers, and places are measured with the compiler. Lines may be added (functions, members at the
end of a struct, numbers); a line that changes or goes breaks those programs and wants another
SONAME, that is another minor version until 1.0, and another list.

``python tests/python/house/test_abi.py`` writes the list.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
INCLUDE = ROOT / "csrc" / "include"
HEADERS = ("pyvoc/pyvoc.h", "pyvoc/live.h")


def soname_version() -> str:
    """``0.1`` of version 0.1.7; ``1`` of 1.2.3."""
    found = re.search(r"project\(pyvoc VERSION (\d+)\.(\d+)", (ROOT / "CMakeLists.txt").read_text())
    assert found is not None
    return found[1] if found[1] != "0" else f"0.{found[2]}"


LIST = ROOT / "tests" / "capi" / f"abi-{soname_version()}.txt"


def header_text() -> str:
    """Both headers without comments and preprocessor lines."""
    text = "\n".join((INCLUDE / name).read_text(encoding="utf-8") for name in HEADERS)
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    text = re.sub(r"^\s*#(?:.*\\\n)*.*$", " ", text, flags=re.MULTILINE)
    return text


def squeezed(text: str) -> str:
    return re.sub(r"\s*([*,()])\s*", r"\1", re.sub(r"\s+", " ", text)).strip()


def functions(text: str) -> list[str]:
    """``pyvoc_status pyvoc_stream_flush(pyvoc_stream*)``: types without names."""
    found = []
    for result, name, arguments in re.findall(
        r"PYVOC_API\s+([^;()]*?[\s*])(pyvoc_\w+)\s*\(([^;]*?)\)\s*;", text
    ):
        types = [re.sub(r"(?<=[\s*])\w+$", "", a.strip()).strip() for a in arguments.split(",")]
        if arguments.strip() == "void":
            types = ["void"]
        found.append(f"{squeezed(result)} {name}({','.join(squeezed(t) for t in types)})")
    return sorted(found, key=lambda line: line.split("(")[0].split()[-1])


def structs(text: str) -> dict[str, list[str]]:
    """Members in order, by the name of the struct."""
    found = {}
    for body, name in re.findall(r"typedef struct \w+ \{(.*?)\}\s*(\w+);", text, re.DOTALL):
        members: list[str] = []
        for declaration in filter(None, (d.strip() for d in body.split(";"))):
            members += re.findall(r"(\w+)\s*(?=,|$)", declaration)
        found[name] = members
    return found


def enumerators(text: str) -> list[str]:
    bodies = re.findall(r"enum\s*\w*\s*\{(.*?)\}", text, re.DOTALL)
    return [name for body in bodies for name in re.findall(r"(PYVOC_\w+)\s*=", body)]


def measured(text: str) -> list[str]:
    """What the compiler makes of structs and enums here."""
    lines = []
    for name, members in structs(text).items():
        lines.append(f'printf("struct {name}: %zu bytes\\n", sizeof({name}));')
        for member in members:
            size = f"sizeof((({name}*)0)->{member})"
            lines.append(
                f'printf("  {name}.{member}: at %zu, %zu bytes\\n", offsetof({name}, {member}), '
                f"{size});"
            )
    lines += [f'printf("{n} = %d\\n", (int){n});' for n in enumerators(text)]
    program = (
        '#include <stddef.h>\n#include <stdio.h>\n#include "pyvoc/pyvoc.h"\n'
        "int main(void) {\n" + "\n".join(lines) + "\nreturn 0;\n}\n"
    )
    built = ROOT / "build"
    built.mkdir(exist_ok=True)
    target = built / "abi_probe"
    subprocess.run(
        ["cc", "-std=c99", "-x", "c", "-", "-I", INCLUDE, "-o", target],
        input=program,
        text=True,
        check=True,
    )
    return subprocess.run([target], capture_output=True, text=True, check=True).stdout.splitlines()


def described() -> list[str]:
    text = header_text()
    return functions(text) + measured(text)


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs cc")
@pytest.mark.skipif(sys.maxsize < 2**32, reason="the list is of 64-bit machines")
def test_abi_is_the_one_that_is_listed() -> None:
    listed = LIST.read_text(encoding="utf-8").splitlines()
    now = described()
    gone = [line for line in listed if line not in set(now)]
    # The size of a struct that knows its size may grow with it.
    versioned = {line.split(".")[0].strip() for line in listed if ".struct_size:" in line}
    broken = [g for g in gone if not (g.startswith("struct ") and g.split(":")[0][7:] in versioned)]
    assert not broken, (
        "programs that were compiled before break; raise the minor version:\n" + "\n".join(broken)
    )
    new = [line for line in now if line not in set(listed)]
    assert not new, f"add to {LIST.name} (run this file):\n" + "\n".join(new)


def test_the_list_is_complete() -> None:
    """The parsing above misses nothing that the compiler sees."""
    text = header_text()
    assert len(functions(text)) == text.count("PYVOC_API ")
    assert len(structs(text)) == len(re.findall(r"typedef struct \w+ \{", text))
    for name, members in structs(text).items():
        assert members, name


if __name__ == "__main__":
    LIST.write_text("\n".join(described()) + "\n", encoding="utf-8")
