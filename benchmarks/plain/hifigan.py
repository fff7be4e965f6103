"""HiFi-GAN's training step in eager PyTorch: networks and order of upstream's trainer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm, weight_norm

from plain import copy_module
from pyvoc.families.hifigan.train.settings import HifiganModel
from pyvoc.families.hifigan.train.task import HifiganTask
from pyvoc.train.spectra import mel_filters

LEAK = 0.1


def same(inputs: int, outputs: int, taps: int, dilation: int = 1) -> nn.Module:
    padding = dilation * (taps // 2)
    return weight_norm(nn.Conv1d(inputs, outputs, taps, padding=padding, dilation=dilation))


class Block(nn.Module):
    def __init__(self, channels: int, taps: int, dilation: int) -> None:
        super().__init__()
        self.first = same(channels, channels, taps, dilation)
        self.second = same(channels, channels, taps)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(F.leaky_relu(x, LEAK))
        return self.second(F.leaky_relu(y, LEAK)) + x


class Stage(nn.Module):
    def __init__(self, config: HifiganModel, k: int) -> None:
        super().__init__()
        rate, taps = config.upsample_rates[k], config.upsample_kernel_sizes[k]
        inputs = config.upsample_initial_channel >> k
        up = nn.ConvTranspose1d(inputs, inputs // 2, taps, rate, padding=(taps - rate) // 2)
        self.up = weight_norm(up)
        self.chains = nn.ModuleList(
            nn.Sequential(*(Block(inputs // 2, taps, d) for d in dilations))
            for taps, dilations in zip(
                config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(F.leaky_relu(x, LEAK))
        total = None
        for chain in self.chains:
            y = chain(x)
            total = y if total is None else total + y
        return total / len(self.chains)


class Generator(nn.Module):
    def __init__(self, config: HifiganModel) -> None:
        super().__init__()
        channels = config.upsample_initial_channel
        stages = len(config.upsample_rates)
        self.first = same(config.mel_recipe().bands, channels, 7)
        self.stages = nn.ModuleList(Stage(config, k) for k in range(stages))
        self.last = same(channels >> stages, 1, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for stage in self.stages:
            x = stage(x)
        return torch.tanh(self.last(F.leaky_relu(x)))


def through(x: Tensor, convs: nn.ModuleList, last: nn.Module) -> tuple[Tensor, list[Tensor]]:
    found = []
    for conv in convs:
        x = F.leaky_relu(conv(x), LEAK)
        found.append(x)
    x = last(x)
    return torch.flatten(x, 1, -1), [*found, x]


class Period(nn.Module):
    def __init__(self, period: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.period = period
        sizes = (1, *channels)
        strides = [3] * (len(channels) - 1) + [1]
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 1), (stride, 1), padding=(2, 0)))
            for a, b, stride in zip(sizes, channels, strides, strict=False)
        )
        self.last = weight_norm(nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        batch, channels, time = x.shape
        if time % self.period:
            x = F.pad(x, (0, self.period - time % self.period), "reflect")
        x = x.view(batch, channels, x.shape[2] // self.period, self.period)
        return through(x, self.convs, self.last)


class Scale(nn.Module):
    def __init__(self, config: HifiganModel, *, spectral: bool) -> None:
        super().__init__()
        norm = spectral_norm if spectral else weight_norm
        channels, groups = config.msd_channels, config.msd_groups
        kernels, strides = (15, 41, 41, 41, 41, 41, 5), (1, 2, 2, 4, 4, 1, 1)
        self.convs = nn.ModuleList(
            norm(nn.Conv1d(a, b, taps, stride, groups=g, padding=taps // 2))
            for a, b, taps, stride, g in zip(
                (1, *channels), channels, kernels, strides, groups, strict=False
            )
        )
        self.last = norm(nn.Conv1d(channels[-1], 1, 3, padding=1))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        return through(x, self.convs, self.last)


class Discriminators(nn.Module):
    def __init__(self, config: HifiganModel) -> None:
        super().__init__()
        self.periods = nn.ModuleList(Period(p, config.mpd_channels) for p in config.periods)
        self.scales = nn.ModuleList(Scale(config, spectral=k == 0) for k in range(config.scales))

    def forward(self, real: Tensor, fake: Tensor) -> list[tuple[list, list]]:
        found = [(period(real), period(fake)) for period in self.periods]
        for k, scale in enumerate(self.scales):
            if k:
                real, fake = F.avg_pool1d(real, 4, 2, 2), F.avg_pool1d(fake, 4, 2, 2)
            found.append((scale(real), scale(fake)))
        return found


class Mel(nn.Module):
    def __init__(self, recipe, fmax: float) -> None:
        super().__init__()
        from dataclasses import replace

        self.recipe = recipe
        self.filters = torch.from_numpy(mel_filters(replace(recipe, name="custom", fmax=fmax)))
        self.window = torch.hann_window(recipe.window_length)

    def forward(self, y: Tensor) -> Tensor:
        recipe = self.recipe
        pad = (recipe.fft_length - recipe.hop_length) // 2
        y = F.pad(y.unsqueeze(1), (pad, pad), mode="reflect").squeeze(1)
        spec = torch.stft(
            y,
            recipe.fft_length,
            recipe.hop_length,
            recipe.window_length,
            self.window,
            center=False,
            return_complex=True,
        )
        spec = torch.sqrt(torch.view_as_real(spec).pow(2).sum(-1) + 1e-9)
        return torch.log(torch.clamp(torch.matmul(self.filters, spec), min=1e-5))


class Plain:
    def __init__(self, config: HifiganModel) -> None:
        self.generator, self.discriminators = Generator(config), Discriminators(config)
        recipe = config.mel_recipe()
        self.mel = Mel(recipe, recipe.sample_rate / 2)
        betas = config.adam_b1, config.adam_b2
        self.optim_g = torch.optim.AdamW(self.generator.parameters(), 1e-4, betas=betas)
        self.optim_d = torch.optim.AdamW(self.discriminators.parameters(), 1e-4, betas=betas)

    def take(self, task: HifiganTask) -> None:
        copy_module(self.generator, task.module.generator)
        copy_module(self.discriminators, task.module.discriminator)

    def prepare(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What upstream's data loader makes: the mel of the true sound that the loss listens to."""
        return {**batch, "heard": self.mel(batch["audio"])}

    def step(self, batch: dict[str, Tensor]) -> dict[str, float]:
        y = batch["audio"].unsqueeze(1)
        made = self.generator(batch["mel"])
        heard = self.mel(made.squeeze(1))

        self.optim_d.zero_grad()
        loss_d = 0
        for (real, _), (fake, _) in self.discriminators(y, made.detach()):
            loss_d = loss_d + torch.mean((1 - real) ** 2) + torch.mean(fake**2)
        loss_d.backward()
        self.optim_d.step()

        self.optim_g.zero_grad()
        loss_g = F.l1_loss(batch["heard"], heard) * 45
        for (_, ours), (fake, theirs) in self.discriminators(y, made):
            loss_g = loss_g + torch.mean((1 - fake) ** 2)
            for a, b in zip(ours, theirs, strict=True):
                loss_g = loss_g + 2 * torch.mean(torch.abs(a - b))
        loss_g.backward()
        self.optim_g.step()
        return {"generator": loss_g.item(), "discriminator": loss_d.item()}
