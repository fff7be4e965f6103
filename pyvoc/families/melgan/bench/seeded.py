"""Inputs for measurements that need no download: a seeded MelGAN and a mel spectrogram for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pyvoc.bench.seeded import Seeded
from pyvoc.container.tensors import Scalar
from pyvoc.families.melgan.shape import MelganShape
from pyvoc.families.melgan.spec import MELGAN, MelganSettings

Array = npt.NDArray[np.float32]

SHAPE = MelganShape(
    MelganSettings(input_scale=0.2, input_shift=1.0),
    channels=(512, 256, 128, 64, 32),
    ratios=(8, 8, 2, 2),
    blocks=3,
)
"""The published size (4.26 M weights) and mel of seungwonpark's and descript's MelGANs."""
AUDIO_RMS = 0.1
_LEAK = 2 / (1 + SHAPE.settings.leak**2)
"""What a leaky ReLU takes from the power of a symmetric signal, to be given back."""
_POWERS = {
    "conv_in": 3.0,  # the mel is uniform in -1..1
    "up": _LEAK,
    "conv": _LEAK,
    "out": 0.5 * _LEAK,
    "shortcut": 0.5,
    "conv_out": AUDIO_RMS**2 * _LEAK,
}
"""To what the squares of a layer's weights add up for each output."""


def tensors(shape: MelganShape = SHAPE) -> dict[str, Array]:
    """The weights by their names in the spec.

    Their variances keep the signal's power through all layers, and the audio has about the level
    of speech.
    """
    rng = np.random.default_rng(3)
    arrays: dict[str, Array] = {}
    for name, size in shape.tensors().items():
        layer, leaf = name.rsplit(".", 1)
        if leaf == "bias":
            arrays[name] = np.zeros(size, np.float32)
            continue
        kind = layer.rpartition(".")[2]
        terms = 2 * size[0] if kind == "up" else size[1] * size[2]
        scale = np.float32(np.sqrt(_POWERS[kind] / terms))
        arrays[name] = scale * rng.standard_normal(size, np.float32)
    return arrays


SEEDED = Seeded("MelGAN", MELGAN, SHAPE.settings, tensors)


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
