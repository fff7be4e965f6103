"""Inputs for measurements that need no download: a seeded HiFi-GAN and a mel spectrogram for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pyvoc.bench.seeded import Seeded
from pyvoc.container.tensors import Scalar
from pyvoc.families.hifigan.shape import HifiganShape
from pyvoc.families.hifigan.spec import HIFIGAN, HifiganSettings

Array = npt.NDArray[np.float32]

SHAPE = HifiganShape(
    HifiganSettings(),
    channels=(512, 256, 128, 64, 32),
    up_kernels=(16, 16, 4, 4),
    kernels=(3, 7, 11),
)
"""Upstream's V1 (13.9 M weights)."""
V2 = HifiganShape(
    HifiganSettings(),
    channels=(128, 64, 32, 16, 8),
    up_kernels=(16, 16, 4, 4),
    kernels=(3, 7, 11),
)
"""Upstream's V2 (0.93 M weights)."""
AUDIO_RMS = 0.1
_LEAK = 2 / (1 + SHAPE.settings.leak**2)
"""What a leaky ReLU takes from the power of a symmetric signal, to be given back."""
_RESIDUAL = 0.1
"""What a block adds to the power of its input."""
_MEL_POWER = 30.0


def tensors(shape: HifiganShape = SHAPE) -> dict[str, Array]:
    """The weights by their names in the spec.

    Their variances keep the signal's power through all layers, and the audio has about the level
    of speech.
    """
    powers = {
        "conv_in": 1 / _MEL_POWER,
        "up": _LEAK,
        "first": _LEAK if shape.settings.paired else _RESIDUAL * _LEAK,
        "second": _RESIDUAL * _LEAK,
        "conv_out": AUDIO_RMS**2 * _LEAK,
    }
    rng = np.random.default_rng(3)
    arrays: dict[str, Array] = {}
    for name, size in shape.tensors().items():
        layer, leaf = name.rsplit(".", 1)
        if leaf in ("bias", "mean", "scale"):
            arrays[name] = np.full(size, float(leaf == "scale"), np.float32)
            continue
        kind = layer.rpartition(".")[2]
        if kind == "up":
            stage = int(layer.split(".")[1])
            terms = size[0] * size[2] / shape.ratios[stage]
        else:
            terms = size[1] * size[2]
        scale = np.float32(np.sqrt(powers[kind] / terms))
        arrays[name] = scale * rng.standard_normal(size, np.float32)
    return arrays


SEEDED = Seeded("HiFi-GAN", HIFIGAN, SHAPE.settings, tensors)
SEEDED_V2 = Seeded("HiFi-GAN V2", HIFIGAN, V2.settings, lambda: tensors(V2))


def mel(frames: int, metadata: Mapping[str, Scalar]) -> Array:
    """A mel spectrogram [frames, bands] of about speech's range.

    Parameters
    ----------
    frames
        How many.
    metadata
        Of the model file.
    """
    bands = int(metadata["pyvoc.features.bands"])
    return np.random.default_rng(5).uniform(-9.0, 0.5, (frames, bands)).astype(np.float32)
