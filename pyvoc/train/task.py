"""What a model family gives the training loop: a `Task` (what is learned) and `Data` (from what).

The loop knows nothing else of a family. A *row* is one sequence of the batch; the *global batch* is
what all processes train on in one step, and each has an equal slice of its rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

__all__ = ["ONLY", "Arrays", "Data", "Loss", "Measured", "Sample", "State", "Task"]

ONLY = "main"
"""Name of the optimizer of a family that has one."""

Arrays = Mapping[str, npt.NDArray[Any]]
"""A batch: the first axis of every array counts rows. ``mask``, where there is one, is bool and
marks the samples that count."""

if TYPE_CHECKING:
    State = dict[str, torch.Tensor]
    """What a step leaves to the next, rows on the first axis."""
    Measured = tuple[torch.Tensor, State, Mapping[str, torch.Tensor]]
    """A scalar, what is carried to the next batch, and scalar means by name."""
else:
    State = dict
    Measured = tuple


@dataclass(frozen=True)
class Loss:
    """One thing that a step minimises.

    Parameters
    ----------
    optimizer
        Name of the optimizer that takes the gradient.
    value
        A scalar, the mean over the rows given (over the samples of ``mask``, where there is one).
    metrics
        Scalar means for the log, under names that no other loss of the step uses.
    state
        What is carried to the next step; the last loss's counts.
    """

    optimizer: str
    value: torch.Tensor
    metrics: Mapping[str, torch.Tensor] = field(default_factory=dict)
    state: State = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """Something to listen to and look at.

    Parameters
    ----------
    name
        File name without suffix.
    audio
        float32 [samples], -1..1.
    rate
        Hz.
    """

    name: str
    audio: npt.NDArray[np.float32]
    rate: int


class Data(Protocol):
    """Training and held-out batches.

    ``samples_per_row`` (int), where a class has it, is the number of audio samples in a row; it
    turns rows per second into samples per second. ``corpus`` (`pyvoc.train.data.Corpus`), where a
    class has one, is the speech that it reads: what was found is said at the start.
    """

    @property
    def steps_per_epoch(self) -> int:
        """Steps that see the training data about once."""

    def batch(self, step: int, rows: range) -> Arrays:
        """Rows `rows` of the global batch of step `step`.

        A pure function of (seed, step, row): the same whenever, wherever and in whichever slices
        it is asked for. Called from one background thread.
        """

    def validation(self, rows: int) -> Iterator[Arrays]:
        """Held-out batches of at most `rows` rows: no augmentation, no noise, always the same."""


class Task(Protocol):
    """What is learned, and how it leaves as a model file.

    Randomness may come from PyTorch's global generators, which the loop seeds anew in every step
    from (seed, step, process); to be independent of the number of processes it must come from the
    batch (a ``seed`` per row).
    """

    @property
    def module(self) -> torch.nn.Module:
        """All that has weights: what is exported, and what only teaches it (a discriminator).

        Its state dict is in the checkpoint. The loop moves it to its device, and puts it in
        evaluation mode for validation.
        """

    def initial_state(self, rows: int) -> State:
        """The carried state before the first step, rows on the first axis; may be empty."""

    def optimizers(self, lr: float) -> Mapping[str, torch.optim.Optimizer]:
        """By name, over the module's parameters, once they are on their device.

        The loop sets the rates; a group with ``lr_scale`` has so many times the run's. The first
        one's loss is the run's ``loss``; a family with one calls it `ONLY`.
        """

    def losses(
        self, batch: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]
    ) -> Iterator[Loss]:
        """What a step minimises, in turn.

        `batch` and `state` are tensors on one device. The loop updates the weights that a loss's
        optimizer has before it asks for the next loss, which therefore sees them changed; what was
        computed before is at hand in local variables. Gradients are averaged over the processes.
        """

    def measure(
        self, batch: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]
    ) -> Measured:
        """The loss of held-out data, by which the best checkpoint is chosen."""

    def after_update(self, step: int) -> dict[str, float]:
        """Constraints on the weights after update number `step` (1, 2, ...): figures to log."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and text that the module does not hold and resuming needs."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave; raises ValueError where it does not fit."""

    def load_weights(self, path: str) -> Sequence[str]:
        """Fill the module from a GGUF or an upstream checkpoint (``--finetune``).

        Returns sentences that the user should read.
        """

    def export(self, path: str, *, precision: str, metadata: Mapping[str, Any]) -> None:
        """Write a GGUF that the runtime loads, atomically.

        `metadata` are entries for the file (``general.name``, ``pyvoc.source.format``,
        ``pyvoc.source.sha256``, ``pyvoc.training.step``).
        """

    def samples(self, gguf_path: str) -> Sequence[Sample]:
        """Speech from an exported model, for ears and eyes; may be empty."""
