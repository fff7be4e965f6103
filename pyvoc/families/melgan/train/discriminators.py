"""What MelGAN learns from: the same discriminator at several scales of time.

Kumar et al. 2019, with the sizes of its implementations (seungwonpark, descript, MindSpore).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from pyvoc.families.melgan.train.settings import MelganModel
from pyvoc.train.convolution import BlockedConv1d, mirrored
from pyvoc.train.gan import Judged, Judges

_LEAK = 0.2
_FIRST, _STRIDED, _STRIDE, _LAST = 15, 41, 4, 3
"""Taps of the first, the dividing and the last convolution, and what time is divided by."""
_MINDSPORE_DIVIDES = 11
"""Taps of MindSpore's last convolution that divides the time."""


class Discriminators(Judges):
    """One for each scale; each hears the sound at half the rate of the one before."""

    def __init__(self, config: MelganModel) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(_Discriminator(config) for _ in range(config.scales))
        self.pools = nn.ModuleList(
            nn.Conv1d(1, 1, 5, 2, padding=2)
            if config.usual.learned_pooling
            else nn.AvgPool1d(4, 2, padding=1, count_include_pad=False)
            for _ in range(config.scales - 1)
        )

    def forward(self, audio: Tensor) -> list[Judged]:
        """Judge sound ``[batch, samples]``."""
        x = audio[:, None]
        found = []
        for scale, discriminator in enumerate(self.discriminators):
            if scale:
                x = self.pools[scale - 1](x)
            found.append(discriminator(x))
        return found


class _Discriminator(nn.Module):
    def __init__(self, config: MelganModel) -> None:
        super().__init__()
        plain = config.usual.learned_pooling
        self.reflect = not plain
        channels = config.discriminator_channels
        layers = [nn.Conv1d(1, channels[0], _FIRST)]
        for i, (inputs, outputs) in enumerate(config.strided):
            last = i == len(config.strided) - 1
            taps = _MINDSPORE_DIVIDES if plain and last else _STRIDED
            groups = 1 if plain else inputs // 4
            layers.append(
                BlockedConv1d(inputs, outputs, taps, _STRIDE, padding=taps // 2, groups=groups)
            )
        taps = 3 if plain else 5
        layers.append(nn.Conv1d(channels[-2], channels[-1], taps, padding=taps // 2))
        layers.append(nn.Conv1d(channels[-1], 1, _LAST, padding=_LAST // 2))
        normed = config.usual.normed
        self.layers = nn.ModuleList(weight_norm(layer) if normed else layer for layer in layers)

    def forward(self, x: Tensor) -> Judged:
        """A score map [batch, 1, time], and the activations of the layers before it."""
        edge = _FIRST // 2
        x = mirrored(x, edge) if self.reflect else functional.pad(x, (edge, edge))
        found = []
        for layer in list(self.layers)[:-1]:
            x = functional.leaky_relu(layer(x), _LEAK)
            found.append(x)
        score: Tensor = self.layers[-1](x)
        return score, found


def glorot(module: nn.Module) -> None:
    """Begin as MindSpore's networks do: Glorot's uniform weights, biases of zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d):
            nn.init.xavier_uniform_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


def squares_of_generator(fake: list[Judged]) -> Tensor:
    """Squared distance of scores from true, summed over time."""
    return _sum((score - 1).square().sum((1, 2)).mean() for score, _ in fake)


def squares_of_discriminator(real: list[Judged], fake: list[Judged]) -> Tensor:
    """The same of the true ones, and of the made ones from false."""
    return squares_of_generator(real) + _sum(score.square().sum((1, 2)).mean() for score, _ in fake)


def hinge_of_generator(fake: list[Judged]) -> Tensor:
    """Minus the scores."""
    return -_sum(score.mean() for score, _ in fake)


def hinge_of_discriminator(real: list[Judged], fake: list[Judged]) -> Tensor:
    """Hinges at 1 and -1."""
    return _sum(functional.relu(1 - score).mean() for score, _ in real) + _sum(
        functional.relu(1 + score).mean() for score, _ in fake
    )


def feature_distance(real: list[Judged], fake: list[Judged], *, weighted: bool) -> Tensor:
    """Mean absolute differences of activations, summed; descript weights them by their number."""
    total = _sum(
        (ours - theirs).abs().mean()
        for (_, made), (_, true) in zip(fake, real, strict=True)
        for ours, theirs in zip(made, true, strict=True)
    )
    if not weighted:
        return total
    layers = len(fake[0][1]) - 1  # 4 / (layers that divide the time + 1), 1 / scales
    return total * (4.0 / layers / len(fake))


def _sum(terms: object) -> Tensor:
    return torch.stack(list(terms)).sum()  # type: ignore[call-overload]
