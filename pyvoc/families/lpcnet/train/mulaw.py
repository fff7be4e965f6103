"""Mu-law and linear prediction on tensors, differentiable."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pyvoc.families.lpcnet.spec import LEVELS, LPC_ORDER

HOP = 160
_SCALE = 255.0 / 32768.0
_STEPS = 128.0 / math.log(256.0)


def encode(x: Tensor) -> Tensor:
    """Samples (16-bit scale) to fractional mu-law levels, 0..255; zero is 128."""
    level = 128.0 + x.sign() * _STEPS * torch.log1p(_SCALE * x.abs())
    return level.clamp(0.0, LEVELS - 1.0)


def predict(signal: Tensor, lpc: Tensor) -> Tensor:
    """Linear prediction.

    Parameters
    ----------
    signal
        ``[rows, T + 16]``: times t0 - 17 .. t0 + T - 2.
    lpc
        ``[rows, frames + 1, 16]`` for the frame before t0 and the ``T / 160`` frames from t0 on.

    Returns
    -------
    Tensor
        ``[rows, T + 1]``: predictions for t0 - 1 .. t0 + T - 1.
    """
    past = signal.unfold(1, LPC_ORDER, 1).flip(-1)  # newest first
    each = lpc[:, 1:].repeat_interleave(HOP, 1)
    return -(past * torch.cat((lpc[:, :1], each), 1)).sum(-1)


def codes_and_target(signal: Tensor, clean: Tensor, lpc: Tensor) -> tuple[Tensor, Tensor]:
    """What the network hears and what it must say.

    Parameters
    ----------
    signal, lpc
        As in `predict`.
    clean
        ``[rows, T]``, times t0 .. t0 + T - 1.

    Returns
    -------
    codes, target
        ``[rows, 3, T]``: fractional levels of the signal at t - 1, the prediction of t and the
        excitation at t - 1; and the excitation's level at t, int64 ``[rows, T]``.
    """
    prediction = predict(signal, lpc)
    last = signal[:, LPC_ORDER:]
    heard = encode(torch.stack((last, prediction[:, 1:], last - prediction[:, :-1]), 1))
    target = torch.floor(encode(clean - prediction[:, 1:]) + 0.5).long().clamp(0, LEVELS - 1)
    return heard, target
