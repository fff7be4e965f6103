"""Symmetric integer quantisation: int8 matrices with a scale per output row, int16 tables.

The rules are the container's: |q| <= 127 and |q[2i] + q[2i+1]| <= 129 for neighbouring inputs, so
that unsigned activations up to 254 cannot saturate the 16-bit pair sums of AVX2; scales are bf16
numbers, rounded up before the division so that no value is clipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.layout import MAX_PAIR, MAX_SHIFT, MAX_TABLE
from pyvoc.container.tensors import AnyArray
from pyvoc.quant.bf16 import ceil_bf16

MAX_Q8 = 127
_LEAST_SCALE = np.float32(2.0**-100)


@dataclass(frozen=True)
class Quantized:
    """Integers and their scale: real value = q * scale.

    Parameters
    ----------
    q
        int8 with outputs (a table: columns) on `axis`, or int16 of any shape.
    scale
        float32 ``[outputs]`` (int8) or ``[1]`` (int16).
    axis
        Of the outputs.
    input
        float32 ``[2, inputs]``: scales and zeros of the layer's input channels (the axis among the
        first two that is not `axis`), where a spec asks for them (`Int8Rule.calibrated`). Then the
        real value is q * scale / input scale.
    """

    q: AnyArray
    scale: NDArray[np.float32]
    axis: int = 0
    input: NDArray[np.float32] | None = None

    def to_float(self) -> NDArray[np.float64]:
        """The real values."""
        scale = self.scale.astype(np.float64)
        real: NDArray[np.float64] = self.q * (
            along(scale, self.axis, self.q.ndim) if self.q.dtype == np.int8 else scale
        )
        if self.input is not None:
            real /= along(self.input[0].astype(np.float64), 1 - self.axis, self.q.ndim)
        return real


def along(scale: NDArray[np.float64], axis: int, ndim: int) -> NDArray[np.float64]:
    """Scales shaped to multiply an array of `ndim` dimensions along `axis`."""
    shape = [1] * ndim
    shape[axis] = -1
    return scale.reshape(shape)


def quantize_rows(matrix: AnyArray) -> Quantized:
    """Quantise a finite ``[outputs, inputs]`` matrix to int8, one scale per output row.

    The last of an odd number of inputs has no neighbour.
    """
    w = np.asarray(matrix, np.float64)
    inputs = w.shape[1]
    w = np.pad(w, ((0, 0), (0, inputs % 2)))
    most = np.abs(w).max(axis=1) / MAX_Q8
    pairs = np.abs(w[:, 0::2] + w[:, 1::2]).max(axis=1) / MAX_PAIR
    scale = _scale(np.maximum(most, pairs))
    exact = w / scale[:, None].astype(np.float64)
    q = np.rint(exact)
    _mend_pairs(q, exact)
    return Quantized(q[:, :inputs].astype(np.int8), scale)


def quantize_table(table: AnyArray, peak: float) -> Quantized:
    """Quantise a finite array to int16.

    Parameters
    ----------
    table
        Any shape.
    peak
        The largest magnitude of all the tables that share the scale.
    """
    t = np.asarray(table, np.float64)
    scale = _scale(np.array([peak]) / MAX_TABLE)
    return Quantized(np.rint(t / float(scale[0])).astype("<i2"), scale)


def quantize_columns(table: AnyArray, peak: float) -> Quantized:
    """Quantise a finite ``[levels, columns]`` table to int8.

    Each column has the least step that holds it, of `MAX_SHIFT` + 1 steps which double: the values
    of all tables with the same peak are multiples of one step, and add up as integers.

    Parameters
    ----------
    table
        Any number of levels.
    peak
        The largest magnitude of all the tables that are added.
    """
    t = np.asarray(table, np.float64)
    steps = float(_scale(np.array([peak]) / (MAX_Q8 << MAX_SHIFT))[0]) * 2.0 ** np.arange(
        MAX_SHIFT + 1
    )
    scale = steps[np.searchsorted(MAX_Q8 * steps, np.abs(t).max(axis=0))]
    return Quantized(np.rint(t / scale).astype(np.int8), scale.astype("<f4"), axis=1)


def widen_columns(tables: Mapping[str, Quantized]) -> dict[str, Quantized]:
    """Tables of `quantize_columns` in 16 bits: the same numbers, as multiples of the least step."""
    least = min(float(table.scale.min()) for table in tables.values())
    one = np.array([least], "<f4")
    return {
        name: Quantized((table.q * (table.scale / one)).astype("<i2"), one)
        for name, table in tables.items()
    }


def keeps_rules(q: AnyArray) -> bool:
    """Whether an int8 ``[outputs, inputs]`` matrix is within the container's bounds."""
    wide = np.pad(q.astype(np.int16), ((0, 0), (0, q.shape[1] % 2)))
    pairs = np.abs(wide[:, 0::2] + wide[:, 1::2]).max(initial=0)
    return bool(np.abs(wide).max(initial=0) <= MAX_Q8 and pairs <= MAX_PAIR)


def _scale(least: AnyArray) -> NDArray[np.float32]:
    """bf16 scales that are not below `least` (float64); 1 for rows of zeros."""
    single = least.astype(np.float32)
    single = np.where(single < least, np.nextafter(single, np.float32(np.inf)), single)
    scale = ceil_bf16(np.maximum(single, _LEAST_SCALE))
    return np.where(least > 0, scale, np.float32(1)).astype("<f4")


def _mend_pairs(q: NDArray[np.float64], exact: NDArray[np.float64]) -> None:
    """Take back the rounding that made a pair exceed the bound: of the value rounded furthest."""
    even, odd = q[:, 0::2], q[:, 1::2]
    total = even + odd
    over = np.abs(total) > MAX_PAIR
    sign = np.sign(total)
    excess_even = (even - exact[:, 0::2]) * sign
    excess_odd = (odd - exact[:, 1::2]) * sign
    even -= np.where(over & (excess_even >= excess_odd), sign, 0)
    odd -= np.where(over & (excess_even < excess_odd), sign, 0)
