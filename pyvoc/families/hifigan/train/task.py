"""HiFi-GAN for the training loop: its losses, in the order of upstream's trainer.

Kong et al. 2020; jik876/hifi-gan. In a step the generator speaks once; the discriminators learn
from that, and then the generator from the discriminators as they now are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from pyvoc.families.hifigan.spec import HIFIGAN
from pyvoc.families.hifigan.torch_model import Hifigan
from pyvoc.families.hifigan.train.discriminators import Discriminators
from pyvoc.families.hifigan.train.settings import HifiganModel
from pyvoc.families.hifigan.train.upstream import load_weights
from pyvoc.train.config import TrainConfig
from pyvoc.train.data.segments import MelDataConfig, open_mel_data
from pyvoc.train.gan import CRITIC, GENERATOR, GanTask, frozen
from pyvoc.train.mapping import from_mapping
from pyvoc.train.optimizer import in_one_pass
from pyvoc.train.task import Data, Loss, Task


class HifiganTask(GanTask):
    """See `pyvoc.train.task.Task`.

    Parameters
    ----------
    config
        Sizes and weights of the losses.
    precision
        Of the models that will be exported.
    """

    def __init__(self, config: HifiganModel, *, precision: str = "f32") -> None:
        shape = config.shape()
        recipe = shape.settings.recipe
        fmax = config.loss_fmax or recipe.sample_rate / 2
        super().__init__(
            HIFIGAN,
            shape.settings,
            Hifigan(shape, normed=True),
            Discriminators(config),
            hearing=config.hearing,
            heard=replace(recipe, name="custom", fmax=fmax),
            precision=precision,
        )
        self.config = config

    def optimizers(self, lr: float) -> Mapping[str, torch.optim.Optimizer]:
        """AdamW for each."""
        config = self.config
        return {
            name: torch.optim.AdamW(
                module.parameters(),
                lr=lr,
                betas=(config.adam_b1, config.adam_b2),
                weight_decay=config.weight_decay,
                fused=in_one_pass(module),
            )
            for name, module in (
                (GENERATOR, self.module.generator),
                (CRITIC, self.module.discriminator),
            )
        }

    def losses(self, batch: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterator[Loss]:
        """The discriminators', then the generator's."""
        if not self.has_critic(batch):
            yield self.alone(batch)
            return
        discriminator, audio = self.judges, batch["audio"]
        made = self.module.generator(batch["mel"])[:, 0]
        real, fake = discriminator.both(audio, made.detach())
        told = _total((1 - score).square().mean() for score, _ in real)
        yield Loss(CRITIC, told + _total(score.square().mean() for score, _ in fake))
        heard, metrics = self.ear.compare(made, audio)
        with frozen(discriminator):
            with torch.no_grad():
                real = discriminator(audio)
            fake = discriminator(made)
        features = _total(
            (a - b).abs().mean()
            for (_, ours), (_, theirs) in zip(real, fake, strict=True)
            for a, b in zip(ours, theirs, strict=True)
        )
        adversarial = _total((1 - score).square().mean() for score, _ in fake)
        value = adversarial + self.config.feature_weight * features + heard
        metrics |= {"features": features.detach(), "adversarial": adversarial.detach()}
        yield Loss(GENERATOR, value, metrics)

    def load_weights(self, path: str) -> tuple[str, ...]:
        """Upstream's ``g_*`` (and ``do_*``), or a generator in any form that is converted."""
        return load_weights(self.module, path)


def _total(terms: Iterator[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()


def build(config: TrainConfig) -> tuple[Task, Data]:
    """The task and data of a run."""
    model = from_mapping(HifiganModel, config.model, "model")
    usual = {"peak": 0.0 if config.data.get("mels") else 0.95}
    wanted = from_mapping(MelDataConfig, {**usual, **config.data}, "data")
    task = HifiganTask(model, precision=config.precision)
    task.ear.check(wanted.segment)
    data = open_mel_data(wanted, model.mel_recipe(), rows=config.batch_size, seed=config.seed)
    if config.samples:
        task.choose_spoken(wanted, data)
    return task, data
