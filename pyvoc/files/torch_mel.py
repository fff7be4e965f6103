"""A mel that ``torch.save`` wrote, read without PyTorch; nothing in the file is executed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.errors import FeatureError, ModelError
from pyvoc.pickles import LazyTensor, is_torch, load_torch
from pyvoc.pickles.stubs import describe
from pyvoc.pickles.tensors import NumpyArray

__all__ = ["is_torch", "read_tensor"]

_MAX_VALUES = 1 << 28
"""Days of speech."""


def read_tensor(source: Path) -> npt.NDArray[Any]:
    """The only tensor of a file.

    Raises
    ------
    FeatureError
        There is none, or several, or one too large; or the file is damaged.
    """
    try:
        found = load_torch(source, select=_only_tensor)
    except ModelError as error:
        raise FeatureError(f"no readable mel: {error}") from error
    return np.asarray(found)


def _only_tensor(tree: Any) -> Any:
    """The tensor, bare or the only item of a list, tuple or dict."""
    items = list(tree.values()) if isinstance(tree, dict) else tree
    if isinstance(items, list | tuple):
        if len(items) != 1:
            raise FeatureError(
                f"the file holds a {type(tree).__name__} of {len(items)} things, expected one mel"
            )
        tree = items[0]
    if isinstance(tree, NumpyArray):
        return tree
    if not isinstance(tree, LazyTensor):
        raise FeatureError(f"the file holds {describe(tree)}, expected a mel tensor")
    if math.prod(tree.shape) > _MAX_VALUES:
        raise FeatureError(f"the file's tensor {tuple(tree.shape)} is too large for a mel")
    return tree
