"""How unlikely samples are under a WaveRNN's outputs, as upstream's trainer counts it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from pyvoc.families.wavernn.likelihood import LEAST_LOG_SCALE, MIXTURE_LABELS

_EDGE = 0.999
"""Beyond it a sample is one of the outermost, whose part of the line reaches to infinity."""
_LEAST = 1e-5
"""Probabilities below it are told by the density instead, for their difference is rounding."""


def label_nats(outputs: Tensor, labels: Tensor) -> Tensor:
    """Nats ``[rows, samples]`` of labels under logits ``[rows, samples, labels]``."""
    return functional.cross_entropy(outputs.transpose(1, 2), labels, reduction="none")


def mixture_nats(outputs: Tensor, labels: Tensor) -> Tensor:
    """Nats of 16-bit labels under mixtures of logistics.

    Salimans et al., "PixelCNN++", 2017: a label is a part of -1..1, and its probability the
    difference of the distribution's values at the part's ends.

    Parameters
    ----------
    outputs
        ``[rows, samples, 3 logistics]``: weights' logits, means, logarithms of scales.
    labels
        int64 ``[rows, samples]``.

    Returns
    -------
    Tensor
        ``[rows, samples]``.
    """
    most = MIXTURE_LABELS - 1
    y = (2 * labels.to(outputs.dtype) / most - 1).unsqueeze(-1)
    logits, means, scales = outputs.chunk(3, -1)
    scales = scales.clamp(min=LEAST_LOG_SCALE)
    inverse, centred = torch.exp(-scales), y - means
    high, low, middle = (inverse * (centred + d / most) for d in (1, -1, 0))
    inside = torch.sigmoid(high) - torch.sigmoid(low)
    density = middle - scales - 2 * functional.softplus(middle) - math.log(most / 2)
    each = torch.where(inside > _LEAST, inside.clamp(min=1e-12).log(), density)
    each = torch.where(y > _EDGE, -functional.softplus(low), each)
    each = torch.where(y < -_EDGE, high - functional.softplus(high), each)
    return -torch.logsumexp(each + functional.log_softmax(logits, -1), -1)
