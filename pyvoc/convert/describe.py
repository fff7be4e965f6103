"""What is in a checkpoint, and what `pyvoc.convert.convert` would make of it."""

from __future__ import annotations

import math
import os
from typing import Any

from pyvoc import families
from pyvoc.container.layout import PRECISIONS
from pyvoc.convert.bundle import chosen
from pyvoc.convert.detect import detect

__all__ = ["describe"]


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint as for a conversion, and describe it.

    Parameters
    ----------
    path
        The checkpoint, or a folder or a zip archive that holds one.

    Returns
    -------
    dict
        `family` (its title), `format`, `tensors` and `parameters` (of the model file), `sizes` (by
        the symbols of docs/container.md), `settings` (the metadata), `sample_rate` in Hz and
        `rate_from` (empty: assumed), `weights`, `precisions` that a conversion takes, `notes`.

    Raises
    ------
    UnknownNetwork
        The file is sound, and no family reads what is in it.
    ModelError
        The file is damaged, no checkpoint, or not a valid model.
    UnsupportedError
        A package of the extra ``convert`` is missing.
    Error
        The operating system refused to read.
    """
    with chosen(path) as file:
        checkpoint = detect(file)(file)
    family = families.get(checkpoint.spec.architecture)
    shapes = {name: array.shape for name, array in checkpoint.arrays.items()}
    dims = checkpoint.spec.layout(shapes, checkpoint.metadata).dims
    return {
        "family": family.title,
        "format": checkpoint.format,
        "tensors": len(shapes),
        "parameters": sum(math.prod(shape) for shape in shapes.values()),
        "sizes": {symbol: size for symbol, size in dims.items() if symbol.isidentifier()},
        "settings": dict(checkpoint.metadata),
        "sample_rate": checkpoint.sample_rate,
        "rate_from": checkpoint.rate_from,
        "weights": checkpoint.weights,
        "precisions": [p for p in PRECISIONS if p != "int8" or not family.calibrated],
        "notes": list(checkpoint.remarks),
    }
