"""Training loops as one writes them in eager PyTorch, in the order of upstream's trainers.

They are what pyvoc's training is measured beside. Each has a class with `step`, an update of all
weights from a batch, and `take`, which copies the weights of pyvoc's task, so that both begin
alike.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def copy_in_order(target: nn.Module, given: Iterable[Tensor]) -> None:
    """Fill all parameters, then all buffers."""
    wanted = [*target.parameters(), *target.buffers()]
    with torch.no_grad():
        for tensor, value in zip(wanted, given, strict=True):
            if tensor.shape != value.shape:
                raise ValueError(f"a tensor of shape {list(value.shape)} for {list(tensor.shape)}")
            tensor.copy_(value)


def copy_module(target: nn.Module, source: nn.Module) -> None:
    """Fill all parameters and buffers from a module that has them in the same order."""
    copy_in_order(target, [*source.parameters(), *source.buffers()])
