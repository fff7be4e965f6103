"""Block-sparse matrices of the container: from blocks and index to a dense matrix."""

from __future__ import annotations

import numpy as np

from pyvoc.container.tensors import AnyArray


def expand_blocks(blocks: AnyArray, index: AnyArray, shape: tuple[int, int]) -> AnyArray:
    """The dense matrix of a block-sparse one.

    Parameters
    ----------
    blocks
        ``[n_blocks, rows, cols]``.
    index
        ``[n_blocks, 2]``: output row / rows, input column / cols; within the matrix.
    shape
        Dense shape ``(outputs, inputs)``, multiples of the block's.

    Returns
    -------
    ndarray
        Dense matrix of the blocks' type, zero where there is no block.
    """
    rows, cols = blocks.shape[1:]
    tiles = np.zeros((shape[0] // rows, shape[1] // cols, rows, cols), blocks.dtype)
    tiles[index[:, 0], index[:, 1]] = blocks
    dense: AnyArray = tiles.transpose(0, 2, 1, 3).reshape(shape)
    return dense


def square_diagonals(matrix: AnyArray) -> AnyArray:
    """The diagonals of the square parts of a ``[parts * n, n]`` matrix: ``[parts * n]``."""
    rows, n = matrix.shape
    at = np.arange(rows)
    diagonals: AnyArray = matrix[at, at % n]
    return diagonals
