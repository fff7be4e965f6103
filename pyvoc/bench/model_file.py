"""A model file's values, for peers that compute with the same weights."""

from __future__ import annotations

import numpy as np

from pyvoc.container import read_container
from pyvoc.export.registry import Source
from pyvoc.families import spec_of
from pyvoc.quant import decode

__all__ = ["load"]


def load(path: str) -> Source:
    """Metadata and tensors, float32 whatever the file's precision.

    Raises
    ------
    ModelError
        It is no valid model file.
    """
    container = read_container(path)
    spec = spec_of(container, path)
    spec.validate(container, path)
    arrays = {k: np.asarray(v, np.float32) for k, v in decode(spec, container).items()}
    return Source(container.metadata, arrays)
