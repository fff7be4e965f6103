"""WaveGlow for the training loop: likelihood of speech given its mel, as upstream counts it.

Prenger et al., 2018; NVIDIA/waveglow. Upstream takes the logarithm of a determinant, which is not a
number where the determinant is negative; here it is that of its magnitude, which is the same
density.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from pyvoc.families.waveglow.spec import WAVEGLOW
from pyvoc.families.waveglow.torch_model import Noise, Waveglow
from pyvoc.families.waveglow.train.recipes import SEGMENT, whole_frames
from pyvoc.families.waveglow.train.settings import WaveglowModel
from pyvoc.families.waveglow.train.start import begin
from pyvoc.families.waveglow.train.upstream import load_weights
from pyvoc.train.config import TrainConfig
from pyvoc.train.data.segments import MelDataConfig, open_mel_data
from pyvoc.train.ear import Ear
from pyvoc.train.mapping import from_mapping
from pyvoc.train.mel_task import MelTask
from pyvoc.train.optimizer import in_one_pass
from pyvoc.train.task import ONLY, Data, Loss, Measured, Task

LOUDEST = 4.0
"""Of what is said while learning: flows that are not yet trained have no bound."""


class WaveglowTask(MelTask):
    """See `pyvoc.train.task.Task`.

    Parameters
    ----------
    config
        Sizes and the noise.
    precision
        Of the models that will be exported.
    """

    network: Waveglow

    def __init__(self, config: WaveglowModel, *, precision: str = "f32") -> None:
        shape = config.shape()
        network = Waveglow(shape, normed=config.likelihood_weight > 0)  # as upstream's learns
        if not config.likelihood_weight:
            begin(network)
        super().__init__(WAVEGLOW, shape.settings, network, precision=precision)
        self.module = network
        self.config = config
        self.ear = Ear(config.distances, shape.settings.recipe)

    def optimizers(self, lr: float) -> Mapping[str, torch.optim.Optimizer]:
        """Adam."""
        fused = in_one_pass(self.module)
        return {ONLY: torch.optim.Adam(self.module.parameters(), lr=lr, fused=fused)}

    def losses(self, batch: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterator[Loss]:
        """The negative log-likelihood per sample, without its constant; distances, if wanted."""
        config, audio, mel = self.config, batch["audio"], batch["mel"]
        value, metrics = audio.new_zeros(()), dict[str, Tensor]()
        if config.likelihood_weight:
            likelihood = nats(self.network(audio, mel), config.sigma)
            value = value + config.likelihood_weight * likelihood
            metrics["nats"] = likelihood.detach()
        if config.distances.any:
            distance, parts = self.ear.compare(self._said(mel, batch["seed"].tolist()), audio)
            value, metrics = value + distance, metrics | parts
        yield Loss(ONLY, value, metrics if config.distances.any else {})

    def measure(self, batch: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Measured:
        """The same of held-out speech: the ``loss`` of `pyvoc evaluate --nll`, at a sigma of 1.

        Where the likelihood is not learnt, the distance of mels, from the same noise each time.
        """
        audio, mel = batch["audio"], batch["mel"]
        if self.config.likelihood_weight:
            return nats(self.network(audio, mel), self.config.sigma), {}, {}
        return self.ear.mel_distance(self._said(mel, range(len(mel))), audio), {}, {}

    def _said(self, mel: Tensor, seeds: Sequence[int]) -> Tensor:
        """What the network says, from noise of a seed for each row; ``[batch, samples]``."""
        groups, frames = self.config.n_group, mel.shape[2]
        steps = frames * self.network.shape.hop // groups
        draws = (torch.Generator().manual_seed(seed) for seed in seeds)
        noise = torch.stack([torch.randn(groups, steps, generator=draw) for draw in draws])
        made = self.network.infer(mel, self.config.synthesis_sigma * noise.to(mel.device))
        return made.clamp(-LOUDEST, LOUDEST)

    def load_weights(self, path: str) -> tuple[str, ...]:
        """A model file, or a checkpoint in any form that is converted."""
        return load_weights(self.network, path)


def nats(noise: Noise, sigma: float) -> Tensor:
    """Upstream's loss of what the flows make of a batch; see `pyvoc.runtime.likelihood`."""
    power = noise.z.float().square().sum() / (2 * sigma**2)
    rows = len(noise.z)
    total = power - noise.log_s.float().sum() - rows * noise.log_det.float().sum()
    return total / noise.z.numel()


def build(config: TrainConfig) -> tuple[Task, Data]:
    """The task and data of a run."""
    model = from_mapping(WaveglowModel, config.model, "model")
    recipe = model.mel_recipe()
    usual = {"segment": whole_frames(SEGMENT, recipe.hop_length)}
    wanted = from_mapping(MelDataConfig, {**usual, **config.data}, "data")
    task = WaveglowTask(model, precision=config.precision)
    task.ear.check(wanted.segment)
    data = open_mel_data(wanted, recipe, rows=config.batch_size, seed=config.seed)
    if config.samples:
        task.choose_spoken(wanted, data)
    return task, data
