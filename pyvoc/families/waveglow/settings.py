"""What a WaveGlow's tensors say of its settings, and whether the file says the same."""

from __future__ import annotations

from collections.abc import Mapping

from pyvoc.container.mel import NVIDIA
from pyvoc.container.tensors import AnyArray
from pyvoc.convert.settings import Settings
from pyvoc.families.waveglow.names import Found
from pyvoc.families.waveglow.spec import MAX_GROUPS, WaveglowSettings, count

_MODEL = ("n_mel_channels", "n_flows", "n_group")
TAPS_PER_HOP = 4
"""Upstream's upsampling has 1024 taps for a hop of 256."""


def settings_of(
    tensors: Mapping[str, AnyArray],
    found: Found,
    *,
    settings: Settings,
    halves: str,
    old: bool,
    notes: list[str],
    problems: list[str],
) -> tuple[WaveglowSettings, str] | None:
    """Settings of a model, and who says the sample rate.

    Parameters
    ----------
    tensors
        By their names in the spec, weights three-dimensional and ``mix`` a matrix, unchecked.
    found
        What the file says.
    settings
        What is said besides, also by files beside the checkpoint.
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
    hop = int(said.get("hop_length") or settings.whole("hop_length") or 0)
    if hop <= 0:
        hop = max(taps // TAPS_PER_HOP, 1)
        if hop != NVIDIA.hop_length:
            notes.append(
                f"'upsample' has {taps} taps and nothing says the hop: {hop} samples are assumed"
            )
    recipe, rate_from = settings.recipe(
        NVIDIA,
        bands=mels,
        hop=hop,
        notes=notes,
        problems=problems,
        hop_said=True,
        sizes={
            name if name in _MODEL else f"WN_config.{name}": n for name, n in tensors_say.items()
        },
    )
    problems += [f"the mel recipe: {problem}" for problem in recipe.problems()]
    if problems or early is None:
        return None
    every, size = early
    alternate = _alternate(found, halves, old, notes)
    return WaveglowSettings(recipe, groups, every, size, alternate), rate_from


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
