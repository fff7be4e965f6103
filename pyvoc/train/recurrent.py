"""Recurrent layers over whole sequences, from weights that lie wherever they do.

Two of the same function: pyvoc's own training kernels (`gru_sequence`, on a CPU, in float32) and
PyTorch's layer (`gru`). The latter multiplies one time step by one matrix for the whole batch; the
kernels walk 16 or 8 rows of the batch through time per thread and skip pruned blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pyvoc import _pyvoc

__all__ = ["STEP", "as_array", "gru", "gru_sequence", "run_function"]

STEP = 16
"""Layer sizes must be a multiple of this."""


def run_function(function: type[torch.autograd.Function], *args: Any) -> Tensor:
    """What an autograd function that gives one tensor gives."""
    result: Tensor = function.apply(*args)  # type: ignore[no-untyped-call]
    return result


def as_array(tensor: Tensor) -> Any:
    """A tensor of the CPU as the compiled module takes it."""
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
            as_array(gates),
            steps,
            [as_array(t) for t in tables],
            None if codes is None else as_array(codes),
            as_array(weight),
            None if mask is None else as_array(mask),
            as_array(bias),
            as_array(state),
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
            as_array(d_out),
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
    return run_function(_GruSequence, gates, weight, bias, state, steps, mask, codes, *tables)


def gru(
    x: Tensor, state: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor
) -> Tensor:
    """PyTorch's own GRU: its states, gates r, z, n; mixed precision where autocast is on.

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
