"""What HiFi-GAN learns from: discriminators of periods and of scales.

Kong et al. 2020, with the sizes of upstream (jik876/hifi-gan) as defaults. Layers have upstream's
names, so that its checkpoints can be taken over (`pyvoc.families.hifigan.train.upstream`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from pyvoc.families.hifigan.train.settings import HifiganModel
from pyvoc.train.convolution import BlockedConv1d
from pyvoc.train.gan import Judged, Judges, split_rows

LEAK = 0.1
_SCALE_KERNELS = (15, 41, 41, 41, 41, 41, 5)
_SCALE_STRIDES = (1, 2, 2, 4, 4, 1, 1)
_PERIOD_KERNEL, _PERIOD_STRIDE = 5, 3


class Discriminators(Judges):
    """All of them: those of periods (``mpd``), then those of scales (``msd``)."""

    def __init__(self, config: HifiganModel) -> None:
        super().__init__()
        self.mpd = _Periods(config)
        self.msd = _Scales(config)

    def forward(self, audio: Tensor) -> list[Judged]:
        """Judge sound ``[batch, samples]``."""
        x = audio[:, None]
        return [*self.mpd(x), *self.msd(x)]

    def both(self, one: Tensor, other: Tensor) -> tuple[list[Judged], list[Judged]]:
        """Most weights are read once for both."""
        rows, x = len(one), torch.cat([one, other])[:, None]
        periods, scales = split_rows(self.mpd(x), rows), self.msd.both(x, rows)
        return periods[0] + scales[0], periods[1] + scales[1]


class _Periods(nn.Module):
    def __init__(self, config: HifiganModel) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            _Period(period, config.mpd_channels) for period in config.periods
        )

    def forward(self, x: Tensor) -> list[Judged]:
        return [discriminator(x) for discriminator in self.discriminators]


class _Period(nn.Module):
    """Convolutions along every `period`-th sample."""

    def __init__(self, period: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.period = period
        layers, inputs = [], 1
        for i, outputs in enumerate(channels):
            stride = 1 if i == len(channels) - 1 else _PERIOD_STRIDE
            padding = (_PERIOD_KERNEL // 2, 0)
            layers.append(
                nn.Conv2d(inputs, outputs, (_PERIOD_KERNEL, 1), (stride, 1), padding=padding)
            )
            inputs = outputs
        self.convs = nn.ModuleList(weight_norm(layer) for layer in layers)
        self.conv_post = weight_norm(nn.Conv2d(inputs, 1, (3, 1), padding=(1, 0)))

    def forward(self, x: Tensor) -> Judged:
        rest = x.shape[-1] % self.period
        if rest:
            x = functional.pad(x, (0, self.period - rest), mode="reflect")
        x = x.view(x.shape[0], 1, -1, self.period)
        return _through(x, self.convs, self.conv_post)


class _Scales(nn.Module):
    """Convolutions of the sound itself and of what is left when it is averaged."""

    def __init__(self, config: HifiganModel) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            _Scale(config.msd_channels, config.msd_groups, spectral=scale == 0)
            for scale in range(config.scales)
        )

    def forward(self, x: Tensor) -> list[Judged]:
        found = []
        for scale, discriminator in enumerate(self.discriminators):
            if scale:
                x = functional.avg_pool1d(x, 4, 2, padding=2)
            found.append(discriminator(x))
        return found

    def both(self, x: Tensor, rows: int) -> tuple[list[Judged], list[Judged]]:
        """`forward` of the first rows and of the others: spectral norm moves at each use."""
        pairs = []
        for scale, discriminator in enumerate(self.discriminators):
            if scale:
                x = functional.avg_pool1d(x, 4, 2, padding=2)
                pairs.append(split_rows([discriminator(x)], rows))
            else:
                pairs.append(([discriminator(x[:rows])], [discriminator(x[rows:])]))
        return [one for ones, _ in pairs for one in ones], [
            other for _, others in pairs for other in others
        ]


class _Scale(nn.Module):
    def __init__(
        self, channels: tuple[int, ...], groups: tuple[int, ...], *, spectral: bool
    ) -> None:
        super().__init__()
        norm = _spectral_norm if spectral else weight_norm
        layers, inputs = [], 1
        for outputs, kernel, stride, group in zip(
            channels, _SCALE_KERNELS, _SCALE_STRIDES, groups, strict=True
        ):
            layers.append(
                BlockedConv1d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=group)
            )
            inputs = outputs
        self.convs = nn.ModuleList(norm(layer) for layer in layers)
        self.conv_post = norm(nn.Conv1d(inputs, 1, 3, padding=1))

    def forward(self, x: Tensor) -> Judged:
        return _through(x, self.convs, self.conv_post)


def _through(x: Tensor, layers: nn.ModuleList, last: nn.Module) -> Judged:
    """A score map, and the activations before it, the score last."""
    found = []
    for layer in layers:
        x = functional.leaky_relu(layer(x), LEAK)
        found.append(x)
    x = last(x)
    return x.flatten(1), [*found, x]


class SpectralNorm(nn.Module):
    """A weight over its greatest singular value (Miyato et al. 2018).

    As upstream's PyTorch has it: in training each use makes one step of the power iteration, of
    which `u` and `v` are the vectors, so that two uses in a row differ. (PyTorch's present one
    makes the two halves of the step in the other order.)
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rows = weight.detach().flatten(1)
        self.register_buffer("u", functional.normalize(torch.randn(rows.shape[0]), dim=0))
        self.register_buffer("v", functional.normalize(torch.randn(rows.shape[1]), dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            rows = weight.flatten(1)
            if self.training:
                with torch.no_grad():
                    v = functional.normalize(torch.mv(rows.T, self.u), dim=0, eps=1e-12)
                    u = functional.normalize(torch.mv(rows, v), dim=0, eps=1e-12)
                    self.u, self.v = u, v
            return weight / torch.dot(self.u, torch.mv(rows, self.v))

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight


def _spectral_norm(layer: nn.Conv1d) -> nn.Module:
    norm = SpectralNorm(layer.weight)  # "unsafe" spares a use of it, and keeps u and v as drawn
    return parametrize.register_parametrization(layer, "weight", norm, unsafe=True)
