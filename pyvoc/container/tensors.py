"""What a model file holds, in memory: typed tensors and metadata."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

AnyArray = NDArray[Any]
Scalar = str | int | float | bool


class ElementType(enum.Enum):
    """Element types of the container; the value is ggml's number."""

    F32 = 0
    I8 = 24
    I16 = 25
    I32 = 26
    BF16 = 30

    @property
    def dtype(self) -> np.dtype[Any]:
        """The little-endian numpy type that stores it; bf16 bits are kept in uint16."""
        return np.dtype(_DTYPES[self])


_DTYPES = {
    ElementType.F32: "<f4",
    ElementType.I8: "i1",
    ElementType.I16: "<i2",
    ElementType.I32: "<i4",
    ElementType.BF16: "<u2",
}


@dataclass(frozen=True)
class Tensor:
    """A stored tensor, outermost dimension first.

    Parameters
    ----------
    type
        Element type.
    data
        Array of exactly ``type.dtype`` (bf16: the bits, as uint16).
    """

    type: ElementType
    data: AnyArray

    def __post_init__(self) -> None:
        if self.data.dtype != self.type.dtype:
            raise TypeError(
                f"{self.type.name} tensors are {self.type.dtype}, got {self.data.dtype}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Dimensions, outermost first."""
        return tuple(int(n) for n in self.data.shape)


@dataclass(frozen=True)
class Container:
    """A model file: metadata and tensors by name, both in file order."""

    metadata: Mapping[str, Scalar]
    tensors: Mapping[str, Tensor]

    @property
    def architecture(self) -> str:
        """``general.architecture``, or an empty string."""
        return str(self.metadata.get("general.architecture", ""))
