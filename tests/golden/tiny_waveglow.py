"""The tiny WaveGlows that the tests use; `make_tiny.py` writes them to ``waveglow/``.

Nothing is trained: weights are uniform, scaled so that hidden layers keep their input's power; the
last layers leave the noise much quieter: a noise that follows the mel spectrogram.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.mel import MelRecipe
from pyvoc.families.waveglow.spec import WaveglowSettings

Array = NDArray[np.float64]
QUIETER = 2.8
"""Neper that the flows take from the noise, all in all."""


@dataclass(frozen=True)
class TinyWaveglow:
    """Sizes and kind of a tiny model.

    Parameters
    ----------
    flows, layers, channels
        Of the model, of a flow, within a flow.
    taps
        Of the upsampling, in hops.
    """

    seed: int
    settings: WaveglowSettings
    flows: int
    layers: int
    channels: int
    taps: int = 4


def _recipe(hop: int, bands: int) -> MelRecipe:
    return MelRecipe(
        sample_rate=8000,
        hop_length=hop,
        window_length=4 * hop,
        fft_length=256,
        bands=bands,
        fmax=4000.0,
        pad=128,
    )


EARLY = TinyWaveglow(21, WaveglowSettings(_recipe(32, 5), 8, 2, 2, sigma=0.4), 4, 3, 8)
ALTERNATE = TinyWaveglow(
    22, WaveglowSettings(_recipe(24, 6), 6, 2, 2, alternate=True), 5, 2, 6, taps=3
)
PLAIN = TinyWaveglow(23, WaveglowSettings(_recipe(16, 3), 2, 2, 0, sigma=0.25), 2, 1, 4, taps=1)

MODELS = {
    "early.f32": (EARLY, "f32"),
    "early.bf16": (EARLY, "bf16"),
    "alternate.f32": (ALTERNATE, "f32"),
    "alternate.bf16": (ALTERNATE, "bf16"),
    "plain.f32": (PLAIN, "f32"),
}


def make(tiny: TinyWaveglow, draw: Callable[..., Array]) -> dict[str, Array]:
    """The float tensors of a tiny model by their names in the spec.

    Parameters
    ----------
    tiny
        What to make.
    draw
        Uniform numbers in -1..1 of the shape that it is given.
    """
    arrays: dict[str, Array] = {}

    def layer(name: str, shape: tuple[int, ...], gain: float) -> None:
        arrays[f"{name}.weight"] = gain * np.sqrt(3 / (shape[1] * shape[2])) * draw(*shape)
        arrays[f"{name}.bias"] = 0.1 * draw(shape[0])

    recipe, groups = tiny.settings.recipe, tiny.settings.groups
    bands, c = recipe.bands, tiny.channels
    upsampling = draw(bands, bands, tiny.taps * recipe.hop_length)
    arrays["upsample.weight"] = (
        0.2 * np.sqrt(3 / (bands * tiny.taps)) * upsampling
    )  # mels are -11..0
    arrays["upsample.bias"] = 0.1 * draw(bands)
    for k, channels in enumerate(tiny.settings.channels(tiny.flows)):
        flow = f"flow.{k}"
        mix = _mixing(channels, draw)
        arrays[f"{flow}.mix.weight"], arrays[f"{flow}.unmix.weight"] = mix, np.linalg.inv(mix)
        layer(f"{flow}.start", (c, channels // 2, 1), 1.5)
        for i in range(tiny.layers):
            name, rows = f"{flow}.layer.{i}", c if i == tiny.layers - 1 else 2 * c
            layer(f"{name}.conv", (2 * c, c, 3), 1.0)
            layer(f"{name}.cond", (2 * c, bands * groups, 1), 1.0)
            layer(f"{name}.out", (rows, c, 1), 1.0)
        layer(f"{flow}.end", (channels, c, 1), 0.5)
        arrays[f"{flow}.end.bias"][channels // 2 :] += 2 * QUIETER / tiny.flows
    return arrays


def _mixing(channels: int, draw: Callable[..., Array]) -> Array:
    """A 1x1 convolution in single precision: nearly a rotation, of positive determinant."""
    mix = np.eye(channels)
    for _ in range(2):
        v = draw(channels)
        mix -= 2 * np.outer(mix @ v, v) / (v @ v)
    return (mix + 0.03 * draw(channels, channels)).astype("<f4").astype(np.float64)
