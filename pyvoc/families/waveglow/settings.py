"""What a WaveGlow's tensors say of its settings, and whether the file says the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyvoc.container.mel import NVIDIA, MelRecipe
from pyvoc.container.tensors import AnyArray
from pyvoc.convert.settings_text import MAX_TEXT
from pyvoc.families.waveglow.names import Found
from pyvoc.families.waveglow.spec import MAX_GROUPS, WaveglowSettings, count

TAPS_PER_HOP = 4
"""Upstream's upsampling has 1024 taps for a hop of 256."""

_FIELDS = (
    ("sample_rate", "sampling_rate"),
    ("fft_length", "filter_length"),
    ("hop_length", "hop_length"),
    ("window_length", "win_length"),
)
_EDGES = (("fmin", "mel_fmin"), ("fmax", "mel_fmax"))


def settings_of(
    tensors: Mapping[str, AnyArray],
    found: Found,
    *,
    path: Path,
    halves: str,
    old: bool,
    notes: list[str],
    problems: list[str],
) -> WaveglowSettings | None:
    """Settings of a model.

    Parameters
    ----------
    tensors
        By their names in the spec, weights three-dimensional and ``mix`` a matrix, unchecked.
    found
        What the file says.
    path
        Of the checkpoint; ``config.json`` is looked for beside it.
    halves
        ``auto``, ``first`` or ``alternate``.
    old
        The layers are of the older generation.
    notes, problems
        Sentences are added; None is returned when there are problems.
    """
    flows, layers = count({name: a.shape for name, a in tensors.items()})
    channels = [int(tensors[f"flow.{k}.mix.weight"].shape[0]) for k in range(flows)]
    mels, taps = (int(n) for n in tensors["upsample.weight"].shape[1:])
    hidden, _, kernel = (int(n) for n in tensors["flow.0.layer.0.conv.weight"].shape)
    inputs = int(tensors["flow.0.layer.0.cond.weight"].shape[1])
    groups = channels[0]
    if mels * groups != inputs:
        problems.append(
            f"the first 1x1 convolution has {groups} channels and 'upsample' gives {mels} bands, "
            f"but the flows are conditioned on {inputs} values, expected {mels * groups}"
        )
    if not 2 <= groups <= MAX_GROUPS:
        problems.append(f"a group has {groups} samples, expected 2 to {MAX_GROUPS}")
    early = _early(channels)
    if early is None:
        problems.append(
            f"the flows have {_row(channels)} channels: expected the same number to leave at "
            "regular intervals"
        )
    tensors_say = {
        "n_mel_channels": mels,
        "n_flows": flows,
        "n_group": groups,
        "n_layers": layers,
        "n_channels": hidden // 2,
        "kernel_size": kernel,
    }
    said = found.said.numbers
    problems += _contradictions(said, tensors_say, channels)
    data = dict(said)
    beside = _read_config(path)
    if beside is not None:
        differences = _contradictions(beside, tensors_say, channels)
        if differences:
            notes.append(f"config.json belongs to another model: {differences[0]}")
        else:
            data = {**beside, **data}
    recipe = _recipe(data, mels, taps, notes)
    problems += [f"the mel recipe: {problem}" for problem in recipe.problems()]
    if problems or early is None:
        return None
    every, size = early
    return WaveglowSettings(recipe, groups, every, size, _alternate(found, halves, old, notes))


def _early(channels: list[int]) -> tuple[int, int] | None:
    """How often how many channels leave, from each flow's channels; None: not regularly."""
    flows = len(channels)
    every = next((k for k in range(1, flows) if channels[k] != channels[0]), flows)
    size = channels[0] - channels[every] if every < flows else 0
    if size < 0 or channels != _expected(channels[0], every, size, flows):
        return None
    return every, size


def _expected(groups: int, every: int, size: int, flows: int) -> list[int]:
    return [groups - size * (k // every) for k in range(flows)]


def _row(channels: list[int]) -> str:
    shown = ", ".join(str(c) for c in channels[:16])
    return f"{shown}, ..." if len(channels) > 16 else shown


def _contradictions(
    said: Mapping[str, float], tensors_say: Mapping[str, int], channels: list[int]
) -> list[str]:
    """Sentences about settings that are not those of the tensors."""
    found = [
        f"its settings say {name} {said[name]:g}, but its tensors {value}"
        for name, value in tensors_say.items()
        if name in said and said[name] != value
    ]
    every, size = said.get("n_early_every"), said.get("n_early_size")
    if every is None or size is None or found:
        return found
    groups, flows = channels[0], len(channels)
    whole = every == int(every) and size == int(size) and every > 0
    if not whole or channels != _expected(groups, int(every), int(size), flows):
        found.append(
            f"its settings say n_early_every {every:g} and n_early_size {size:g}, but the flows of "
            f"its tensors have {_row(channels)} channels"
        )
    return found


def _alternate(found: Found, halves: str, old: bool, notes: list[str]) -> bool:
    if halves != "auto":
        forced = halves == "alternate"
        if found.said.alternate and not forced:
            notes.append("the file says that its flows read alternate halves, but was told not to")
        return forced
    if found.said.alternate:
        notes.append("odd flows read the second half (the generation of glow_old)")
    elif old:
        notes.append(
            "its layers are of the older generation, some of whose models read alternate halves, "
            "which this file does not say; should it give noise, convert it with --halves alternate"
        )
    return found.said.alternate


def _recipe(data: Mapping[str, float], mels: int, taps: int, notes: list[str]) -> MelRecipe:
    """NVIDIA's recipe, with the numbers that are known."""
    changes: dict[str, Any] = {"bands": mels}
    for field, name in _FIELDS:
        value = data.get(name)
        if value is not None and value == int(value):
            changes[field] = int(value)
    for field, name in _EDGES:
        if name in data:
            changes[field] = float(data[name])
    if "fft_length" in changes:
        changes["pad"] = changes["fft_length"] // 2
    if "hop_length" not in changes and taps != TAPS_PER_HOP * NVIDIA.hop_length:
        hop = max(taps // TAPS_PER_HOP, 1)
        changes["hop_length"] = hop
        notes.append(
            f"'upsample' has {taps} taps and nothing says the hop: {hop} samples are assumed"
        )
    recipe = replace(NVIDIA, **changes)
    return recipe if recipe.same_numbers(NVIDIA) else replace(recipe, name="custom")


def _read_config(path: Path) -> dict[str, float] | None:
    """Numbers of upstream's ``config.json`` beside a checkpoint; None where there is none."""
    try:
        with open(path.with_name("config.json"), "rb") as file:
            tree = json.loads(file.read(MAX_TEXT))
    except (OSError, ValueError, RecursionError):
        return None
    found: dict[str, float] = {}
    for config in ("waveglow_config", "data_config"):
        table = tree.get(config) if isinstance(tree, dict) else None
        for part in (table, table.get("WN_config") if isinstance(table, dict) else None):
            if isinstance(part, dict):
                for name, value in part.items():
                    if type(value) in (int, float) and abs(value) < 1e9:
                        found.setdefault(name, value)
    return found or None
