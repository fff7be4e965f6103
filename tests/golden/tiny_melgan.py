"""The tiny MelGANs that the tests use; `make_tiny.py` writes them to ``melgan/``.

Nothing is trained: weights are uniform, scaled so that every layer keeps its input's power and the
output stays well inside -1..1: a noise that follows the mel spectrogram.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.mel import DESCRIPT, MelRecipe
from pyvoc.families.melgan.shape import MelganShape
from pyvoc.families.melgan.spec import MelganSettings

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TinyMelgan(MelganShape):
    """A tiny model."""

    seed: int = 0


GAINS = {"conv_in": 1.0, "up": 1.4, "conv": 1.4, "out": 0.9, "shortcut": 0.6, "conv_out": 0.3}
"""Of a layer's output over its input."""

_SMALL_RECIPE = MelRecipe(
    name="custom",
    sample_rate=8000,
    hop_length=30,
    window_length=120,
    fft_length=256,
    bands=20,
    fmax=4000.0,
    padding="zero",
    pad=128,
)

REFLECT = TinyMelgan(MelganSettings(DESCRIPT), (24, 16, 16, 8, 4), (8, 8, 2, 2), 3, seed=11)
ZERO = TinyMelgan(
    MelganSettings(padding="zero", input_scale=0.2, input_shift=1.0),
    (16, 12, 8, 5, 3),
    (8, 8, 2, 2),
    2,
    seed=12,
)
ODD = TinyMelgan(
    MelganSettings(_SMALL_RECIPE, input_scale=0.2, input_shift=1.0),
    (12, 9, 7, 5),
    (5, 3, 2),
    4,
    seed=13,
)
_WIDE_RECIPE = MelRecipe(
    name="custom",
    sample_rate=8000,
    hop_length=64,
    window_length=256,
    fft_length=256,
    bands=12,
    fmax=4000.0,
    padding="reflect",
    pad=96,
)
# Channels that are worth Winograd's tiles, and rows per frame that they do not divide.
WIDE = TinyMelgan(MelganSettings(_WIDE_RECIPE), (16, 32, 32), (8, 8), 3, seed=14)

MODELS = {
    "reflect.f32": (REFLECT, "f32"),
    "reflect.bf16": (REFLECT, "bf16"),
    "zero.f32": (ZERO, "f32"),
    "zero.bf16": (ZERO, "bf16"),
    "odd.f32": (ODD, "f32"),
    "odd.bf16": (ODD, "bf16"),
    "wide.bf16": (WIDE, "bf16"),
}


def make(tiny: TinyMelgan, draw: Callable[..., Array]) -> dict[str, Array]:
    """The float tensors by their names in the spec; `draw` gives numbers in -1..1 of a shape."""
    arrays: dict[str, Array] = {}
    for name, size in tiny.tensors().items():
        layer, leaf = name.rsplit(".", 1)
        if leaf == "bias":
            arrays[name] = 0.1 * draw(*size)
            continue
        kind = layer.rpartition(".")[2]
        fan = 2 * size[0] if kind == "up" else size[1] * size[2]
        arrays[name] = GAINS[kind] * np.sqrt(3 / fan) * draw(*size)
    return arrays
