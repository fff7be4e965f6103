"""What FARGAN's second stage learns from: networks that look at spectrograms.

One for each FFT length: levels in dB up to 7.4 kHz, 3 x 3 convolutions that halve the frequencies
until there are about as many as at the shortest, each layer told where it is on the axis of
frequencies. After upstream's choice for FARGAN (opus, ``dnn/torch/osce``): sizes 64 to 2048, weight
norm, ReLU, and a score between 0 and 1 for each place.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from pyvoc.families.fargan.train.settings import FFT_SIZES, FarganModel
from pyvoc.train.resolutions import Windows, magnitudes

SAMPLE_RATE = 16000
HIGHEST_HZ = 7400
_RANGE_DB = 80.0
_LEAST = 1e-5
_PLACE = 2
"""Inputs that tell the place: sine and cosine."""

Judged = list[Tensor]
"""Activations of the layers, and scores in 0 .. 1 at the end: ``[rows, channels, bins, frames]``"""


class Discriminators(nn.Module):
    """One for each FFT length."""

    def __init__(self, config: FarganModel) -> None:
        super().__init__()
        self.windows = Windows(config.fft_sizes)
        self.discriminators = nn.ModuleList(_Discriminator(config, n) for n in config.fft_sizes)

    def forward(self, audio: Tensor) -> list[Judged]:
        """Judge pre-emphasised sound ``[rows, samples]``."""
        return [
            discriminator(magnitudes(audio, window))
            for discriminator, window in zip(self.discriminators, self.windows.all(), strict=True)
        ]


class _Discriminator(nn.Module):
    def __init__(self, config: FarganModel, fft_size: int) -> None:
        super().__init__()
        self.bins = HIGHEST_HZ * fft_size // SAMPLE_RATE + 1
        halvings = max(0, round(math.log2(fft_size / FFT_SIZES[0])))
        layers, inputs, outputs = [], 1, config.critic_channels
        for k in range(config.critic_layers):
            stride = 2 if k < halvings else 1
            layers.append(_conv(inputs, outputs, stride))
            inputs, outputs = outputs, min(stride * outputs, config.critic_most_channels)
        layers.append(_conv(inputs, 1, 1))
        self.layers = nn.ModuleList(layers)

    def forward(self, spectrum: Tensor) -> Judged:
        levels = 20.0 * spectrum[:, : self.bins].clamp(min=_LEAST).log10()
        levels = torch.maximum(levels, levels.detach().amax((1, 2), keepdim=True) - _RANGE_DB)
        x, found = levels[:, None], []
        for k, layer in enumerate(self.layers):
            x = layer(_with_place(x))
            x = torch.sigmoid(x) if k == len(self.layers) - 1 else torch.relu(x)
            found.append(x)
        return found


def _conv(inputs: int, outputs: int, stride: int) -> nn.Module:
    conv = nn.Conv2d(inputs + _PLACE, outputs, 3, (stride, 1), padding=1)
    weight_norm(conv)
    return conv


def _with_place(x: Tensor) -> Tensor:
    """With two channels that go once around a circle from the lowest to the highest bin."""
    rows, _, bins, frames = x.shape
    angle = torch.arange(bins, device=x.device, dtype=x.dtype) * (2.0 * math.pi / bins)
    place = torch.stack((angle.sin(), angle.cos()))[None, :, :, None]
    return torch.cat((x, place.expand(rows, -1, -1, frames)), 1)


def squares(judged: list[Judged], wanted: float) -> Tensor:
    """Squared distance of scores from what is wanted, the mean over discriminators."""
    return torch.stack([(wanted - layers[-1]).square().mean() for layers in judged]).mean()


def feature_distance(made: list[Judged], true: list[Judged]) -> Tensor:
    """4 x the mean absolute difference of activations, over layers and discriminators."""
    return (
        4.0
        * torch.stack(
            [
                torch.stack(
                    [(a - b).abs().mean() for a, b in zip(ours[:-1], theirs[:-1], strict=True)]
                ).mean()
                for ours, theirs in zip(made, true, strict=True)
            ]
        ).mean()
    )
