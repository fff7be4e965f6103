"""WaveGlow in PyTorch: for training, as the benchmark's peer, and in tests.

Prenger et al., "WaveGlow: A Flow-based Generative Network for Speech Synthesis", 2018.

Modules have the names of the spec's layers, so that `pyvoc.train.weights` is the conversion; what
undoes a 1x1 convolution (``unmix``) is computed.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pyvoc.container.tensors import AnyArray
from pyvoc.families.waveglow.shape import WaveglowShape
from pyvoc.families.waveglow.spec import KERNEL
from pyvoc.train import weights
from pyvoc.train.network import SpecNetwork


class Noise(NamedTuple):
    """What the flows make of audio: the terms of its likelihood.

    Parameters
    ----------
    z
        ``[batch, groups, steps]``, in the order in which `Waveglow.infer` takes it.
    log_s
        ``[batch, flows]``: logarithms of the scales, summed over channels and steps.
    log_det
        ``[flows]``: steps times the logarithm of the determinant of the 1x1 convolution.
    """

    z: Tensor
    log_s: Tensor
    log_det: Tensor


class Waveglow(SpecNetwork):
    """The flows and the upsampling of the mel.

    Parameters
    ----------
    shape
        Its sizes and settings.
    normed
        Whether weights within the flows are a direction and a magnitude (weight norm), as upstream
        trains them; in a model file they are always folded.
    """

    shape_of = staticmethod(WaveglowShape.of)

    def __init__(self, shape: WaveglowShape, *, normed: bool = False) -> None:
        super().__init__()
        self.shape = shape
        bands, taps, hop = shape.bands, shape.taps, shape.hop
        self.upsample: nn.Module = (
            Apart(bands, taps, hop)
            if shape.apart
            else nn.ConvTranspose1d(bands, bands, taps, stride=hop)
        )
        self.flow = nn.ModuleList(Flow(shape, k, normed=normed) for k in range(shape.flows))

    def to_arrays(self) -> dict[str, AnyArray]:
        """With the inverses, float64."""
        arrays = super().to_arrays()
        for k in range(self.shape.flows):
            mix = arrays[f"flow.{k}.mix.weight"].astype(np.float64)
            arrays[f"flow.{k}.unmix.weight"] = np.linalg.inv(mix)
        return arrays

    def forward(self, audio: Tensor, mel: Tensor) -> Noise:
        """Noise of audio, which is the direction of training.

        Parameters
        ----------
        audio
            ``[batch, samples]``, no longer than the mel's frames; of the last step of `groups`
            samples, what is not whole is left out.
        mel
            ``[batch, bands, frames]`` of the model's recipe.
        """
        groups, size = self.shape.settings.groups, self.shape.settings.early_size
        steps = audio.shape[1] // groups
        x = audio[:, : steps * groups].reshape(len(audio), steps, groups).transpose(1, 2)
        condition = self._condition(mel)[:, :, :steps]
        early, log_s, log_det = [], [], []
        for k, flow in enumerate(self._flows):
            if self.shape.joins(k):
                early.append(x[:, :size])
                x = x[:, size:]
            x, scales = flow(x, condition)
            log_s.append(scales.flatten(1).sum(1))
            log_det.append(steps * flow.mix.log_det())
        return Noise(torch.cat([x, *early[::-1]], 1), torch.stack(log_s, 1), torch.stack(log_det))

    def infer(self, mel: Tensor, z: Tensor) -> Tensor:
        """Audio of noise: `forward` undone.

        Parameters
        ----------
        mel
            ``[batch, bands, frames]`` of the model's recipe.
        z
            ``[batch, groups, steps]``, sigma included, ``hop / groups`` steps for each frame: first
            the channels of the last flow, then those that join, in the order in which they do.

        Returns
        -------
        Tensor
            ``[batch, samples]``, a hop for each frame; not limited to -1..1.
        """
        size, used = self.shape.settings.early_size, self.shape.channels[-1]
        condition = self._condition(mel)
        x = z[:, :used]
        for k in reversed(range(self.shape.flows)):
            x = self._flows[k].undo(x, condition)
            if self.shape.joins(k):
                x = torch.cat([z[:, used : used + size], x], 1)
                used += size
        return x.transpose(1, 2).flatten(1)

    def _condition(self, mel: Tensor) -> Tensor:
        """What all flows see: ``[batch, bands * groups, steps]``, band by band."""
        y: Tensor = self.upsample(mel)[:, :, : self.shape.hop * mel.shape[2]]
        batch, bands, samples = y.shape
        groups = self.shape.settings.groups
        return y.reshape(batch, bands, samples // groups, groups).transpose(2, 3).flatten(1, 2)

    @property
    def _flows(self) -> list[Flow]:
        return cast("list[Flow]", list(self.flow))


class Apart(nn.Module):
    """A transposed convolution of each band by itself; `nn.ConvTranspose1d` of as many groups, for
    which PyTorch has no fast kernel on CPUs.

    Parameters
    ----------
    bands
        Of the mel.
    taps, hop
        In samples.
    """

    def __init__(self, bands: int, taps: int, hop: int) -> None:
        super().__init__()
        self.hop = hop
        self.weight = nn.Parameter(torch.empty(bands, 1, taps))
        self.bias = nn.Parameter(torch.zeros(bands))
        nn.init.uniform_(self.weight, -1, 1)
        with torch.no_grad():
            self.weight.mul_((taps // hop) ** -0.5)

    def forward(self, mel: Tensor) -> Tensor:
        """``[batch, bands, hop * frames]`` of ``[batch, bands, frames]``."""
        history = self.weight.shape[2] // self.hop
        frames = functional.pad(mel, (history - 1, 0)).unfold(2, history, 1)
        taps = self.weight.reshape(len(self.bias), history, self.hop).flip(1)
        return (frames @ taps + self.bias[:, None, None]).flatten(2)


class Flow(nn.Module):
    """A 1x1 convolution, then an affine coupling of one half of the channels to the other.

    Parameters
    ----------
    shape
        Of the network.
    k
        Number of the flow.
    normed
        As the network's.
    """

    def __init__(self, shape: WaveglowShape, k: int, *, normed: bool) -> None:
        super().__init__()
        channels, hidden = shape.channels[k], shape.hidden
        self.reads_second = shape.reads_second(k)
        self.mix = Mix(channels)
        self.start = nn.Conv1d(channels // 2, hidden, 1)
        self.layer = nn.ModuleList(Layer(shape, i) for i in range(shape.layers))
        self.end = nn.Conv1d(hidden, channels, 1)
        # As upstream: a new flow changes nothing.
        nn.init.zeros_(self.end.weight)
        if self.end.bias is not None:
            nn.init.zeros_(self.end.bias)
        if normed:
            weights.add_norm(self.start, self.layer)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """``[batch, channels, steps]`` towards noise, and the logarithms of the scales.

        Both have the precision of `x`; in mixed precision it is what the layers compute that has
        less.
        """
        read, changed = self._halves(self.mix(x))
        shift, log_s = (part.to(x.dtype) for part in self._couple(read, condition))
        return self._whole(read, torch.exp(log_s) * changed + shift), log_s

    def undo(self, x: Tensor, condition: Tensor) -> Tensor:
        """``[batch, channels, steps]`` towards audio; of the precision of `x`, as `forward`."""
        read, changed = self._halves(x)
        shift, log_s = (part.to(x.dtype) for part in self._couple(read, condition))
        return self.mix.undo(self._whole(read, (changed - shift) * torch.exp(-log_s)))

    def _halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What is read, and what is changed."""
        first, second = x.chunk(2, 1)
        return (second, first) if self.reads_second else (first, second)

    def _whole(self, read: Tensor, changed: Tensor) -> Tensor:
        return torch.cat([changed, read] if self.reads_second else [read, changed], 1)

    def _couple(self, read: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and logarithm of the scale of the changed half."""
        x = self.start(read)
        skips: Tensor | None = None
        for layer, seen in zip(self.layer, self._conditions(condition), strict=True):
            x, skip = layer(x, seen)
            skips = skip if skips is None else skips + skip
        shift, log_s = self.end(skips).chunk(2, 1)
        return shift, log_s

    def _conditions(self, condition: Tensor) -> tuple[Tensor, ...]:
        """What each layer sees of the mel: one product for all of them, forward and back."""
        layers = cast("list[Layer]", list(self.layer))
        weight = torch.cat([layer.cond.weight for layer in layers])
        bias = torch.cat([cast(Tensor, layer.cond.bias) for layer in layers])
        return functional.conv1d(condition, weight, bias).chunk(len(layers), 1)


class Layer(nn.Module):
    """A gated dilated convolution; the last one of a flow has no residual output.

    `Flow` multiplies the mel by the weights of `cond`, and gives what comes of it.
    """

    def __init__(self, shape: WaveglowShape, i: int) -> None:
        super().__init__()
        hidden, dilation = shape.hidden, 2**i
        self.last = i == shape.layers - 1
        self.conv = nn.Conv1d(
            hidden, 2 * hidden, KERNEL, padding=dilation * (KERNEL // 2), dilation=dilation
        )
        self.cond = nn.Conv1d(shape.bands * shape.settings.groups, 2 * hidden, 1)
        self.out = nn.Conv1d(hidden, hidden if self.last else 2 * hidden, 1)

    def forward(self, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """The next layer's input, and what goes to the flow's output."""
        content, gate = torch.add(self.conv(x), seen).chunk(2, 1)
        y = self.out(torch.tanh(content) * torch.sigmoid(gate))
        if self.last:
            return x, y
        residual, skip = y.chunk(2, 1)
        return x + residual, skip


class Mix(nn.Module):
    """An invertible 1x1 convolution without bias; a new one is a rotation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels))
        nn.init.orthogonal_(self.weight)
        with torch.no_grad():
            if torch.linalg.det(self.weight) < 0:
                self.weight[:, 0].neg_()

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, channels, steps]``; never in mixed precision: it is the signal itself."""
        with torch.autocast(x.device.type, enabled=False):
            return functional.conv1d(x, self.weight.unsqueeze(2))

    def undo(self, x: Tensor) -> Tensor:
        """The inverse of `forward`; computed in double precision, as converters do."""
        with torch.autocast(x.device.type, enabled=False):
            inverse = torch.linalg.inv(self.weight.double()).to(x.dtype)
            return functional.conv1d(x, inverse.unsqueeze(2))

    def log_det(self) -> Tensor:
        """Logarithm of the determinant's magnitude."""
        log_det: Tensor = torch.linalg.slogdet(self.weight)[1]
        return log_det
