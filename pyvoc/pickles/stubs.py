"""What stands for the things that a pickle mentions: inert values, checked functions of our own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MAX_KEY = 1 << 53
"""Integers as dictionary keys: beyond, their hashes can be made to collide."""
MAX_ARGUMENTS = 20
"""Of a call, that are searched for tensors."""


class Refused(Exception):
    """What a stub raises; the machine adds the file's name."""


@dataclass(frozen=True)
class Name:
    """A global that stands for itself only, such as ``torch.float32``."""

    text: str


@dataclass(frozen=True)
class Call:
    """A global that may be called: our function takes its place.

    Parameters
    ----------
    text
        The global's name.
    apply
        From the checked-to-be-a-tuple arguments to a value; raises `Refused`.
    """

    text: str
    apply: Callable[[tuple[Any, ...]], Any]


@dataclass(frozen=True)
class Class:
    """A global that nothing of ours stands for; what would be made of it is `Inert`.

    Parameters
    ----------
    text
        Its full name.
    source
        The class's source, where the file holds it: text like any other.
    """

    text: str
    source: str = ""


@dataclass(eq=False)
class Inert:
    """What a class or function that was never imported would have made.

    Parameters
    ----------
    kind
        The full name of that class or function.
    state
        What would have become its attributes and, of a kind of dictionary, its items.
    source
        The class's source, where the file holds it.
    """

    kind: str
    state: dict[Any, Any] = field(default_factory=dict)
    source: str = ""


class Buildable:
    """What a `Call` may return that takes a state afterwards."""

    def build(self, state: Any) -> None:
        """Take the state; raises `Refused`."""
        raise NotImplementedError


class Unread(Buildable):
    """A tensor, or an array, that only a call of something in the file could make.

    It is in nobody's way beside a model; who wants its values gets `Refused`.

    Parameters
    ----------
    why
        A sentence.
    """

    shape: tuple[int, ...] = ()

    def __init__(self, why: str) -> None:
        self.why = why

    def build(self, state: Any) -> None:
        """Take any state, and forget it."""

    def array(self) -> Any:
        """Raise `Refused`."""
        raise Refused(self.why)


def made_by(kind: Class, arguments: tuple[Any, ...]) -> Inert | Unread:
    """What stands for a call of something that is not called."""
    rebuilds = kind.text.startswith("torch.") and "._rebuild" in kind.text
    if rebuilds or any(hasattr(value, "array") for value in arguments[:MAX_ARGUMENTS]):
        return Unread(f"a tensor is made by '{kind.text}', which is not called")
    return Inert(kind.text, source=kind.source)


def describe(value: Any) -> str:
    """A value in words, however deep or long it is."""
    if isinstance(value, Name | Call | Class):
        return f"'{value.text}'"
    if isinstance(value, Inert):
        return f"an instance of '{value.kind}'"
    return f"a value of type {type(value).__name__}"


def fill(target: dict[Any, Any], items: list[Any]) -> None:
    """Add keys and values, in turns.

    A key whose hash could be made to collide (tuples, floats, great integers) or is not known here
    (paths, enumerations) gets a placeholder: its value is kept and cannot be asked for.
    """
    if len(items) % 2:
        raise Refused("damaged pickle: a dictionary's key has no value")
    for i in range(0, len(items), 2):
        key = items[i]
        if type(key) in (list, dict):
            raise Refused(f"damaged pickle: {describe(key)} is a dictionary's key")
        plain = type(key) in (str, bool, type(None), bytes)
        if not plain and not (type(key) is int and abs(key) < MAX_KEY):
            key = Inert(type(key).__name__)
        target[key] = items[i + 1]
