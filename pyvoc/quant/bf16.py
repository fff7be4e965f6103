"""bfloat16: the upper half of a float32, kept as uint16 because numpy has no such type."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def to_bf16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round finite float32 values to the nearest bf16, ties to even; returns the bits."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    result: NDArray[np.uint16] = (rounded >> np.uint32(16)).astype("<u2")
    return result


def from_bf16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The float32 values of bf16 bits; exact."""
    values: NDArray[np.float32] = (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values


def ceil_bf16(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The smallest bf16 number that is not below each value (which are positive and finite)."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    up = (bits + np.uint32(0xFFFF)) & np.uint32(0xFFFF0000)
    result: NDArray[np.float32] = up.view(np.float32)
    return result
