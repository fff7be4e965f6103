"""WaveRNN for the training loop: likelihood of the next sample, as upstream trains it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from pyvoc.errors import Error
from pyvoc.families.wavernn.spec import WAVERNN
from pyvoc.families.wavernn.torch_model import Wavernn
from pyvoc.families.wavernn.train.data import open_data
from pyvoc.families.wavernn.train.losses import label_nats, mixture_nats
from pyvoc.families.wavernn.train.pruning import Pruning
from pyvoc.families.wavernn.train.settings import WavernnModel
from pyvoc.families.wavernn.train.upstream import load_weights
from pyvoc.train.config import TrainConfig
from pyvoc.train.data.segments import MelDataConfig
from pyvoc.train.distributed import for_all_rows
from pyvoc.train.mapping import from_mapping
from pyvoc.train.mel_task import MelTask
from pyvoc.train.optimizer import in_one_pass
from pyvoc.train.task import ONLY, Data, Loss, Measured, State, Task


class WavernnTask(MelTask):
    """See `pyvoc.train.task.Task`.

    Parameters
    ----------
    config
        Sizes and schedules.
    precision
        Of the models that will be exported.

    Raises
    ------
    Error
        There is no such network.
    """

    network: Wavernn

    def __init__(self, config: WavernnModel, *, precision: str = "f32") -> None:
        try:
            shape = config.shape()
        except ValueError as error:
            raise Error(f"settings: model: {error}") from error
        network = Wavernn(shape, normed=True, stem=True)
        super().__init__(WAVERNN, shape.settings, network, precision=precision)
        self.module = network
        self.config = config
        self.pruning = Pruning(config, network) if config.sparsity else None
        self._nats = label_nats if config.mode == "raw" else mixture_nats

    def optimizers(self, lr: float) -> Mapping[str, torch.optim.Optimizer]:
        """Adam."""
        fused = in_one_pass(self.module)
        return {ONLY: torch.optim.Adam(self.module.parameters(), lr=lr, fused=fused)}

    def losses(self, batch: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Iterator[Loss]:
        """The likelihood of the samples; batch norm sees the mels of all processes."""
        frames = for_all_rows(self.network.resnet, batch["mel"])
        outputs, _ = self.network(batch["x"], batch["mel"], frames=frames)
        yield Loss(ONLY, self._nats(outputs.float(), batch["label"]).mean())

    def measure(self, batch: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Measured:
        """The likelihood of held-out samples."""
        states = None
        if state:
            keep = ~batch["reset"].unsqueeze(1)
            states = state["h1"] * keep, state["h2"] * keep
        outputs, (h1, h2) = self.network(batch["x"], batch["mel"], states)
        nats = self._nats(outputs.float(), batch["label"])
        mask = batch["mask"]
        carried: State = {"h1": h1, "h2": h2}
        return (nats * mask).sum() / mask.sum().clamp(min=1), carried, {}

    def after_update(self, step: int) -> dict[str, float]:
        """Prune."""
        return {} if self.pruning is None else {"density": self.pruning.apply(step)}

    def state_dict(self) -> dict[str, Any]:
        """The masks."""
        return {} if self.pruning is None else {"masks": dict(self.pruning.masks)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave; a run that does not prune goes on densely."""
        if self.pruning is not None and "masks" in state:
            self.pruning.load(state["masks"])

    def load_weights(self, path: str) -> tuple[str, ...]:
        """A model file, or a checkpoint in any form that is converted."""
        notes = load_weights(self.network, path)
        if self.pruning is not None:
            self.pruning.take_zeros()
        return notes


def build(config: TrainConfig) -> tuple[Task, Data]:
    """The task and data of a run."""
    model = from_mapping(WavernnModel, config.model, "model")
    task = WavernnTask(model, precision=config.precision)
    shape = task.network.shape
    wanted = from_mapping(MelDataConfig, {"segment": 5 * shape.hop, **config.data}, "data")
    data = open_data(wanted, shape, rows=config.batch_size, seed=config.seed)
    if config.samples:
        task.choose_spoken(wanted, data.segments)
    return task, data
