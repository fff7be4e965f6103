"""LPCNet's loss on a CPU: an autograd function over pyvoc's own training kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyvoc import _pyvoc
from pyvoc.train.recurrent import as_array, run_function


class _TreeLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        factor: Tensor,
        symbol: Tensor,
        weights: Tensor,
    ) -> Tensor:
        nll = np.empty(x.shape[0], np.float32)
        wanted = any(ctx.needs_input_grad[:4])
        gradients = (
            [
                torch.empty_like(t, memory_format=torch.contiguous_format)
                for t in (x, weight, bias, factor)
            ]
            if wanted
            else []
        )
        _pyvoc.training.tree_loss(
            as_array(x),
            as_array(symbol),
            as_array(weight),
            as_array(bias),
            as_array(factor),
            nll,
            as_array(weights) if wanted else None,
            [g.numpy() for g in gradients],
            torch.get_num_threads(),
        )
        ctx.save_for_backward(*gradients)
        return torch.dot(torch.from_numpy(nll), weights)

    @staticmethod
    def backward(ctx: Any, d_loss: Tensor) -> Any:
        return *(d_loss * g for g in ctx.saved_tensors), None, None


def tree_loss(
    x: Tensor, weight: Tensor, bias: Tensor, factor: Tensor, symbol: Tensor, weights: Tensor
) -> Tensor:
    """Weighted negative log-likelihood of symbols under the tree of dual fully-connected nodes.

    Parameters
    ----------
    x
        float32 ``[n, units]``, the state of GRU B.
    weight, bias, factor
        ``[2, 256, units]``, ``[2, 256]``, ``[2, 256]``.
    symbol
        uint8 ``[n]``.
    weights
        float32 ``[n]``; with ``1 / n`` everywhere the result is the mean.

    Returns
    -------
    Tensor
        Scalar, nats.
    """
    return run_function(_TreeLoss, x, weight, bias, factor, symbol, weights)
