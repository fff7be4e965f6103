"""HiFi-GAN's generator in PyTorch: for training, as the benchmark's peer, and in tests.

Kong, Kim, Bae, "HiFi-GAN: Generative Adversarial Networks for Efficient and High Fidelity Speech
Synthesis", 2020. Modules have the names of the spec's layers, so that `pyvoc.train.weights` is the
conversion.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pyvoc.container.tensors import AnyArray
from pyvoc.families.hifigan.shape import HifiganShape
from pyvoc.families.hifigan.spec import ENDS_KERNEL
from pyvoc.train import weights
from pyvoc.train.network import SpecNetwork, same_conv

_STATISTICS = ("mean", "scale")


class Hifigan(SpecNetwork):
    """The generator.

    Parameters
    ----------
    shape
        Its sizes and settings.
    normed
        Whether weights are a direction and a magnitude (weight norm), as upstream trains them; in
        a model file they are always folded.
    """

    shape_of = staticmethod(HifiganShape.of)

    def __init__(self, shape: HifiganShape, *, normed: bool = False) -> None:
        super().__init__()
        self.shape = shape
        channels = shape.channels
        self.input = _Normalisation(shape.bands) if shape.normalised else None
        self.conv_in = same_conv(shape.bands, channels[0], ENDS_KERNEL, reflect=shape.reflect)
        self.stage = nn.ModuleList(_Stage(shape, k) for k in range(len(shape.ratios)))
        self.conv_out = same_conv(channels[-1], 1, ENDS_KERNEL, reflect=shape.reflect)
        if normed:
            weights.add_norm(self)

    def forward(self, mel: Tensor) -> Tensor:
        """Samples of mel spectrograms.

        Parameters
        ----------
        mel
            ``[batch, bands, frames]`` of the model's recipe, at least `HifiganShape.least_frames`.

        Returns
        -------
        Tensor
            ``[batch, 1, samples]`` in -1..1, a hop for each frame.
        """
        x = self.conv_in(mel if self.input is None else self.input(mel))
        for stage in self.stage:
            x = stage(x)
        x = functional.leaky_relu(x, self.shape.settings.last_leak)
        return torch.tanh(self.conv_out(x))

    infer = forward
    """Under the name that networks from mel to audio share."""

    def fill(self, arrays: Mapping[str, AnyArray]) -> None:
        """Take weights and, where there are, the mel's statistics."""
        super().fill(arrays)
        if self.input is not None:
            for name in _STATISTICS:
                values = torch.from_numpy(np.array(arrays[f"input.{name}"], np.float32))
                getattr(self.input, name).data.copy_(values)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Every tensor of the spec, dense; norms are folded."""
        found = super().to_arrays()
        if self.input is not None:
            found |= {f"input.{n}": weights.array_of(getattr(self.input, n)) for n in _STATISTICS}
        return found


class _Normalisation(nn.Module):
    """To mean 0 and variance 1, band by band."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(bands), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(bands), requires_grad=False)

    def forward(self, mel: Tensor) -> Tensor:
        return (mel - self.mean[:, None]) * self.scale[:, None]


class _Stage(nn.Module):
    """A transposed convolution, then the mean of residual chains."""

    def __init__(self, shape: HifiganShape, k: int) -> None:
        super().__init__()
        self.leak = shape.settings.leak
        inputs, outputs = shape.channels[k : k + 2]
        kernel, self.ratio, self.cut = shape.up_kernels[k], shape.ratios[k], shape.cuts[k]
        self.up = nn.ConvTranspose1d(inputs, outputs, kernel, stride=self.ratio)
        self.chain = nn.ModuleList(
            _Chain(shape, outputs, shape.inside(k), taps, dilations)
            for taps, dilations in zip(shape.kernels, shape.dilations, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        samples = self.ratio * x.shape[-1]
        x = self.up(functional.leaky_relu(x, self.leak))[..., self.cut : self.cut + samples]
        total: Tensor = self.chain[0](x)
        for chain in list(self.chain)[1:]:
            total = total + chain(x)
        return total / len(self.chain)


class _Chain(nn.Module):
    """Residual blocks one after the other."""

    def __init__(
        self, shape: HifiganShape, channels: int, hidden: int, taps: int, dilations: list[int]
    ) -> None:
        super().__init__()
        self.block = nn.ModuleList(_Block(shape, channels, hidden, taps, d) for d in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        return x


class _Block(nn.Module):
    """One or two convolutions beside what they are added to."""

    def __init__(
        self, shape: HifiganShape, channels: int, hidden: int, taps: int, dilation: int
    ) -> None:
        super().__init__()
        self.leak = shape.settings.leak
        self.first = same_conv(channels, hidden, taps, dilation, reflect=shape.reflect)
        self.second = (
            same_conv(hidden, channels, taps, reflect=shape.reflect)
            if shape.settings.paired
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(functional.leaky_relu(x, self.leak))
        if self.second is not None:
            y = self.second(functional.leaky_relu(y, self.leak))
        return torch.add(x, y)
