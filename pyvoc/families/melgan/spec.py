"""MelGAN's layout contract (docs/container.md).

Kumar et al., "MelGAN: Generative Adversarial Networks for Conditional Waveform Synthesis", 2019.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

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
from pyvoc.container.tensors import Container, Scalar

MAX_STAGES = 8
MAX_BLOCKS = 8
MAX_CHANNELS = 4096
MAX_RATIO = 64
ENDS_KERNEL = 7
"""Taps of the first and the last convolution."""
BLOCK_KERNEL = 3

_ENDS = (F32, BF16, F32)
_INNER = (F32, BF16, I8)
_CONV = Int8Rule(outputs=0, inputs=None, bf16_scale=False, calibrated=True, optional=True)
_SHORTCUT = replace(_CONV, adds_to="out")
_UP = replace(_CONV, outputs=1)

METADATA = (
    *MEL_METADATA,
    MetadataSpec("melgan.padding", str, values=("reflect", "zero")),
    MetadataSpec("melgan.input_scale", float, least=-1e3, most=1e3),
    MetadataSpec("melgan.input_shift", float, least=-1e3, most=1e3),
    MetadataSpec("melgan.leak", float, least=0.0, most=1.0),
    MetadataSpec("melgan.dilation_base", int, least=1, most=3),
)


@dataclass(frozen=True)
class MelganSettings(MelSettings):
    """What the tensors do not say about a MelGAN.

    Parameters
    ----------
    padding
        Of the convolutions at the two true ends of an utterance: ``reflect`` or ``zero``.
    input_scale, input_shift
        The network's input is mel * scale + shift.
    leak
        Slope of the leaky ReLU below zero.
    dilation_base
        Block J of a stage has the dilation ``dilation_base ** J``.
    """

    prefix = "melgan."
    recipe: MelRecipe = NVIDIA
    padding: str = "reflect"
    input_scale: float = 1.0
    input_shift: float = 0.0
    leak: float = 0.2
    dilation_base: int = 3


def tensors(stages: int, blocks: int) -> tuple[TensorSpec, ...]:
    """Every tensor of a model of so many stages, each of so many residual blocks."""
    found = [
        TensorSpec("conv_in.weight", ("C0", "mels", ENDS_KERNEL), _ENDS),
        TensorSpec("conv_in.bias", ("C0",)),
    ]
    for k in range(stages):
        c = f"C{k + 1}"
        up, square = f"stage.{k}.up", (c, c, 1)
        found += [
            TensorSpec(f"{up}.weight", (f"C{k}", c, f"2r{k}"), _INNER, int8=_UP),
            TensorSpec(f"{up}.bias", (c,)),
        ]
        for j in range(blocks):
            block = f"stage.{k}.block.{j}"
            found += [
                TensorSpec(f"{block}.conv.weight", (c, c, BLOCK_KERNEL), _INNER, int8=_CONV),
                TensorSpec(f"{block}.conv.bias", (c,)),
                TensorSpec(f"{block}.out.weight", square, _INNER, int8=_CONV),
                TensorSpec(f"{block}.out.bias", (c,)),
                TensorSpec(f"{block}.shortcut.weight", square, _INNER, int8=_SHORTCUT),
                TensorSpec(f"{block}.shortcut.bias", (c,)),
            ]
    return (
        *found,
        TensorSpec("conv_out.weight", (1, f"C{stages}", ENDS_KERNEL), _ENDS),
        TensorSpec("conv_out.bias", (1,)),
    )


def count(shapes: Shapes) -> tuple[int, int]:
    """Stages and blocks per stage that the names of tensors speak of; at least 1, at most 8."""
    stages = [m[1] for name in shapes if (m := re.fullmatch(r"stage\.(\d)\.up\.weight", name))]
    blocks = [
        m[1]
        for name in shapes
        if (m := re.fullmatch(r"stage\.\d\.block\.(\d)\.conv\.weight", name))
    ]
    return (
        min(max((int(n) + 1 for n in stages), default=1), MAX_STAGES),
        min(max((int(n) + 1 for n in blocks), default=1), MAX_BLOCKS),
    )


def ratios(dims: Dims) -> list[int | None]:
    """The upsampling ratio of each stage; None where its kernel is missing."""
    return [
        kernel // 2 if (kernel := dims.get(f"2r{k}")) is not None else None
        for k in range(dims["stages"])
    ]


def _layout(shapes: Shapes, metadata: Mapping[str, Scalar]) -> Layout:
    stages, blocks = count(shapes)
    wanted = {"C0": ("conv_in.weight", 0, 3), "mels": ("conv_in.weight", 1, 3)}
    for k in range(stages):
        wanted |= {f"C{k + 1}": (f"stage.{k}.up.weight", 1, 3)}
        wanted |= {f"2r{k}": (f"stage.{k}.up.weight", 2, 3)}
    dims = {"stages": stages, "blocks": blocks, **read_dims(shapes, wanted)}
    return Layout(tensors(stages, blocks), dims)


def size_problems(dims: Dims) -> list[str]:
    """Sentences about sizes that no runtime can take."""
    found = []
    for k in range(dims["stages"] + 1):
        channels = dims.get(f"C{k}", 1)
        if not 0 < channels <= MAX_CHANNELS:
            where = "conv_in" if k == 0 else f"stage {k - 1}"
            found.append(f"{where} has {channels} channels, expected 1 to {MAX_CHANNELS}")
    for k in range(dims["stages"]):
        kernel = dims.get(f"2r{k}", 2)
        if kernel % 2 or not 0 < kernel <= 2 * MAX_RATIO:
            found.append(
                f"stage {k} has an upsampling kernel of {kernel}, expected twice a ratio of 1 to "
                f"{MAX_RATIO}"
            )
    return found


def _extra(container: Container, layout: Layout) -> list[str]:
    dims, metadata = layout.dims, container.metadata
    found = size_problems(dims)
    found += reading_problems(
        metadata, reader="conv_in", bands=dims.get("mels"), stages=ratios(dims)
    )
    return found + precision_problems(container, layout) + sharing_problems(container, layout)


MELGAN = ModelSpec(
    architecture="pyvoc.melgan",
    revision=1,
    prefix=MelganSettings.prefix,
    metadata=METADATA,
    layout=_layout,
    extra=_extra,
)
