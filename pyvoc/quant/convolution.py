"""int8 for convolutions: a scale per output channel, activations in ranges per input channel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.layout import MAX_U8
from pyvoc.quant.integers import MAX_Q8, Quantized, along

__all__ = ["balanced_range", "clipped_range", "input_range", "quantize_sum"]

Float64 = NDArray[np.float64]
_LEAST = 2.0**-60
_NARROWINGS = np.linspace(0.5, 1.0, 16)
_EVENNESS = np.linspace(0.0, 1.0, 11)


def input_range(low: Float64, high: Float64) -> NDArray[np.float32]:
    """Scales and zeros of a layer's input, so that bytes 0..254 span each range and hold 0.

    Parameters
    ----------
    low, high
        Of every input channel.

    Returns
    -------
    float32 ``[2, channels]``
        Real value = (u - zero) * scale; zeros are whole numbers.
    """
    low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    scale = np.maximum((high - low) / MAX_U8, _LEAST).astype(np.float32)
    return np.stack([scale, np.rint(-low / scale)]).astype(np.float32)


def clipped_range(
    low: Float64, high: Float64, histograms: NDArray[np.integer]
) -> tuple[Float64, Float64]:
    """The part of every channel's range that rounding to bytes loses least on.

    A narrower range has finer steps and clips what lies beyond: of 16 x 16 narrowings (each side to
    a half at most), the one with the least squared error.

    Parameters
    ----------
    low, high
        Of every channel, 0 included.
    histograms
        ``[channels, parts]``: how many values lie in each of the equal parts of a range.
    """
    parts = histograms.shape[1]
    counts = histograms.astype(np.float64)
    centres = low[:, None] + (high - low)[:, None] * (np.arange(parts) + 0.5) / parts
    below, above = [], []
    for factor in _NARROWINGS:
        below.append((counts * np.minimum(centres - factor * low[:, None], 0) ** 2).sum(axis=1))
        above.append((counts * np.maximum(centres - factor * high[:, None], 0) ** 2).sum(axis=1))
    width = _NARROWINGS[None, :, None] * high - _NARROWINGS[:, None, None] * low
    error = np.array(below)[:, None] + np.array(above)[None, :]
    error += counts.sum(axis=1) * (width / MAX_U8) ** 2 / 12
    n = len(_NARROWINGS)
    best = error.reshape(n * n, -1).argmin(axis=0)
    return low * _NARROWINGS[best // n], high * _NARROWINGS[best % n]


def balanced_range(
    low: Float64, high: Float64, power: Float64, weight: NDArray[np.floating], *, axis: int = 0
) -> tuple[Float64, Float64]:
    """Ranges with which rounding a layer's input and its weights costs least in all.

    The weights are multiplied by the steps of the input before they are rounded, and each output
    has one unit for all. Where channels of the input are of very different size, the small ones'
    bytes span as much as the large ones', and so does what the weights' rounding makes of them:
    wider steps for the small ones are then better (Xiao et al., "SmoothQuant", 2022). Of eleven
    ways from the channels' own steps to one step for all, the one with the least expected noise.

    Parameters
    ----------
    low, high, power
        Of every input channel, 0 included; the mean square.
    weight
        Outputs and inputs on the first two axes.
    axis
        Of the outputs, 0 or 1.
    """
    w = np.abs(np.moveaxis(np.asarray(weight, np.float64), axis, 0)).reshape(
        weight.shape[axis], weight.shape[1 - axis], -1
    )
    largest, energy, taps = w.max(axis=2), np.square(w).sum(axis=(0, 2)), w.shape[2]
    step = np.maximum((high - low) / MAX_U8, _LEAST)
    best, least = step, np.inf
    for evenness in _EVENNESS:
        wide = step ** (1 - evenness) * step.max() ** evenness
        unit = (largest * wide).max(axis=1) / MAX_Q8
        noise = (energy * wide**2).sum()
        noise += taps * np.square(unit).sum() * (power / wide**2).sum()
        if noise < least:
            best, least = wide, noise
    wider = np.maximum(best / step, 1.0)
    return low * wider, high * wider


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
        Finite arrays by name, outputs and inputs on the first two axes.
    inputs
        Scales and zeros of each one's input (`input_range`).
    axis
        Of the outputs, 0 or 1.

    Returns
    -------
    dict
        Integers -127..127 and units of the accumulator, the same for all of them: weight times the
        input's scale = integer times unit.
    """
    exact = {
        name: np.asarray(w, np.float64)
        * along(inputs[name][0].astype(np.float64), 1 - axis, w.ndim)
        for name, w in weights.items()
    }
    others = tuple(a for a in range(3) if a != axis)
    most = np.max([np.abs(w).max(axis=others) for w in exact.values()], axis=0)
    unit = np.maximum(most / MAX_Q8, _LEAST).astype(np.float32)
    found = {}
    for name, w in exact.items():
        q = np.rint(w / along(unit.astype(np.float64), axis, w.ndim))
        integers = np.clip(q, -MAX_Q8, MAX_Q8).astype(np.int8)
        found[name] = Quantized(integers, unit, axis=axis, input=inputs[name])
    return found
