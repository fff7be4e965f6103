"""int8 for convolutions: a scale per output channel, activations in measured ranges."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pyvoc.quant.integers import MAX_Q8, Quantized, along
from pyvoc.specs.layout import MAX_U8

__all__ = ["input_range", "quantize_sum"]

_LEAST = 2.0**-60


def input_range(low: float, high: float) -> NDArray[np.float32]:
    """Scale and zero of a layer's input, so that bytes 0..254 span `low` to `high` and hold 0.

    Returns
    -------
    float32 ``[2]``
        Real value = (u - zero) * scale; the zero is a whole number.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max((high - low) / MAX_U8, _LEAST))
    return np.array([scale, np.rint(-low / scale)], np.float32)


def quantize_sum(
    weights: Mapping[str, NDArray[np.floating]],
    inputs: Mapping[str, NDArray[np.float32]],
    *,
    axis: int = 0,
) -> dict[str, Quantized]:
    """Quantise the convolutions whose sums go into one accumulator (often a single one).

    Parameters
    ----------
    weights
        Finite arrays by name.
    inputs
        Scale and zero of each one's input (`input_range`).
    axis
        Of the outputs.

    Returns
    -------
    dict
        Integers -127..127 whose ``scale * input scale`` is the same for all of them.
    """
    steps = {name: float(inputs[name][0]) for name in weights}
    most = np.max(
        [
            np.abs(w).max(axis=tuple(a for a in range(w.ndim) if a != axis)) * steps[name]
            for name, w in weights.items()
        ],
        axis=0,
    )
    unit = np.maximum(most / MAX_Q8, _LEAST)  # of the accumulator, for each output
    found = {}
    for name, w in weights.items():
        scale = unit / steps[name]
        q = np.rint(w / along(scale, axis, w.ndim)).astype(np.int8)
        found[name] = Quantized(q, scale.astype(np.float32), axis=axis, input=inputs[name])
    return found
