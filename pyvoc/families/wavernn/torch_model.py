"""fatchord's network in PyTorch, for one sample of several rows, from a checkpoint's arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

Array = npt.NDArray[np.float32]


class Step(torch.nn.Module):
    """What the network does per sample, as upstream has it: nothing is hoisted out of the loop.

    Parameters
    ----------
    state
        ``I``, ``rnn1``, ``rnn2``, ``fc1``, ``fc2``, ``fc3`` as a checkpoint names their arrays.
    """

    def __init__(self, state: Mapping[str, Array]) -> None:
        super().__init__()

        def linear(name: str) -> torch.nn.Linear:
            rows, columns = state[f"{name}.weight"].shape
            return torch.nn.Linear(columns, rows)

        def cell(name: str) -> torch.nn.GRUCell:
            rows, columns = state[f"{name}.weight_ih_l0"].shape
            return torch.nn.GRUCell(columns, rows // 3)

        self.inner = linear("I")
        self.rnn1, self.rnn2 = cell("rnn1"), cell("rnn2")
        self.fc1, self.fc2, self.fc3 = linear("fc1"), linear("fc2"), linear("fc3")
        theirs = {
            key.replace("I.", "inner.").replace("_l0", ""): torch.from_numpy(array)
            for key, array in state.items()
            if key.split(".")[0] in ("I", "rnn1", "rnn2", "fc1", "fc2", "fc3")
        }
        self.load_state_dict(theirs)

    def forward(
        self,
        x: torch.Tensor,
        mel: torch.Tensor,
        aux: torch.Tensor,
        h1: torch.Tensor,
        h2: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Outputs and both states; x [rows, 1], mel [rows, bands], aux [rows, 4 A]."""
        a1, a2, a3, a4 = torch.split(aux, aux.shape[1] // 4, dim=1)
        i = self.inner(torch.cat([x, mel, a1], dim=1))
        h1 = self.rnn1(i, h1)
        y = i + h1
        h2 = self.rnn2(torch.cat([y, a2], dim=1), h2)
        z = F.relu(self.fc1(torch.cat([y + h2, a3], dim=1)))
        z = F.relu(self.fc2(torch.cat([z, a4], dim=1)))
        return self.fc3(z), h1, h2


def draw(outputs: torch.Tensor) -> torch.Tensor:
    """Samples [rows, 1] of mixtures of logistics [rows, 3 mixtures]."""
    weights, means, scales = outputs.chunk(3, dim=1)
    u = torch.rand_like(weights).clamp(1e-5, 1 - 1e-5)
    pick = torch.argmax(weights - torch.log(-torch.log(u)), dim=1, keepdim=True)
    mean = means.gather(1, pick)
    scale = torch.exp(scales.gather(1, pick).clamp(min=math.log(1e-14)))
    v = torch.rand_like(mean).clamp(1e-5, 1 - 1e-5)
    return (mean + scale * (torch.log(v) - torch.log(1 - v))).clamp(-1, 1)
