"""WaveGlow's layout contract (docs/container.md).

Prenger et al., "WaveGlow: A Flow-based Generative Network for Speech Synthesis", 2018.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyvoc.container.base import MetadataSpec, ModelSpec
from pyvoc.container.checks import precision_problems, sharing_problems
from pyvoc.container.layout import (
    BF16,
    F32,
    I8,
    Dims,
    Int8Rule,
    Layout,
    Shapes,
    TensorSpec,
    read_dims,
)
from pyvoc.container.mel import METADATA as MEL_METADATA
from pyvoc.container.mel import NVIDIA, MelRecipe, reading_problems
from pyvoc.container.settings import MelSettings
from pyvoc.container.tensors import AnyArray, Container, Scalar

MAX_FLOWS = 64
MAX_LAYERS = 16
MAX_CHANNELS = 4096
MAX_GROUPS = 256
MAX_SIGMA = 4.0
KERNEL = 3
"""Taps of the dilated convolutions; layer I has the dilation ``2 ** I``."""
DEFAULT_SIGMA = 0.6
"""What upstream's readme synthesises with."""

_INNER = (F32, BF16, I8)
_UPSAMPLE = (F32, BF16, BF16)
_CONV = Int8Rule(outputs=0, inputs=None, bf16_scale=False, calibrated=True)
_COND = replace(_CONV, adds_to="conv", reads="cond")

METADATA = (
    *MEL_METADATA,
    MetadataSpec("waveglow.groups", int, least=2, most=MAX_GROUPS),
    MetadataSpec("waveglow.early_every", int, least=1, most=MAX_FLOWS),
    MetadataSpec("waveglow.early_size", int, least=0, most=MAX_GROUPS),
    MetadataSpec("waveglow.alternate", bool),
    MetadataSpec("waveglow.sigma", float, least=0.0, most=MAX_SIGMA),
)


@dataclass(frozen=True)
class WaveglowSettings(MelSettings):
    """What the tensors do not say about a WaveGlow.

    Parameters
    ----------
    groups
        Samples that are one step of the flows: channels of the first one.
    early_every, early_size
        Before flow `early_every`, and every so many after it, the first `early_size` channels leave
        for the output. 0 channels: nothing leaves early.
    alternate
        Odd flows read the second half and change the first; all others read the first half.
    sigma
        Standard deviation of the noise that synthesis starts from, unless told otherwise.
    """

    prefix = "waveglow."
    recipe: MelRecipe = NVIDIA
    groups: int = 8
    early_every: int = 4
    early_size: int = 2
    alternate: bool = False
    sigma: float = DEFAULT_SIGMA

    def channels(self, flows: int) -> list[int]:
        """Channels of each flow, flow 0 first."""
        return [self.groups - self.early_size * (k // self.early_every) for k in range(flows)]


def tensors(flows: int, layers: int) -> tuple[TensorSpec, ...]:
    """Every tensor of a model of so many flows, each of so many dilated layers."""
    found = [
        TensorSpec("upsample.weight", ("mels", "mels/apart", "taps"), _UPSAMPLE),
        TensorSpec("upsample.bias", ("mels",)),
    ]
    for k in range(flows):
        flow = f"flow.{k}"
        found += [
            TensorSpec(f"{flow}.mix.weight", (f"c{k}", f"c{k}")),
            TensorSpec(f"{flow}.unmix.weight", (f"c{k}", f"c{k}")),
            TensorSpec(f"{flow}.start.weight", ("C", f"c{k}/2", 1)),
            TensorSpec(f"{flow}.start.bias", ("C",)),
        ]
        for i in range(layers):
            layer = f"{flow}.layer.{i}"
            rows = "C" if i == layers - 1 else "2C"
            found += [
                TensorSpec(f"{layer}.conv.weight", ("2C", "C", KERNEL), _INNER, int8=_CONV),
                TensorSpec(f"{layer}.conv.bias", ("2C",)),
                TensorSpec(f"{layer}.cond.weight", ("2C", "mels*groups", 1), _INNER, int8=_COND),
                TensorSpec(f"{layer}.cond.bias", ("2C",)),
                TensorSpec(f"{layer}.out.weight", (rows, "C", 1), _INNER, int8=_CONV),
                TensorSpec(f"{layer}.out.bias", (rows,)),
            ]
        found += [
            TensorSpec(f"{flow}.end.weight", (f"c{k}", "C", 1)),
            TensorSpec(f"{flow}.end.bias", (f"c{k}",)),
        ]
    return tuple(found)


def count(shapes: Shapes) -> tuple[int, int]:
    """Flows and layers per flow that the names of tensors speak of; at least 1, bounded."""

    def different(pattern: str) -> int:
        return max(len({m[1] for name in shapes if (m := re.fullmatch(pattern, name))}), 1)

    return (
        min(different(r"flow\.(\d{1,3})\.start\.bias"), MAX_FLOWS),
        min(different(r"flow\.\d{1,3}\.layer\.(\d{1,3})\.conv\.bias"), MAX_LAYERS),
    )


def apart(shapes: Shapes) -> bool:
    """Whether the upsampling is of each mel band by itself: weights ``[mels, 1, taps]``."""
    return tuple(shapes.get("upsample.weight", ()))[1:2] == (1,)


def _layout(shapes: Shapes, metadata: Mapping[str, Scalar]) -> Layout:
    flows, layers = count(shapes)
    wanted = {
        "mels/apart": ("upsample.weight", 1, 3),
        "mels": ("upsample.weight", 0 if apart(shapes) else 1, 3),
        "taps": ("upsample.weight", 2, 3),
        "C": ("flow.0.start.weight", 0, 3),
    }
    dims = {"flows": flows, "layers": layers, **read_dims(shapes, wanted)}
    if "C" in dims:
        dims["2C"] = 2 * dims["C"]
    groups = _whole(metadata, "waveglow.groups")
    every = _whole(metadata, "waveglow.early_every")
    size = _whole(metadata, "waveglow.early_size")
    if groups is not None:
        dims["groups"] = groups
        if "mels" in dims:
            dims["mels*groups"] = dims["mels"] * groups
    if groups is not None and every is not None and size is not None:
        channels = WaveglowSettings(NVIDIA, groups, every, size).channels(flows)
        for k, c in enumerate(channels):
            dims[f"c{k}"], dims[f"c{k}/2"] = c, c // 2
    return Layout(tensors(flows, layers), dims)


def _whole(metadata: Mapping[str, Scalar], key: str) -> int | None:
    """A valid entry; None where it is missing or out of range, of which others complain."""
    entry = next(e for e in METADATA if e.key == key)
    value = metadata.get(key)
    return value if isinstance(value, int) and entry.problem(metadata) is None else None


def size_problems(dims: Dims, hop: int | None) -> list[str]:
    """Sentences about sizes that no runtime can take; `hop` in samples, None where not known."""
    found = []
    if not 0 < dims.get("C", 1) <= MAX_CHANNELS:
        found.append(f"the flows have {dims['C']} hidden channels, expected 1 to {MAX_CHANNELS}")
    for k in range(dims["flows"]):
        c = dims.get(f"c{k}", 2)
        if c < 2 or c % 2:
            found.append(f"flow {k} has {c} channels, expected an even number from 2 on")
    taps, groups = dims.get("taps"), dims.get("groups")
    if hop is not None and taps is not None and (taps == 0 or taps % hop):
        found.append(f"'upsample' has {taps} taps, expected a multiple of the hop of {hop} samples")
    if hop is not None and groups is not None and hop % groups:
        found.append(
            f"the hop of {hop} samples is not a multiple of the {groups} samples of a group"
        )
    return found


def inverse_problem(flow: int, mix: AnyArray, unmix: AnyArray) -> str | None:
    """A sentence when two 1x1 convolutions ``[c, c]`` do not undo each other; None when they do."""
    a, b = mix.astype(np.float64), unmix.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(a @ b - np.eye(len(a)))
        bound = 1e-6 * (np.abs(a) @ np.abs(b)) + 1e-9
    if (error <= bound).all():
        return None
    return f"flow {flow}: 'unmix' is not the inverse of 'mix' (off by {float(error.max()):.2g})"


def _extra(container: Container, layout: Layout) -> list[str]:
    dims, metadata = layout.dims, container.metadata
    hop: int | None = None
    if not any(entry.problem(metadata) for entry in MEL_METADATA):
        hop = int(metadata["pyvoc.features.hop_length"])
    found = reading_problems(metadata, reader="upsample", bands=dims.get("mels"))
    found += size_problems(dims, hop)
    for k in range(dims["flows"]):
        found += _mix_problems(container, k, dims.get(f"c{k}"))
    return found + precision_problems(container, layout) + sharing_problems(container, layout)


def _mix_problems(container: Container, flow: int, channels: int | None) -> list[str]:
    """Whether a flow's 1x1 convolutions, if they have the right shapes, undo each other."""
    pair = [container.tensors.get(f"flow.{flow}.{name}.weight") for name in ("mix", "unmix")]
    data = [t.data for t in pair if t is not None and t.type is F32]
    if len(data) != 2 or any(a.shape != (channels, channels) for a in data):
        return []
    if not all(np.isfinite(a).all() for a in data):
        return []
    problem = inverse_problem(flow, data[0], data[1])
    return [] if problem is None else [problem]


WAVEGLOW = ModelSpec(
    architecture="pyvoc.waveglow",
    revision=1,
    prefix=WaveglowSettings.prefix,
    metadata=METADATA,
    layout=_layout,
    extra=_extra,
    peak=100.0,  # nothing bounds it; an untrained model is louder than speech
)


def noise_channels(described: Mapping[str, Any]) -> tuple[int, ...]:
    """Channels of the noise in the order in which synthesis needs it; together a step's samples.

    Parameters
    ----------
    described
        A WaveGlow, as :meth:`pyvoc.Model.describe` gives it.
    """
    metadata = described["metadata"]
    flows = sum(tensor["name"].endswith(".mix.weight") for tensor in described["tensors"])
    size, joins = metadata["waveglow.early_size"], (flows - 1) // metadata["waveglow.early_every"]
    early = [size] * joins if size else []
    return (metadata["waveglow.groups"] - sum(early), *early)
