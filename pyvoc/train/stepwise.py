"""Matrices that multiply at every step of a loop, with their gradient in one product at the end.

Autograd would make a gradient of a matrix's size in every step and add it to those before: for
small batches that is more work than the products of the loop. Here a step's backward keeps what it
multiplied, and what the matrix gets is one product over all steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

__all__ = ["Stepwise", "gru_step", "nearly"]

_Steps = list[tuple[Tensor, Tensor]]


class Stepwise:
    """A matrix for one pass through a loop; mixed precision where autocast is on.

    Parameters
    ----------
    weight
        ``[outputs, inputs]``.
    """

    def __init__(self, weight: Tensor) -> None:
        device = weight.device.type
        if torch.is_autocast_enabled(device):
            weight = weight.to(torch.get_autocast_dtype(device))
        self._steps: _Steps = []
        self._weight: Tensor = _Collect.apply(weight, self._steps)  # type: ignore[no-untyped-call]

    def __call__(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """The product with a step's inputs.

        Parameters
        ----------
        x
            ``[rows, inputs]``.
        noise
            What is added to them, as `nearly` adds it; None for nothing.

        Returns
        -------
        Tensor
            ``[rows, outputs]``, of the inputs' type.
        """
        found: Tensor = _Product.apply(x, noise, self._weight, self._steps)  # type: ignore[no-untyped-call]
        return found


def nearly(x: Tensor, noise: Tensor) -> Tensor:
    """Values that will be rounded to steps in -1 .. 1, with noise in place of the rounding.

    The gradient passes unchanged.
    """
    found: Tensor = _Nearly.apply(x, noise)  # type: ignore[no-untyped-call]
    return found


class _Nearly(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, noise: Tensor) -> Tensor:
        return (x + noise).clamp_(-1.0, 1.0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


class _Collect(Function):
    """Its backward runs after that of every product, which depend on it."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, steps: _Steps) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.steps = steps
        return weight.view_as(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Tensor | None, None]:
        if not ctx.steps:
            return gradient, None
        inputs, outputs = (torch.cat(each) for each in zip(*ctx.steps, strict=True))
        ctx.steps.clear()
        return outputs.T @ inputs, None


class _Product(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, noise: Tensor | None, weight: Tensor, steps: _Steps) -> Tensor:
        ctx.dtype = x.dtype
        if noise is not None:
            x = (x + noise).clamp_(-1.0, 1.0)
        x = x.to(weight.dtype)
        ctx.save_for_backward(x, weight)
        ctx.steps = steps
        with torch.autocast(x.device.type, enabled=False):
            return (x @ weight.T).to(ctx.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None, None]:
        x, weight = ctx.saved_tensors
        gradient = gradient.to(weight.dtype)
        if ctx.needs_input_grad[2]:
            ctx.steps.append((x, gradient))
        into = (gradient @ weight).to(ctx.dtype) if ctx.needs_input_grad[0] else None
        return into, None, None, None


def gru_step(inputs: Tensor, recurrent: Tensor, state: Tensor) -> Tensor:
    """The state after a step of a GRU, from its products.

    Parameters
    ----------
    inputs, recurrent
        What inputs and state were multiplied to, ``[rows, 3 units]``, gates r, z, n.
    state
        Before the step, ``[rows, units]``.
    """
    found: Tensor = _Gru.apply(inputs, recurrent, state)  # type: ignore[no-untyped-call]
    return found


class _Gru(Function):
    """What autograd would do in twenty operations."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, recurrent: Tensor, state: Tensor) -> Tensor:
        units = state.shape[-1]
        gates = torch.sigmoid(inputs[..., : 2 * units] + recurrent[..., : 2 * units])
        r, z = gates.chunk(2, -1)
        candidate = recurrent[..., 2 * units :]
        n = torch.tanh(torch.addcmul(inputs[..., 2 * units :], r, candidate))
        ctx.save_for_backward(gates, n, candidate, state)
        return torch.lerp(n, state, z)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gates, n, candidate, state = ctx.saved_tensors
        r, z = gates.chunk(2, -1)
        kept = gradient * z
        into_n = (gradient - kept) * (1 - n * n)
        slopes = gates * (1 - gates)
        into_gates = torch.cat((into_n * candidate, gradient * (state - n)), -1) * slopes
        into_products = (torch.cat((into_gates, x), -1) for x in (into_n, into_n * r))
        return *into_products, kept
