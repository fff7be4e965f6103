"""Settings from files and flags: a mapping becomes a frozen dataclass, or a clear sentence."""

from __future__ import annotations

import dataclasses
import difflib
import math
import reprlib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pyvoc.errors import Error, listed
from pyvoc.files.whole import read_whole
from pyvoc.train.yaml_text import documents

__all__ = ["from_mapping", "read_yaml"]

T = TypeVar("T")
_MAX_BYTES = 1 << 20

_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "nothing",
}


def from_mapping(
    cls: type[T], mapping: object, where: str, *, sources: Mapping[str, str] | None = None
) -> T:
    """Fill a dataclass from a mapping, checking names and types.

    Field types may be ``bool``, ``int``, ``float`` (finite; whole numbers are taken), ``str``,
    ``Literal``, ``X | None``, ``tuple[X, ...]``, ``tuple[X, Y]``, ``Mapping[str, Any]`` and other
    dataclasses. Fields without a default are required. What a class checks itself, in its
    ``__post_init__``, it reports by raising ValueError with a sentence.

    Parameters
    ----------
    cls
        A dataclass.
    mapping
        From YAML, JSON or flags; None is an empty one.
    where
        What messages begin with, e.g. ``recipe.yaml: model``.
    sources
        For some of the keys, what to name instead of `where`.

    Returns
    -------
    cls

    Raises
    ------
    Error
        Unknown, missing or mistyped keys, all in one message; or what the class refused.
    """
    if mapping is None:
        mapping = {}
    if not isinstance(mapping, Mapping):
        raise Error(f"{where}: expected settings (key: value), found {reprlib.repr(mapping)}")
    problems: list[str] = []
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in mapping.items():
        place = (sources or {}).get(str(key), where)
        if key not in fields:
            problems.append(f"{place}: {_unknown(key, fields)}")
            continue
        try:
            values[key] = _convert(hints[key], value, f"{place}: '{key}'")
        except Error as error:
            problems.append(str(error))
    for name, field in fields.items():
        missing = dataclasses.MISSING
        if field.default is missing and field.default_factory is missing and name not in mapping:
            problems.append(f"{where}: '{name}' is missing")
    if not problems:
        try:
            return cls(**values)
        except ValueError as error:
            problems.append(f"{where}: {error}")
    raise Error("\n".join(listed(problems)))


def _unknown(key: object, fields: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(str(key)[:80], list(fields), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(sorted(fields))}"
    return f"{reprlib.repr(key)} is no setting; {hint}"


def _convert(hint: Any, value: object, place: str) -> Any:
    """The value as a type, or an `Error` that begins with `place`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _convert_union(arguments, value, place)
    if origin is typing.Literal:
        if value in arguments and type(value) in {type(a) for a in arguments}:
            return value
        choices = ", ".join(repr(a) for a in arguments)
        raise Error(f"{place} is {reprlib.repr(value)}, expected one of {choices}")
    if origin is tuple:
        return _convert_tuple(arguments, value, place)
    if dataclasses.is_dataclass(hint):
        return from_mapping(typing.cast(type, hint), value, place)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping) or not all(isinstance(k, str) for k in value):
            raise Error(f"{place} is {reprlib.repr(value)}, expected settings (key: value)")
        return {k: _convert(arguments[1], v, f"{place}: '{k}'") for k, v in value.items()}
    return _convert_scalar(hint, value, place)


def _convert_scalar(hint: Any, value: object, place: str) -> Any:
    if hint is float:
        number = _number(value)
        if number is not None and math.isfinite(number):
            return number
    elif hint in (bool, int, str, type(None)):
        if type(value) is hint:
            return value
    else:
        raise TypeError(f"{place}: settings of type {hint} are not known")
    raise Error(f"{place} is {reprlib.repr(value)}, expected {_NAMES[hint]}")


def _number(value: object) -> float | None:
    """A float; also from text, because YAML 1.1 reads 1e-3 (no point) as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _convert_union(arguments: Sequence[Any], value: object, place: str) -> Any:
    failures = []
    for kind in sorted(arguments, key=lambda kind: kind is str):
        try:
            return _convert(kind, value, place)
        except Error as error:
            failures.append((kind, str(error)))
    named = [text for kind, text in failures if kind is not type(None)]
    if len(named) == 1:
        raise Error(named[0])
    expected = " or ".join(_NAMES.get(kind, str(kind)) for kind in arguments)
    raise Error(f"{place} is {reprlib.repr(value)}, expected {expected}")


def _convert_tuple(arguments: Sequence[Any], value: object, place: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise Error(f"{place} is {reprlib.repr(value)}, expected a list")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = [arguments[0]] * len(value)
    if len(arguments) != len(value):
        raise Error(f"{place} has {len(value)} values, expected {len(arguments)}")
    pairs = enumerate(zip(arguments, value, strict=True))
    return tuple(_convert(kind, item, f"{place}[{index}]") for index, (kind, item) in pairs)


def read_yaml(path: str) -> dict[str, Any]:
    """The settings of a YAML file, which JSON is too; of several documents with a key the
    first counts (MindSpore's explain their keys in a second).

    Python's namespaces, tuples and paths in it, as trainers write them (``!!python/...``), are read
    as the values that they are made of.

    Raises
    ------
    UnsupportedError
        PyYAML is not installed.
    Error
        The file cannot be read, is no YAML or more than is meant to be read
        (`pyvoc.train.yaml_text`), or is no mapping.
    """
    content = read_whole(path, most=_MAX_BYTES)
    settings: dict[str, Any] = {}
    for document in documents(content, path, purpose="reading --config files"):
        if not isinstance(document, dict):
            raise Error(f"{path}: expected settings (key: value), found {reprlib.repr(document)}")
        settings = document | settings
    return settings
