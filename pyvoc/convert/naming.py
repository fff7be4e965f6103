"""Whose names a checkpoint has, where several upstreams name the layers of one network differently.

A prefix (``module.``, ``generator.``, ``netG.``) may precede the names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pyvoc.convert.tree import MAX_NAME

__all__ = ["OPTIMISER", "Named", "Naming", "find_named"]

OPTIMISER = re.compile(r"(?:^|[._])(?:moment\d*|adam\w*|accum\w*|ema|optim\w*)(?:[._]|$)", re.I)
"""In the prefix of what an optimiser keeps of every weight, under the weight's name."""


@dataclass(frozen=True)
class Naming:
    """One upstream's names.

    Parameters
    ----------
    upstream
        Name of the upstream, for ``pyvoc.source.format``.
    pattern
        Of an entry of the network, without what precedes it.
    sure
        Of what only this upstream has; a checkpoint with one of them is this one's.
    """

    upstream: str
    pattern: re.Pattern[str]
    sure: re.Pattern[str]


N = TypeVar("N", bound=Naming)


@dataclass(frozen=True)
class Named(Generic[N]):
    """A network within a state dict.

    Parameters
    ----------
    naming
        Whose names.
    prefix
        What precedes them.
    names
        Entries of the state dict from our point of view: without the prefix, to the full name.
    others
        Number of entries that belong to something else.
    """

    naming: N
    prefix: str
    names: Mapping[str, str]
    others: int


def find_named(
    names: Iterable[str],
    namings: Sequence[N],
    *,
    look_at: Callable[[str], str | None] = lambda name: name,
    avoid: re.Pattern[str] | None = None,
    ignore: re.Pattern[str] | None = None,
) -> Named[N] | None:
    """The network that the names of a state dict speak of, or None.

    Of several networks, the one with the shortest prefix is taken, the earliest naming first.

    Parameters
    ----------
    names
        Of the state dict; what is no text or too long is left out.
    namings
        Of the upstreams.
    look_at
        The part of a name that `Naming.sure` is about; None: none of it.
    avoid
        Found in the prefix of what is never taken.
    ignore
        Names that belong to nothing.
    """
    names = [name for name in names if type(name) is str and len(name) <= MAX_NAME]
    best: tuple[str, N] | None = None
    for naming in namings:
        sure = re.compile(rf"(?:^|\.)(?={naming.sure.pattern})")
        for name in names:
            text = look_at(name)
            match = None if text is None else sure.search(text)
            if match is None or text is None:
                continue
            prefix = text[: match.end()]
            if avoid is not None and avoid.search(prefix):
                continue
            if best is None or len(prefix) < len(best[0]):
                best = (prefix, naming)
    if best is None:
        return None
    prefix, naming = best
    names = [name for name in names if ignore is None or not ignore.fullmatch(name)]
    mine = {
        name[len(prefix) :]: name
        for name in names
        if name.startswith(prefix) and naming.pattern.fullmatch(name[len(prefix) :])
    }
    return Named(naming, prefix, mine, len(names) - len(mine))
