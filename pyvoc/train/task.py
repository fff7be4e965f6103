"""What a model family gives the training loop: a `Task` (what is learned) and `Data` (from what).

The loop knows nothing else of a family. A *row* is one sequence of the batch; the *global batch* is
what all processes train on in one step, and each has an equal slice of its rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

__all__ = ["Arrays", "Data", "Sample", "State", "Task"]

Arrays = Mapping[str, npt.NDArray[Any]]
"""A batch: the first axis of every array counts rows. ``mask``, where there is one, is bool and
marks the samples that count."""

if TYPE_CHECKING:
    State = dict[str, torch.Tensor]
    """What a step leaves to the next, rows on the first axis."""
else:
    State = dict


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
        """``module(batch, state) -> (loss, state, metrics)``.

        `batch` and `state` are dicts of tensors on one device, `loss` a scalar, the mean over the
        rows given (over the samples of ``mask``, where there is one), `state` is carried to the
        next step, detached, and `metrics` a dict of scalar means. The loop moves the module to its
        device, and puts it in evaluation mode for validation.
        """

    def initial_state(self, rows: int) -> State:
        """The carried state before the first step, rows on the first axis; may be empty."""

    def optimizer(self, lr: float) -> torch.optim.Optimizer:
        """Over the module's parameters, once they are on their device. The loop sets the rate."""

    def after_update(self, step: int) -> dict[str, float]:
        """Constraints on the weights after update number `step` (1, 2, ...): figures to log."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and text that the module does not hold and resuming needs."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave; raises ValueError where it does not fit."""

    def load_weights(self, path: str) -> None:
        """Fill the module from a GGUF or an upstream checkpoint (``--finetune``)."""

    def export(self, path: str, *, precision: str, metadata: Mapping[str, Any]) -> None:
        """Write a GGUF that the runtime loads, atomically.

        `metadata` are entries for the file (``general.name``, ``pyvoc.source.format``,
        ``pyvoc.source.sha256``, ``pyvoc.training.step``).
        """

    def samples(self, gguf_path: str) -> Sequence[Sample]:
        """Speech from an exported model, for ears and eyes; may be empty."""
