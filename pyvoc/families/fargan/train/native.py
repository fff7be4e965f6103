"""FARGAN's loop on a CPU: an autograd function over pyvoc's own training kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pyvoc import _pyvoc
from pyvoc.families.fargan.spec import SUBFRAME
from pyvoc.train.recurrent import as_array, run_function

__all__ = ["write"]


class _Write(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        kept: bool,
        places: Tensor,
        history: Tensor,
        forced: Tensor,
        noise: Tensor | None,
        noise_at: int,
        cond: Tensor,
        gains: Tensor,
        scales: Tensor,
        bias: Tensor,
        *matrices: Tensor,
    ) -> Tensor:
        run = _pyvoc.training.FarganPass(
            as_array(cond),
            as_array(gains),
            as_array(scales),
            as_array(places.to(torch.int32)),
            as_array(history),
            as_array(forced),
            None if noise is None else as_array(noise),
            noise_at,
            [as_array(matrix) for matrix in matrices],
            as_array(bias),
            kept,
        )
        written = torch.empty(len(forced), SUBFRAME * cond.shape[1])
        run.forward(written.numpy(), torch.get_num_threads())
        ctx.run = run
        ctx.shapes = [t.shape for t in (cond, gains, scales, bias, *matrices)]
        return written

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_written: Tensor) -> Any:
        gradients = [torch.empty(shape) for shape in ctx.shapes]
        cond, gains, scales, bias, *matrices = (gradient.numpy() for gradient in gradients)
        ctx.run.backward(
            as_array(d_written), cond, gains, scales, matrices, bias, torch.get_num_threads()
        )
        ctx.run = None
        return *[None] * 6, *gradients


def write(
    cond: Tensor,
    gains: Tensor,
    scales: Tensor,
    places: Tensor,
    history: Tensor,
    forced: Tensor,
    noise: tuple[Tensor, int] | None,
    bias: Tensor,
    matrices: Sequence[Tensor],
) -> Tensor:
    """The loop over subframes, as `pyvoc.families.fargan.torch_model.Fargan.write` has it.

    Parameters
    ----------
    cond
        float32 ``[rows, subframes, cond]``.
    gains, scales
        ``[rows, subframes]``: of what is written, and of what is heard.
    places
        int64 ``[rows, frames, 44]``, where in the history a period ago is.
    history, forced
        ``[rows, 256]``, what precedes; ``[rows, samples]``, whole subframes: the first ones, which
        are not the network's own. No gradient flows into them.
    noise
        ``[rows, period]``, which comes again, and where it begins; None for none.
    bias
        ``[4]``, of the pitch gates.
    matrices
        ``[outputs, inputs]`` each: of the framewise convolution, its gate, the pitch gates; of each
        GRU the inputs', the state's and the gate's; of the layer that gathers, its gate, the last.

    Returns
    -------
    Tensor
        float32 ``[rows, 40 subframes]``. Its gradient can be asked for once.
    """
    leaves = (cond, gains, scales, bias, *matrices)
    kept = torch.is_grad_enabled() and any(leaf.requires_grad for leaf in leaves)
    made, at = (None, 0) if noise is None else noise
    return run_function(_Write, kept, places, history, forced, made, at, *leaves)
