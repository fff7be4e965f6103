"""Doubts about input: what is read although it may not be what was meant.

Half a file, integers in a float file, channels that cancel: a reader says so with :func:`doubt` and
goes on. Whoever wants to know collects:

>>> with pyvoc.doubts.collect() as found:
...     samples, rate = pyvoc.audio.read("speech.wav")
>>> found.messages

Where nobody collects, a doubt is a Python warning (:class:`pyvoc.InputWarning`).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from pyvoc.errors import DoubtError, InputWarning

__all__ = ["Doubt", "Doubts", "called", "collect", "doubt", "messages"]


@dataclass(frozen=True)
class Doubt:
    """One doubt.

    Attributes
    ----------
    kind
        What sort it is, in a word or three: to count by.
    message
        The sentence: the file, what was found, what it means.
    grave
        Whether strictness refuses it; what is not grave is a remark.
    """

    kind: str
    message: str
    grave: bool = True


class Doubts:
    """What was found while it was collected, each sentence once.

    Attributes
    ----------
    found
        In the order in which they came up.
    """

    def __init__(
        self, *, strict: bool, say: Callable[[Doubt], None] | None, outer: Doubts | None
    ) -> None:
        self.found: list[Doubt] = []
        self._strict, self._say, self._outer = strict, say, outer
        self._seen: set[str] = set()

    @property
    def messages(self) -> tuple[str, ...]:
        """The sentences."""
        return tuple(doubt.message for doubt in self.found)

    @property
    def counts(self) -> dict[str, int]:
        """Kind -> how many."""
        return dict(Counter(doubt.kind for doubt in self.found))

    def add(self, doubt: Doubt) -> None:
        """Take a doubt, and pass it on to whoever collects around this one.

        Raises
        ------
        DoubtError
            It is grave, and this or an outer collection is strict.
        """
        if self._strict and doubt.grave:
            raise DoubtError(f"{doubt.message} (refused, as nothing doubtful may be read)")
        if self._outer is not None:
            self._outer.add(doubt)
        if doubt.message in self._seen:
            return
        self._seen.add(doubt.message)
        self.found.append(doubt)
        if self._say is not None:
            self._say(doubt)


_CURRENT: ContextVar[Doubts | None] = ContextVar("doubts", default=None)
_CALLED: ContextVar[tuple[str, str]] = ContextVar("called", default=("", ""))


@contextmanager
def collect(
    *, strict: bool = False, say: Callable[[Doubt], None] | None = None
) -> Iterator[Doubts]:
    """Collect the doubts that come up within; collections may be nested.

    Parameters
    ----------
    strict
        A grave doubt is an error.
    say
        Called with each, at once.

    Yields
    ------
    Doubts

    Raises
    ------
    DoubtError
        With `strict`, at the first doubt.
    """
    collected = Doubts(strict=strict, say=say, outer=_CURRENT.get())
    token = _CURRENT.set(collected)
    try:
        yield collected
    finally:
        _CURRENT.reset(token)


@contextmanager
def called(file: str, name: str) -> Iterator[None]:
    """Within, doubts about a file give it another name: its own says nothing to people."""
    token = _CALLED.set((file, name))
    try:
        yield
    finally:
        _CALLED.reset(token)


def doubt(kind: str, message: str, *, grave: bool = True) -> None:
    """Say that an input may not be what was meant; see :class:`Doubt`.

    Raises
    ------
    DoubtError
        Somebody collects strictly.
    """
    message = message.replace(*_CALLED.get())
    current = _CURRENT.get()
    if current is not None:
        current.add(Doubt(kind, message, grave))
    elif grave:
        warnings.warn(message, InputWarning, stacklevel=3)


def messages() -> list[str]:
    """What the innermost collection has found so far; nothing where nobody collects."""
    current = _CURRENT.get()
    return [] if current is None else list(current.messages)
