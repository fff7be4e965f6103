"""Where in a checkpoint's contents tensors lie: in dicts of dicts, or in pickled modules.

Many trainings keep a second set of weights, their average over time, beside the plain ones. Nobody
finds it by accident: `levels` passes it over, `averaged` finds it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyvoc.pickles.stubs import Inert, Refused

MAX_ENTRIES = 200_000
"""Parts of all modules of a file; the largest published WaveGlow has 1,500."""
MAX_NESTED = 30
MAX_NAME = 300
MAX_AVERAGES = 10
"""Sets of averaged weights of a file that are looked at."""
LIKELY = ("model_g", "generator", "netG", "net_g", "g", "state_dict", "model", "params")
"""Entries that are looked into before others."""
_DEPTH = 3
_AVERAGE = re.compile(r"(?:^|[._-])(?:ema|swa|shadow|averaged?)(?=$|[._-])", re.I)
"""In the name of averaged weights, as programs call them."""
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
        """The entries that are tensors, without averaged ones."""
        table = self.table
        tensors = (n for n in table if type(n) is str and hasattr(table[n], "shape"))
        return [n for n in tensors if not _is_averaged(n)]


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
                keys = sorted(table, key=lambda k: k not in LIKELY)
                inner += [table[k] for k in keys if not _is_averaged(k)]
        level = inner
    return found


def averaged(tree: Any) -> dict[str, Any]:
    """What may be weights averaged over training, by their dotted names in the tree.

    They are entries named so (``generator_ema``), or part of the names of a state dict's tensors
    (``generator_ema.model.1.weight``).
    """
    found: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    seen: set[int] = set()
    level = [("", tree)]
    for _ in range(_DEPTH):
        inner = []
        for path, value in level:
            table = value.state if type(value) is Inert else value
            if type(table) is not dict or id(table) in seen:
                continue
            seen.add(id(table))
            for name, item in table.items():
                if type(name) is not str or len(name) > MAX_NAME:
                    continue
                match = _AVERAGE.search(name)
                if match is None:
                    inner.append((f"{path}{name}.", item))
                elif type(item) in (dict, Inert):
                    found.setdefault(f"{path}{name}", _unwrapped(item))
                elif hasattr(item, "shape") and name[match.end() :].startswith("."):
                    part = parts.setdefault(f"{path}{name[: match.end()]}", {})
                    part[name[match.end() + 1 :]] = item
        level = inner
    return dict(list((parts | found).items())[:MAX_AVERAGES])


def _unwrapped(value: Any) -> Any:
    """Without what keeps the average up to date: ``{"decay": 0.999, "shadow": {...}}``."""
    table = value.state if type(value) is Inert else value
    inner = [v for k, v in table.items() if _is_averaged(k) and type(v) in (dict, Inert)]
    return inner[0] if len(inner) == 1 else value


def instead(tree: Any, part: Any) -> dict[Any, Any]:
    """A tree that has `part` for its model, and what else it says of itself."""
    rest = tree if type(tree) is dict else {}
    said = {k: v for k, v in rest.items() if k != LIKELY[0] and not hasattr(v, "shape")}
    return {LIKELY[0]: part, **said}


def _is_averaged(name: Any) -> bool:
    return type(name) is str and len(name) <= MAX_NAME and bool(_AVERAGE.search(name))


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
