"""Block sparsity raised while training: when, how much, and which blocks stay.

Narang et al., "Exploring Sparsity in Recurrent Neural Networks", 2017, with the cubic schedule of
Zhu & Gupta, "To prune, or not to prune", 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["PruningSchedule", "block_energy", "strongest", "whole_blocks"]


@dataclass(frozen=True)
class PruningSchedule:
    """Updates between which, and how often, blocks are pruned.

    Parameters
    ----------
    first, last, every
        The first and the last update after which it happens, and the distance between two.
    """

    first: int
    last: int
    every: int

    def density(self, final: float, update: int) -> float:
        """The part of all blocks in use after an update: 1, falling as a cube to `final`."""
        if update < self.first:
            return 1.0
        r = max((self.last - update) / max(self.last - self.first, 1), 0.0)
        return 1.0 - (1.0 - final) * (1.0 - r**3)

    def is_due(self, update: int) -> bool:
        """Whether blocks are pruned after this update."""
        if not self.first <= update <= self.last:
            return False
        return (update - self.first) % self.every == 0 or update == self.last


def block_energy(weight: Tensor, block: tuple[int, int]) -> Tensor:
    """Sums of squares over the blocks of a matrix ``[outputs, inputs]``, whole numbers of them."""
    (outputs, inputs), (rows, cols) = weight.shape, block
    tiles = weight.detach().reshape(outputs // rows, rows, inputs // cols, cols)
    return tiles.square().sum((1, 3))


def strongest(energy: Tensor, density: float, before: Tensor) -> Tensor:
    """The blocks of largest energy, of those in use before: uint8 as `before`."""
    energy = energy.masked_fill(before == 0, -1.0)
    kept = max(round(density * energy.numel()), 1)
    after = torch.zeros_like(before)
    after.view(-1)[energy.flatten().topk(kept).indices] = 1
    return after & before


def whole_blocks(mask: Tensor, block: tuple[int, int]) -> Tensor:
    """Elements ``[outputs, inputs]`` of the blocks in use, bool."""
    return mask.bool().repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)
