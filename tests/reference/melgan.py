"""MelGAN's generator in float64 numpy, straight from the tensors of the spec: slow and plain.

Works on what `pyvoc.quant.decode` gives of any model file, a whole utterance at a time. Signals
inside are ``[channels, time]``; the mel spectrogram that goes in is ``[frames, bands]``, as
everywhere in our API.

A signal shorter than its reflection is mirrored at both ends again and again (a single value is
repeated), so that one frame is enough. Upstream's own layers refuse fewer than four.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Activations:
    """Everything between the layers.

    Parameters
    ----------
    conv_in
        ``[C0, frames]`` after the first convolution, before its leaky ReLU.
    ups, stages
        For each stage ``[C, time]`` after the transposed convolution and after the residual blocks.
    audio
        ``[samples]``, -1..1.
    """

    conv_in: Array
    ups: tuple[Array, ...]
    stages: tuple[Array, ...]
    audio: Array


def pad(x: Array, width: int, kind: str) -> Array:
    """Extend ``[channels, time]`` by `width` at both ends: ``reflect`` or ``zero``."""
    if kind == "zero":
        return np.pad(x, ((0, 0), (width, width)))
    n = x.shape[1]
    period = max(2 * (n - 1), 1)
    at = np.arange(-width, n + width) % period
    return x[:, np.where(at < n, at, period - at)]


def conv(x: Array, weight: Array, bias: Array, *, dilation: int, kind: str) -> Array:
    """A convolution of ``[outputs, inputs, taps]`` that keeps the length."""
    taps, time = weight.shape[2], x.shape[1]
    padded = pad(x, dilation * (taps // 2), kind)
    y = np.repeat(bias[:, None], time, axis=1)
    for k in range(taps):
        y += weight[:, :, k] @ padded[:, k * dilation : k * dilation + time]
    return y


def upsample(x: Array, weight: Array, bias: Array) -> Array:
    """A transposed convolution of ``[inputs, outputs, 2 ratio]``: `ratio` times the length."""
    ratio, time = weight.shape[2] // 2, x.shape[1]
    y = np.zeros((weight.shape[1], ratio * (time + 1)))
    for k in range(2 * ratio):
        y[:, k : k + ratio * time : ratio] += weight[:, :, k].T @ x
    first = ratio // 2 + ratio % 2
    return y[:, first : first + ratio * time] + bias[:, None]


class Melgan:
    """A generator.

    Parameters
    ----------
    arrays
        Tensors of the spec, float64, dense.
    metadata
        Of the model file.
    """

    def __init__(self, arrays: Mapping[str, Array], metadata: Mapping[str, object]) -> None:
        self.w = {name: np.asarray(a, np.float64) for name, a in arrays.items()}
        self.kind = str(metadata["melgan.padding"])
        self.scale = float(metadata["melgan.input_scale"])  # type: ignore[arg-type]
        self.shift = float(metadata["melgan.input_shift"])  # type: ignore[arg-type]
        self.leak = float(metadata["melgan.leak"])  # type: ignore[arg-type]
        self.base = int(metadata["melgan.dilation_base"])  # type: ignore[call-overload]
        self.stages = sum(name.endswith(".up.weight") for name in self.w)
        self.blocks = sum(
            name.startswith("stage.0.") and name.endswith(".conv.weight") for name in self.w
        )

    def forward(self, mel: NDArray[np.floating]) -> Activations:
        """Run a whole utterance ``[frames, bands]``."""
        x = np.asarray(mel, np.float64).T * self.scale + self.shift
        x = conv_in = self._conv("conv_in", x)
        ups, stages = [], []
        for k in range(self.stages):
            up = f"stage.{k}.up"
            x = upsample(self._relu(x), self.w[f"{up}.weight"], self.w[f"{up}.bias"])
            ups.append(x)
            for j in range(self.blocks):
                block = f"stage.{k}.block.{j}"
                y = self._conv(f"{block}.conv", self._relu(x), self.base**j)
                y = self._conv(f"{block}.out", self._relu(y))
                x = self._conv(f"{block}.shortcut", x) + y
            stages.append(x)
        audio = np.tanh(self._conv("conv_out", self._relu(x)))[0]
        return Activations(conv_in, tuple(ups), tuple(stages), audio)

    def _conv(self, name: str, x: Array, dilation: int = 1) -> Array:
        weight, bias = self.w[f"{name}.weight"], self.w[f"{name}.bias"]
        return conv(x, weight, bias, dilation=dilation, kind=self.kind)

    def _relu(self, x: Array) -> Array:
        return np.where(x > 0, x, self.leak * x)
