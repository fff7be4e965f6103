"""Precisions of the container: bf16, int8 matrices, int16 tables, block sparsity."""

from __future__ import annotations

from pyvoc.quant.encode import carried, decode, encode, integers
from pyvoc.quant.integers import Quantized

__all__ = ["Quantized", "carried", "decode", "encode", "integers"]
