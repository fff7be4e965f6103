"""LPCNet upstream's tensors to ours: gate order and the embedding products."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.tensors import AnyArray

INPUTS = ("sig", "pred", "exc")


def reorder_gates(array: AnyArray, axis: int = 0) -> AnyArray:
    """From upstream's gate order z, r, h to ours r, z, n along an axis of three equal parts."""
    z, r, h = np.split(array, 3, axis=axis)
    return np.concatenate([r, z, h], axis=axis)


def embedding_products(embedding: AnyArray, kernel: AnyArray) -> dict[str, NDArray[np.float32]]:
    """What each mu-law index adds to GRU A's gates.

    Parameters
    ----------
    embedding
        ``[levels, E]``, shared by signal, prediction and excitation.
    kernel
        GRU A's input kernel ``[3 * E + C, 3 * N]`` in upstream's gate order.

    Returns
    -------
    dict
        ``gru_a.embed_*`` float32 ``[levels, 3 * N]``, in our gate order.
    """
    e = embedding.shape[1]
    wide = embedding.astype(np.float64)
    tables = {}
    for i, name in enumerate(INPUTS):
        product = wide @ kernel[i * e : (i + 1) * e].astype(np.float64)
        tables[f"gru_a.embed_{name}"] = reorder_gates(product, axis=1).astype(np.float32)
    return tables
