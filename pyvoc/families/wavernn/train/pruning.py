"""Which blocks of the sample loop's matrices are in use."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pyvoc.families.wavernn.spec import BLOCKS
from pyvoc.families.wavernn.torch_model import Wavernn
from pyvoc.families.wavernn.train.settings import WavernnModel
from pyvoc.train.pruning import PruningSchedule, block_energy, strongest, whole_blocks

BLOCK = BLOCKS[0]


def matrices(network: Wavernn) -> dict[str, Tensor]:
    """The parts of parameters that the model file may hold in blocks, by the spec's names.

    Views: what is written to them is written to the network.
    """
    rnn, fc = network.shape.rnn, network.shape.fc
    found = {
        "rnn1.hidden.weight": network.rnn1.weight_hh,
        "rnn2.input.weight": network.rnn2.weight_ih[:, :rnn],
        "rnn2.hidden.weight": network.rnn2.weight_hh,
        "fc1.weight": network.fc1.weight[:, :rnn],
        "fc2.weight": network.fc2.weight[:, :fc],
    }
    if network.shape.settings.mode == "raw":
        found["fc3.weight"] = network.fc3.weight
    return {name: tensor.detach() for name, tensor in found.items()}


class Pruning:
    """Masks of the matrices' blocks, raised by a schedule.

    Parameters
    ----------
    config
        How sparse, and when.
    network
        Whose matrices; it has a stem.
    """

    def __init__(self, config: WavernnModel, network: Wavernn) -> None:
        self._final = 1.0 - config.sparsity
        self._schedule = PruningSchedule(
            config.sparsify_from, config.sparsify_to, config.sparsify_every
        )
        self._network = network
        self.masks = {
            name: torch.ones_like(block_energy(matrix, BLOCK), dtype=torch.uint8)
            for name, matrix in self._matrices().items()
        }
        """uint8 ``[outputs / 8, inputs / 4]`` by the spec's names."""
        self._tell()

    def _tell(self) -> None:
        """Let the network skip what is pruned, once something is."""
        pruned = any(not bool(mask.all()) for mask in self.masks.values())
        self._network.masks = dict(self.masks) if pruned else {}

    def _matrices(self) -> dict[str, Tensor]:
        found = matrices(self._network)
        return {n: m for n, m in found.items() if not (m.shape[0] % BLOCK[0])}

    def take_zeros(self) -> None:
        """Blocks of zeros, as a network has that is gone on from, stay so."""
        for name, matrix in self._matrices().items():
            self.masks[name] = (block_energy(matrix, BLOCK) > 0).to(torch.uint8)
        self._tell()

    def load(self, masks: Mapping[str, Tensor]) -> None:
        """Take masks; raises ValueError where they do not fit."""
        if masks.keys() != self.masks.keys():
            raise ValueError("its masks are of other matrices")
        for name, mask in masks.items():
            if mask.shape != self.masks[name].shape or mask.dtype != torch.uint8:
                raise ValueError(f"the mask of '{name}' has shape {list(mask.shape)}")
            self.masks[name] = mask
        self._tell()

    def apply(self, update: int) -> float:
        """Prune what is due after an update, and hold zeros at zero; the part in use."""
        density = self._schedule.density(self._final, update)
        due, used, total = self._schedule.is_due(update), 0, 0
        for name, matrix in self._matrices().items():
            mask = self.masks[name].to(matrix.device)
            if due:
                gates = matrix.shape[0] // matrix.shape[1] if name.startswith("rnn") else 1
                parts = zip(matrix.chunk(gates), mask.chunk(gates), strict=True)
                mask = torch.cat(
                    [strongest(block_energy(part, BLOCK), density, old) for part, old in parts]
                )
            self.masks[name] = mask
            matrix.mul_(whole_blocks(mask, BLOCK))
            used, total = used + int(mask.sum()), total + mask.numel()
        if due:
            self._tell()
        return used / total
