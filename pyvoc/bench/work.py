"""How much work one sample of a model is: multiply-adds and bytes, counted from its description."""

from __future__ import annotations

from dataclasses import dataclass

ITEM_BYTES = {"F32": 4, "BF16": 2, "I16": 2, "I8": 1, "I32": 4}


@dataclass(frozen=True)
class Work:
    """Work per output sample of one stream.

    Parameters
    ----------
    macs
        Multiply-adds by part; of sparse matrices the stored blocks only.
    bytes
        Bytes read by part: weights once, the rows that table lookups touch, gate inputs and scales.
    """

    macs: dict[str, float]
    bytes: dict[str, float]

    @property
    def total_macs(self) -> float:
        """Multiply-adds per sample."""
        return sum(self.macs.values())

    @property
    def total_bytes(self) -> float:
        """Bytes per sample."""
        return sum(self.bytes.values())
