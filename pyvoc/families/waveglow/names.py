"""Whether a checkpoint holds a WaveGlow, under which names, and what it says of itself."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyvoc.convert.layers import layer_of
from pyvoc.convert.naming import OPTIMISER
from pyvoc.convert.tree import MAX_NAME, Level, levels
from pyvoc.pickles.stubs import Inert

_SURE = re.compile(r"(?:^|.*\.)(?=WN\.\d{1,3}\.in_layers\.\d{1,3}$)")
_OURS = re.compile(r"(?:upsample|WN\.\d+|convinv\.\d+)\..+")
_CONFIGS = ("config", "waveglow_config", "hparams", "args", "model_config")
_WN = "WN_config"
_NUMBERS = ("n_mel_channels", "n_flows", "n_group", "n_early_every", "n_early_size")
_WN_NUMBERS = ("n_layers", "n_channels", "kernel_size")
_DATA = ("hop_length",)
_KINDS = ("model", "model_name", "arch", "architecture", "class", "module")
_OLD = re.compile(r"(?:^|\W)glow_old(?:$|\W)")
_IN_TURNS = re.compile(r"\bk\s*%\s*2\s*==\s*0\b")
"""In the source of the older generation's flows, and in no other."""


@dataclass(frozen=True)
class Said:
    """What a file says of its model, beside the tensors.

    Parameters
    ----------
    numbers
        Upstream's settings, those that are there: ``n_group``, ``n_layers``, ``hop_length`` ...
    alternate
        It says that odd flows read the second half.
    problems
        Sentences about modules that no WaveGlow has.
    """

    numbers: Mapping[str, float] = field(default_factory=dict)
    alternate: bool = False
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """A WaveGlow within a checkpoint.

    Parameters
    ----------
    prefix
        What precedes its names.
    others
        Number of tensors beside it that belong to something else.
    said
        What the file says besides.
    """

    prefix: str
    others: int
    said: Said


def pick_waveglow(tree: Any) -> tuple[dict[str, Any], Found] | None:
    """Find a WaveGlow in a checkpoint's contents: a state dict or a pickled module.

    Returns
    -------
    tuple or None
        Its tensors by their names without a prefix, and what was found; None when there is none.
    """
    for level in levels(tree):
        names = [name for name in level.names() if len(name) <= MAX_NAME]
        prefix = _prefix(names)
        if prefix is None:
            continue
        mine = [
            name for name in names if name.startswith(prefix) and _OURS.match(name[len(prefix) :])
        ]
        said = _said(tree, level, prefix)
        arrays = {name[len(prefix) :]: level.table[name] for name in mine}
        return arrays, Found(prefix, len(names) - len(mine), said)
    return None


def _prefix(names: list[str]) -> str | None:
    """The shortest prefix of a WaveGlow's layers, none that is an optimiser's; or None."""
    found: set[str] = set()
    for name in names:
        layer = layer_of(name)
        match = _SURE.match(layer) if layer else None
        if match is not None and not OPTIMISER.search(match[0]):
            found.add(match[0])
    return min(found, key=lambda p: (len(p), p), default=None)


def _said(tree: Any, level: Level, prefix: str) -> Said:
    numbers: dict[str, float] = {}
    alternate = False
    for config in _configs(tree):
        for source, keys in (
            (config, (*_NUMBERS, *_DATA)),
            (_table(config.get(_WN)), _WN_NUMBERS),
        ):
            for key in keys:
                value: Any = source.get(key)
                if type(value) in (int, float) and math.isfinite(value):
                    numbers.setdefault(key, value)
        for key in _KINDS:
            value = config.get(key)
            alternate |= type(value) is str and _OLD.search(value[:MAX_NAME]) is not None
    problems: list[str] = []
    model = level.modules.get(prefix.removesuffix("."))
    if model is not None:
        _ask_modules(level.modules, prefix, model, numbers, problems)
        alternate |= _OLD.search(model.kind) is not None
        alternate |= _IN_TURNS.search(model.source) is not None
    return Said(numbers, alternate, tuple(problems))


def _configs(tree: Any) -> list[dict[Any, Any]]:
    """Settings that a checkpoint holds beside its tensors."""
    if type(tree) is not dict:
        return []
    outer = [_table(tree.get(key)) for key in _CONFIGS]
    inner = [
        _table(config.get(key)) for config in outer for key in ("waveglow_config", "data_config")
    ]
    return [tree, *outer, *inner]


def _table(value: Any) -> dict[Any, Any]:
    """Settings: a dict, or what ``argparse`` makes of them."""
    if type(value) is Inert:
        value = value.state
    return value if type(value) is dict else {}


def _ask_modules(
    modules: Mapping[str, Inert],
    prefix: str,
    model: Inert,
    numbers: dict[str, float],
    problems: list[str],
) -> None:
    """What a pickled model's attributes say."""

    def state(path: str) -> dict[str, Any]:
        module = modules.get(f"{prefix}{path}")
        return {} if module is None else module.state

    for source, keys in ((model.state, _NUMBERS), (state("WN.0"), _WN_NUMBERS)):
        for key in keys:
            value = source.get(key)
            if type(value) is int and numbers.setdefault(key, value) != value:
                problems.append(
                    f"its module has {key} {value}, but its settings say {numbers[key]:g}"
                )
    hop = _single(state("upsample").get("stride"))
    if hop is not None and numbers.setdefault("hop_length", hop) != hop:
        problems.append(
            f"'{prefix}upsample' has a stride of {hop}, but its settings say a hop of "
            f"{numbers['hop_length']:g}"
        )
    for path in sorted(modules):
        match = re.fullmatch(r"WN\.\d+\.in_layers\.(\d{1,2})", path.removeprefix(prefix))
        if match is None or not path.startswith(prefix):
            continue
        dilation = _single(modules[path].state.get("dilation"))
        if dilation is not None and dilation != 1 << int(match[1]) and len(problems) < 20:
            problems.append(f"'{path}' has a dilation of {dilation}, expected {1 << int(match[1])}")


def _single(value: Any) -> int | None:
    """The number in ``(number,)``."""
    if type(value) in (tuple, list) and len(value) == 1:
        value = value[0]
    return value if type(value) is int else None
