"""FARGAN for the training loop: spectra first, then a discriminator too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pyvoc import voices
from pyvoc.container import read_container, write_container
from pyvoc.container.tensors import AnyArray
from pyvoc.convert.model_file import read_weights
from pyvoc.families.fargan.spec import FARGAN, FarganSettings
from pyvoc.families.fargan.torch_model import HOP, PRIMING, Fargan
from pyvoc.families.fargan.train.data import FarganData, open_data
from pyvoc.families.fargan.train.discriminators import Discriminators, feature_distance, squares
from pyvoc.families.fargan.train.settings import FarganModel
from pyvoc.quant import decode, encode
from pyvoc.train.config import TrainConfig
from pyvoc.train.gan import CRITIC, GENERATOR, Adversaries, frozen
from pyvoc.train.mapping import from_mapping
from pyvoc.train.resolutions import (
    WINDOWS,
    Windows,
    spectral_distance,
    waveform_distance,
)
from pyvoc.train.task import ONLY, Data, Loss, Measured, Sample, State, Task


class FarganTask:
    """See `pyvoc.train.task.Task`.

    Parameters
    ----------
    config
        Sizes, weights of the losses, and whether there is a discriminator.
    speech
        Features [frames, 20] of something to say at checkpoints; None for nothing.
    beside
        Tensors that leave with the network: what makes its features.
    """

    def __init__(
        self,
        config: FarganModel,
        speech: NDArray[np.float32] | None = None,
        beside: Mapping[str, AnyArray] | None = None,
    ) -> None:
        self.config = config
        self.network = Fargan(config, normed=True)
        self.module: nn.Module = self.network
        if config.adversarial:
            self.module = Adversaries(self.network, Discriminators(config))
            for parameter in self.network.conditioning():
                parameter.requires_grad_(False)
        self._teacher = self._read_teacher(config) if config.teacher else None
        self._windows = Windows(WINDOWS)
        self._speech, self._beside = speech, dict(beside or {})

    def initial_state(self, rows: int) -> State:
        """Nothing is carried: each sequence begins with true signal."""
        return {}

    def optimizers(self, lr: float) -> Mapping[str, torch.optim.Optimizer]:
        """AdamW, of what is not kept as it is."""
        config = self.config
        parts: dict[str, nn.Module] = {ONLY: self.network}
        if isinstance(self.module, Adversaries):
            parts = {GENERATOR: self.network, CRITIC: self.module.discriminator}
        return {
            name: torch.optim.AdamW(
                [parameter for parameter in part.parameters() if parameter.requires_grad],
                lr=lr,
                betas=config.betas,
                weight_decay=config.weight_decay,
            )
            for name, part in parts.items()
        }

    def losses(self, batch: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterator[Loss]:
        """Of spectra and waveform; or the discriminator's, then the generator's."""
        if self._teacher is not None:
            for value in self._imitate(self._teacher, batch):
                yield Loss(ONLY, value)
            return
        if not isinstance(self.module, Adversaries):
            value, metrics = self._heard(*self._speak(batch))
            yield Loss(ONLY, value, metrics)
            return
        critic = self.module.discriminator
        learns = int(batch["step"][0]) >= self.config.critic_steps
        with torch.set_grad_enabled(learns):
            made, true = self._speak(batch)
        real = critic(true)
        value = (squares(critic(made.detach()), 0.0) + squares(real, 1.0)) / 2.0
        yield Loss(CRITIC, value)
        if not learns:
            return
        with frozen(critic):
            fake = critic(made)
        heard, metrics = self._heard(made, true)
        features = feature_distance(fake, [[x.detach() for x in layers] for layers in real])
        adversarial = squares(fake, 1.0)
        value = (
            adversarial
            + self.config.feature_weight * features
            + self.config.spectral_weight * heard
        )
        metrics |= {"features": features.detach(), "adversarial": adversarial.detach()}
        yield Loss(GENERATOR, value, metrics)

    def measure(self, batch: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Measured:
        """Of spectra and waveform, without noise."""
        value, metrics = self._heard(*self._speak(batch))
        return value, {}, metrics

    def after_update(self, step: int) -> dict[str, float]:
        """Weights are free."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """The module holds everything."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to take."""

    def load_weights(self, path: str) -> Sequence[str]:
        """A model file, or upstream's ``.pth``, sources or weight blob."""
        checkpoint = read_weights(FARGAN, path)
        self.network.go_on_from(checkpoint.arrays, path)
        own = self.network.to_arrays()
        if any(name not in own and name not in self._beside for name in checkpoint.arrays):
            return (
                f"'{path}' also has a network for features, which is left out: "
                "data.features_from takes features, and it, from a model",
            )
        return ()

    def export(self, path: str, *, precision: str, metadata: Mapping[str, Any]) -> None:
        """Write a GGUF."""
        container = encode(
            FARGAN,
            {**self._beside, **self.network.to_arrays()},
            metadata={**FarganSettings().metadata(), **metadata},
            precision=precision,
        )
        write_container(path, container, spec=FARGAN)

    def samples(self, gguf_path: str) -> Sequence[Sample]:
        """Held-out speech's features through the exported model."""
        if self._speech is None:
            return []
        import pyvoc

        audio = pyvoc.load(gguf_path).synthesize(self._speech)
        return [Sample("validation", audio, 16000)]

    @staticmethod
    def _read_teacher(config: FarganModel) -> Fargan:
        """The network that is imitated, which learns nothing."""
        path = voices.resolve(config.teacher)
        network = Fargan(config)
        network.go_on_from(read_weights(FARGAN, path).arrays, path)
        return network.eval().requires_grad_(False)

    def _imitate(self, teacher: Fargan, batch: Mapping[str, Tensor]) -> Iterator[Tensor]:
        """The distances from the teacher, layer by layer."""
        features, audio = batch["features"], batch["audio"]
        teacher.to(audio.device)
        return self.network.imitate(teacher, features, audio[:, : PRIMING * HOP], batch["seed"])

    def _speak(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """What the network makes of a batch, and what is true: ``[rows, samples]``."""
        features, audio, seeds = batch["features"], batch["audio"], batch["seed"]
        if bool(batch["long"][0]):
            features = torch.cat((features[::2, :-2], features[1::2]), 1)
            audio = torch.cat((audio[::2], audio[1::2]), 1)
            seeds = seeds[::2]
        true = audio[:, : PRIMING * HOP]
        made = self.network(features, true, seeds if self.network.training else None)
        return made.float(), audio

    def _heard(self, made: Tensor, true: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        windows = self._windows.to(true.device)
        first = slice(PRIMING * HOP, (PRIMING + 1) * HOP)
        spectral = spectral_distance(made, true, windows)
        waveform = waveform_distance(made[:, first], true[:, first])
        metrics = {"spectral": spectral.detach(), "waveform": waveform.detach()}
        return spectral + self.config.continuity_weight * waveform, metrics


def build(config: TrainConfig) -> tuple[Task, Data]:
    """The task and data of a run."""
    model = from_mapping(FarganModel, config.model, "model")
    wanted = from_mapping(FarganData, config.data, "data")
    data = open_data(wanted, rows=config.batch_size, seed=config.seed)
    beside = _beside(wanted.features_from) if wanted.features_from else {}
    return FarganTask(model, data.example() if config.samples else None, beside), data


def _beside(path: str) -> dict[str, AnyArray]:
    """The tensors of a model file that are not the network's."""
    container = read_container(path)
    FARGAN.validate(container, path)
    arrays = decode(FARGAN, container)
    own = Fargan.from_arrays(arrays, container.metadata).to_arrays()
    return {name: array for name, array in arrays.items() if name not in own}
