"""Int8 matrices in training: rounded as the container rounds; the gradient passes unchanged."""

from __future__ import annotations

import torch
from torch import Tensor

from pyvoc.container.layout import MAX_PAIR
from pyvoc.quant.integers import MAX_Q8


def straight_through(weight: Tensor) -> Tensor:
    """A matrix ``[outputs, inputs]`` as int8 will hold it; its gradient passes unchanged.

    The scale is `pyvoc.quant.integers.quantize_rows`'s before its rounding to bfloat16.
    """
    with torch.no_grad():
        most = weight.abs().amax(1) / MAX_Q8
        pairs = (weight[:, 0::2] + weight[:, 1::2]).abs().amax(1) / MAX_PAIR
        scale = torch.maximum(most, pairs).clamp(min=2.0**-100).unsqueeze(1)
        rounding = torch.round(weight / scale) * scale - weight
    return weight + rounding


def clip_pairs(weight: Tensor, limit: float) -> None:
    """Scale neighbouring inputs down, in place, where ``|w[2i]| + |w[2i + 1]|`` exceeds a limit."""
    with torch.no_grad():
        pairs = weight.view(weight.shape[0], -1, 2)
        pairs.div_((pairs.abs().sum(-1, keepdim=True) / limit).clamp(min=1.0))
