"""MelGAN's generator in PyTorch: for training, as the benchmark's peer, and in tests.

Kumar et al., "MelGAN: Generative Adversarial Networks for Conditional Waveform Synthesis", 2019.

Modules have the names of the spec's layers, so that `pyvoc.train.weights` is the conversion.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pyvoc.families.melgan.shape import MelganShape
from pyvoc.families.melgan.spec import BLOCK_KERNEL, ENDS_KERNEL
from pyvoc.train import weights
from pyvoc.train.network import SpecNetwork, same_conv


class Melgan(SpecNetwork):
    """The generator.

    Parameters
    ----------
    shape
        Its sizes and settings.
    normed
        Whether weights are a direction and a magnitude (weight norm), as upstream trains them; in
        a model file they are always folded.
    """

    shape_of = staticmethod(MelganShape.of)

    def __init__(self, shape: MelganShape, *, normed: bool = False) -> None:
        super().__init__()
        self.shape = shape
        channels = shape.channels
        self.conv_in = same_conv(shape.bands, channels[0], ENDS_KERNEL, reflect=shape.reflect)
        self.stage = nn.ModuleList(
            _Stage(shape, channels[k], channels[k + 1], ratio)
            for k, ratio in enumerate(shape.ratios)
        )
        self.conv_out = same_conv(channels[-1], 1, ENDS_KERNEL, reflect=shape.reflect)
        if normed:
            weights.add_norm(self)

    def forward(self, mel: Tensor) -> Tensor:
        """Samples of mel spectrograms.

        Parameters
        ----------
        mel
            ``[batch, bands, frames]`` of the model's recipe, at least `MelganShape.least_frames`.

        Returns
        -------
        Tensor
            ``[batch, 1, samples]`` in -1..1, a hop for each frame.
        """
        settings = self.shape.settings
        x = self.conv_in(mel * settings.input_scale + settings.input_shift)
        for stage in self.stage:
            x = stage(x)
        return torch.tanh(self.conv_out(functional.leaky_relu(x, settings.leak)))

    infer = forward
    """Under the name that networks from mel to audio share."""


class _Stage(nn.Module):
    """A transposed convolution, then residual blocks of growing dilation."""

    def __init__(self, shape: MelganShape, inputs: int, outputs: int, ratio: int) -> None:
        super().__init__()
        self.leak = shape.settings.leak
        self.up = nn.ConvTranspose1d(
            inputs,
            outputs,
            2 * ratio,
            stride=ratio,
            padding=ratio // 2 + ratio % 2,
            output_padding=ratio % 2,
        )
        self.block = nn.ModuleList(
            _Block(shape, outputs, shape.dilation(j)) for j in range(shape.blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(functional.leaky_relu(x, self.leak))
        for block in self.block:
            x = block(x)
        return x


class _Block(nn.Module):
    """A dilated convolution and one across channels, beside a shortcut across channels."""

    def __init__(self, shape: MelganShape, channels: int, dilation: int) -> None:
        super().__init__()
        self.leak = shape.settings.leak
        self.conv = same_conv(channels, channels, BLOCK_KERNEL, dilation, reflect=shape.reflect)
        self.out = same_conv(channels, channels, 1, reflect=shape.reflect)
        self.shortcut = same_conv(channels, channels, 1, reflect=shape.reflect)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(functional.leaky_relu(x, self.leak))
        y = self.out(functional.leaky_relu(y, self.leak))
        return torch.add(self.shortcut(x), y)
