"""How much work one sample of a model is: multiply-adds and bytes, counted from its description."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


class Tensors:
    """The tensors of a model as its description has them.

    Parameters
    ----------
    description
        What the runtime's ``describe`` says of the model, as parsed JSON.
    """

    def __init__(self, description: Mapping[str, Any]) -> None:
        self._found: dict[str, Any] = {t["name"]: t for t in description["tensors"]}

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def names(self) -> list[str]:
        """Of all."""
        return list(self._found)

    def shape(self, name: str) -> list[int]:
        """As stored; of a matrix in blocks ``[blocks, rows, columns]``."""
        shape: list[int] = self._found[name]["shape"]
        return shape

    def kind(self, name: str) -> str:
        """Element type, of `ITEM_BYTES`."""
        return str(self._found[name]["type"]).upper()

    def count(self, name: str) -> int:
        """Values that are stored."""
        return math.prod(self.shape(name))

    def size(self, name: str) -> int:
        """Bytes of the values that are stored."""
        return self.count(name) * ITEM_BYTES[self.kind(name)]

    def packed(self, name: str) -> int:
        """Bytes of a matrix: sparse ones carry four of offsets per pair of 8 x 4 blocks."""
        blocks = self.shape(name)[0] if len(self.shape(name)) == 3 else 0
        return self.size(name) + 2 * blocks
