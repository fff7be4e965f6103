"""The model families, each in a package of its own below this one.

A folder here is a family: its ``FAMILY`` is a `Family`, the only thing that the rest of the house
knows of it. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from pyvoc.errors import ModelError, OptionError
from pyvoc.families.family import Command, Family, FileFormat, Option

if TYPE_CHECKING:
    from pyvoc.container import Container, ModelSpec

__all__ = [
    "Family",
    "FileFormat",
    "Option",
    "everyone",
    "get",
    "names",
    "options_for",
    "options_of",
    "register",
    "spec_of",
    "specs",
]


_registered: dict[str, Family] = {}


@cache
def _packages() -> tuple[str, ...]:
    return tuple(m.name for m in pkgutil.iter_modules(__path__) if m.ispkg)


def names() -> tuple[str, ...]:
    """The families' names, in alphabetical order."""
    return tuple(sorted({*_packages(), *_registered}))


def register(family: Family) -> None:
    """Add a family that is not a folder here, for this process: another package's, a test's."""
    _registered[family.name] = family


def get(name: str) -> Family:
    """The record of a family.

    Parameters
    ----------
    name
        Its name, or an architecture as model files have it (``pyvoc.<name>``).

    Raises
    ------
    KeyError
        There is no such family.
    """
    name = name.removeprefix("pyvoc.")
    if name in _registered:
        return _registered[name]
    if name not in _packages():
        raise KeyError(name)
    family: Family = importlib.import_module(f"pyvoc.families.{name}").FAMILY
    return family


def everyone() -> tuple[Family, ...]:
    """All records."""
    return tuple(get(name) for name in names())


def specs() -> dict[str, ModelSpec]:
    """The layout contracts by architecture."""
    return {f.architecture: f.resolve(f.spec) for f in everyone() if f.spec}


def spec_of(container: Container, source: str) -> ModelSpec:
    """The spec that a container claims to follow.

    Parameters
    ----------
    container
        A model file's contents.
    source
        Its name, for messages.

    Raises
    ------
    ModelError
        The architecture is none of ours.
    """
    try:
        family = get(container.architecture)
    except KeyError:
        known = ", ".join(f"pyvoc.{name}" for name in names())
        raise ModelError(
            f"{source}: architecture '{container.architecture}' is unknown, expected one of {known}"
        ) from None
    spec: ModelSpec = family.resolve(family.spec)
    return spec


def options_for(command: Command) -> list[tuple[Family, Option]]:
    """Every family's options of a command."""
    return [(f, option) for f in everyone() for option in f.options if option.command == command]


def options_of(
    name: str,
    given: Mapping[str, Any],
    *,
    what: str,
    command: Command = "synth",
    streaming: bool = False,
) -> dict[str, Any]:
    """Options that a caller gave to a model of one family, checked.

    Parameters
    ----------
    name
        Of the family.
    given
        By name; those that are None or False were not given.
    what
        The model or checkpoint, for messages.
    command
        Which takes them.
    streaming
        Whether they are given to a stream.

    Returns
    -------
    dict
        Those that were given, in the types of their declarations.

    Raises
    ------
    OptionError
        One is another family's, or a stream cannot take it; says whose it is.
    TypeError
        No family has one of that name.
    Error
        A value is of another type or out of range.
    """
    found: dict[str, Any] = {}
    for key, value in given.items():
        owners = [f.title for f, option in options_for(command) if option.name == key]
        if not owners:
            raise TypeError(f"'{key}' is no option of any model family")
        if value is None or value is False:
            continue
        option = get(name).option(key, command)
        if option is None:
            raise OptionError(
                f"'{key}' is an option of {' and '.join(owners)}; {what} is "
                f"{_article(get(name).title)} {get(name).title}"
            )
        if streaming and not option.streams:
            raise OptionError(f"'{key}' needs the whole utterance, which a stream does not have")
        found[key] = option.checked(value)
    return found


def _article(title: str) -> str:
    # LPCNet is spelled out.
    return "an" if title[0] in "AEIOUL" else "a"
