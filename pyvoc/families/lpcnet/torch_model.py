"""LPCNet in PyTorch: for training and in tests.

Valin & Skoglund, "LPCNet: Improving Neural Speech Synthesis Through Linear Prediction", 2019; the
tree-structured output of today's upstream (xiph/LPCNet).

On a CPU the recurrent layers and the tree's loss run on pyvoc's own kernels, where sizes allow;
elsewhere they are stock PyTorch. Both compute the same function.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pyvoc.container.tensors import AnyArray
from pyvoc.families.lpcnet import tables
from pyvoc.families.lpcnet.spec import LEVELS
from pyvoc.families.lpcnet.train import native
from pyvoc.families.lpcnet.train.mulaw import HOP, codes_and_target
from pyvoc.families.lpcnet.train.quantized import straight_through
from pyvoc.families.lpcnet.train.settings import LpcnetModel
from pyvoc.families.lpcnet.train.sparsify import blocks
from pyvoc.train import weights
from pyvoc.train.network import SpecNetwork
from pyvoc.train.recurrent import STEP, gru, gru_sequence

PITCH_RANGE = (33, 255)


class RecurrentCell(nn.Module):
    """The recurrent half of a "reset after" GRU, gates r, z, n.

    Parameters
    ----------
    units
        Size of the state.
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units
        self.weight_hh = nn.Parameter(torch.empty(3 * units, units))
        self.bias_hh = nn.Parameter(torch.zeros(3 * units))
        for gate in self.weight_hh.data.chunk(3):
            nn.init.orthogonal_(gate)


class Lpcnet(SpecNetwork):
    """The network and its loss.

    Parameters
    ----------
    config
        Sizes and regularisation.

    Attributes
    ----------
    mask
        uint8 ``[3 N / 8, N / 4]``: blocks of GRU A's recurrent matrix that are in use.
    pruned, quantized
        Whether any block is not in use; whether int8 matrices are rounded in the forward pass.
    """

    shape_of = staticmethod(LpcnetModel.of)
    mask: Tensor

    def __init__(self, config: LpcnetModel) -> None:
        super().__init__()
        self.config = config
        c, n, m = config.cond, config.gru_a, config.gru_b
        self.embed_pitch = nn.Embedding(LEVELS, config.pitch_embedding)
        self.conv1 = nn.Conv1d(config.features + config.pitch_embedding, c, 3)
        self.conv2 = nn.Conv1d(c, c, 3)
        self.dense1 = nn.Linear(c, c)
        self.dense2 = nn.Linear(c, c)
        self.embed = nn.Parameter(torch.empty(LEVELS, config.embedding))
        self.kernels = nn.Parameter(torch.empty(3, 3 * n, config.embedding))
        self.cond_a = nn.Linear(c, 3 * n)
        self.gru_a = RecurrentCell(n)
        self.input_b = nn.Parameter(torch.empty(3 * m, n))
        self.cond_b = nn.Linear(c, 3 * m)
        self.gru_b = RecurrentCell(m)
        self.dual_fc = nn.Parameter(torch.empty(2, LEVELS, m))
        self.dual_fc_bias = nn.Parameter(torch.zeros(2, LEVELS))
        self.dual_fc_factor = nn.Parameter(torch.ones(2, LEVELS))
        self.register_buffer("mask", torch.ones(3 * n // 8, n // 4, dtype=torch.uint8))
        self.pruned = False
        self.quantized = False
        self._initialise()

    def _initialise(self) -> None:
        c, n = self.config.cond, self.config.gru_a
        for layer in (self.conv1, self.conv2, self.dense1, self.dense2):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        nn.init.uniform_(self.embed_pitch.weight, -0.05, 0.05)
        # A level's embedding begins as a ramp plus noise, as upstream's does: neighbours are alike.
        ramp = torch.arange(LEVELS, dtype=torch.float32).sub(127.5).div(128.0).mul(math.sqrt(3.0))
        noise = torch.rand_like(self.embed).sub(0.5).mul(3.46)
        self.embed.data = 0.1 * (noise + ramp[:, None])
        inputs = 3 * self.config.embedding + c
        bound = math.sqrt(6.0 / (inputs + n))
        for weight in (self.kernels, self.cond_a.weight):
            nn.init.uniform_(weight, -bound, bound)
        bound = math.sqrt(6.0 / (n + c + self.config.gru_b))
        for weight in (self.input_b, self.cond_b.weight):
            nn.init.uniform_(weight, -bound, bound)
        nn.init.zeros_(self.cond_a.bias)
        nn.init.zeros_(self.cond_b.bias)
        nn.init.xavier_uniform_(self.dual_fc)

    def fill(self, arrays: Mapping[str, AnyArray]) -> None:
        """As `SpecNetwork.fill`.

        GRU A's three tables become one embedding and three kernels (`tables.factor`), and what is
        zero in its recurrent matrix, outside the diagonals, stays zero.

        Raises
        ------
        ValueError
            They are another model's; names the first ones that do not fit.
        """
        targets = self._direct()
        expected = {name: tuple(target.shape) for name, target in targets.items()}
        expected |= dict.fromkeys(tables.TABLES, (LEVELS, 3 * self.config.gru_a))
        weights.check_shapes(expected, arrays)
        embed, kernels = tables.factor(arrays, self.config.embedding)
        given = [(target, arrays[name]) for name, target in targets.items()]
        with torch.no_grad():
            for target, array in [*given, (self.embed, embed), (self.kernels, kernels)]:
                target.copy_(torch.from_numpy(np.array(array, np.float32)))
            self._take_mask()

    def to_arrays(self) -> dict[str, AnyArray]:
        """With GRU A's tables made of the embedding and the kernels."""
        arrays: dict[str, AnyArray] = {
            name: weights.array_of(target) for name, target in self._direct().items()
        }
        with torch.no_grad():
            each = weights.array_of(self.tables())
        return arrays | dict(zip(tables.TABLES, each, strict=True))

    def _direct(self) -> dict[str, Tensor]:
        """The parameters that are tensors of the spec, by the spec's names."""
        found = {
            f"{name}.{leaf}": value
            for name in ("conv1", "conv2", "dense1", "dense2")
            for leaf, value in self.get_submodule(name).named_parameters()
        }
        return found | {
            "embed_pitch.weight": self.embed_pitch.weight,
            "gru_a.cond.weight": self.cond_a.weight,
            "gru_a.bias_ih": self.cond_a.bias,
            "gru_a.weight_hh": self.gru_a.weight_hh,
            "gru_a.bias_hh": self.gru_a.bias_hh,
            "gru_b.weight_ih": self.input_b,
            "gru_b.bias_ih": self.cond_b.bias,
            "gru_b.cond.weight": self.cond_b.weight,
            "gru_b.weight_hh": self.gru_b.weight_hh,
            "gru_b.bias_hh": self.gru_b.bias_hh,
            "dual_fc.weight": self.dual_fc,
            "dual_fc.bias": self.dual_fc_bias,
            "dual_fc.factor": self.dual_fc_factor,
        }

    def _take_mask(self) -> None:
        weight = self.gru_a.weight_hh.detach()
        eye = torch.eye(weight.shape[1], dtype=torch.bool, device=weight.device).repeat(3, 1)
        used = blocks(weight.masked_fill(eye, 0.0)) != 0
        self.mask.copy_(used.any(3).any(1).to(torch.uint8))
        self.pruned = bool((self.mask == 0).any())

    def condition(self, features: Tensor) -> Tensor:
        """The condition of frames from their features and two neighbours on either side.

        Parameters
        ----------
        features
            ``[rows, frames + 4, dims]``.

        Returns
        -------
        Tensor
            ``[rows, frames, cond]``.
        """
        low, high = PITCH_RANGE
        pitch = features[..., self.config.features - 2]
        period = torch.floor(0.1 + 50.0 * pitch + 100.0).clamp(low, high).long()
        x = torch.cat((features, self.embed_pitch(period)), -1).transpose(1, 2)
        x = torch.tanh(self.conv2(torch.tanh(self.conv1(x)))).transpose(1, 2)
        return torch.tanh(self.dense2(torch.tanh(self.dense1(x))))

    def tables(self) -> Tensor:
        """What each mu-law level of signal, prediction and excitation adds to GRU A's gates.

        Returns
        -------
        Tensor
            ``[3, 256, 3 N]``.
        """
        return torch.matmul(self.embed, self.kernels.transpose(1, 2))

    def matrices(self) -> tuple[Tensor, Tensor, Tensor]:
        """GRU A's recurrent, GRU B's input and recurrent matrix as they multiply."""
        weights = (self.gru_a.weight_hh, self.input_b, self.gru_b.weight_hh)
        if not self.quantized:
            return weights
        a, b, c = (straight_through(w) for w in weights)
        return a, b, c

    def initial_state(self, rows: int) -> dict[str, Tensor]:
        """Zeros, by name, rows on axis 0."""
        device = self.embed.device
        sizes = {"gru_a": self.config.gru_a, "gru_b": self.config.gru_b}
        return {name: torch.zeros(rows, n, device=device) for name, n in sizes.items()}

    def hear(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The inputs' mu-law levels ``[rows, 3, T]``, with noise in training, and the target.

        Raises
        ------
        KeyError
            The batch is neither of linear samples nor of codes.
        """
        if "codes" in batch:
            codes, target = batch["codes"], batch["target"].long()
        else:
            codes, target = codes_and_target(batch["signal"], batch["clean"], batch["lpc"])
        if self.training and self.config.interpolates and self.config.jitter > 0:
            codes = codes + self.config.jitter * self._noise(batch["seed"], codes, 0)
            return codes.clamp(0.0, LEVELS - 1.0), target
        if self.training and self.config.interpolates:
            return codes, target
        return torch.floor(codes + 0.5).clamp(0.0, LEVELS - 1.0), target

    @staticmethod
    def _noise(seeds: Tensor, like: Tensor, stream: int) -> Tensor:
        """Standard normal, a pure function of each row's seed."""
        noise = torch.empty(like.shape)
        generator = torch.Generator()
        for row, seed in zip(noise, seeds.tolist(), strict=True):
            generator.manual_seed((seed * 2 + stream) % 2**63)
            row.normal_(generator=generator)
        return noise.to(like.device)

    def _is_native(self, units: int) -> bool:
        return self.embed.device.type == "cpu" and units % STEP == 0

    def run_gru_a(self, cond: Tensor, codes: Tensor, weight: Tensor, state: Tensor) -> Tensor:
        """GRU A's states ``[rows, T, N]``."""
        cell, steps = self.gru_a, codes.shape[2]
        if self._is_native(cell.units):
            with torch.autocast("cpu", enabled=False):
                return gru_sequence(
                    self.cond_a(cond.float()),
                    weight,
                    cell.bias_hh,
                    state,
                    steps=steps,
                    mask=self.mask if self.pruned else None,
                    codes=codes,
                    tables=tuple(self.tables()),
                )
        low = codes.floor().long()
        part = (codes - low).unsqueeze(-1)
        high = (low + 1).clamp(max=LEVELS - 1)
        embedded = torch.lerp(self.embed[low], self.embed[high], part.to(self.embed.dtype))
        frames = cond.repeat_interleave(HOP, 1)
        x = torch.cat((*embedded.unbind(1), frames), -1)
        inputs = torch.cat((*self.kernels, self.cond_a.weight), 1)
        return gru(x, state, inputs, weight, self.cond_a.bias, cell.bias_hh)

    def run_gru_b(
        self, cond: Tensor, x: Tensor, inputs: Tensor, weight: Tensor, state: Tensor
    ) -> Tensor:
        """GRU B's states ``[rows, T, M]``."""
        cell, steps = self.gru_b, x.shape[1]
        if self._is_native(cell.units):
            frames = self.cond_b(cond).unsqueeze(2)
            each = functional.linear(x, inputs)
            gates = each.view(len(x), -1, HOP, each.shape[2]) + frames
            return gru_sequence(
                gates.flatten(1, 2).float(), weight, cell.bias_hh, state, steps=steps
            )
        x = torch.cat((x, cond.repeat_interleave(HOP, 1)), -1)
        joined = torch.cat((inputs, self.cond_b.weight), 1)
        return gru(x, state, joined, weight, self.cond_b.bias, cell.bias_hh)

    def logits(self, x: Tensor) -> Tensor:
        """All 256 outputs ``[..., 256]`` of the dual fully-connected layer from ``[..., M]``."""
        each = torch.einsum("...m,ckm->...ck", x, self.dual_fc) + self.dual_fc_bias
        return (torch.tanh(each) * self.dual_fc_factor).sum(-2)

    def states(
        self, batch: Mapping[str, Tensor], state: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """GRU A's and GRU B's states for a batch, and its target."""
        codes, target = self.hear(batch)
        keep = (~batch["reset"].bool()).unsqueeze(1)
        recurrent_a, input_b, recurrent_b = self.matrices()
        cond = self.condition(batch["features"])
        a = self.run_gru_a(cond, codes, recurrent_a, state["gru_a"] * keep)
        heard = a
        if self.training and self.config.state_noise > 0:
            heard = a + self.config.state_noise * self._noise(batch["seed"], a, 1)
        b = self.run_gru_b(cond, heard, input_b, recurrent_b, state["gru_b"] * keep)
        return a, b, target

    def forward(
        self, batch: Mapping[str, Tensor], state: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """The loss of a batch.

        Parameters
        ----------
        batch
            ``features``, ``reset``, ``seed`` and either ``signal``, ``clean``, ``lpc`` or
            ``codes``, ``target``; ``mask`` where not every sample counts. Shapes: docs/training.md.
        state
            From `initial_state` or the step before.

        Returns
        -------
        loss, state, metrics
            Mean negative log-likelihood in nats; the state to go on from; ``bits`` per sample.
        """
        a, b, target = self.states(batch, state)
        x, symbols = b.flatten(0, 1), target.flatten()
        counts = batch["mask"].flatten().float() if "mask" in batch else torch.ones_like(x[:, 0])
        weights = counts / counts.sum().clamp(min=1.0)
        loss = self._loss(x, symbols, weights)
        after = {"gru_a": a[:, -1].detach(), "gru_b": b[:, -1].detach()}
        return loss, after, {"bits": loss.detach() / math.log(2.0)}

    def _loss(self, x: Tensor, symbols: Tensor, weights: Tensor) -> Tensor:
        if not self.config.tree:
            each = functional.cross_entropy(self.logits(x).float(), symbols, reduction="none")
            return (each * weights).sum()
        parameters = (self.dual_fc, self.dual_fc_bias, self.dual_fc_factor)
        if self._is_native(x.shape[1]):
            bytes_ = symbols.to(torch.uint8)
            return native.tree_loss(x.float(), *parameters, bytes_, weights)
        return (tree_nll(self.logits(x).float(), symbols) * weights).sum()


def tree_nll(logits: Tensor, symbols: Tensor) -> Tensor:
    """Negative log-likelihood, nats, of symbols ``[n]`` under node logits ``[n, 256]``."""
    level = torch.arange(8, device=logits.device)
    nodes = (1 << level) | (symbols.unsqueeze(1) >> (8 - level))
    bits = (symbols.unsqueeze(1) >> (7 - level)) & 1
    on_path = logits.gather(1, nodes)
    return functional.softplus(torch.where(bits == 1, -on_path, on_path)).sum(1)
