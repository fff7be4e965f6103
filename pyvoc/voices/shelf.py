"""What voices there are: the facts of each, from its file and its card; removing one."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pyvoc import voices
from pyvoc.container.reader import read_metadata
from pyvoc.errors import Error

__all__ = ["Voice", "describe", "listing", "remove"]

_LICENCE = re.compile(r"^Licence: *(\S[^\n]*)$", re.MULTILINE)
_PURPOSE = re.compile(r"^For: *(\S[^\n]*)$", re.MULTILINE)


@dataclass(frozen=True)
class Voice:
    """A voice that is there.

    Parameters
    ----------
    name, path
        What it is called, and its file.
    bundled
        It came with the package.
    family, precision
        Of the model; empty where the file is damaged.
    sample_rate
        Hz; 0 where the file is damaged.
    bytes
        Size of the file.
    licence
        As its card says in a line ``Licence: ...``; empty where none does.
    purpose
        What it is for, as its card says in a line ``For: ...``, or the file's
        ``general.description``; empty where neither does.
    problem
        What is wrong with the file; empty: nothing that its header tells.
    """

    name: str
    path: str
    bundled: bool
    family: str
    sample_rate: int
    precision: str
    bytes: int
    licence: str
    purpose: str = ""
    problem: str = ""


def listing() -> list[Voice]:
    """All voices: the bundled ones, then the user's. Nothing but headers and cards is read."""
    return [describe(name) for name in voices.names()]


def describe(name: str) -> Voice:
    """The facts of one voice.

    Raises
    ------
    Error
        There is no voice of that name.
    """
    if name not in voices.names():
        raise Error(f"'{name}' is no voice; voices: {', '.join(voices.names())}")
    path = voices.resolve(name)
    card = _card(name)
    purpose = _line(_PURPOSE, card)
    problem, family, rate, precision, size = "", "", 0, "", 0
    try:
        size = os.path.getsize(path)
        metadata = read_metadata(path)
        family = str(metadata.get("general.architecture", "")).removeprefix("pyvoc.")
        rate = int(metadata.get("pyvoc.features.sample_rate", 0))
        precision = str(metadata.get("pyvoc.precision", ""))
        purpose = purpose or str(metadata.get("general.description", ""))
    except (Error, OSError, ValueError) as error:
        problem = str(error)
    return Voice(
        name,
        path,
        name in voices.bundled(),
        family,
        rate,
        precision,
        size,
        _line(_LICENCE, card),
        purpose,
        problem,
    )


def _card(name: str) -> str:
    try:
        return Path(voices.card(name)).read_text(encoding="utf-8", errors="replace")
    except (Error, OSError):
        return ""


def _line(kind: re.Pattern[str], card: str) -> str:
    found = kind.search(card)
    return found[1].strip() if found else ""


def remove(name: str) -> str:
    """Remove a voice of the user's, and its card.

    Returns
    -------
    str
        The file that was removed.

    Raises
    ------
    Error
        There is no voice of that name, it is bundled, or the operating system refused.
    """
    voice = describe(name)
    if voice.bundled:
        raise Error(f"'{name}' came with pyvoc: only voices in '{voices.folder()}' can be removed")
    try:
        Path(voice.path).unlink()
        Path(voice.path).with_suffix(".md").unlink(missing_ok=True)
    except OSError as error:
        raise Error(f"cannot remove '{error.filename}': {error.strerror}") from error
    return voice.path
