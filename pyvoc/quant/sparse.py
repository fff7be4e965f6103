"""Which block shape fits the zeros of a matrix, and cutting it into blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.tensors import AnyArray

MAX_DENSITY = 0.6
"""A matrix that keeps more of its elements than this is stored dense."""


def used_blocks(matrix: AnyArray, block: tuple[int, int]) -> NDArray[np.bool_]:
    """Which blocks of a ``[outputs, inputs]`` matrix hold a value: ``[outputs/r, inputs/c]``."""
    (rows, cols), (r, c) = matrix.shape, block
    used: NDArray[np.bool_] = (matrix.reshape(rows // r, r, cols // c, c) != 0).any(axis=(1, 3))
    return used


def choose_block(matrix: AnyArray, candidates: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The candidate that stores the fewest elements; None when dense is the better choice."""
    best, best_density = None, MAX_DENSITY
    for block in candidates:
        if matrix.shape[0] % block[0] or matrix.shape[1] % block[1]:
            continue
        density = float(used_blocks(matrix, block).mean())
        if density < best_density:
            best, best_density = block, density
    return best


def cut_blocks(
    matrix: AnyArray, block: tuple[int, int], used: NDArray[np.bool_]
) -> tuple[AnyArray, NDArray[np.int32]]:
    """Cut out the used blocks.

    Parameters
    ----------
    matrix
        ``[outputs, inputs]``.
    block
        Rows and columns of a block.
    used
        What `used_blocks` gave. When no block is used, the first one stands for the matrix: the
        container has no empty tensors.

    Returns
    -------
    blocks, index
        ``[n, rows, cols]`` and int32 ``[n, 2]``, sorted by row then column.
    """
    (rows, cols), (r, c) = matrix.shape, block
    index = np.argwhere(used).astype("<i4")
    if not len(index):
        index = np.zeros((1, 2), "<i4")
    tiles = matrix.reshape(rows // r, r, cols // c, c).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(tiles[index[:, 0], index[:, 1]]), index
