"""Generative adversarial networks for the training loop: a generator that learns from a critic.

What is common to families that are trained so: two networks and two optimizers in one task, the
generator alone leaving as a model file. Their losses are the families'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from pyvoc.container import ModelSpec
from pyvoc.container.mel import MelRecipe
from pyvoc.container.settings import MelSettings
from pyvoc.train.mel_task import MelTask
from pyvoc.train.network import SpecNetwork
from pyvoc.train.spectra import MelSpectrogram
from pyvoc.train.task import Measured

__all__ = ["CRITIC", "GENERATOR", "Adversaries", "GanTask", "frozen"]

GENERATOR, CRITIC = "generator", "discriminator"
"""Names of the optimizers, and of the module's parts."""


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
    heard
        Recipe of the mels by which made sound is compared with true; None: the model's.
    """

    def __init__(
        self,
        spec: ModelSpec,
        settings: MelSettings,
        generator: SpecNetwork,
        discriminator: nn.Module,
        *,
        heard: MelRecipe | None = None,
        precision: str = "f32",
    ) -> None:
        super().__init__(spec, settings, generator, precision=precision)
        self.module = Adversaries(generator, discriminator)
        self._ear = MelSpectrogram(heard or settings.recipe)

    def mel_distance(self, made: Tensor, audio: Tensor) -> Tensor:
        """Mean absolute difference of the mels of made and true sound, ``[batch, samples]``."""
        ear = self._ear.to(audio.device)
        distance: Tensor = (ear(audio) - ear(made)).abs().mean()
        return distance

    def measure(self, batch: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Measured:
        """The distance of mels."""
        audio = batch["audio"]
        made = self.module.generator(batch["mel"])[:, 0]
        return self.mel_distance(made, audio), {}, {}
