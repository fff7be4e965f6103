"""What a converter hands over: float arrays named as in the spec, settings, and where from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyvoc.container import ModelSpec
from pyvoc.container.tensors import AnyArray, Scalar
from pyvoc.quant import Quantized


@dataclass(frozen=True)
class Checkpoint:
    """An upstream checkpoint in the terms of our spec.

    Parameters
    ----------
    spec
        Layout of the model.
    arrays
        Every tensor of the spec, float, dense, diagonals in place.
    metadata
        The model's own metadata and feature recipe.
    format
        Short name of the upstream format, for ``pyvoc.source.format``.
    kept
        Matrices that are int8 in the checkpoint.
    notes
        Sentences that the user should read.
    sparsity
        The fraction of blocks that the user wants to be zero; None prunes nothing.
    """

    spec: ModelSpec
    arrays: Mapping[str, AnyArray]
    metadata: Mapping[str, Scalar]
    format: str
    kept: Mapping[str, Quantized] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sparsity: float | None = None
