"""What a converter hands over: float arrays named as in the spec, settings, and where from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyvoc.container import ModelSpec
from pyvoc.container.mel import LAYOUT as MEL
from pyvoc.container.tensors import AnyArray, Scalar
from pyvoc.quant import Quantized

PLAIN = "plain"
"""The weights that are trained, as opposed to their average over training."""


@dataclass(frozen=True)
class Told:
    """What the user says of a checkpoint of named tensors, of whatever family.

    Parameters
    ----------
    rate
        Sample rate in Hz.
    recipe
        Name of a mel recipe, or a file of its settings.
    weights
        ``plain``, ``ema``, or the name of one of several averaged sets; None: plain, with a note
        where there are others.
    """

    rate: int | None = None
    recipe: str | os.PathLike[str] | None = None
    weights: str | None = None


UNTOLD = Told()


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
    rate_from
        Who says the sample rate; empty where nobody does and it is assumed.
    weights
        ``plain``, or the name of the averaged ones that were taken.
    sparsity
        The fraction of blocks that the user wants to be zero; None prunes nothing.
    tables
        ``int16`` or ``int8``: what the tables of an int8 model are stored as.
    comb
        Strength of the comb behind the model; None: what the metadata say.
    file
        What was read of a folder; None: what the user named.
    """

    spec: ModelSpec
    arrays: Mapping[str, AnyArray]
    metadata: Mapping[str, Scalar]
    format: str
    kept: Mapping[str, Quantized] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rate_from: str = ""
    weights: str = PLAIN
    sparsity: float | None = None
    tables: str = "int16"
    comb: float | None = None
    file: Path | None = None

    @property
    def sample_rate(self) -> int:
        """Hz, of the model's audio."""
        return int(self.metadata["pyvoc.features.sample_rate"])

    @property
    def remarks(self) -> tuple[str, ...]:
        """The notes, and that a rate is assumed where one is."""
        if self.rate_from or self.metadata["pyvoc.features.layout"] != MEL:
            return self.notes
        return (
            *self.notes,
            f"nothing in or beside the checkpoint says the sample rate: {self.sample_rate} Hz is "
            "assumed; --rate and --recipe tell another",
        )
