"""The recurrent layers on a CPU: autograd functions over pyvoc's own training kernels.

A stock ``torch.nn.GRU`` multiplies one time step by one matrix for the whole batch; the kernels
walk 16 rows of the batch through time per thread and skip pruned blocks. Same function, float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyvoc import _pyvoc

STEP = 16
"""Layer sizes must be a multiple of this."""


def _apply(function: type[torch.autograd.Function], *args: Any) -> Tensor:
    result: Tensor = function.apply(*args)  # type: ignore[no-untyped-call]
    return result


def _array(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


class _GruSequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        gates: Tensor,
        weight: Tensor,
        bias: Tensor,
        state: Tensor,
        steps: int,
        mask: Tensor | None,
        codes: Tensor | None,
        *tables: Tensor,
    ) -> Tensor:
        run = _pyvoc.training.GruPass(
            _array(gates),
            steps,
            [_array(t) for t in tables],
            None if codes is None else _array(codes),
            _array(weight),
            None if mask is None else _array(mask),
            _array(bias),
            _array(state),
        )
        out = torch.empty(gates.shape[0], steps, state.shape[1])
        run.forward(out.numpy(), torch.get_num_threads())
        ctx.run, ctx.shapes = run, (gates.shape, weight.shape, bias.shape)
        ctx.tables = [t.shape for t in tables]
        return out

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> Any:
        gates, weight, bias = (torch.empty(shape) for shape in ctx.shapes)
        tables = [torch.empty(shape) for shape in ctx.tables]
        ctx.run.backward(
            _array(d_out),
            gates.numpy(),
            [t.numpy() for t in tables],
            weight.numpy(),
            bias.numpy(),
            torch.get_num_threads(),
        )
        ctx.run = None
        return gates, weight, bias, None, None, None, None, *tables


def gru_sequence(
    gates: Tensor,
    weight: Tensor,
    bias: Tensor,
    state: Tensor,
    *,
    steps: int,
    mask: Tensor | None = None,
    codes: Tensor | None = None,
    tables: Sequence[Tensor] = (),
) -> Tensor:
    """Run a "reset after" GRU (gate order r, z, n) over a sequence.

    Parameters
    ----------
    gates
        float32 ``[rows, frames, 3 units]``, the input terms with their bias; each holds for
        ``steps / frames`` steps.
    weight, bias
        Recurrent, ``[3 units, units]`` and ``[3 units]``.
    state
        ``[rows, units]`` to begin from; no gradient flows into it.
    steps
        Time steps.
    mask
        uint8 ``[3 units / 8, units / 4]``, which blocks of 8 x 4 of `weight` are not zero; the
        diagonals of the three gates are used always. None: all.
    codes
        float32 ``[rows, 3, steps]``, positions in `tables`; between two rows of a table the input
        is interpolated. No gradient flows into them.
    tables
        None or three, ``[levels, 3 units]``, added to the input.

    Returns
    -------
    Tensor
        ``[rows, steps, units]``, the states.
    """
    return _apply(_GruSequence, gates, weight, bias, state, steps, mask, codes, *tables)


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
            _array(x),
            _array(symbol),
            _array(weight),
            _array(bias),
            _array(factor),
            nll,
            _array(weights) if wanted else None,
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
    return _apply(_TreeLoss, x, weight, bias, factor, symbol, weights)
