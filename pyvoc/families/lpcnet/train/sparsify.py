"""Block sparsity of a recurrent matrix, raised while training.

Narang et al., "Exploring Sparsity in Recurrent Neural Networks", 2017, with LPCNet's blocks: 8
outputs x 4 inputs, the diagonals always kept (xiph/LPCNet, training_tf2/lpcnet.py).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pyvoc.families.lpcnet.spec import BLOCKS
from pyvoc.families.lpcnet.train.settings import LpcnetModel

ROWS, COLS = BLOCKS[0]


def density_at(config: LpcnetModel, update: int) -> tuple[float, ...]:
    """Densities of the gates r, z, n after an update: 1, falling as a cube to the final ones."""
    if update < config.sparsify_from:
        return (1.0, 1.0, 1.0)
    left = config.sparsify_to - update
    r = max(left / max(config.sparsify_to - config.sparsify_from, 1), 0.0)
    return tuple(1.0 - (1.0 - final) * (1.0 - r**3) for final in config.density)


def is_due(config: LpcnetModel, update: int) -> bool:
    """Whether blocks are pruned after this update."""
    if not config.sparsify_from <= update <= config.sparsify_to:
        return False
    since = update - config.sparsify_from
    return since % config.sparsify_every == 0 or update == config.sparsify_to


def blocks(weight: Tensor) -> Tensor:
    """A matrix ``[outputs, inputs]`` as ``[outputs / 8, 8, inputs / 4, 4]``."""
    outputs, inputs = weight.shape
    return weight.reshape(outputs // ROWS, ROWS, inputs // COLS, COLS)


def block_mask(weight: Tensor, densities: tuple[float, ...], before: Tensor) -> Tensor:
    """The blocks of largest energy, of those in use before.

    Parameters
    ----------
    weight
        ``[3 N, N]``, gates one below the other.
    densities
        Of each gate's blocks.
    before
        uint8 ``[3 N / 8, N / 4]``; what was pruned stays pruned.

    Returns
    -------
    Tensor
        uint8, the shape of `before`.
    """
    after = torch.zeros_like(before)
    units = weight.shape[1]
    eye = torch.eye(units, dtype=torch.bool, device=weight.device)
    for k, density in enumerate(densities):
        gate = weight.detach()[k * units : (k + 1) * units].masked_fill(eye, 0.0)
        energy = blocks(gate).square().sum((1, 3))
        rows = slice(k * units // ROWS, (k + 1) * units // ROWS)
        energy = energy.masked_fill(before[rows] == 0, -1.0)
        kept = max(round(density * energy.numel()), 1)
        best = energy.flatten().topk(kept).indices
        after[rows].view(-1)[best] = 1
    return after & before


def elements(mask: Tensor) -> Tensor:
    """Elements in use, bool ``[3 N, N]``: those of the blocks and the diagonals."""
    full = mask.bool().repeat_interleave(ROWS, 0).repeat_interleave(COLS, 1)
    units = full.shape[1]
    return full | torch.eye(units, dtype=torch.bool, device=full.device).repeat(3, 1)
