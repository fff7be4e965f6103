"""How Adam goes over the weights."""

from __future__ import annotations

from torch import nn

__all__ = ["in_one_pass"]


def in_one_pass(module: nn.Module) -> bool | None:
    """What PyTorch's optimizers of a module take as ``fused``.

    On a processor PyTorch's default reads and writes all weights and moments once for each
    operation of the formula, which for the weights of discriminators takes five times as long. On
    other devices the default (None) stays.
    """
    parameter = next(module.parameters())
    return True if parameter.device.type == "cpu" else None
