"""docs_pages.py FOLDER: the pages of the site, for mkdocs (mkdocs.yml) to build.

`README.md`, `docs/` and every page that these link to are taken as they are, at the places they
have in the checkout, so that their links hold. A source that is linked becomes a page of its own.
Made here, in ``reference/``: what ``pyvoc COMMAND --help`` says, the Python reference (names alone;
mkdocstrings reads the docstrings) and the C headers, cut into sections.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pyvoc
from pyvoc import cli

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LIST_BELOW_TEXT = re.compile(r"^(?![-*|>#]|1\. )(\S.*\n)(?=[-*] |1\. )", re.MULTILINE)
LANGUAGES = {".h": "c", ".hpp": "cpp", ".c": "c", ".kt": "kotlin", ".swift": "swift"}
SECTION = re.compile(r"^/\* ---- (.+?) -+(?: \*/)?$", re.MULTILINE)
MODULES = ("convert", "quant", "train", "evaluate", "export", "melcheck", "bulk")
"""Documented beside what ``import pyvoc`` names; each has an ``__all__``."""


def shown(source: str, text: str) -> str:
    """A source as a page."""
    language = LANGUAGES.get(Path(source).suffix, "text")
    return f"# {Path(source).name}\n\n`{source}`\n\n```{language}\n{text.rstrip()}\n```\n"


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """A page with its text changed and its code as it was."""
    pieces = re.split(f"({FENCED.pattern})", text, flags=FENCED.flags)
    return "".join(p if p.startswith("```") else change(p) for p in pieces)


def for_mkdocs(text: str) -> str:
    """Links to sources lead to their pages; a list below a line of text has an empty line above it,
    which Python's Markdown wants and others do not."""
    text = LINK.sub(lambda m: m[0] if m[1].endswith((".md", "/")) else f"{m[0]}.md", text)
    return LIST_BELOW_TEXT.sub(r"\1\n", text)


def linked(path: Path, text: str) -> set[Path]:
    """The files of the checkout that a page links to; a link to nothing is left for mkdocs."""
    targets = (path.parent / target for target in LINK.findall(FENCED.sub("", text)))
    return {Path(os.path.normpath(t)) for t in targets if t.is_file()}


def copy_pages(out: Path) -> None:
    """The Markdown files, from the first on, and the sources that these show."""
    waiting = {ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")}
    done: set[Path] = set()
    while waiting - done:
        path = (waiting - done).pop()
        done.add(path)
        name = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".md":
            waiting |= linked(path, text)
            text = outside_fences(text, for_mkdocs)
        else:
            name, text = f"{name}.md", shown(name, text)
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")


def copy_style(out: Path) -> None:
    """The site's own style sheet."""
    (out / "docs/site.css").write_bytes((ROOT / "docs/site.css").read_bytes())


def command_line() -> str:
    """Every command's help."""
    os.environ["COLUMNS"] = "96"
    text = "# Commands\n\nWhat `pyvoc COMMAND --help` says.\n\n"
    for command, summary in cli.COMMANDS.items():
        parser = cli._parser(command)
        (group,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
        text += f"## {command}\n\n{summary[0].upper()}{summary[1:]}.\n\n"
        text += helped(group.choices[command])
    return text


def helped(parser: argparse.ArgumentParser) -> str:
    """A parser's help, and that of the commands below it."""
    text = f"```text\n{parser.format_help().rstrip()}\n```\n\n"
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                text += f"### {parser.prog} {name}\n\n{helped(below)}"
    return text


def python_pages() -> dict[str, str]:
    """Pages of mkdocstrings' directives, by name."""
    top = (
        "# pyvoc\n\n::: pyvoc\n    options:\n      members: []\n      show_root_heading: false\n\n"
    )
    top += "".join(f"::: {module}.{name}\n\n" for name, module in pyvoc._FROM.items())
    errors = [name for name in pyvoc.__all__ if hasattr(pyvoc.errors, name)]
    top += "## Errors\n\n" + "".join(f"::: pyvoc.errors.{name}\n\n" for name in errors)
    pages = {"pyvoc": top}
    public = {**pyvoc._MODULES, **{name: f"pyvoc.{name}" for name in MODULES}}
    for name, module in sorted(public.items()):
        pages[name] = (
            f"# pyvoc.{name}\n\n::: {module}\n    options:\n      show_root_heading: false\n"
        )
    return pages


def header_page(*headers: Path) -> str:
    """The C ABI: headers as they are, a heading for each of their sections."""
    text = "# The C header\n\n"
    for path in headers:
        pieces = SECTION.split(path.read_text(encoding="utf-8"))
        text += f"## {path.name}\n\n```c\n{pieces[0].strip()}\n```\n\n"
        for title, body in zip(pieces[1::2], pieces[2::2], strict=True):
            # A section's comment may go on below its title.
            body = f"/*{body}" if body.startswith("\n *") else body
            title = f"{title[0].upper()}{title[1:]}"
            text += f"### {title}\n\n```c\n{body.strip()}\n```\n\n"
    return text


def main() -> None:
    out = Path(sys.argv[1])
    copy_pages(out)
    copy_style(out)
    reference = out / "reference"
    reference.mkdir(exist_ok=True)
    (reference / "commands.md").write_text(command_line(), encoding="utf-8")
    for name, text in python_pages().items():
        (reference / f"python-{name}.md").write_text(text, encoding="utf-8")
    include = ROOT / "csrc/include/pyvoc"
    text = header_page(include / "pyvoc.h", include / "live.h")
    (reference / "c.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
