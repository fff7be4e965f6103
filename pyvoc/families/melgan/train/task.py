"""MelGAN for the training loop: three upstreams' losses, each in its order.

descript: the discriminator learns from what the generator made, then the generator from it (hinge
losses). seungwonpark and MindSpore: the generator first, then the discriminator, from another
segment and the generator as it now is (squares).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pyvoc.families.melgan.spec import MELGAN
from pyvoc.families.melgan.torch_model import Melgan
from pyvoc.families.melgan.train import discriminators as judges
from pyvoc.families.melgan.train.settings import MelganModel
from pyvoc.families.melgan.train.upstream import load_weights
from pyvoc.train.config import TrainConfig
from pyvoc.train.data.segments import MelDataConfig, open_mel_data
from pyvoc.train.gan import CRITIC, GENERATOR, GanTask, frozen
from pyvoc.train.mapping import from_mapping
from pyvoc.train.optimizer import in_one_pass
from pyvoc.train.task import Data, Loss, Task


class MelganTask(GanTask):
    """See `pyvoc.train.task.Task`.

    Parameters
    ----------
    config
        Sizes, and whose losses.
    precision
        Of the models that will be exported.
    """

    def __init__(self, config: MelganModel, *, precision: str = "f32") -> None:
        shape, normed = config.shape(), config.usual.normed
        generator, critic = Melgan(shape, normed=normed), judges.Discriminators(config)
        if not normed:
            judges.glorot(generator)
            judges.glorot(critic)
        super().__init__(
            *(MELGAN, shape.settings, generator, critic),
            hearing=config.hearing,
            precision=precision,
        )
        self.config = config
        if config.upstream == "mindspore":
            self.log_line = _log_line

    def optimizers(self, lr: float) -> Mapping[str, torch.optim.Optimizer]:
        """Adam for each."""
        config, module = self.config, self.module
        scales = {GENERATOR: 1.0, CRITIC: config.discriminator_lr}
        parts: Mapping[str, nn.Module] = {
            GENERATOR: module.generator,
            CRITIC: module.discriminator,
        }
        return {
            name: torch.optim.Adam(
                [{"params": list(part.parameters()), "lr_scale": scales[name]}],
                lr=lr,
                betas=config.betas,
                weight_decay=config.weight_decay,
                fused=in_one_pass(part),
            )
            for name, part in parts.items()
        }

    def losses(self, batch: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterator[Loss]:
        """The upstream's, in its order."""
        if not self.has_critic(batch):
            return iter([self.alone(batch)])
        if self.config.usual.hinge:
            return self._discriminator_first(batch)
        return self._generator_first(batch)

    def _discriminator_first(self, batch: Mapping[str, Tensor]) -> Iterator[Loss]:
        critic, audio = self.judges, batch["audio"]
        made = self.module.generator(batch["mel"])[:, 0]
        # One after the other: while every hinge bears, the last bias' two gradients cancel. Of one
        # sum over both there would be a rounding error left, and Adam makes a whole step of that.
        value = judges.hinge_of_discriminator(critic(audio), critic(made.detach()))
        yield Loss(CRITIC, value)
        yield self.of_generator(audio, made)

    def _generator_first(self, batch: Mapping[str, Tensor]) -> Iterator[Loss]:
        generator, critic = self.module.generator, self.judges
        yield self.of_generator(batch["audio"], generator(batch["mel"])[:, 0])
        with torch.no_grad():
            made = generator(batch["other_mel"])[:, 0]
        for _ in range(self.config.discriminator_steps):
            real, fake = critic.both(batch["other_audio"], made)
            yield Loss(CRITIC, judges.squares_of_discriminator(real, fake))

    def of_generator(self, audio: Tensor, made: Tensor) -> Loss:
        """The generator's loss of true sound and what it made of it, ``[batch, samples]``."""
        critic, hinge = self.judges, self.config.usual.hinge
        with frozen(critic):
            with torch.no_grad():
                real = critic(audio)
            fake = critic(made)
        score = judges.hinge_of_generator if hinge else judges.squares_of_generator
        adversarial = score(fake)
        features = judges.feature_distance(real, fake, weighted=hinge)
        heard, metrics = self.ear.compare(made, audio)
        value = adversarial + self.config.feature_weight * features + heard
        metrics |= {"adversarial": adversarial.detach(), "features": features.detach()}
        return Loss(GENERATOR, value, metrics)

    def load_weights(self, path: str) -> tuple[str, ...]:
        """A generator in any form that is converted, with its discriminators where they are."""
        return load_weights(self.module, path)


def _log_line(epoch: int, step: int, figures: Mapping[str, float], seconds: float) -> str:
    """A step as MindSpore's trainer prints it."""
    return (
        f"{epoch}epoch {step}iter loss_G={figures['loss']:.6g} "
        f"loss_D={figures[f'loss_{CRITIC}']:.6g} {seconds:.2f}s/it"
    )


def _found(data: Mapping[str, Any]) -> dict[str, Any]:
    """The sections of a folder with sound and mels side by side, as MindSpore's guide has it.

    ``train/wav`` and ``train/mel``, and in ``val`` mels to be spoken; or ``wav`` and ``mel``.
    """
    path = data.get("path")
    if not isinstance(path, str) or data.get("mels"):
        return dict(data)
    root = Path(path)
    for below in (root / "train", root):
        if (below / "wav").is_dir() and (below / "mel").is_dir():
            found = {**data, "path": str(below / "wav"), "mels": str(below / "mel")}
            if (root / "val").is_dir() and not data.get("validation"):
                found.setdefault("speak", str(root / "val"))
            return found
    return dict(data)


def build(config: TrainConfig) -> tuple[Task, Data]:
    """The task and data of a run."""
    model = from_mapping(MelganModel, config.model, "model")
    recipe, usual = model.mel_recipe(), dict(model.usual.data)
    hop = recipe.hop_length
    usual["segment"] = max(1, round(usual["segment"] / hop)) * hop
    wanted = from_mapping(MelDataConfig, {**usual, **_found(config.data)}, "data")
    task = MelganTask(model, precision=config.precision)
    task.ear.check(wanted.segment)
    data = open_mel_data(
        wanted, recipe, rows=config.batch_size, seed=config.seed, others=not model.usual.hinge
    )
    if config.samples:
        task.choose_spoken(wanted, data)
    return task, data
