"""Inputs for measurements that need no download: a seeded WaveGlow, a mel spectrogram, noise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyvoc.bench.seeded import write_seeded
from pyvoc.container.tensors import AnyArray, Scalar
from pyvoc.families.waveglow.spec import KERNEL, WAVEGLOW, WaveglowSettings

Array = npt.NDArray[np.float32]

FLOWS, LAYERS, CHANNELS = 12, 8, 256
SETTINGS = WaveglowSettings()
"""The published size and mel of NVIDIA's WaveGlow, the latest configuration."""
_TAPS = 1024
"""Of the upsampling."""
_LOG_MEL = 6.0
"""About the root mean square of a natural logarithm mel."""
_LOG_SCALE = 0.25
"""Every flow scales by exp(-this) towards the audio, so that what it adds does not pile up."""


def write_waveglow(path: Path, precision: str) -> None:
    """Write a WaveGlow of the published size (87.7 M weights) with random weights.

    What the layers add keeps the values of all flows, and the audio, within some standard
    deviations of the noise.

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
        WAVEGLOW,
        tensors(),
        name="seeded WaveGlow",
        settings=SETTINGS.metadata(),
        precision=precision,
    )


def tensors(
    flows: int = FLOWS, layers: int = LAYERS, channels: int = CHANNELS
) -> dict[str, AnyArray]:
    """The weights by their names in the spec."""
    rng = np.random.default_rng(1)
    arrays: dict[str, AnyArray] = {}

    def layer(name: str, shape: tuple[int, ...], deviation: float) -> None:
        """Weights that give this deviation for inputs of deviation 1, and biases of 0.1."""
        scale = np.float32(deviation / np.sqrt(shape[1] * shape[2]))
        arrays[f"{name}.weight"] = scale * rng.standard_normal(shape, np.float32)
        arrays[f"{name}.bias"] = np.float32(0.1) * rng.standard_normal(shape[0], np.float32)

    recipe, both = SETTINGS.recipe, 2 * channels
    bands, inputs = recipe.bands, recipe.bands * SETTINGS.groups
    frames = _TAPS // recipe.hop_length  # that meet in a sample
    scale = np.float32(1 / (_LOG_MEL * np.sqrt(bands * frames)))
    arrays["upsample.weight"] = scale * rng.standard_normal((bands, bands, _TAPS), np.float32)
    arrays["upsample.bias"] = np.float32(0.1) * rng.standard_normal(bands, np.float32)
    for k, c in enumerate(SETTINGS.channels(flows)):
        square, _ = np.linalg.qr(rng.standard_normal((c, c)))
        mix = square.astype(np.float32).astype(np.float64)
        arrays[f"flow.{k}.mix.weight"] = mix
        arrays[f"flow.{k}.unmix.weight"] = np.linalg.inv(mix)
        layer(f"flow.{k}.start", (channels, c // 2, 1), 1.5)
        for i in range(layers):
            name = f"flow.{k}.layer.{i}"
            layer(f"{name}.conv", (both, channels, KERNEL), 1.0)
            layer(f"{name}.cond", (both, inputs, 1), 1.0)
            layer(f"{name}.out", (channels if i == layers - 1 else both, channels, 1), 0.5)
        layer(f"flow.{k}.end", (c, channels, 1), 0.05)
        arrays[f"flow.{k}.end.bias"][c // 2 :] += np.float32(_LOG_SCALE)
    return arrays


def mel(frames: int, metadata: Mapping[str, Scalar]) -> Array:
    """A natural logarithm mel spectrogram [frames, bands], uniform from silence to loud."""
    bands = int(metadata["pyvoc.features.bands"])
    values = np.random.default_rng(5).uniform(-11.0, 1.0, (frames, bands))
    return np.asarray(values, np.float32)


def noise(frames: int, metadata: Mapping[str, Scalar]) -> Array:
    """What the flows start from, times the model's sigma: [channels, steps]."""
    groups = int(metadata["waveglow.groups"])
    steps = frames * int(metadata["pyvoc.features.hop_length"]) // groups
    z = np.random.default_rng(6).standard_normal((groups, steps))
    return np.asarray(float(metadata["waveglow.sigma"]) * z, np.float32)
