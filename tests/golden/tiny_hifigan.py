"""The tiny HiFi-GANs that the tests use; `make_tiny.py` writes them to ``hifigan/``.

Nothing is trained: weights are uniform, scaled so that every layer keeps its input's power and the
output stays well inside -1..1: a noise that follows the mel spectrogram.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.mel import MelRecipe
from pyvoc.families.hifigan.shape import HifiganShape
from pyvoc.families.hifigan.spec import HifiganSettings

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TinyHifigan(HifiganShape):
    """A tiny model."""

    seed: int = 0


GAINS = {"conv_in": 0.15, "up": 1.4, "first": 1.4, "second": 0.4, "conv_out": 0.3}
"""Of a layer's output over its input."""

PAIRED = TinyHifigan(
    HifiganSettings(dilations="1 3, 1 5"), (24, 12, 8, 5, 3), (16, 16, 4, 4), (3, 7), seed=21
)
_SMALL_RECIPE = MelRecipe(
    name="custom",
    sample_rate=8000,
    hop_length=30,
    window_length=120,
    fft_length=256,
    bands=20,
    fmax=4000.0,
    pad=113,
)
# Kernels that are no multiple of the rate, one chain, statistics of the mel.
ODD = TinyHifigan(
    HifiganSettings(_SMALL_RECIPE, ratios="5 3 2", cuts="3 2 1", dilations="1 2 4"),
    (12, 9, 7, 5),
    (11, 7, 4),
    (5,),
    normalised=True,
    seed=22,
)
# Channels that are worth tiles, single convolutions, mirrored ends.
WIDE = TinyHifigan(
    HifiganSettings(
        _SMALL_RECIPE,
        padding="reflect",
        paired=False,
        ratios="6 5",
        cuts="3 2",
        dilations="1 2, 2 6, 3 5",
    ),
    (16, 32, 16),
    (12, 9),
    (3, 7, 11),
    seed=23,
)
# Blocks with more channels inside than their stage has, and with fewer, in rows of half a vector.
WAIST = TinyHifigan(
    HifiganSettings(_SMALL_RECIPE, ratios="5 6", cuts="3 3", dilations="1 3"),
    (8, 20, 7),
    (11, 12),
    (3,),
    hidden=(36, 5),
    seed=24,
)

MODELS = {
    "paired.f32": (PAIRED, "f32"),
    "paired.bf16": (PAIRED, "bf16"),
    "odd.f32": (ODD, "f32"),
    "wide.bf16": (WIDE, "bf16"),
    "waist.f32": (WAIST, "f32"),
}


def make(tiny: TinyHifigan, draw: Callable[..., Array]) -> dict[str, Array]:
    """The float tensors by their names in the spec; `draw` gives numbers in -1..1 of a shape."""
    arrays: dict[str, Array] = {}
    for name, size in tiny.tensors().items():
        layer, leaf = name.rsplit(".", 1)
        if layer == "input":
            arrays[name] = draw(*size) - 4.0 if leaf == "mean" else 1.0 + 0.3 * draw(*size)
            continue
        if leaf == "bias":
            arrays[name] = 0.1 * draw(*size)
            continue
        kind = layer.rpartition(".")[2]
        fan = size[1] * size[2]
        if kind == "up":
            fan = size[0] * size[2] / tiny.ratios[int(layer.split(".")[1])]
        gain = 0.4 if kind == "first" and not tiny.settings.paired else GAINS[kind]
        arrays[name] = gain * np.sqrt(3 / fan) * draw(*size)
    return arrays
