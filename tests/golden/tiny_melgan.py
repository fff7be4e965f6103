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
from pyvoc.families.melgan.spec import MelganSettings

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TinyMelgan:
    """Sizes and kind of a tiny model.

    Parameters
    ----------
    channels
        Of conv_in, then of each stage.
    """

    seed: int
    settings: MelganSettings
    channels: tuple[int, ...]
    ratios: tuple[int, ...] = (8, 8, 2, 2)
    blocks: int = 3


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

REFLECT = TinyMelgan(11, MelganSettings(DESCRIPT), (24, 16, 16, 8, 4))
ZERO = TinyMelgan(
    12,
    MelganSettings(padding="zero", input_scale=0.2, input_shift=1.0),
    (16, 12, 8, 5, 3),
    blocks=2,
)
ODD = TinyMelgan(
    13,
    MelganSettings(_SMALL_RECIPE, input_scale=0.2, input_shift=1.0),
    (12, 9, 7, 5),
    (5, 3, 2),
    blocks=4,
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
WIDE = TinyMelgan(14, MelganSettings(_WIDE_RECIPE), (16, 32, 32), (8, 8))

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
    """The float tensors of a tiny model by their names in the spec.

    Parameters
    ----------
    tiny
        What to make.
    draw
        Uniform numbers in -1..1 of the shape that it is given.
    """
    arrays: dict[str, Array] = {}

    def layer(name: str, shape: tuple[int, ...], fan: int, outputs: int, gain: float) -> None:
        arrays[f"{name}.weight"] = gain * np.sqrt(3 / fan) * draw(*shape)
        arrays[f"{name}.bias"] = 0.1 * draw(outputs)

    bands, first = tiny.settings.recipe.bands, tiny.channels[0]
    layer("conv_in", (first, bands, 7), bands * 7, first, 1.0)
    for k, ratio in enumerate(tiny.ratios):
        inputs, c = tiny.channels[k : k + 2]
        layer(f"stage.{k}.up", (inputs, c, 2 * ratio), 2 * inputs, c, 1.4)
        for j in range(tiny.blocks):
            block = f"stage.{k}.block.{j}"
            layer(f"{block}.conv", (c, c, 3), 3 * c, c, 1.4)
            layer(f"{block}.out", (c, c, 1), c, c, 0.9)
            layer(f"{block}.shortcut", (c, c, 1), c, c, 0.6)
    last = tiny.channels[-1]
    layer("conv_out", (1, last, 7), 7 * last, 1, 0.3)
    return arrays
