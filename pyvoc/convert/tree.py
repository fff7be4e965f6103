"""Where in a checkpoint's contents tensors lie: in dicts of dicts, or in pickled modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyvoc.pickles.stubs import Inert, Refused

MAX_ENTRIES = 200_000
"""Parts of all modules of a file; the largest published WaveGlow has 1,500."""
MAX_NESTED = 30
MAX_NAME = 300
LIKELY = ("model_g", "generator", "netG", "net_g", "g", "state_dict", "model", "params")
"""Entries that are looked into before others."""
_DEPTH = 3
_PARTS = ("_parameters", "_buffers", "_modules")
"""What a pickled module keeps its tensors and its parts in."""


@dataclass(frozen=True)
class Level:
    """A dict of a tree, or what stands for one; or a pickled module as its ``state_dict()``.

    Parameters
    ----------
    table
        The dict; a module's parameters and buffers by their dotted names.
    modules
        The pickled modules by their dotted names, the outermost as ``""``; empty for a dict.
    """

    table: Mapping[Any, Any]
    modules: Mapping[str, Inert]

    def names(self) -> list[str]:
        """The entries that are tensors."""
        return [n for n in self.table if type(n) is str and hasattr(self.table[n], "shape")]


def levels(tree: Any) -> list[Level]:
    """The dicts and modules of a tree, each once, outer ones first, `LIKELY` ones before others.

    Raises
    ------
    Refused
        Modules are nested deeper, hold more or have longer names than any model's.
    """
    found: list[Level] = []
    seen: set[int] = set()
    budget = MAX_ENTRIES
    level = [tree]
    for _ in range(_DEPTH):
        inner = []
        for value in level:
            if type(value) not in (dict, Inert) or id(value) in seen:
                continue
            seen.add(id(value))
            if type(value) is Inert and any(part in value.state for part in _PARTS):
                module, budget = _module(value, budget)
                found.append(module)
            else:
                table = value if type(value) is dict else value.state
                found.append(Level(table, {}))
                inner += [table[k] for k in sorted(table, key=lambda k: k not in LIKELY)]
        level = inner
    return found


def _module(module: Inert, budget: int) -> tuple[Level, int]:
    """A module's tensors, and what is left of the budget; parts are looked at once."""
    table: dict[str, Any] = {}
    modules: dict[str, Inert] = {}
    seen: set[int] = set()
    waiting = [(module, "", 0)]
    while waiting:
        current, path, depth = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        modules[path] = current
        prefix = f"{path}." if path else ""
        for kind in _PARTS:
            children = current.state.get(kind)
            if type(children) is not dict:
                continue
            budget -= 1 + len(children)
            if budget < 0 or depth > MAX_NESTED:
                raise Refused(
                    f"its modules hold more than {MAX_ENTRIES} entries or are nested deeper than "
                    f"{MAX_NESTED}"
                )
            for name, value in reversed(children.items()):
                if type(name) is not str:
                    continue
                if len(name) + len(prefix) > MAX_NAME:
                    raise Refused(f"a part of a module has a name longer than {MAX_NAME}")
                if kind == "_modules" and type(value) is Inert:
                    waiting.append((value, f"{prefix}{name}", depth + 1))
                elif kind != "_modules" and hasattr(value, "shape"):
                    table[f"{prefix}{name}"] = value
    return Level(table, modules), budget
