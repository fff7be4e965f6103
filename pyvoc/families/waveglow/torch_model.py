"""WaveGlow's synthesis in PyTorch, weight norm folded, from a model file's tensors."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from pyvoc.bench.mel.graphs import load
from pyvoc.families.waveglow.export import Shape


class Generator:
    """A generator for inference.

    Takes ``mel`` [batch, bands, frames] and ``z`` [batch, groups, steps], sigma included; gives
    [batch, samples].

    Parameters
    ----------
    path
        The model file.
    """

    def __init__(self, path: str) -> None:
        source = load(path)
        self._shape = Shape.of(source.arrays, source.metadata)
        self._w = {name: torch.from_numpy(array) for name, array in source.arrays.items()}

    def __call__(self, mel: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Run."""
        shape = self._shape
        size = shape.settings.early_size
        condition = self._condition(mel)
        channels = shape.settings.channels(shape.flows)
        used = channels[-1]
        x = z[:, :used]
        for k in reversed(range(shape.flows)):
            x = self._flow(x, condition, k)
            if shape.joins(k):
                x = torch.cat([z[:, used : used + size], x], 1)
                used += size
        return x.transpose(1, 2).reshape(len(x), -1)

    def _condition(self, mel: torch.Tensor) -> torch.Tensor:
        hop, groups = self._shape.hop, self._shape.settings.groups
        weight, bias = self._w["upsample.weight"], self._w["upsample.bias"]
        y = F.conv_transpose1d(mel, weight, bias, stride=hop)[:, :, : hop * mel.shape[2]]
        batch, bands, samples = y.shape
        y = y.reshape(batch, bands, samples // groups, groups).transpose(2, 3)
        return y.reshape(batch, bands * groups, samples // groups)

    def _flow(self, x: torch.Tensor, condition: torch.Tensor, k: int) -> torch.Tensor:
        """Undo a flow."""
        swapped = self._shape.settings.alternate and k % 2 == 1
        first, second = x.chunk(2, 1)
        read, changed = (second, first) if swapped else (first, second)
        shift, log_s = self._couple(read, condition, f"flow.{k}").chunk(2, 1)
        changed = (changed - shift) * torch.exp(-log_s)
        x = torch.cat([changed, read] if swapped else [read, changed], 1)
        return F.conv1d(x, self._w[f"flow.{k}.unmix.weight"][:, :, None])

    def _couple(self, read: torch.Tensor, condition: torch.Tensor, flow: str) -> torch.Tensor:
        x, skip = self._conv(read, f"{flow}.start"), None
        for i in range(self._shape.layers):
            layer = f"{flow}.layer.{i}"
            y = self._conv(x, f"{layer}.conv", 2**i) + self._conv(condition, f"{layer}.cond")
            content, gate = y.chunk(2, 1)
            y = self._conv(torch.tanh(content) * torch.sigmoid(gate), f"{layer}.out")
            if i + 1 < self._shape.layers:
                residual, y = y.chunk(2, 1)
                x = x + residual
            skip = y if skip is None else skip + y
        assert skip is not None
        return self._conv(skip, f"{flow}.end")

    def _conv(self, x: torch.Tensor, name: str, dilation: int = 1) -> torch.Tensor:
        weight, bias = self._w[f"{name}.weight"], self._w[f"{name}.bias"]
        edge = dilation * (weight.shape[2] // 2)
        return F.conv1d(x, weight, bias, padding=edge, dilation=dilation)
