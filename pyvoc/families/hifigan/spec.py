"""HiFi-GAN's layout contract (docs/container.md).

Kong, Kim, Bae, "HiFi-GAN: Generative Adversarial Networks for Efficient and High Fidelity Speech
Synthesis", 2020, arXiv:2010.05646.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pyvoc.container.base import MetadataSpec, ModelSpec
from pyvoc.container.checks import precision_problems
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
from pyvoc.container.mel import HIFIGAN as RECIPE
from pyvoc.container.mel import METADATA as MEL_METADATA
from pyvoc.container.mel import MelRecipe, reading_problems
from pyvoc.container.settings import MelSettings
from pyvoc.container.tensors import Container, Scalar

MAX_STAGES = 8
MAX_CHAINS = 8
MAX_BLOCKS = 8
MAX_CHANNELS = 4096
MAX_RATIO = 64
MAX_KERNEL = 15
"""Taps of the convolutions of a residual chain, an odd number."""
MAX_DILATION = 1024
ENDS_KERNEL = 7
"""Taps of the first and the last convolution."""

_ENDS = (F32, BF16, F32)
_INNER = (F32, BF16, I8)
_CONV = Int8Rule(outputs=0, inputs=None, bf16_scale=False, calibrated=True, optional=True)
_UP = replace(_CONV, outputs=1)

METADATA = (
    *MEL_METADATA,
    MetadataSpec("hifigan.padding", str, values=("reflect", "zero")),
    MetadataSpec("hifigan.paired", bool),
    MetadataSpec("hifigan.leak", float, least=0.0, most=1.0),
    MetadataSpec("hifigan.last_leak", float, least=0.0, most=1.0),
    MetadataSpec("hifigan.ratios", str),
    MetadataSpec("hifigan.cuts", str),
    MetadataSpec("hifigan.dilations", str),
)


@dataclass(frozen=True)
class HifiganSettings(MelSettings):
    """What the tensors do not say about a HiFi-GAN.

    Parameters
    ----------
    padding
        Of the convolutions at the two true ends of an utterance: ``reflect`` or ``zero``.
    paired
        Whether a residual block has a second convolution, without dilation (upstream's ResBlock1).
    leak, last_leak
        Slope of the leaky ReLU below zero; before the last convolution.
    ratios
        Upsampling ratio of each stage, with spaces between: ``8 8 2 2``.
    cuts
        Samples that each stage's transposed convolution loses at its start.
    dilations
        Of the blocks of each chain, with commas between chains: ``1 3 5, 1 3 5, 1 3 5``.
    """

    prefix = "hifigan."
    recipe: MelRecipe = RECIPE
    padding: str = "zero"
    paired: bool = True
    leak: float = 0.1
    last_leak: float = 0.01
    ratios: str = "8 8 2 2"
    cuts: str = "4 4 1 1"
    dilations: str = "1 3 5, 1 3 5, 1 3 5"


def numbers(text: object) -> list[int] | None:
    """Whole numbers with spaces between, or None where a text is something else."""
    if not isinstance(text, str) or not re.fullmatch(r"\d{1,5}( \d{1,5})*", text):
        return None
    return [int(word) for word in text.split(" ")]


def chains_of(text: object) -> list[list[int]] | None:
    """`HifiganSettings.dilations` in numbers, or None."""
    if not isinstance(text, str):
        return None
    chains = [numbers(part) for part in text.split(", ")]
    return None if None in chains else [chain for chain in chains if chain is not None]


def written(values: Sequence[int]) -> str:
    """Numbers as `numbers` reads them."""
    return " ".join(str(value) for value in values)


def tensors(
    stages: int, blocks: Sequence[int], *, paired: bool, normalised: bool
) -> tuple[TensorSpec, ...]:
    """Every tensor of a model.

    Parameters
    ----------
    stages
        How many.
    blocks
        Of each chain, how many.
    paired
        Whether a block has two convolutions.
    normalised
        Whether the mel is brought to mean 0 and variance 1 first.
    """
    found = []
    if normalised:
        found += [TensorSpec(f"input.{name}", ("mels",)) for name in ("mean", "scale")]
    found += [
        TensorSpec("conv_in.weight", ("C0", "mels", ENDS_KERNEL), _ENDS),
        TensorSpec("conv_in.bias", ("C0",)),
    ]
    for k in range(stages):
        c = f"C{k + 1}"
        found += [
            TensorSpec(f"stage.{k}.up.weight", (f"C{k}", c, f"U{k}"), _INNER, int8=_UP),
            TensorSpec(f"stage.{k}.up.bias", (c,)),
        ]
        h = f"H{k}" if paired else c
        layers = [("first", h, c), ("second", c, h)][: 2 if paired else 1]
        for j, count in enumerate(blocks):
            for i in range(count):
                for name, outputs, inputs in layers:
                    layer = f"stage.{k}.chain.{j}.block.{i}.{name}"
                    shape = (outputs, inputs, f"K{j}")
                    found += [
                        TensorSpec(f"{layer}.weight", shape, _INNER, int8=_CONV),
                        TensorSpec(f"{layer}.bias", (outputs,)),
                    ]
    return (
        *found,
        TensorSpec("conv_out.weight", (1, f"C{stages}", ENDS_KERNEL), _ENDS),
        TensorSpec("conv_out.bias", (1,)),
    )


def count(shapes: Shapes) -> tuple[int, list[int], bool]:
    """Stages, blocks of each chain and whether they are paired, by the names of tensors."""
    stages = [m[1] for name in shapes if (m := re.fullmatch(r"stage\.(\d)\.up\.weight", name))]
    blocks: dict[int, int] = {}
    for name in shapes:
        if m := re.fullmatch(r"stage\.\d\.chain\.(\d)\.block\.(\d)\.first\.weight", name):
            chain, block = int(m[1]), int(m[2])
            blocks[chain] = max(blocks.get(chain, 0), min(block + 1, MAX_BLOCKS))
    chains = min(max(blocks, default=0) + 1, MAX_CHAINS)
    return (
        min(max((int(n) + 1 for n in stages), default=1), MAX_STAGES),
        [blocks.get(chain, 1) for chain in range(chains)],
        any(name.endswith(".second.weight") for name in shapes),
    )


def _layout(shapes: Shapes, metadata: Mapping[str, Scalar]) -> Layout:
    stages, blocks, paired = count(shapes)
    paired = bool(metadata.get("hifigan.paired", paired))
    wanted = {"C0": ("conv_in.weight", 0, 3), "mels": ("conv_in.weight", 1, 3)}
    for k in range(stages):
        wanted |= {f"C{k + 1}": (f"stage.{k}.up.weight", 1, 3)}
        wanted |= {f"U{k}": (f"stage.{k}.up.weight", 2, 3)}
        if paired:
            wanted |= {f"H{k}": (f"stage.{k}.chain.0.block.0.first.weight", 0, 3)}
    for j in range(len(blocks)):
        wanted |= {f"K{j}": (f"stage.0.chain.{j}.block.0.first.weight", 2, 3)}
    dims = {"stages": stages, "chains": len(blocks), **read_dims(shapes, wanted)}
    dims |= {f"blocks{j}": n for j, n in enumerate(blocks)}
    normalised = "input.mean" in shapes or "input.scale" in shapes
    return Layout(tensors(stages, blocks, paired=paired, normalised=normalised), dims)


def size_problems(dims: Dims, settings: Mapping[str, Scalar]) -> list[str]:
    """Sentences about sizes that no runtime can take, or that settings and tensors disagree on.

    Parameters
    ----------
    dims
        Of the layout.
    settings
        Metadata ``hifigan.ratios``, ``hifigan.cuts`` and ``hifigan.dilations``.
    """
    found = []
    stages, chains = dims["stages"], dims["chains"]
    for k in range(stages + 1):
        channels = dims.get(f"C{k}", 1)
        if not 0 < channels <= MAX_CHANNELS:
            where = "conv_in" if k == 0 else f"stage {k - 1}"
            found.append(f"{where} has {channels} channels, expected 1 to {MAX_CHANNELS}")
        hidden = dims.get(f"H{k}", 1)
        if not 0 < hidden <= MAX_CHANNELS:
            found.append(
                f"stage {k} has {hidden} channels inside its blocks, expected 1 to {MAX_CHANNELS}"
            )
    for j in range(chains):
        kernel = dims.get(f"K{j}", 1)
        if kernel % 2 == 0 or kernel > MAX_KERNEL:
            found.append(
                f"chain {j} has kernels of {kernel}, expected an odd number up to {MAX_KERNEL}"
            )
    ratios, cuts = numbers(settings.get("hifigan.ratios")), numbers(settings.get("hifigan.cuts"))
    if ratios is None or cuts is None or not len(ratios) == len(cuts) == stages:
        found.append(f"hifigan.ratios and hifigan.cuts are not {stages} whole numbers each")
    else:
        for k, (ratio, cut) in enumerate(zip(ratios, cuts, strict=True)):
            kernel = dims.get(f"U{k}", ratio)
            if not 0 < ratio <= MAX_RATIO or not ratio + cut <= kernel <= 4 * MAX_RATIO:
                found.append(
                    f"stage {k} upsamples by {ratio} with a kernel of {kernel}, {cut} samples cut"
                )
    dilations = chains_of(settings.get("hifigan.dilations"))
    if dilations is None or [len(c) for c in dilations] != [
        dims[f"blocks{j}"] for j in range(chains)
    ]:
        found.append("hifigan.dilations has not a number for every block of every chain")
    elif not all(0 < d <= MAX_DILATION for chain in dilations for d in chain):
        found.append(f"hifigan.dilations has numbers beyond 1 to {MAX_DILATION}")
    return found


def _extra(container: Container, layout: Layout) -> list[str]:
    dims, metadata = layout.dims, container.metadata
    found = size_problems(dims, metadata)
    found += reading_problems(
        metadata,
        reader="conv_in",
        bands=dims.get("mels"),
        stages=numbers(metadata.get("hifigan.ratios")),
    )
    return found + precision_problems(container, layout)


HIFIGAN = ModelSpec(
    architecture="pyvoc.hifigan",
    revision=1,
    prefix=HifiganSettings.prefix,
    metadata=METADATA,
    layout=_layout,
    extra=_extra,
)
