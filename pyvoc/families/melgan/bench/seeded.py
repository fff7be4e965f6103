"""Inputs for measurements that need no download: a seeded MelGAN and a mel spectrogram for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyvoc.bench.seeded import write_seeded
from pyvoc.container.tensors import Scalar
from pyvoc.families.melgan.spec import MELGAN, MelganSettings

Array = npt.NDArray[np.float32]

CHANNELS = (512, 256, 128, 64, 32)
RATIOS = (8, 8, 2, 2)
BLOCKS = 3
SETTINGS = MelganSettings(input_scale=0.2, input_shift=1.0)
"""The published size and mel of seungwonpark/melgan and descriptinc/melgan-neurips."""
AUDIO_RMS = 0.1
_LEAK = 2 / (1 + SETTINGS.leak**2)
"""What a leaky ReLU takes from the power of a symmetric signal, to be given back."""


def write_melgan(path: Path, precision: str) -> None:
    """Write a MelGAN of the published size (4.26 M weights) with random weights.

    Their variances keep the signal's power through all layers, and the audio has about the level
    of speech.

    Parameters
    ----------
    path
        The file to write.
    precision
        ``f32`` or ``bf16``.

    Raises
    ------
    UnsupportedError
        The extra ``convert`` is not installed.
    """
    write_seeded(
        path,
        MELGAN,
        tensors(),
        name="seeded MelGAN",
        settings=SETTINGS.metadata(),
        precision=precision,
    )


def tensors() -> dict[str, Array]:
    """The weights by their names in the spec."""
    rng = np.random.default_rng(3)
    arrays: dict[str, Array] = {}

    def layer(name: str, shape: tuple[int, ...], outputs: int, power: float) -> None:
        """Weights whose squares add up to `power` for each output."""
        terms = 2 * shape[0] if name.endswith("up") else shape[1] * shape[2]
        scale = np.float32(np.sqrt(power / terms))
        arrays[f"{name}.weight"] = scale * rng.standard_normal(shape, np.float32)
        arrays[f"{name}.bias"] = np.zeros(outputs, np.float32)

    bands, (first, *rest) = SETTINGS.recipe.bands, CHANNELS
    layer("conv_in", (first, bands, 7), first, 3.0)  # the mel is uniform in -1..1
    inputs = first
    for k, (c, ratio) in enumerate(zip(rest, RATIOS, strict=True)):
        layer(f"stage.{k}.up", (inputs, c, 2 * ratio), c, _LEAK)
        for j in range(BLOCKS):
            block = f"stage.{k}.block.{j}"
            layer(f"{block}.conv", (c, c, 3), c, _LEAK)
            layer(f"{block}.out", (c, c, 1), c, 0.5 * _LEAK)
            layer(f"{block}.shortcut", (c, c, 1), c, 0.5)
        inputs = c
    layer("conv_out", (1, inputs, 7), 1, AUDIO_RMS**2 * _LEAK)
    return arrays


def mel(frames: int, metadata: Mapping[str, Scalar]) -> Array:
    """A mel spectrogram [frames, bands] that the network of a model file sees in -1..1.

    Parameters
    ----------
    frames
        How many.
    metadata
        Of the model file.
    """
    bands = int(metadata["pyvoc.features.bands"])
    scale, shift = (float(metadata[f"melgan.input_{name}"]) for name in ("scale", "shift"))
    network = np.random.default_rng(5).uniform(-1.0, 1.0, (frames, bands))
    return np.asarray((network - shift) / (scale or 1.0), np.float32)
