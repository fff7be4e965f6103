"""What stands for the things that a pickle mentions: inert values, checked functions of our own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MAX_KEY = 1 << 53
"""Integers as dictionary keys: beyond, their hashes can be made to collide."""


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
    """A class whose instances a reader asked for: they become `Inert`.

    Parameters
    ----------
    text
        The class's full name.
    source
        Its source, where the file holds it: text like any other.
    """

    text: str
    source: str = ""


@dataclass(eq=False)
class Inert:
    """An instance of a class that was never imported.

    Parameters
    ----------
    kind
        The class's full name.
    state
        What would have become its attributes.
    source
        The class's source, where the file holds it.
    """

    kind: str
    state: dict[str, Any] = field(default_factory=dict)
    source: str = ""


class Buildable:
    """What a `Call` may return that takes a state afterwards."""

    def build(self, state: Any) -> None:
        """Take the state; raises `Refused`."""
        raise NotImplementedError


def describe(value: Any) -> str:
    """A value in words, however deep or long it is."""
    if isinstance(value, Name | Call | Class):
        return f"'{value.text}'"
    if isinstance(value, Inert):
        return f"an instance of '{value.kind}'"
    return f"a value of type {type(value).__name__}"


def fill(target: dict[Any, Any], items: list[Any]) -> None:
    """Add keys and values, in turns; keys are short of what could be made to collide."""
    if len(items) % 2:
        raise Refused("damaged pickle: a dictionary's key has no value")
    for i in range(0, len(items), 2):
        key = items[i]
        plain = type(key) in (str, bool, type(None), bytes)
        if not plain and not (type(key) is int and abs(key) < MAX_KEY):
            raise Refused(f"{describe(key)} is a dictionary's key, expected text or an integer")
        target[key] = items[i + 1]
