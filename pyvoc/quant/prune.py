"""Block sparsity of a network's matrices: what there is, and more of it by magnitude when asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyvoc.container import ModelSpec
from pyvoc.container.tensors import AnyArray, Scalar
from pyvoc.errors import Error
from pyvoc.quant.sparse import used_blocks

__all__ = ["LayerSparsity", "SparsityReport", "check_sparsity", "prune"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LayerSparsity:
    """One matrix.

    Parameters
    ----------
    name
        In the model file.
    zero_before
        Fraction of its blocks that were zero in the checkpoint.
    pruned
        Fraction of its blocks that were made zero.
    snr_db
        Power of its weights over that of those pruned; None when there were none.
    """

    name: str
    zero_before: float
    pruned: float
    snr_db: float | None


@dataclass(frozen=True)
class SparsityReport:
    """All matrices that may be block-sparse.

    Parameters
    ----------
    block
        Outputs and inputs of a block.
    zero_before, pruned, snr_db
        As of `LayerSparsity`, all of them together.
    layers
        Matrix by matrix.
    """

    block: tuple[int, int]
    zero_before: float
    pruned: float
    snr_db: float | None
    layers: tuple[LayerSparsity, ...]


def check_sparsity(sparsity: float | None) -> None:
    """Raise `Error` unless it is a fraction between 0 and 1, or None."""
    if sparsity is not None and not 0 < sparsity < 1:
        raise Error(f"sparsity is {sparsity:g}, expected a fraction between 0 and 1, such as 0.9")


def prune(
    spec: ModelSpec,
    arrays: Mapping[str, AnyArray],
    *,
    metadata: Mapping[str, Scalar],
    sparsity: float | None,
) -> tuple[dict[str, AnyArray], SparsityReport | None]:
    """Make blocks of small weights zero, and say how many were.

    Every gate of a GRU (every square part of a matrix) is pruned on its own, as when sparse
    WaveRNNs are trained (Kalchbrenner et al., 2018): blocks with the least sum of squares go.

    Parameters
    ----------
    spec
        Of the model.
    arrays
        Every tensor, dense.
    metadata
        The model's own.
    sparsity
        Fraction of blocks that shall be zero, in 0..1, those that are included; None prunes
        nothing.

    Returns
    -------
    arrays, report
        The arrays, the pruned ones replaced; the report is None when no matrix may be sparse.

    Raises
    ------
    Error
        Something is to be pruned, and the model is of a kind that is not, or blocks do not divide
        its matrices.
    """
    check_sparsity(sparsity)
    if not spec.prunable:
        if sparsity is not None:
            raise Error(f"a sparsity was given, but {spec.architecture} is not pruned")
        return dict(arrays), None
    layout = spec.layout({name: np.shape(a) for name, a in arrays.items()}, metadata)
    items = [t for t in layout.tensors if t.blocks]
    block = items[0].blocks[0]
    found, layers, counts, powers = dict(arrays), [], [], []
    for name in (item.name for item in items):
        matrix = np.asarray(arrays[name], np.float64)
        if matrix.shape[0] % block[0] or matrix.shape[1] % block[1]:
            if sparsity is not None:
                raise Error(
                    f"'{name}' is {list(matrix.shape)}, which blocks of {block[0]} x {block[1]} "
                    "do not divide: it cannot be pruned"
                )
            continue
        used = used_blocks(matrix, block)
        kept = used if sparsity is None else _greatest(matrix, block, used, sparsity)
        smaller = matrix * np.kron(kept, np.ones(block))
        counts.append((used.size, used.sum(), kept.sum()))
        powers.append((float((matrix**2).sum()), float(((matrix - smaller) ** 2).sum())))
        layers.append(LayerSparsity(name, *_fractions(*counts[-1]), _snr_db(*powers[-1])))
        found[name] = smaller
    if not layers:
        return found, None
    total = _fractions(*np.sum(counts, axis=0)), _snr_db(*np.sum(powers, axis=0))
    return found, SparsityReport(block, *total[0], total[1], tuple(layers))


def _greatest(
    matrix: Array, block: tuple[int, int], used: NDArray[np.bool_], sparsity: float
) -> NDArray[np.bool_]:
    """Which blocks stay, square part by square part."""
    (rows, cols), (r, c) = matrix.shape, block
    squares = (matrix.reshape(rows // r, r, cols // c, c) ** 2).sum(axis=(1, 3))
    parts = rows // cols if rows % cols == 0 and cols % r == 0 else 1
    kept = np.zeros_like(used)
    for power, mine in zip(np.split(squares, parts), np.split(kept, parts), strict=True):
        count = power.size - round(sparsity * power.size)
        mine.flat[np.argsort(-power, axis=None, kind="stable")[:count]] = True
    return kept & used


def _fractions(blocks: int, used: int, kept: int) -> tuple[float, float]:
    return 1 - float(used) / float(blocks), float(used - kept) / float(blocks)


def _snr_db(power: float, pruned: float) -> float | None:
    return 10 * float(np.log10(power / pruned)) if pruned > 0 else None
