"""How onnxruntime's quantisers are called, for the peers of every family."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyvoc.runtime.system import system_info

Options = dict[str, Any]

_WIDE = {"avxvnni", "avx512vnni", "neon"}
"""Kernel tiers of processors on which int8 products are added in 32 bits."""


def weight_options() -> Options:
    """Their arguments: symmetric int8 weights with a scale per output channel.

    Where pairs of u8 x s8 products are added in 16 bits, weights have a bit less, so that what is
    compared computes the same network: 255 x 127 x 2 saturates, 255 x 64 x 2 does not.
    """
    from onnxruntime.quantization import QuantType

    tiers = (tier["name"] for tier in system_info()["tiers"] if tier["supported"])
    return {"weight_type": QuantType.QInt8, "per_channel": True, "reduce_range": saturates(tiers)}


def saturates(tiers: Iterable[str]) -> bool:
    """Whether onnxruntime and openvino add in 16 bits on a processor with these kernel tiers."""
    return _WIDE.isdisjoint(tiers)
