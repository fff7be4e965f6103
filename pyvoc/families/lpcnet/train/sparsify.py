"""Block sparsity of a recurrent matrix, raised while training.

Narang et al., "Exploring Sparsity in Recurrent Neural Networks", 2017, with LPCNet's blocks: 8
outputs x 4 inputs, the diagonals always kept (xiph/LPCNet, training_tf2/lpcnet.py).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pyvoc.families.lpcnet.spec import BLOCKS
from pyvoc.families.lpcnet.train.settings import LpcnetModel
from pyvoc.train.pruning import PruningSchedule, block_energy, strongest, whole_blocks

ROWS, COLS = BLOCKS[0]


def _schedule(config: LpcnetModel) -> PruningSchedule:
    return PruningSchedule(config.sparsify_from, config.sparsify_to, config.sparsify_every)


def density_at(config: LpcnetModel, update: int) -> tuple[float, ...]:
    """Densities of the gates r, z, n after an update: 1, falling as a cube to the final ones."""
    return tuple(_schedule(config).density(final, update) for final in config.density)


def is_due(config: LpcnetModel, update: int) -> bool:
    """Whether blocks are pruned after this update."""
    return _schedule(config).is_due(update)


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
    eye = torch.eye(weight.shape[1], dtype=torch.bool, device=weight.device)
    gates = zip(weight.detach().chunk(3), densities, before.chunk(3), strict=True)
    return torch.cat(
        [
            strongest(block_energy(gate.masked_fill(eye, 0.0), BLOCKS[0]), density, mask)
            for gate, density, mask in gates
        ]
    )


def elements(mask: Tensor) -> Tensor:
    """Elements in use, bool ``[3 N, N]``: those of the blocks and the diagonals."""
    full = whole_blocks(mask, BLOCKS[0])
    units = full.shape[1]
    return full | torch.eye(units, dtype=torch.bool, device=full.device).repeat(3, 1)
