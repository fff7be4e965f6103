"""Linear layers whose matrices have pruned blocks: on a CPU, products with those that are left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pyvoc import _pyvoc
from pyvoc.train.recurrent import STEP, as_array, run_function

__all__ = ["linear"]

_MOST = 0.5
"""Where more of the blocks are in use, PyTorch's dense product is the quicker one."""


class _BlockProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, mask: Tensor, rest: Tensor) -> Tensor:
        ctx.layer = _pyvoc.training.BlockPass(as_array(weight), as_array(mask))
        ctx.save_for_backward(x)
        ctx.mark_dirty(rest)
        ctx.layer.forward(as_array(x), rest.detach().numpy(), torch.get_num_threads())
        return rest

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        d_x, d_weight = torch.empty_like(x), torch.empty(d.shape[1], x.shape[1])
        ctx.layer.backward(
            as_array(x), as_array(d), d_x.numpy(), d_weight.numpy(), torch.get_num_threads()
        )
        return d_x, d_weight, None, d


def _serves(x: Tensor, mask: Tensor) -> bool:
    sizes = (8 * mask.shape[0], 4 * mask.shape[1])
    if x.device.type != "cpu" or x.dtype != torch.float32 or any(n % STEP for n in sizes):
        return False
    return int(mask.sum()) <= _MOST * mask.numel()


def linear(parts: Sequence[Tensor], weight: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
    """A linear layer of what lies side by side.

    Parameters
    ----------
    parts
        float32 ``[..., inputs]`` each, at least one.
    weight, bias
        ``[outputs, inputs of all parts]``, ``[outputs]``.
    mask
        uint8 ``[outputs / 8, inputs of the first part / 4]``, which blocks of 8 x 4 of the columns
        of the first part are not zero; None: all. Where most are, products with the others are
        left out, and no gradient is given for them; they are float32 in mixed precision too.

    Returns
    -------
    Tensor
        ``[..., outputs]``.
    """
    if mask is None or not _serves(parts[0], mask):
        return functional.linear(torch.cat(list(parts), -1), weight, bias)
    x, outputs = parts[0], weight.shape[0]
    width = x.shape[-1]
    flat = x.reshape(-1, width)
    if len(parts) > 1:
        beside = torch.cat([part.reshape(len(flat), -1) for part in parts[1:]], 1)
        rest = functional.linear(beside, weight[:, width:], bias).float()
    else:
        rest = bias.repeat(len(flat), 1)
    with torch.autocast("cpu", enabled=False):
        out = run_function(_BlockProduct, flat, weight[:, :width], mask, rest)
    return out.view(*x.shape[:-1], outputs)
