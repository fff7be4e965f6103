"""MelGAN's forward pass in PyTorch, weight norm folded, from a model file's tensors."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from pyvoc.bench.mel.graphs import load
from pyvoc.families.melgan.export import Shape


class Generator:
    """A generator for inference: ``mel`` [batch, bands, frames] -> [batch, 1, samples].

    Parameters
    ----------
    path
        The model file.
    """

    def __init__(self, path: str) -> None:
        source = load(path)
        self._shape = Shape.of(source.arrays, source.metadata)
        self._w = {name: torch.from_numpy(array) for name, array in source.arrays.items()}
        names = ("input_scale", "input_shift", "leak")
        self._scale, self._shift, self._leak = (
            float(source.metadata[f"melgan.{name}"]) for name in names
        )

    def __call__(self, mel: torch.Tensor) -> torch.Tensor:
        """Run."""
        x = self._conv(mel * self._scale + self._shift, "conv_in", 1)
        for k, ratio in enumerate(self._shape.ratios):
            name, edge = f"stage.{k}.up", ratio // 2 + ratio % 2
            x = F.conv_transpose1d(
                F.leaky_relu(x, self._leak),
                self._w[f"{name}.weight"],
                self._w[f"{name}.bias"],
                stride=ratio,
                padding=edge,
                output_padding=ratio % 2,
            )
            for j in range(self._shape.blocks):
                block = f"stage.{k}.block.{j}"
                y = F.leaky_relu(x, self._leak)
                y = self._conv(y, f"{block}.conv", self._shape.base**j)
                y = self._conv(F.leaky_relu(y, self._leak), f"{block}.out", 1)
                x = self._conv(x, f"{block}.shortcut", 1) + y
        return torch.tanh(self._conv(F.leaky_relu(x, self._leak), "conv_out", 1))

    def _conv(self, x: torch.Tensor, name: str, dilation: int) -> torch.Tensor:
        weight = self._w[f"{name}.weight"]
        edge = dilation * (weight.shape[2] // 2)
        if edge:
            x = F.pad(x, (edge, edge), "reflect" if self._shape.reflect else "constant")
        return F.conv1d(x, weight, self._w[f"{name}.bias"], dilation=dilation)
