"""MelGAN's training step in eager PyTorch: networks and order of seungwonpark's trainer."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils import weight_norm

from plain import copy_module
from pyvoc.families.melgan.train.settings import MelganModel
from pyvoc.families.melgan.train.task import MelganTask

LEAK = 0.2


class Block(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.LeakyReLU(LEAK),
            nn.ReflectionPad1d(dilation),
            weight_norm(nn.Conv1d(channels, channels, 3, dilation=dilation)),
            nn.LeakyReLU(LEAK),
            weight_norm(nn.Conv1d(channels, channels, 1)),
        )
        self.shortcut = weight_norm(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.block(x)


class Generator(nn.Module):
    def __init__(self, config: MelganModel) -> None:
        super().__init__()
        channels = config.channels
        layers: list[nn.Module] = [
            nn.ReflectionPad1d(3),
            weight_norm(nn.Conv1d(config.mel_recipe().bands, channels, 7)),
        ]
        for ratio in config.ratios:
            layers += [
                nn.LeakyReLU(LEAK),
                weight_norm(
                    nn.ConvTranspose1d(
                        channels,
                        channels // 2,
                        2 * ratio,
                        ratio,
                        padding=ratio // 2 + ratio % 2,
                        output_padding=ratio % 2,
                    )
                ),
                *(Block(channels // 2, 3**k) for k in range(config.blocks)),
            ]
            channels //= 2
        last = weight_norm(nn.Conv1d(channels, 1, 7))
        layers += [nn.LeakyReLU(LEAK), nn.ReflectionPad1d(3), last, nn.Tanh()]
        self.generator = nn.Sequential(*layers)

    def forward(self, mel: Tensor) -> Tensor:
        return self.generator((mel + 5.0) / 5.0)


class Discriminator(nn.Module):
    def __init__(self, config: MelganModel) -> None:
        super().__init__()
        channels = config.discriminator_channels
        first = weight_norm(nn.Conv1d(1, channels[0], 15))
        layers = [nn.Sequential(nn.ReflectionPad1d(7), first, nn.LeakyReLU(LEAK))]
        for a, b in pairwise(channels[:-1]):
            conv = weight_norm(nn.Conv1d(a, b, 41, 4, padding=20, groups=a // 4))
            layers.append(nn.Sequential(conv, nn.LeakyReLU(LEAK)))
        conv = weight_norm(nn.Conv1d(channels[-2], channels[-1], 5, padding=2))
        layers.append(nn.Sequential(conv, nn.LeakyReLU(LEAK)))
        layers.append(weight_norm(nn.Conv1d(channels[-1], 1, 3, padding=1)))
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        found = []
        for layer in self.layers:
            x = layer(x)
            found.append(x)
        return found[:-1], found[-1]


class Discriminators(nn.Module):
    def __init__(self, config: MelganModel) -> None:
        super().__init__()
        self.scales = nn.ModuleList(Discriminator(config) for _ in range(config.scales))
        self.pool = nn.AvgPool1d(4, 2, padding=1, count_include_pad=False)

    def forward(self, x: Tensor) -> list[tuple[list[Tensor], Tensor]]:
        found = []
        for k, scale in enumerate(self.scales):
            if k:
                x = self.pool(x)
            found.append(scale(x))
        return found


class Plain:
    def __init__(self, config: MelganModel) -> None:
        self.generator, self.discriminators = Generator(config), Discriminators(config)
        self.weight = config.feature_weight
        self.optim_g = torch.optim.Adam(self.generator.parameters(), 1e-4, betas=config.betas)
        self.optim_d = torch.optim.Adam(self.discriminators.parameters(), 1e-4, betas=config.betas)

    def take(self, task: MelganTask) -> None:
        copy_module(self.generator, task.module.generator)
        copy_module(self.discriminators, task.module.discriminator)

    def prepare(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return batch

    def step(self, batch: dict[str, Tensor]) -> dict[str, float]:
        self.optim_g.zero_grad()
        fake = self.discriminators(self.generator(batch["mel"]))
        real = self.discriminators(batch["audio"].unsqueeze(1))
        loss_g = 0.0
        for (theirs, score), (ours, _) in zip(fake, real, strict=True):
            loss_g = loss_g + torch.mean(torch.sum(torch.pow(score - 1.0, 2), dim=[1, 2]))
            for a, b in zip(theirs, ours, strict=True):
                loss_g = loss_g + self.weight * torch.mean(torch.abs(a - b))
        loss_g.backward()
        self.optim_g.step()

        made = self.generator(batch["other_mel"]).detach()
        self.optim_d.zero_grad()
        fake = self.discriminators(made)
        real = self.discriminators(batch["other_audio"].unsqueeze(1))
        loss_d = 0.0
        for (_, theirs), (_, ours) in zip(fake, real, strict=True):
            loss_d = loss_d + torch.mean(torch.sum(torch.pow(ours - 1.0, 2), dim=[1, 2]))
            loss_d = loss_d + torch.mean(torch.sum(torch.pow(theirs, 2), dim=[1, 2]))
        loss_d.backward()
        self.optim_d.step()
        return {"generator": loss_g.item(), "discriminator": loss_d.item()}
