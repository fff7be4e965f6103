"""Layers of a PyTorch state dict: weights by the layer's name, weight norm folded.

w = g v / ||v||, the norm over all dimensions but the first, in float64. Three spellings: plain
``weight``; ``weight_g`` and ``weight_v``; ``parametrizations.weight.original0`` and ``original1``.
For a transposed convolution the first dimension is the input's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from pyvoc.container.tensors import AnyArray

_NORMED = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)
_LEAF = re.compile(
    r"(?P<layer>.+)\.(?:bias|weight|weight_[gv]|parametrizations\.weight\.original[01])"
)


def layer_of(name: str) -> str | None:
    """The layer that an entry of a state dict belongs to, or None."""
    match = _LEAF.fullmatch(name)
    return match["layer"] if match else None


def squeezed(arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Weights with an axis too many, ``[a, b, 1, k]``, as ``[a, b, k]``."""
    return {
        name: a[:, :, 0] if a.ndim == 4 and a.shape[2] == 1 else a for name, a in arrays.items()
    }


class Layers:
    """Takes layers out of a state dict and collects what is wrong with it.

    Parameters
    ----------
    arrays
        The state dict, without a prefix.
    prefix
        What was cut off, for messages.
    """

    def __init__(self, arrays: Mapping[str, AnyArray], prefix: str = "") -> None:
        self.problems: list[str] = []
        self._arrays = arrays
        self._prefix = prefix
        self._used: set[str] = set()

    def weight(self, layer: str, ndim: int) -> AnyArray | None:
        """A weight of so many dimensions, float64 where it was folded; None and a problem."""
        for g, v in _NORMED:
            if f"{layer}.{g}" in self._arrays or f"{layer}.{v}" in self._arrays:
                magnitude, direction = self.take(f"{layer}.{g}"), self.take(f"{layer}.{v}", ndim)
                if magnitude is None or direction is None:
                    return None
                return self._fold(layer, magnitude, direction)
        return self.take(f"{layer}.weight", ndim)

    def bias(self, layer: str) -> AnyArray | None:
        """A bias, one-dimensional; None and a problem."""
        return self.take(f"{layer}.bias", 1)

    def finish(self) -> None:
        """Report what nobody took."""
        unused = [name for name in self._arrays if name not in self._used]
        for name in unused[:20]:
            self.problems.append(f"'{self._prefix}{name}' is unexpected")
        if len(unused) > 20:
            self.problems.append(f"{len(unused) - 20} more tensors are unexpected")

    def misshapen(self, name: str, shape: Sequence[int], expected: Sequence[int | None]) -> None:
        """Report a tensor, or the weight of a layer, that has another shape than expected."""
        text = ", ".join("?" if n is None else str(n) for n in expected)
        self.problems.append(f"'{self._prefix}{name}' has shape {list(shape)}, expected [{text}]")

    def take(self, name: str, ndim: int | None = None) -> AnyArray | None:
        """An entry by its name, floats; None and a problem."""
        array = self._arrays.get(name)
        self._used.add(name)
        if array is None:
            self.problems.append(f"'{self._prefix}{name}' is missing")
            return None
        if ndim is not None and array.ndim != ndim:
            self.misshapen(name, array.shape, (None,) * ndim)
            return None
        if array.dtype.kind != "f":
            self.problems.append(f"'{self._prefix}{name}' holds {array.dtype}, expected floats")
            return None
        if not np.isfinite(array).all():
            self.problems.append(f"'{self._prefix}{name}' has values that are NaN or infinite")
            return None
        return array

    def _fold(self, layer: str, g: AnyArray, v: AnyArray) -> AnyArray | None:
        expected = (v.shape[0],) + (1,) * (v.ndim - 1)
        if g.shape != expected:
            self.misshapen(f"{layer}.weight_g", g.shape, expected)
            return None
        wide = v.astype(np.float64)
        norm = np.sqrt((wide**2).sum(axis=tuple(range(1, v.ndim)), keepdims=True))
        if not norm.all():
            self.problems.append(
                f"'{self._prefix}{layer}' has weight norm of a direction that is zero"
            )
            return None
        folded: AnyArray = g.astype(np.float64) * (wide / norm)
        return folded
