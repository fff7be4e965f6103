"""GRU A's three input tables, and the embedding and kernels that they are products of.

A table has a row for each mu-law level and a column for each of the gates' inputs. In training it
is one embedding, which signal, prediction and excitation share, times a kernel for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pyvoc.container.tensors import AnyArray
from pyvoc.families.lpcnet.spec import LEVELS

Array = npt.NDArray[np.float64]

TABLES = ("gru_a.embed_sig", "gru_a.embed_pred", "gru_a.embed_exc")
_SPREAD = 0.14
"""Root mean square of an embedding that training begins with."""
_LEAST = 1e-6
"""Directions that are smaller than this share of the greatest are rounding."""


def rank(arrays: Mapping[str, AnyArray]) -> int:
    """Dimensions that an embedding needs to give all three tables, at least 1."""
    return max(1, int(np.linalg.matrix_rank(_together(arrays), rtol=_LEAST)))


def factor(arrays: Mapping[str, AnyArray], dims: int) -> tuple[Array, Array]:
    """The nearest embedding ``[256, dims]`` and kernels ``[3, 3 N, dims]``.

    By singular values: upstream's tables have the embedding's rank, and only rounding is lost.
    """
    tables = _together(arrays)
    u, s, vt = np.linalg.svd(tables, full_matrices=False)
    used = min(dims, len(s))
    # The embedding keeps the spread that training begins with; the kernels take the rest.
    share = np.sqrt(LEVELS) * _SPREAD
    embed, kernels = np.zeros((LEVELS, dims)), np.zeros((dims, tables.shape[1]))
    embed[:, :used] = u[:, :used] * share
    kernels[:used] = (s[:used, None] / share) * vt[:used]
    return embed, kernels.T.reshape(len(TABLES), -1, dims)


def _together(arrays: Mapping[str, AnyArray]) -> Array:
    return np.concatenate([np.asarray(arrays[t], np.float64) for t in TABLES], axis=1)
