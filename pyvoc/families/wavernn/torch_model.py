"""WaveRNN in PyTorch: for training, as the benchmark's peer, and in tests.

Kalchbrenner et al., "Efficient Neural Audio Synthesis", 2018; the network of fatchord/WaveRNN.

As in a model file, layers see their linear inputs directly: the sample before, the mel and the
quarters of the residual network's output go to the GRUs and to ``fc1`` beside what comes from the
layer below. So a parameter is a tensor of the spec (`ALONE`) or several side by side (`joined`),
and each side gives the other exactly. Upstream's checkpoints come in through the converter.

What is trained has upstream's form (``normed``, ``stem``): batch norm, and a first linear layer
that the others see the inputs through. It leaves as its checkpoints come in (`hoist.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pyvoc.container.tensors import AnyArray
from pyvoc.families.wavernn.hoist import EPSILON, fold_batch_norm, hoist, unhoist
from pyvoc.families.wavernn.shape import WavernnShape
from pyvoc.train import weights
from pyvoc.train.blocks import linear
from pyvoc.train.network import SpecNetwork
from pyvoc.train.recurrent import STEP, gru, gru_sequence

ALONE = {
    "rnn1.weight_hh": "rnn1.hidden.weight",
    "rnn1.bias_ih": "rnn1.input.bias",
    "rnn1.bias_hh": "rnn1.hidden.bias",
    "rnn2.weight_hh": "rnn2.hidden.weight",
    "rnn2.bias_ih": "rnn2.input.bias",
    "rnn2.bias_hh": "rnn2.hidden.bias",
    "fc1.bias": "fc1.input.bias",
    "fc2.bias": "fc2.input.bias",
    "fc3.weight": "fc3.weight",
    "fc3.bias": "fc3.bias",
}
"""Parameters of the sample loop that are one tensor of the spec each."""
STEMMED = {
    "input": ("stem", ("weight", "bias")),
    "rnn1": ("rnn1", ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
    "rnn2": ("rnn2", ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
    "fc1": ("fc1", ("weight", "bias")),
    "fc2": ("fc2", ("weight", "bias")),
    "fc3": ("fc3", ("weight", "bias")),
}
"""Layers of the sample loop as upstream has them (names of `hoist.py`): ours, and their leaves."""
_LEAST_LOG_SCALE = math.log(1e-14)

States = tuple[Tensor, Tensor]
Second = Callable[[list[Tensor]], Tensor]
"""The second GRU: of what lies side by side."""
First = Callable[[Tensor, Tensor], Tensor]
"""The first GRU: of what the stem sees, and of what it makes of that."""


def joined(shape: WavernnShape) -> dict[str, dict[str, int]]:
    """Matrices of the sample loop: the tensors of the spec side by side, and their columns."""

    def seen(layer: str, quarters: int) -> dict[str, int]:
        return {
            f"{layer}.input.sample": 1,
            f"{layer}.input.mel": shape.bands,
            f"{layer}.input.aux": quarters * shape.aux,
        }

    return {
        "rnn1.weight_ih": seen("rnn1", 1),
        "rnn2.weight_ih": {"rnn2.input.weight": shape.rnn, **seen("rnn2", 2)},
        "fc1.weight": {"fc1.weight": shape.rnn, **seen("fc1", 2)},
        "fc2.weight": {"fc2.weight": shape.fc, "fc2.input.aux": shape.aux},
    }


def stemmed_names() -> dict[str, str]:
    """Parameters of the sample loop where there is a stem: the name in `hoist.py` -> ours."""
    return {
        f"{theirs}.{leaf}{'_l0' if theirs.startswith('rnn') else ''}": f"{ours}.{leaf}"
        for theirs, (ours, leaves) in STEMMED.items()
        for leaf in leaves
    }


class Wavernn(SpecNetwork):
    """The residual network, the upsampling, and the network of the sample loop.

    Parameters
    ----------
    shape
        Its sizes and settings.
    normed
        Whether batch norm follows the residual network's convolutions, as upstream trains it; in a
        model file it is always folded.
    stem
        Whether the sample, the mel and the first quarter of the residual network's output go
        through a linear layer first, as upstream trains it, whose output is added to that of the
        GRUs; in a model file it is always multiplied into the layers that see it.
    """

    shape_of = staticmethod(WavernnShape.of)

    def __init__(self, shape: WavernnShape, *, normed: bool = False, stem: bool = False) -> None:
        super().__init__()
        self.shape = shape
        self.masks: Mapping[str, Tensor] = {}
        """Blocks in use of matrices that were pruned, uint8, by the spec's names."""
        inputs = {name: sum(parts.values()) for name, parts in joined(shape).items()}
        self.stem: nn.Linear | None = None
        if stem:
            self.stem = nn.Linear(inputs["rnn1.weight_ih"], shape.rnn)
            added = shape.rnn + shape.aux
            inputs |= {"rnn1.weight_ih": shape.rnn, "rnn2.weight_ih": added, "fc1.weight": added}
        self.resnet = Resnet(shape, normed=normed)
        self.upsample = nn.ModuleList(Stretch(s) for s in shape.stretches)
        self.rnn1 = nn.GRUCell(inputs["rnn1.weight_ih"], shape.rnn)
        self.rnn2 = nn.GRUCell(inputs["rnn2.weight_ih"], shape.rnn)
        self.fc1 = nn.Linear(inputs["fc1.weight"], shape.fc)
        self.fc2 = nn.Linear(inputs["fc2.weight"], shape.fc)
        self.fc3 = nn.Linear(shape.fc, shape.outputs)

    def fill(self, arrays: Mapping[str, AnyArray]) -> None:
        """As `SpecNetwork.fill`; batch norm then changes nothing in evaluation.

        Also raises ValueError where no stem gives these arrays.
        """
        expected = {name: array.shape for name, array in self.to_arrays().items()}
        weights.check_shapes(expected, arrays)
        self.resnet.fill(_below("resnet", arrays))
        weights.fill(self.upsample, _below("upsample", arrays))
        if self.stem is None:
            found = {name: arrays[ours] for name, ours in ALONE.items()}
            for name, parts in joined(self.shape).items():
                found[name] = np.column_stack([arrays[ours] for ours in parts])
        else:
            theirs = unhoist(arrays)
            found = {name: theirs[full] for full, name in stemmed_names().items()}
        with torch.no_grad():
            parameters = dict(self.named_parameters())
            for name, array in found.items():
                parameters[name].copy_(torch.from_numpy(np.asarray(array, np.float32)))

    def to_arrays(self) -> dict[str, AnyArray]:
        """Cut apart where parameters are several tensors; float64 where layers are folded."""
        found = _above("resnet", self.resnet.to_arrays())
        found |= _above("upsample", weights.to_arrays(self.upsample))
        parameters = dict(self.named_parameters())
        if self.stem is not None:
            theirs = {
                full: weights.array_of(parameters[name]) for full, name in stemmed_names().items()
            }
            return found | hoist(theirs, mels=self.shape.bands, aux=self.shape.aux)
        for name, ours in ALONE.items():
            found[ours] = weights.array_of(parameters[name])
        for name, parts in joined(self.shape).items():
            ends = np.cumsum(list(parts.values()))
            columns = np.split(weights.array_of(parameters[name]), ends[:-1], axis=1)
            for ours, array in zip(parts, columns, strict=True):
                found[ours] = array[:, 0] if ours.endswith(".sample") else array
        return found

    def initial_states(self, rows: int) -> States:
        """Of both GRUs ``[rows, R]``: zeros."""
        zeros = self.fc3.weight.new_zeros(rows, self.shape.rnn)
        return zeros, zeros

    def condition(self, mel: Tensor, frames: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the sample loop sees of a mel spectrogram.

        Parameters
        ----------
        mel
            ``[rows, bands, frames + 2 pad]``: `WavernnShape.pad` more at each end.
        frames
            As `forward`.

        Returns
        -------
        mel, aux
            ``[rows, samples, bands]`` and ``[rows, samples, 4 A]``, a hop for each frame.
        """
        hop, wide = self.shape.hop, mel
        for stretch in self.upsample:
            wide = stretch(wide)
        edge = self.shape.pad * hop
        around = wide[:, :, edge : wide.shape[2] - edge]
        each = self.resnet(mel) if frames is None else frames
        aux = each.repeat_interleave(hop, 2)
        return around.transpose(1, 2), aux.transpose(1, 2)

    def forward(
        self,
        x: Tensor,
        mel: Tensor,
        states: States | None = None,
        *,
        frames: Tensor | None = None,
    ) -> tuple[Tensor, States]:
        """The outputs for given samples, which is how it is trained.

        Parameters
        ----------
        x
            ``[rows, samples]``, the sample before each as the loop feeds it back: a mixture's
            sample, or ``2 label / (labels - 1) - 1``. A hop for each frame, or fewer samples.
        mel
            ``[rows, bands, frames + 2 pad]`` of the model's recipe.
        states
            Of the GRUs before the first sample; None: zeros.
        frames
            ``[rows, 4 A, frames]``, what the residual network makes of the mel, where it is known.

        Returns
        -------
        outputs, states
            ``[rows, samples, outputs]``, and the states after the last sample.
        """
        before = self.initial_states(len(x)) if states is None else states
        around, aux = self.condition(mel, frames)
        samples = x.shape[1]

        def first(inputs: Tensor, seen: Tensor) -> Tensor:
            stem = self.stem if _served(self.rnn1, inputs) else None
            x = seen if stem is None else inputs
            return _sequence(
                self.rnn1, [x], before[0], self.masks.get("rnn1.hidden.weight"), stem=stem
            )

        def second(parts: list[Tensor]) -> Tensor:
            mask, mask_ih = (self.masks.get(f"rnn2.{of}.weight") for of in ("hidden", "input"))
            return _sequence(self.rnn2, parts, before[1], mask, mask_ih)

        outputs, h1, h2 = self._loop(
            x.unsqueeze(2), around[:, :samples], aux[:, :samples], first, second
        )
        return outputs, (h1[:, -1], h2[:, -1])

    def step(
        self, x: Tensor, mel: Tensor, aux: Tensor, h1: Tensor, h2: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One sample: outputs and new states.

        Parameters
        ----------
        x, mel, aux
            ``[rows, 1]``, ``[rows, bands]``, ``[rows, 4 A]``, the latter from `condition`.
        h1, h2
            ``[rows, R]``.
        """

        def second(parts: list[Tensor]) -> Tensor:
            return cast(Tensor, self.rnn2(torch.cat(parts, -1), h2))

        return self._loop(x, mel, aux, lambda _, i: self.rnn1(i, h1), second)

    def _loop(
        self, x: Tensor, mel: Tensor, aux: Tensor, rnn1: First, rnn2: Second
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The network of the loop, of one sample or of many; features are the last axis."""
        a1, a2, a3, a4 = aux.chunk(4, -1)
        inputs = torch.cat([x, mel, a1], -1)
        seen = inputs if self.stem is None else self.stem(inputs)
        h1 = rnn1(inputs, seen)
        h2 = rnn2([*self._beside(h1, seen), a2])
        y = functional.relu(self._linear("fc1", [*self._beside(h1 + h2, seen), a3]))
        y = functional.relu(self._linear("fc2", [y, a4]))
        return self._linear("fc3", [y]), h1, h2

    def _linear(self, name: str, parts: list[Tensor]) -> Tensor:
        """A linear layer of what lies side by side; pruned blocks are of its first part."""
        layer, mask = cast(nn.Linear, self.get_submodule(name)), self.masks.get(f"{name}.weight")
        if mask is None:
            return cast(Tensor, layer(torch.cat(parts, -1)))
        return linear(parts, layer.weight, layer.bias, mask)

    def _beside(self, h: Tensor, seen: Tensor) -> list[Tensor]:
        """What a layer sees of a state and of the inputs."""
        return [h, seen] if self.stem is None else [h + seen]

    def draw(self, outputs: Tensor, u: Tensor) -> Tensor:
        """Samples ``[rows, 1]``, as they are fed back, from outputs and uniform numbers.

        Parameters
        ----------
        outputs
            ``[rows, outputs]``.
        u
            ``[rows, draws]`` within 0..1: for a mixture one for each logistic and one more,
            neither 0 nor 1; for labels one.
        """
        if self.shape.settings.mode == "raw":
            below = torch.softmax(outputs, 1).cumsum(1) <= u
            most = self.shape.outputs - 1
            return 2 * below.sum(1, keepdim=True).clamp(max=most) / most - 1
        weights_, means, scales = outputs.chunk(3, 1)
        pick = torch.argmax(weights_ - torch.log(-torch.log(u[:, :-1])), 1, keepdim=True)
        scale = torch.exp(scales.gather(1, pick).clamp(min=_LEAST_LOG_SCALE))
        return (means.gather(1, pick) + scale * torch.logit(u[:, -1:])).clamp(-1, 1)

    def generate(self, mel: Tensor, draws: Tensor) -> Tensor:
        """Audio, sample by sample; slow: to listen to while training, and for tests.

        Parameters
        ----------
        mel
            ``[rows, bands, frames]`` of the model's recipe; zeros lie beyond its ends.
        draws
            ``[rows, samples, draws]``, for as many samples, a hop for each frame at most.

        Returns
        -------
        Tensor
            ``[rows, samples]`` in -1..1, mu-law expanded.
        """
        pad = self.shape.pad
        with torch.no_grad():
            around, aux = self.condition(functional.pad(mel, (pad, pad)))
            h1, h2 = self.initial_states(len(mel))
            x = h1.new_zeros(len(mel), 1)
            found = []
            for i in range(draws.shape[1]):
                outputs, h1, h2 = self.step(x, around[:, i], aux[:, i], h1, h2)
                x = self.draw(outputs, draws[:, i])
                found.append(x)
            return self.expand(torch.cat(found, 1))

    def expand(self, x: Tensor) -> Tensor:
        """Audio of what is fed back: mu-law expanded where labels are mu-law."""
        if not self.shape.settings.mu_law:
            return x
        most = self.shape.outputs - 1
        return x.sign() * torch.expm1(x.abs() * math.log1p(most)) / most


class Resnet(nn.Module):
    """``[rows, bands, frames + 2 pad]`` to ``[rows, 4 A, frames]``.

    Parameters
    ----------
    shape, normed
        As the network's.
    """

    def __init__(self, shape: WavernnShape, *, normed: bool) -> None:
        super().__init__()
        self.blocks = shape.blocks

        def conv(inputs: int, taps: int) -> nn.Conv1d:
            kind = NormedConv if normed else nn.Conv1d
            return kind(inputs, shape.hidden, taps)

        self.add_module("in", conv(shape.bands, 2 * shape.pad + 1))
        for k in range(shape.blocks):
            halves = {half: conv(shape.hidden, 1) for half in ("a", "b")}
            self.add_module(str(k), nn.ModuleDict(halves))
        self.add_module("out", nn.Conv1d(shape.hidden, 4 * shape.aux, 1))

    def forward(self, mel: Tensor) -> Tensor:
        x = functional.relu(self._conv("in", mel))
        for k in range(self.blocks):
            x = x + self._conv(f"{k}.b", functional.relu(self._conv(f"{k}.a", x)))
        return self._conv("out", x)

    def _conv(self, name: str, x: Tensor) -> Tensor:
        return cast(Tensor, self.get_submodule(name)(x))

    def _normed(self) -> dict[str, NormedConv]:
        return {n: m for n, m in self.named_modules() if isinstance(m, NormedConv)}

    def fill(self, arrays: Mapping[str, AnyArray]) -> None:
        """Take weights; batch norms add the biases and change nothing else.

        In training they begin as their first batch has it (`NormedConv.measure`): with the averages
        that a folded network no longer has, they would make another one of it.
        """
        given = dict(arrays)
        for name, conv in self._normed().items():
            given[f"{name}.norm.weight"] = np.ones(conv.out_channels)
            given[f"{name}.norm.bias"] = arrays[f"{name}.bias"]
            conv.norm.reset_running_stats()
            assert conv.norm.running_var is not None
            conv.norm.running_var.fill_(1.0 - EPSILON)
            conv.folded = True
        weights.fill(self, given)

    def keep_norms(self) -> None:
        """Let training take the batch norms as they are now."""
        for conv in self._normed().values():
            conv.folded = False

    def to_arrays(self) -> dict[str, AnyArray]:
        """Weights with batch norm folded."""
        found = weights.to_arrays(self)
        for name, conv in self._normed().items():
            norm = {leaf: found.pop(f"{name}.norm.{leaf}") for leaf in ("weight", "bias")}
            for leaf in ("running_mean", "running_var"):
                norm[leaf] = weights.array_of(cast(Tensor, getattr(conv.norm, leaf)))
            weight, bias = fold_batch_norm(found[f"{name}.weight"], norm)
            found[f"{name}.weight"], found[f"{name}.bias"] = weight, bias
        return found


class NormedConv(nn.Conv1d):
    """A convolution without bias, then batch norm."""

    def __init__(self, inputs: int, outputs: int, taps: int) -> None:
        super().__init__(inputs, outputs, taps, bias=False)
        self.norm = nn.BatchNorm1d(outputs, eps=EPSILON)
        self.folded = False

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        if self.training and self.folded:
            self.measure(y)
        return cast(Tensor, self.norm(y))

    def measure(self, y: Tensor) -> None:
        """Let a norm that changes nothing in evaluation change nothing in this batch either."""
        self.folded = False
        norm = self.norm
        assert norm.running_mean is not None and norm.running_var is not None
        with torch.no_grad():
            variance, mean = torch.var_mean(y.float(), (0, 2), correction=0)
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.add_(mean)
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)


class Stretch(nn.Module):
    """Every value several times, then a kernel along time that all bands share.

    A new kernel takes the mean.
    """

    def __init__(self, times: int) -> None:
        super().__init__()
        taps = 2 * times + 1
        self.times = times
        self.weight = nn.Parameter(torch.full((taps,), 1.0 / taps))

    def forward(self, x: Tensor) -> Tensor:
        """``[rows, bands, time]`` to ``[rows, bands, times time]``, zeros beyond the ends."""
        # Of repeated values a kernel sees those of three neighbours, as often as its phase says:
        # a product with three sums of taps for each phase, instead of with all taps.
        times = self.times
        shifted = [functional.pad(self.weight, (p, times - 1 - p)) for p in range(times)]
        phases = torch.stack(shifted).view(times, 3, times).sum(2)
        around = functional.pad(x, (1, 1)).unfold(2, 3, 1)
        return (around @ phases.T).flatten(2)


def _served(cell: nn.GRUCell, x: Tensor) -> bool:
    """Whether our own kernels walk a cell."""
    served = x.device.type == "cpu" and cell.weight_hh.dtype == torch.float32
    return served and cell.hidden_size % STEP == 0


def _sequence(
    cell: nn.GRUCell,
    parts: list[Tensor],
    state: Tensor,
    mask: Tensor | None,
    mask_ih: Tensor | None = None,
    *,
    stem: nn.Linear | None = None,
) -> Tensor:
    """A cell's states ``[rows, samples, R]``; through our own kernels where they serve.

    The masks are blocks in use of its recurrent matrix, and of its inputs' for the first part.
    Where the cell's inputs are what a linear layer `stem` makes of the parts, their matrices are
    multiplied first: the samples are then seen through a narrow matrix instead of two, one of them
    wide.
    """
    if not _served(cell, parts[0]):
        x = torch.cat(parts, -1)
        x = x if stem is None else stem(x)
        return gru(x, state, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    weight: Tensor = cell.weight_ih
    bias: Tensor = cell.bias_ih
    if stem is not None:
        with torch.autocast("cpu", enabled=False):
            bias = torch.addmv(bias, weight, stem.bias)
            weight = weight @ stem.weight
    # In mixed precision the recurrence stays in float32; the products of all samples do not.
    gates = linear(parts, weight, bias, mask_ih).float()
    return gru_sequence(
        gates, cell.weight_hh, cell.bias_hh, state.float(), steps=gates.shape[1], mask=mask
    )


def _below(layer: str, arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Arrays by their names without a first word, those that have it."""
    return {n.removeprefix(f"{layer}."): a for n, a in arrays.items() if n.startswith(f"{layer}.")}


def _above(layer: str, arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Arrays by their names with a first word."""
    return {f"{layer}.{name}": array for name, array in arrays.items()}
