"""Inputs for measurements that need no download: a seeded WaveGlow, a mel spectrogram, noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pyvoc.bench.seeded import Seeded
from pyvoc.container.tensors import AnyArray, Scalar
from pyvoc.families.waveglow.shape import WaveglowShape
from pyvoc.families.waveglow.spec import WAVEGLOW, WaveglowSettings

Array = npt.NDArray[np.float32]

SHAPE = WaveglowShape(WaveglowSettings(), flows=12, layers=8, hidden=256, taps=1024)
"""The published size (87.7 M weights) and mel of NVIDIA's WaveGlow, the latest configuration."""
_LOG_MEL = 6.0
"""About the root mean square of a natural logarithm mel."""
_LOG_SCALE = 0.25
"""Every flow scales by exp(-this) towards the audio, so that what it adds does not pile up."""
_GAINS = {"start": 1.5, "conv": 1.0, "cond": 1.0, "out": 0.5, "end": 0.05}
"""Standard deviation of what a layer makes of inputs of deviation 1."""


def tensors(shape: WaveglowShape = SHAPE) -> dict[str, AnyArray]:
    """The weights by their names in the spec; biases are about 0.1.

    What the layers add keeps the values of all flows, and the audio, within some standard
    deviations of the noise.
    """
    rng = np.random.default_rng(1)
    arrays: dict[str, AnyArray] = {}
    for name, size in shape.tensors().items():
        layer, leaf = name.rsplit(".", 1)
        kind = layer.rpartition(".")[2]
        if kind == "mix":
            square, _ = np.linalg.qr(rng.standard_normal(size))
            arrays[name] = square.astype(np.float32).astype(np.float64)
        elif kind == "unmix":
            arrays[name] = np.linalg.inv(arrays[name.replace("unmix", "mix")])
        elif leaf == "bias":
            arrays[name] = np.float32(0.1) * rng.standard_normal(size, np.float32)
        elif kind == "upsample":
            terms = size[0] * size[2] // shape.hop  # that meet in a sample
            scale = np.float32(1 / (_LOG_MEL * np.sqrt(terms)))
            arrays[name] = scale * rng.standard_normal(size, np.float32)
        else:
            scale = np.float32(_GAINS[kind] / np.sqrt(size[1] * size[2]))
            arrays[name] = scale * rng.standard_normal(size, np.float32)
    for k, channels in enumerate(shape.channels):
        arrays[f"flow.{k}.end.bias"][channels // 2 :] += np.float32(_LOG_SCALE)
    return arrays


SEEDED = Seeded("WaveGlow", WAVEGLOW, SHAPE.settings, tensors)


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
