"""Generative adversarial networks for the training loop: a generator that learns from a critic.

What is common to families that are trained so: two networks and two optimizers in one task, the
generator alone leaving as a model file. Their losses are the families'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pyvoc.container import ModelSpec
from pyvoc.container.mel import MelRecipe
from pyvoc.container.settings import MelSettings
from pyvoc.train.ear import Distances, Ear
from pyvoc.train.mel_task import MelTask
from pyvoc.train.network import SpecNetwork
from pyvoc.train.task import Loss, Measured

__all__ = [
    "CRITIC",
    "GENERATOR",
    "Adversaries",
    "GanTask",
    "Hearing",
    "Judged",
    "Judges",
    "channel_problems",
    "channels_of",
    "frozen",
    "split_rows",
]

GENERATOR, CRITIC = "generator", "discriminator"
"""Names of the optimizers, and of the module's parts."""

Judged = tuple[Tensor, list[Tensor]]
"""What one discriminator says of sound: scores, and its layers' activations."""


def split_rows(judged: list[Judged], rows: int) -> tuple[list[Judged], list[Judged]]:
    """What was said of the first rows of a batch, and of the others."""

    def part(wanted: slice) -> list[Judged]:
        return [(score[wanted], [x[wanted] for x in layers]) for score, layers in judged]

    return part(slice(rows)), part(slice(rows, None))


class Judges(nn.Module):
    """All discriminators of a family; one is called with sound ``[batch, samples]``."""

    def both(self, one: Tensor, other: Tensor) -> tuple[list[Judged], list[Judged]]:
        """What is said of two batches; weights are then read once for both."""
        return split_rows(self(torch.cat([one, other])), len(one))


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Within, what a module computes has no gradient for its own weights."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


class Adversaries(nn.Module):
    """The two networks of a task; it is a place for their weights and computes nothing."""

    def __init__(self, generator: SpecNetwork, discriminator: nn.Module) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator


@dataclass(frozen=True)
class Hearing(Distances):
    """What a generator learns from besides its critic.

    Parameters
    ----------
    mel, spectral, waveform
        See `pyvoc.train.ear.Distances`.
    critic_from
        First step (counted from 0) in which there is a critic; before, the distances alone are
        minimised, which costs a fraction of a whole step.
    """

    critic_from: int = 0

    def problems(self) -> list[str]:
        """What cannot be."""
        found = []
        if min(self.mel, self.spectral, self.waveform, self.critic_from) < 0:
            found.append("mel_weight, spectral_weight, waveform_weight or critic_from is negative")
        if self.critic_from and not self.any:
            found.append(
                "before critic_from there is nothing to learn from: mel_weight, spectral_weight "
                "and waveform_weight are 0"
            )
        return found


def channels_of(first: int, given: tuple[int, ...], stages: int) -> tuple[int, ...]:
    """Channels before the first stage and of each: those given, or each half as many."""
    return (first, *given) if given else tuple(first >> k for k in range(stages + 1))


def channel_problems(
    given: tuple[int, ...], stages: int, name: str = "stage_channels"
) -> list[str]:
    """What is wrong with the channels given for stages; none may be given."""
    if not given or (len(given) == stages and min(given) > 0):
        return []
    return [f"{name} are {given}, expected a number above 0 for each of {stages} stages"]


class GanTask(MelTask):
    """A generator from mel to sound, and what it learns from.

    Parameters
    ----------
    spec, settings, precision
        As `MelTask`.
    generator
        What is exported.
    discriminator
        What it learns from.
    hearing
        What it learns from besides.
    heard
        Recipe of the mels by which made sound is compared with true; None: the model's.
    """

    def __init__(
        self,
        spec: ModelSpec,
        settings: MelSettings,
        generator: SpecNetwork,
        discriminator: Judges,
        *,
        hearing: Hearing,
        heard: MelRecipe | None = None,
        precision: str = "f32",
    ) -> None:
        super().__init__(spec, settings, generator, precision=precision)
        self.module = Adversaries(generator, discriminator)
        self._critic_from = hearing.critic_from
        self.judges = discriminator
        self.ear = Ear(hearing, heard or settings.recipe)

    def has_critic(self, batch: Mapping[str, Tensor]) -> bool:
        """Whether a batch's step is one in which there is a critic."""
        begin = self._critic_from
        return begin == 0 or int(batch["step"][0]) >= begin

    def alone(self, batch: Mapping[str, Tensor]) -> Loss:
        """The generator's loss in a step without a critic."""
        made = self.module.generator(batch["mel"])[:, 0]
        value, metrics = self.ear.compare(made, batch["audio"])
        return Loss(GENERATOR, value, metrics)

    def measure(self, batch: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Measured:
        """The distance of mels."""
        audio = batch["audio"]
        made = self.module.generator(batch["mel"])[:, 0]
        return self.ear.mel_distance(made, audio), {}, {}
