"""What a precision costs, as every family's measure says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.tensors import Scalar

__all__ = ["Compare", "Report"]


class Report(Protocol):
    """Figures of a comparison: a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def line(self) -> str:
        """The figures in one line for people."""
        ...


class Compare(Protocol):
    """Compares a model with its float form."""

    def __call__(
        self,
        exact: Any,
        model: Any,
        *,
        metadata: Mapping[str, Scalar],
        mel: NDArray[np.float32] | None = None,
    ) -> Report:
        """Run both and compare.

        Parameters
        ----------
        exact
            The float form, loaded.
        model
            The model to judge, loaded.
        metadata
            Of the model.
        mel
            ``[frames, bands]`` to measure on; None takes a synthetic one.
        """
        ...


def decibels(power: float, noise: float) -> float | None:
    """Ratio of two powers, dB; None where one of them is zero."""
    return 10 * float(np.log10(power / noise)) if noise > 0 and power > 0 else None


def in_decibels(snr: float | None) -> str:
    """For people."""
    return "exact" if snr is None else f"{snr:.1f} dB"
