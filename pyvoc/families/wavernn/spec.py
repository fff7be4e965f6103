"""WaveRNN's layout contract (docs/container.md): fatchord's network, its linear inputs hoisted.

Kalchbrenner et al., "Efficient Neural Audio Synthesis", 2018; the network with two GRUs, a residual
network over the mel spectrogram and four fully connected layers is that of fatchord/WaveRNN.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pyvoc.container.base import COMB, MetadataSpec, ModelSpec
from pyvoc.container.checks import precision_problems
from pyvoc.container.layout import BF16, F32, I8, Dims, Layout, Shapes, TensorSpec, read_dims
from pyvoc.container.mel import FATCHORD, MelRecipe, reading_problems
from pyvoc.container.mel import METADATA as MEL_METADATA
from pyvoc.container.settings import MelSettings
from pyvoc.container.tensors import Container, Scalar

MAX_BLOCKS = 64
MAX_STRETCHES = 8
MAX_STRETCH = 256
MAX_RNN = 4096
MAX_COND = 1024
MAX_KERNEL = 17
MAX_BITS = 16
MAX_MIXTURES = 64
MOL_BITS = 16
"""What ``wavernn.bits`` is for a mixture of logistics: it is trained on 16-bit samples."""

BLOCKS = ((8, 4),)
"""Sparse blocks (outputs, inputs) of the sample loop's matrices."""
F32_BLOCKS = ((16, 1),)
"""In float only: an int8 dot product wants several inputs."""

_LOOP = (F32, BF16, I8)
_FEW = (F32, BF16, F32)

METADATA = (
    *MEL_METADATA,
    MetadataSpec("wavernn.mode", str, values=("mol", "raw")),
    MetadataSpec("wavernn.bits", int, least=1, most=MAX_BITS),
    MetadataSpec("wavernn.mu_law", bool),
    COMB,
)


@dataclass(frozen=True)
class WavernnSettings(MelSettings):
    """What the tensors do not say about a WaveRNN.

    Parameters
    ----------
    mode
        ``mol``: the outputs are a mixture of logistics (all weights' logits, then all means, then
        all logarithms of scales); ``raw``: logits of ``2 ** bits`` labels.
    bits
        Of a label; `MOL_BITS` for ``mol``.
    mu_law
        Labels are mu-law codes, to be expanded after synthesis; False for ``mol``.
    """

    prefix = "wavernn."
    recipe: MelRecipe = FATCHORD
    mode: str = "mol"
    bits: int = MOL_BITS
    mu_law: bool = False


def tensors(blocks: int, stretches: int, *, raw: bool) -> tuple[TensorSpec, ...]:
    """Every tensor of a model of so many residual blocks and upsampling stretches.

    `raw`: the last layer has an output per label. It has few otherwise, and stays F32 at int8.
    """

    def loop(name: str, rows: str, inputs: str) -> TensorSpec:
        return TensorSpec(name, (rows, inputs), _LOOP, blocks=BLOCKS, f32_blocks=F32_BLOCKS)

    def frame(name: str, shape: tuple[str | int, ...]) -> TensorSpec:
        """What is multiplied once a frame, or a few times."""
        return TensorSpec(name, shape, (F32, BF16, BF16), was_f32=True)

    last = ("fc3.weight", "outputs", "F")
    found = [
        frame("resnet.in.weight", ("D", "mels", "taps")),
        TensorSpec("resnet.in.bias", ("D",)),
    ]
    for k in range(blocks):
        for half in ("a", "b"):
            found += [
                frame(f"resnet.{k}.{half}.weight", ("D", "D", 1)),
                TensorSpec(f"resnet.{k}.{half}.bias", ("D",)),
            ]
    found += [
        frame("resnet.out.weight", ("4A", "D", 1)),
        TensorSpec("resnet.out.bias", ("4A",)),
    ]
    found += [TensorSpec(f"upsample.{k}.weight", (f"2s{k}+1",)) for k in range(stretches)]
    for layer, rows, aux in (("rnn1", "3R", "A"), ("rnn2", "3R", "2A"), ("fc1", "F", "2A")):
        found += [
            TensorSpec(f"{layer}.input.sample", (rows,)),
            frame(f"{layer}.input.mel", (rows, "mels")),
            frame(f"{layer}.input.aux", (rows, aux)),
            TensorSpec(f"{layer}.input.bias", (rows,)),
        ]
    return (
        *found,
        frame("fc2.input.aux", ("F", "A")),
        TensorSpec("fc2.input.bias", ("F",)),
        loop("rnn1.hidden.weight", "3R", "R"),
        TensorSpec("rnn1.hidden.bias", ("3R",)),
        loop("rnn2.input.weight", "3R", "R"),
        loop("rnn2.hidden.weight", "3R", "R"),
        TensorSpec("rnn2.hidden.bias", ("3R",)),
        loop("fc1.weight", "F", "R"),
        loop("fc2.weight", "F", "F"),
        loop(*last) if raw else TensorSpec(last[0], last[1:], _FEW),
        TensorSpec("fc3.bias", ("outputs",)),
    )


def count(shapes: Shapes) -> tuple[int, int]:
    """Residual blocks and stretches that the names of tensors speak of, at most as many as may."""
    blocks = [m[1] for n in shapes if (m := re.fullmatch(r"resnet\.(\d{1,2})\.[ab]\.weight", n))]
    stretches = [m[1] for n in shapes if (m := re.fullmatch(r"upsample\.(\d)\.weight", n))]
    return (
        min(max((int(n) + 1 for n in blocks), default=0), MAX_BLOCKS),
        min(max((int(n) + 1 for n in stretches), default=1), MAX_STRETCHES),
    )


def stretches_of(dims: Dims) -> list[int | None]:
    """How many samples each stretch makes of one; None where its kernel is missing."""
    return [
        (kernel - 1) // 2 if (kernel := dims.get(f"2s{k}+1")) is not None else None
        for k in range(dims["stretches"])
    ]


def reach(stretches: list[int]) -> int:
    """How many frames on each side of its own the upsampled mel of a sample depends on.

    A stretch repeats every value s times, then a kernel of 2 s + 1 taps blurs: an output depends on
    one value more on each side.
    """
    first, last = 0, math.prod(stretches) - 1
    for s in reversed(stretches):
        first, last = first // s - 1, last // s + 1
    return max(-first, last)


def derived_dimensions(base: Mapping[str, int]) -> dict[str, int]:
    """The dimensions that `tensors` uses, from those of R and A that are known."""
    dims = dict(base)
    if "R" in dims:
        dims["3R"] = 3 * dims["R"]
    if "A" in dims:
        dims["2A"], dims["4A"] = 2 * dims["A"], 4 * dims["A"]
    return dims


def _layout(shapes: Shapes, metadata: Mapping[str, Scalar]) -> Layout:
    blocks, stretches = count(shapes)
    wanted = {
        "D": ("resnet.in.weight", 0, 3),
        "mels": ("resnet.in.weight", 1, 3),
        "taps": ("resnet.in.weight", 2, 3),
        "A": ("fc2.input.aux", 1, 2),
        "F": ("fc1.input.bias", 0, 1),
        "outputs": ("fc3.bias", 0, 1),
        **{f"2s{k}+1": (f"upsample.{k}.weight", 0, 1) for k in range(stretches)},
    }
    dims = {"blocks": blocks, "stretches": stretches, **read_dims(shapes, wanted)}
    rows = shapes.get("rnn1.hidden.bias", ())
    if len(rows) == 1 and rows[0] % 3 == 0:
        dims["R"] = int(rows[0]) // 3
    raw = metadata.get("wavernn.mode") == "raw"
    return Layout(tensors(blocks, stretches, raw=raw), derived_dimensions(dims))


def size_problems(dims: Dims) -> list[str]:
    """Sentences about sizes that no runtime can take."""
    found = []
    for symbol, what, most in (
        ("D", "the residual network", MAX_COND),
        ("A", "a quarter of its output", MAX_COND),
        ("R", "a GRU", MAX_RNN),
        ("F", "fc1", MAX_RNN),
    ):
        if not 0 < dims.get(symbol, 1) <= most:
            found.append(f"{what} has size {dims[symbol]}, expected 1 to {most}")
    taps = dims.get("taps", 1)
    if taps % 2 == 0 or not 0 < taps <= MAX_KERNEL:
        found.append(
            f"the residual network reads {taps} frames at once, expected odd, up to {MAX_KERNEL}"
        )
    known = [dims.get(f"2s{k}+1", 3) for k in range(dims["stretches"])]
    for k, kernel in enumerate(known):
        if kernel % 2 == 0 or not 3 <= kernel <= 2 * MAX_STRETCH + 1:
            found.append(
                f"stretch {k} has a kernel of {kernel}, expected 2 s + 1 for a stretch of 1 to "
                f"{MAX_STRETCH}"
            )
    if not found and "taps" in dims and None not in stretches_of(dims):
        far = reach([n // 2 for n in known])
        if far > taps // 2:
            found.append(
                f"upsampling looks {far} frames ahead, but the residual network {taps // 2}: "
                "expected no more than that"
            )
    return found


def output_problems(settings: Mapping[str, Scalar], dims: Dims) -> list[str]:
    """Sentences about a last layer that does not have the outputs of its mode."""
    mode, bits = settings.get("wavernn.mode"), settings.get("wavernn.bits")
    outputs = dims.get("outputs")
    if outputs is None:
        return []
    if mode == "mol" and (outputs % 3 or not 0 < outputs <= 3 * MAX_MIXTURES):
        return [
            f"fc3 has {outputs} outputs, expected three for each of 1 to {MAX_MIXTURES} logistics"
        ]
    if mode == "raw" and type(bits) is int and 1 <= bits <= MAX_BITS and outputs != 1 << bits:
        return [f"fc3 has {outputs} outputs, expected {1 << bits} for labels of {bits} bits"]
    return []


def _extra(container: Container, layout: Layout) -> list[str]:
    dims, metadata = layout.dims, container.metadata
    found = size_problems(dims) + output_problems(metadata, dims)
    rows = container.tensors.get("rnn1.hidden.bias")
    if rows is not None and (rows.data.ndim != 1 or rows.shape[0] % 3):
        found.append(
            f"tensor 'rnn1.hidden.bias' has shape {list(rows.shape)}, expected three gates"
        )
    if metadata.get("wavernn.mode") == "mol":
        if metadata.get("wavernn.mu_law") is True:
            found.append("metadata 'wavernn.mu_law' is True, expected False for mode mol")
        bits = metadata.get("wavernn.bits")
        if type(bits) is int and bits != MOL_BITS:
            found.append(f"metadata 'wavernn.bits' is {bits}, expected {MOL_BITS} for mode mol")
    found += reading_problems(
        metadata,
        reader="resnet.in",
        bands=dims.get("mels"),
        stages=stretches_of(dims),
        steps="stretches",
    )
    return found + precision_problems(container, layout)


WAVERNN = ModelSpec(
    architecture="pyvoc.wavernn",
    revision=1,
    prefix=WavernnSettings.prefix,
    metadata=METADATA,
    layout=_layout,
    extra=_extra,
    prunable=True,
)
