"""WaveGlow's training step in eager PyTorch: network and loss of NVIDIA's trainer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import weight_norm

from plain import copy_in_order
from pyvoc.families.waveglow.train.settings import WaveglowModel
from pyvoc.families.waveglow.train.task import WaveglowTask
from pyvoc.train.weights import DIRECTION, MAGNITUDE


class Coupling(nn.Module):
    """Upstream's WN, of the generation that computes all layers' conditions at once."""

    def __init__(self, half: int, bands: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.start = weight_norm(nn.Conv1d(half, hidden, 1))
        self.cond = weight_norm(nn.Conv1d(bands, 2 * hidden * layers, 1))
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv1d(hidden, 2 * hidden, 3, padding=2**i, dilation=2**i))
            for i in range(layers)
        )
        self.outs = nn.ModuleList(
            weight_norm(nn.Conv1d(hidden, (2 if i < layers - 1 else 1) * hidden, 1))
            for i in range(layers)
        )
        self.end = nn.Conv1d(hidden, 2 * half, 1)

    def forward(self, x: Tensor, mel: Tensor) -> Tensor:
        n = self.hidden
        x = self.start(x)
        output = torch.zeros_like(x)
        mel = self.cond(mel)
        for i in range(self.layers):
            acts = self.convs[i](x) + mel[:, 2 * n * i : 2 * n * (i + 1)]
            acts = torch.tanh(acts[:, :n]) * torch.sigmoid(acts[:, n:])
            y = self.outs[i](acts)
            if i < self.layers - 1:
                x = x + y[:, :n]
                output = output + y[:, n:]
            else:
                output = output + y
        return self.end(output)


class Network(nn.Module):
    def __init__(self, config: WaveglowModel) -> None:
        super().__init__()
        recipe = config.mel_recipe()
        self.config, bands = config, recipe.bands
        taps = 4 * recipe.hop_length
        self.upsample = nn.ConvTranspose1d(bands, bands, taps, stride=recipe.hop_length)
        self.mixes, self.couplings = nn.ModuleList(), nn.ModuleList()
        channels = config.n_group
        for k in range(config.n_flows):
            if k and k % config.n_early_every == 0:
                channels -= config.n_early_size
            self.mixes.append(nn.Conv1d(channels, channels, 1, bias=False))
            self.couplings.append(
                Coupling(channels // 2, bands * config.n_group, config.n_channels, config.n_layers)
            )

    def forward(self, audio: Tensor, mel: Tensor) -> Tensor:
        config, group = self.config, self.config.n_group
        mel = self.upsample(mel)[:, :, : audio.shape[1]]
        mel = mel.unfold(2, group, group).permute(0, 2, 1, 3)
        mel = mel.contiguous().view(mel.shape[0], mel.shape[1], -1).permute(0, 2, 1)
        audio = audio.unfold(1, group, group).permute(0, 2, 1)
        early, total = [], 0.0
        for k, (mix, coupling) in enumerate(zip(self.mixes, self.couplings, strict=True)):
            if k and k % config.n_early_every == 0:
                early.append(audio[:, : config.n_early_size])
                audio = audio[:, config.n_early_size :]
            audio = mix(audio)
            steps = audio.shape[0] * audio.shape[2]
            total = total + steps * torch.linalg.slogdet(mix.weight.squeeze(2))[1]
            half = audio.shape[1] // 2
            first, second = audio[:, :half], audio[:, half:]
            output = coupling(first, mel)
            log_s, shift = output[:, half:], output[:, :half]
            second = torch.exp(log_s) * second + shift
            audio = torch.cat([first, second], 1)
            total = total + torch.sum(log_s)
        z = torch.cat([*early, audio], 1)
        return (torch.sum(z * z) / (2 * config.sigma**2) - total) / z.numel()


class Plain:
    def __init__(self, config: WaveglowModel) -> None:
        self.network = Network(config)
        self.optim = torch.optim.Adam(self.network.parameters(), lr=1e-4)

    def take(self, task: WaveglowTask) -> None:
        copy_in_order(self.network, _in_order(task))

    def prepare(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return batch

    def step(self, batch: dict[str, Tensor]) -> dict[str, float]:
        self.network.zero_grad()
        loss = self.network(batch["audio"], batch["mel"])
        value = loss.item()
        loss.backward()
        self.optim.step()
        return {"loss": value}


def _in_order(task: WaveglowTask) -> Iterator[Tensor]:
    """Our weights in the order of `Network`'s; conditions are layers of their own with us."""
    state = dict(task.network.named_parameters())
    yield from task.network.upsample.parameters()
    flows, layers = range(task.config.n_flows), range(task.config.n_layers)
    leaves = ("bias", MAGNITUDE, DIRECTION)
    for k in flows:
        yield state[f"flow.{k}.mix.weight"].unsqueeze(2)
    for k in flows:
        for leaf in leaves:
            yield state[f"flow.{k}.start.{leaf}"]
        for leaf in leaves:
            yield torch.cat([state[f"flow.{k}.layer.{i}.cond.{leaf}"] for i in layers])
        for kind in ("conv", "out"):
            for i in layers:
                for leaf in leaves:
                    yield state[f"flow.{k}.layer.{i}.{kind}.{leaf}"]
        yield from (state[f"flow.{k}.end.weight"], state[f"flow.{k}.end.bias"])
