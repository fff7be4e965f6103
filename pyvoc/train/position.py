"""Where a run stands, how a session ended, and the seeds of a step."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any

import torch

from pyvoc.train.performance import Performance

__all__ = ["Position", "TrainResult", "seed_step"]


@dataclass(frozen=True)
class TrainResult:
    """How a session ended.

    Parameters
    ----------
    reason
        ``finished``, ``max_minutes``, ``early_stop``, ``SIGINT`` or ``SIGTERM``.
    step, epochs
        Updates done, counted from epoch 1, and the same in epochs.
    loss, best_loss
        Of the last step, and of the best validation; None where there was none.
    checkpoint
        The last one.
    model
        The exported model file; None after a signal and on other ranks than 0.
    performance
        Speed.
    data
        What speech was found: ``summary``, ``clips``, ``seconds``, ``resampled`` (rate -> files),
        ``left_out`` (reason -> files), ``warnings``. Empty where the data is no recordings.
    """

    reason: str
    step: int
    epochs: float
    loss: float | None
    best_loss: float | None
    checkpoint: str
    model: str | None
    performance: Performance
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class Position:
    """Where a run stands, beside its tensors.

    Parameters
    ----------
    step
        Updates done.
    first, last
        Of the run.
    steps_per_epoch
        Steps of an epoch.
    best, worse
        Best validation loss so far (infinite: none), and validations since then.
    owed
        Whether a signal broke the validation of this step off: whoever goes on begins with it.
    seconds
        Time in steps, over all sessions.
    checkpoint
        File of the last one, if there is one.
    """

    step: int
    first: int
    last: int
    steps_per_epoch: int
    best: float = math.inf
    worse: int = 0
    owed: bool = False
    seconds: float = 0.0
    checkpoint: str = ""

    @property
    def epoch(self) -> int:
        """Number, from 1, of the epoch that update `step` (1, 2, ...) belongs to."""
        return max(0, self.step - 1) // self.steps_per_epoch + 1


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed PyTorch's generators for a step."""
    digest = hashlib.blake2b(f"{seed}/{step}/{rank}".encode(), digest_size=7).digest()
    torch.manual_seed(int.from_bytes(digest, "little"))
