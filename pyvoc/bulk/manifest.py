"""The manifest of a bulk synthesis: JSON lines, one object an utterance."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

from pyvoc import families, voices
from pyvoc.errors import Error
from pyvoc.files.audio import RAW_SUFFIXES
from pyvoc.files.layouts import LAYOUTS
from pyvoc.files.whole import read_whole
from pyvoc.runtime.speed import as_speed

__all__ = ["Item", "read"]

_SHOWN = 5
"""Bad lines that one message names; the others are counted."""
_MOST_SAID = 400
"""Characters, of one of these."""


@dataclass(frozen=True)
class Item:
    """One utterance.

    Attributes
    ----------
    line
        Of the manifest, from 1.
    named
        The input as the manifest has it.
    input
        The input, relative to the manifest's folder no longer.
    output
        Relative to the folder of outputs, with ``/``.
    model
        File of its model; None: whoever speaks what names nobody.
    settings
        What :func:`pyvoc.runtime.synthesis.from_files` takes beside model and files.
    """

    line: int
    named: str
    input: str
    output: str
    model: str | None
    settings: Mapping[str, Any]

    def identity(self, model: str, found: os.stat_result) -> str:
        """What the output depends on, in a few digits: two are the same only where all of that is.

        Parameters
        ----------
        model
            Digest of the model file.
        found
            What the operating system says of the input.
        """
        parts = [self.named, found.st_size, found.st_mtime_ns, model, dict(self.settings)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def read(path: Path, defaults: Mapping[str, Any]) -> list[Item]:
    """The utterances of a manifest, all checked.

    Parameters
    ----------
    path
        The manifest: UTF-8, a JSON object a line; empty lines are passed over. Inputs are relative
        to its folder.
    defaults
        Settings that a line may override: ``voice``, ``layout``, ``rate``, ``channels``, ``seed``,
        ``denoise``, ``speed``, ``format`` (``wav`` or ``s16``), and the families' options.

    Raises
    ------
    Error
        It cannot be read, holds no utterance, two have one output, or lines are no utterances: the
        message names the first of these.
    """
    reader = _Reader(path.parent, defaults)
    bad: list[str] = []
    items: dict[str, Item] = {}
    try:
        lines = read_whole(path).decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise Error(f"'{path}' is no manifest: it is not UTF-8 text") from error
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            item = reader.item(number, text)
            first = items.setdefault(item.output, item)
            if first is not item:
                raise Error(f"'{item.output}' is the output of line {first.line} too")
        except Error as error:
            bad.append(f"line {number}: {_cut(str(error))}")
    if bad:
        more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise Error(f"'{path}': {'; '.join(bad[:_SHOWN])}{more}")
    if not items:
        raise Error(f"'{path}' lists no utterances")
    return list(items.values())


class _Reader:
    def __init__(self, folder: Path, defaults: Mapping[str, Any]) -> None:
        self._folder = folder
        self._defaults = defaults
        self._options = {option.name: option for _, option in families.options_for("synth")}
        self._models: dict[str, str] = {}

    def item(self, line: int, text: str) -> Item:
        given = _object(text)
        named = given.pop("input", None)
        if not _is_name(named):
            raise Error('expected "input", the name of a file')
        output = given.pop("output", None)
        values = dict(self._defaults)
        for key, value in given.items():
            if key in _CHECKS:
                values[key] = _CHECKS[key](value)
            elif key in self._options:
                values[key] = self._options[key].checked(value)
            else:
                known = ", ".join(["input", "output", *_CHECKS, *self._options])
                raise Error(f"'{key}' is nothing that an utterance has ({known})")
        form, voice = values.pop("format", None), values.pop("voice", None)
        target = _output(output, named, form)
        raw = form == "s16" or (form is None and PurePosixPath(target).suffix.lower() != ".wav")
        options = {k: values.pop(k) for k in list(values) if k in self._options}
        settings = {
            "layout": values.get("layout"),
            "pcm_rate": values.get("rate"),
            "pcm_channels": values.get("channels"),
            "raw": raw,
            "seed": values.get("seed", 0),
            "denoise": values.get("denoise", 0.0),
            "speed": values.get("speed", 1.0),
            "options": options,
        }
        model = None if voice is None else self._model(voice)
        return Item(line, named, str(self._folder / named), target, model, settings)

    def _model(self, voice: str) -> str:
        if voice not in self._models:
            self._models[voice] = voices.resolve(voice)
        return self._models[voice]


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Error("it is no JSON object") from error
    if not isinstance(found, dict):
        raise Error("it is no JSON object")
    return found


def _is_name(value: object) -> TypeGuard[str]:
    """Whether it can be the name of a file: JSON has texts that no file is called by."""
    if not isinstance(value, str) or not value or "\0" in value:
        return False
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return False
    return True


def _cut(message: str) -> str:
    """A message whose length does not depend on what somebody wrote into the manifest."""
    return message if len(message) <= _MOST_SAID else f"{message[:_MOST_SAID]} ..."


def _output(output: object, named: str, form: str | None) -> str:
    """Where an utterance goes, below the folder of outputs and nowhere else."""
    if output is None:
        return PurePosixPath(named).stem + (".s16" if form == "s16" else ".wav")
    if not _is_name(output):
        raise Error('expected "output" as the name of a file')
    path = PurePosixPath(output)
    if path.is_absolute() or ".." in path.parts or Path(output).is_absolute() or not path.name:
        raise Error(f"the output '{output}' leaves the folder of outputs")
    suffix = path.suffix.lower()
    if form is None and suffix != ".wav" and suffix not in RAW_SUFFIXES:
        raise Error(f'\'{output}\': which format is \'{suffix}\'? Say "format": "wav" or "s16"')
    return str(path)


def _number(name: str, low: float, high: float, *, kind: type) -> Callable[[object], Any]:
    def check(value: object) -> Any:
        fine = isinstance(value, kind | int) and not isinstance(value, bool)
        if not fine or not low <= value <= high:  # type: ignore[operator]  # False for NaN
            what = "a whole number" if kind is int else "a number"
            raise Error(f"{name} is {value!r}, expected {what} from {low:g} to {high:g}")
        return kind(value)

    return check


def _one_of(name: str, *known: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or value not in known:
            raise Error(f"{name} is {value!r}, expected {', '.join(known)}")
        return value

    return check


def _voice(value: object) -> str:
    if not _is_name(value):
        raise Error(f"voice is {value!r}, expected the name of a voice or of a model file")
    return value


def _speed(value: object) -> float:
    return as_speed(_number("speed", 0, math.inf, kind=float)(value))


_CHECKS: Mapping[str, Callable[[object], Any]] = {
    "voice": _voice,
    "layout": _one_of("layout", *LAYOUTS),
    "rate": _number("rate", 1, 1_000_000, kind=int),
    "channels": _number("channels", 1, 256, kind=int),
    "seed": _number("seed", 0, 2**64 - 1, kind=int),
    "denoise": _number("denoise", 0, 1, kind=float),
    "speed": _speed,
    "format": _one_of("format", "wav", "s16"),
}
