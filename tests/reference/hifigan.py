"""HiFi-GAN's generator in float64 numpy, straight from the tensors of the spec: slow and plain.

Works on what `pyvoc.quant.decode` gives of any model file, a whole utterance at a time. Signals
inside are ``[channels, time]``; the mel spectrogram that goes in is ``[frames, bands]``, as
everywhere in our API.

A signal shorter than its reflection is mirrored at both ends again and again (a single value is
repeated), so that one frame is enough.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from reference.melgan import conv

Array = NDArray[np.float64]


def active(x: Array, leak: float) -> Array:
    """Leaky rectification."""
    return np.where(x > 0, x, leak * x)


class Hifigan:
    """A generator.

    Parameters
    ----------
    arrays
        Tensors of the spec, float64, dense.
    metadata
        Of the model file.
    """

    def __init__(self, arrays: Mapping[str, Array], metadata: Mapping[str, object]) -> None:
        self.w = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
        get = {key.removeprefix("hifigan."): value for key, value in metadata.items()}
        self.kind = str(get["padding"])
        self.paired, self.leak, self.last_leak = get["paired"], get["leak"], get["last_leak"]
        self.ratios = [int(n) for n in str(get["ratios"]).split()]
        self.cuts = [int(n) for n in str(get["cuts"]).split()]
        self.dilations = [[int(n) for n in c.split()] for c in str(get["dilations"]).split(",")]

    def conv(self, x: Array, layer: str, dilation: int = 1) -> Array:
        """A convolution of ``[outputs, inputs, taps]`` that keeps the length."""
        weight, bias = self.w[f"{layer}.weight"], self.w[f"{layer}.bias"]
        return conv(x, weight, bias, dilation=dilation, kind=self.kind)

    def up(self, x: Array, k: int) -> Array:
        """A transposed convolution of ``[inputs, outputs, taps]``: `ratio` times the length."""
        weight, ratio, time = self.w[f"stage.{k}.up.weight"], self.ratios[k], x.shape[1]
        taps, first = weight.shape[2], self.cuts[k]
        y = np.zeros((weight.shape[1], ratio * (time - 1) + taps))
        for tap in range(taps):
            y[:, tap : tap + ratio * (time - 1) + 1 : ratio] += weight[:, :, tap].T @ x
        return y[:, first : first + ratio * time] + self.w[f"stage.{k}.up.bias"][:, None]

    def chain(self, x: Array, k: int, j: int) -> Array:
        """Residual blocks."""
        for i, dilation in enumerate(self.dilations[j]):
            block = f"stage.{k}.chain.{j}.block.{i}"
            y = self.conv(active(x, self.leak), f"{block}.first", dilation)
            if self.paired:
                y = self.conv(active(y, self.leak), f"{block}.second")
            x = x + y
        return x

    def forward(self, mel: NDArray[np.floating]) -> Array:
        """Samples ``[samples]``, -1..1, of mel frames ``[frames, bands]``."""
        x = np.asarray(mel, np.float64).T
        if "input.mean" in self.w:
            x = (x - self.w["input.mean"][:, None]) * self.w["input.scale"][:, None]
        x = self.conv(x, "conv_in")
        for k in range(len(self.ratios)):
            x = self.up(active(x, self.leak), k)
            x = sum(self.chain(x, k, j) for j in range(len(self.dilations))) / len(self.dilations)
        return np.tanh(self.conv(active(x, self.last_leak), "conv_out"))[0]
