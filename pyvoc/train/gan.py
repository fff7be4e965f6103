"""Generative adversarial networks for the training loop: a generator that learns from a critic.

What is common to families that are trained so: two networks and two optimizers in one task, the
generator alone leaving as a model file. Their losses are the families'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from pyvoc.container import ModelSpec, write_container
from pyvoc.container.settings import MelSettings
from pyvoc.errors import Error, ModelError
from pyvoc.files import mels
from pyvoc.quant import encode
from pyvoc.train.data.given import mel_files
from pyvoc.train.data.segments import MelDataConfig, MelSegments
from pyvoc.train.network import SpecNetwork
from pyvoc.train.spectra import MelSpectrogram
from pyvoc.train.task import Measured, Sample, State

__all__ = ["CRITIC", "GENERATOR", "Adversaries", "GanTask", "examples", "frozen"]

GENERATOR, CRITIC = "generator", "discriminator"
"""Names of the optimizers, and of the module's parts."""
_EXAMPLES = 2
_SPOKEN = 20
"""Mels of a folder that are spoken at a checkpoint."""

Float32 = npt.NDArray[np.float32]
Examples = Sequence[tuple[str, Float32]]
"""Names and mels [frames, bands] to be spoken at checkpoints."""


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


def examples(config: MelDataConfig, data: MelSegments, bands: int) -> Examples:
    """What is spoken at checkpoints: the mels of ``data.speak``, else held-out speech's.

    Raises
    ------
    Error
        The folder holds no mels, or none of so many bands.
    """
    if not config.speak:
        return data.examples(_EXAMPLES)
    paths = mel_files(config.speak)[:_SPOKEN]
    return [(path.stem, mels.load(path, bands=bands)) for path in paths]


class Adversaries(nn.Module):
    """The two networks of a task; it is a place for their weights and computes nothing."""

    def __init__(self, generator: SpecNetwork, discriminator: nn.Module) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator


class GanTask:
    """The part of a `pyvoc.train.task.Task` that does not depend on the losses.

    Parameters
    ----------
    spec, settings
        The layout contract, and what the generator's tensors do not say.
    generator
        What is exported.
    discriminator
        What it learns from.
    precision
        Of the models that will be exported.

    Raises
    ------
    Error
        No model file can hold such a generator, or not at that precision.
    """

    def __init__(
        self,
        spec: ModelSpec,
        settings: MelSettings,
        generator: SpecNetwork,
        discriminator: nn.Module,
        *,
        precision: str = "f32",
    ) -> None:
        self.module = Adversaries(generator, discriminator)
        self.spoken: Examples = ()
        """Mels to be spoken at checkpoints."""
        self._spec, self._settings = spec, settings
        self._ear = MelSpectrogram(settings.recipe)
        if precision == "int8":
            raise Error(
                "'precision' is int8, which needs calibration: train at f32 (or bf16), then "
                "pyvoc quantize"
            )
        probe = {"general.name": "probe", "pyvoc.source.format": "", "pyvoc.source.sha256": ""}
        try:
            spec.validate(self._container(precision, probe), "the network to be trained")
        except ModelError as error:
            raise Error(f"settings: model: {error}") from error

    def initial_state(self, rows: int) -> State:
        """Nothing is carried from step to step."""
        return {}

    def measure(self, batch: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Measured:
        """Mean absolute difference of the mel spectrograms of made and true sound."""
        audio = batch["audio"]
        made = self.module.generator(batch["mel"])[:, 0, : audio.shape[-1]]
        ear = self._ear.to(audio.device)
        return (ear(made) - ear(audio)).abs().mean(), {}, {}

    def after_update(self, step: int) -> dict[str, float]:
        """Weights are free."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """The module holds everything."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to take."""

    def export(self, path: str, *, precision: str, metadata: Mapping[str, Any]) -> None:
        """Write the generator as a GGUF."""
        write_container(path, self._container(precision, metadata), spec=self._spec)

    def samples(self, gguf_path: str) -> Sequence[Sample]:
        """The example mels through the exported model."""
        if not self.spoken:
            return []
        import pyvoc

        model = pyvoc.load(gguf_path)
        rate = self._settings.recipe.sample_rate
        return [Sample(name, model.synthesize(mel), rate) for name, mel in self.spoken]

    def _container(self, precision: str, metadata: Mapping[str, Any]) -> Any:
        return encode(
            self._spec,
            self.module.generator.to_arrays(),
            metadata={**self._settings.metadata(), **metadata},
            precision=precision,
        )
