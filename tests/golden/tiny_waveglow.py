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
from pyvoc.families.waveglow.shape import WaveglowShape
from pyvoc.families.waveglow.spec import WaveglowSettings

Array = NDArray[np.float64]
QUIETER = 2.8
"""Neper that the flows take from the noise, all in all."""


@dataclass(frozen=True)
class TinyWaveglow(WaveglowShape):
    """A tiny model."""

    seed: int = 0


GAINS = {"start": 1.5, "conv": 1.0, "cond": 1.0, "out": 1.0, "end": 0.5}
"""Of a layer's output over its input."""


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


EARLY = TinyWaveglow(
    WaveglowSettings(_recipe(32, 5), 8, 2, 2, sigma=0.4), 4, 3, 8, taps=4 * 32, seed=21
)
ALTERNATE = TinyWaveglow(
    WaveglowSettings(_recipe(24, 6), 6, 2, 2, alternate=True), 5, 2, 6, taps=3 * 24, seed=22
)
PLAIN = TinyWaveglow(
    WaveglowSettings(_recipe(16, 3), 2, 2, 0, sigma=0.25), 2, 1, 4, taps=16, seed=23
)
APART = TinyWaveglow(
    WaveglowSettings(_recipe(32, 18), 4, 2, 2, sigma=0.3), 3, 2, 6, taps=2 * 32, apart=True, seed=24
)

MODELS = {
    "early.f32": (EARLY, "f32"),
    "early.bf16": (EARLY, "bf16"),
    "alternate.f32": (ALTERNATE, "f32"),
    "alternate.bf16": (ALTERNATE, "bf16"),
    "plain.f32": (PLAIN, "f32"),
    "apart.f32": (APART, "f32"),
    "apart.bf16": (APART, "bf16"),
}


def make(tiny: TinyWaveglow, draw: Callable[..., Array]) -> dict[str, Array]:
    """The float tensors by their names in the spec; `draw` gives numbers in -1..1 of a shape."""
    arrays: dict[str, Array] = {}
    for name, size in tiny.tensors().items():
        layer, leaf = name.rsplit(".", 1)
        kind = layer.rpartition(".")[2]
        if kind == "mix":
            arrays[name] = _mixing(size[0], draw)
        elif kind == "unmix":
            arrays[name] = np.linalg.inv(arrays[name.replace("unmix", "mix")])
        elif leaf == "bias":
            arrays[name] = 0.1 * draw(*size)
        elif kind == "upsample":  # mels are -11..0
            gain = 0.2 * np.sqrt(3 / (size[1] * (tiny.taps // tiny.hop)))
            arrays[name] = gain * draw(*size)
        else:
            arrays[name] = GAINS[kind] * np.sqrt(3 / (size[1] * size[2])) * draw(*size)
    for k, channels in enumerate(tiny.channels):
        arrays[f"flow.{k}.end.bias"][channels // 2 :] += 2 * QUIETER / tiny.flows
    return arrays


def _mixing(channels: int, draw: Callable[..., Array]) -> Array:
    """A 1x1 convolution in single precision: nearly a rotation, of positive determinant."""
    mix = np.eye(channels)
    for _ in range(2):
        v = draw(channels)
        mix -= 2 * np.outer(mix @ v, v) / (v @ v)
    return (mix + 0.03 * draw(channels, channels)).astype("<f4").astype(np.float64)
