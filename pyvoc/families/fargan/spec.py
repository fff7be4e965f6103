"""FARGAN's layout contract (docs/container.md).

Valin, Mustafa & Buethe, "Very Low Complexity Speech Synthesis Using Framewise Autoregressive GAN
(FARGAN) with Pitch Prediction", 2024; the network of Opus 1.5 and 1.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
from pyvoc.container.tensors import Container, Scalar

FEATURES = 20
LAYOUT = "opus20"
SUBFRAME = 40
"""Samples that the network writes at a time."""
SUBFRAMES = 4
"""Of a frame."""
LEAST_PERIOD, MOST_PERIOD = 32, 256
PERIODS = MOST_PERIOD - LEAST_PERIOD
"""Rows of the pitch embedding: periods from `LEAST_PERIOD` on."""
PREDICTION = SUBFRAME + 4
"""Samples a period ago: two more on each side."""
TAPS = 3
"""Frames that the conditioning's convolution reads."""
MAX_SIZE = 1024
PITCH = "pitch."
"""What the names of the optional network for the pitch begin with."""
PHASES = 88
"""Phases' advances and levels of 30 bins: what it hears of a spectrum."""
LAGS = 224
"""Periods whose correlations it hears."""
CLASSES = 180
"""Pitches that it tells apart."""
MAX_CHANNELS = 16

_MATRIX = (F32, BF16, I8)
_OUT = (F32, BF16, F32)
_ANY_SCALE = Int8Rule(bf16_scale=False)

_LAYERS = (
    ("cond.conv.weight", ("D", "3C")),
    ("cond.dense2.weight", ("4S", "D")),
    ("fwc.weight", ("A", "2X")),
    ("fwc.gate.weight", ("A", "A")),
    ("gru1.weight_ih", ("3N1", "A+80")),
    ("gru1.weight_hh", ("3N1", "N1")),
    ("gru1.gate.weight", ("N1", "N1")),
    ("gru2.weight_ih", ("3N2", "N1+80")),
    ("gru2.weight_hh", ("3N2", "N2")),
    ("gru2.gate.weight", ("N2", "N2")),
    ("gru3.weight_ih", ("3N3", "N2+80")),
    ("gru3.weight_hh", ("3N3", "N3")),
    ("gru3.gate.weight", ("N3", "N3")),
    ("skip.weight", ("K", "N1+N2+N3+A+80")),
    ("skip.gate.weight", ("K", "K")),
)
TENSORS = (
    TensorSpec("embed_pitch.weight", (PERIODS, "P")),
    TensorSpec("cond.dense1.weight", ("C", "20+P")),
    TensorSpec("gain.weight", (1, "S")),
    TensorSpec("gain.bias", (1,)),
    TensorSpec("pitch_gates.weight", (4, "A")),
    TensorSpec("pitch_gates.bias", (4,)),
    *(TensorSpec(name, shape, _MATRIX, int8=_ANY_SCALE) for name, shape in _LAYERS),
    TensorSpec("out.weight", (SUBFRAME, "K"), _OUT),
)
_PITCH_LAYERS = (
    ("pitch.phases1.weight", ("I", PHASES)),
    ("pitch.phases2.weight", ("J", "I")),
    ("pitch.down.weight", ("V", "224+J")),
    ("pitch.gru.weight_ih", ("3G", "V")),
    ("pitch.gru.weight_hh", ("3G", "G")),
    ("pitch.out.weight", (CLASSES, "G")),
)
PITCH_TENSORS = (
    *(TensorSpec(name, shape, _MATRIX, int8=_ANY_SCALE) for name, shape in _PITCH_LAYERS),
    TensorSpec("pitch.phases1.bias", ("I",)),
    TensorSpec("pitch.phases2.bias", ("J",)),
    TensorSpec("pitch.conv1.weight", ("H", 1, 3, 3)),
    TensorSpec("pitch.conv1.bias", ("H",)),
    TensorSpec("pitch.conv2.weight", (1, "H", 3, 3)),
    TensorSpec("pitch.conv2.bias", (1,)),
    TensorSpec("pitch.down.bias", ("V",)),
    TensorSpec("pitch.gru.bias_ih", ("3G",)),
    TensorSpec("pitch.gru.bias_hh", ("3G",)),
    TensorSpec("pitch.out.bias", (CLASSES,)),
)
"""All or none of them."""

METADATA = (
    MetadataSpec("pyvoc.features.layout", str, values=(LAYOUT,)),
    MetadataSpec("pyvoc.features.sample_rate", int, values=(16000,)),
    MetadataSpec("pyvoc.features.hop_length", int, values=(SUBFRAME * SUBFRAMES,)),
    MetadataSpec("pyvoc.features.window_length", int, values=(320,)),
    MetadataSpec("pyvoc.features.bands", int, values=(18,)),
    MetadataSpec("pyvoc.features.preemphasis", float, least=0.0, most=0.99),
)


@dataclass(frozen=True)
class FarganSettings:
    """What the tensors do not say about a FARGAN: nothing that differs from model to model."""

    def metadata(self) -> dict[str, Scalar]:
        """The feature recipe."""
        return {
            "pyvoc.features.layout": LAYOUT,
            "pyvoc.features.sample_rate": 16000,
            "pyvoc.features.hop_length": SUBFRAME * SUBFRAMES,
            "pyvoc.features.window_length": 320,
            "pyvoc.features.bands": 18,
            "pyvoc.features.preemphasis": 0.85,
        }


_SIZES = {
    "P": ("embed_pitch.weight", "the pitch embedding"),
    "C": ("cond.dense1.weight", "the conditioning's first layer"),
    "D": ("cond.conv.weight", "the conditioning's convolution"),
    "S": ("gain.weight", "a subframe's conditioning"),
    "A": ("fwc.gate.weight", "the framewise convolution"),
    "N1": ("gru1.weight_hh", "GRU 1"),
    "N2": ("gru2.weight_hh", "GRU 2"),
    "N3": ("gru3.weight_hh", "GRU 3"),
    "K": ("skip.gate.weight", "the layer that gathers"),
    "I": ("pitch.phases1.weight", "the pitch network's first layer"),
    "J": ("pitch.phases2.weight", "the pitch network's second layer"),
    "H": ("pitch.conv1.weight", "the pitch network's convolution"),
    "V": ("pitch.down.weight", "the pitch network's layer before its GRU"),
    "G": ("pitch.gru.weight_hh", "the pitch network's GRU"),
}
"""Symbol -> the tensor that tells it, and what it is the size of."""
_AXIS = dict.fromkeys(("C", "D", "I", "J", "H", "V"), 0)
_MOST = {"H": MAX_CHANNELS}


def derived_dimensions(base: Mapping[str, int]) -> dict[str, int]:
    """The dimensions that `TENSORS` uses, from those of `_SIZES` that are known."""
    dims = dict(base)
    both = 2 * SUBFRAME
    for symbol, times in (
        *(("C", TAPS), ("S", SUBFRAMES)),
        *((gru, 3) for gru in ("N1", "N2", "N3", "G")),
    ):
        if symbol in base:
            dims[f"{times}{symbol}"] = times * base[symbol]
    if "P" in base:
        dims["20+P"] = FEATURES + base["P"]
    if "S" in base:
        dims["2X"] = 2 * (base["S"] + PREDICTION + SUBFRAME)
    for symbol in ("A", "N1", "N2"):
        if symbol in base:
            dims[f"{symbol}+80"] = base[symbol] + both
    if "J" in base:
        dims["224+J"] = LAGS + base["J"]
    gathered = ("N1", "N2", "N3", "A")
    if all(symbol in base for symbol in gathered):
        dims["N1+N2+N3+A+80"] = sum(base[symbol] for symbol in gathered) + both
    return dims


def _layout(shapes: Shapes, metadata: Mapping[str, Scalar]) -> Layout:
    wanted = {
        symbol: (name, _AXIS.get(symbol, 1), 4 if symbol == "H" else 2)
        for symbol, (name, _) in _SIZES.items()
    }
    pitch = PITCH_TENSORS if any(name.startswith(PITCH) for name in shapes) else ()
    return Layout(TENSORS + pitch, derived_dimensions(read_dims(shapes, wanted)))


def size_problems(dims: Dims) -> list[str]:
    """Sentences about sizes that no runtime can take."""
    return [
        f"{what} has size {dims[symbol]}, expected 1 to {_MOST.get(symbol, MAX_SIZE)}"
        for symbol, (_, what) in _SIZES.items()
        if not 0 < dims.get(symbol, 1) <= _MOST.get(symbol, MAX_SIZE)
    ]


def _extra(container: Container, layout: Layout) -> list[str]:
    return size_problems(layout.dims) + precision_problems(container, layout)


FARGAN = ModelSpec(
    architecture="pyvoc.fargan",
    revision=1,
    prefix="fargan.",
    metadata=METADATA,
    layout=_layout,
    extra=_extra,
)
