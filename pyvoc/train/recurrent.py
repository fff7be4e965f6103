"""PyTorch's own recurrent layers over whole sequences, from weights that lie wherever they do."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["gru"]


def gru(
    x: Tensor, state: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor
) -> Tensor:
    """A GRU's states, gates r, z, n; mixed precision where autocast is on.

    Parameters
    ----------
    x
        ``[rows, time, inputs]``.
    state
        ``[rows, units]``, before the first step.
    weight_ih, weight_hh, bias_ih, bias_hh
        ``[3 units, inputs]``, ``[3 units, units]``, ``[3 units]`` each.

    Returns
    -------
    Tensor
        float32 ``[rows, time, units]``.
    """
    device = x.device.type
    autocast = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if autocast else torch.float32
    weights = [p.to(dtype) for p in (weight_ih, weight_hh, bias_ih, bias_hh)]
    training = torch.is_grad_enabled()
    out, _ = torch.gru(
        x.to(dtype), state.to(dtype).unsqueeze(0), weights, True, 1, 0.0, training, False, True
    )
    return out.float()
