"""A tiny model family for the tests of the training loop; run as a script, ``pyvoc`` with it.

The model predicts a sum of its input over time, so it is wrong where the recurrent state was
not carried. Options (``model:``): ``noise`` draws from PyTorch's generator in every step,
``nan_at`` spoils row `nan_row` of that step, ``slow`` is seconds per batch.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pyvoc import families
from pyvoc.families import Family
from pyvoc.files.atomic import atomic_open
from pyvoc.train.config import TrainConfig
from pyvoc.train.mapping import from_mapping
from pyvoc.train.task import ONLY, Arrays, Loss, Sample

WIDTH = 8
TIME = 4
SEGMENT = 4
"""Steps after which a row begins anew."""


@dataclass(frozen=True)
class ToyModel:
    """Settings of the model."""

    width: int = WIDTH
    noise: float = 0.0
    nan_at: int = -1
    nan_row: int = 0
    fail_export: bool = False


@dataclass(frozen=True)
class ToyData:
    """Settings of the data."""

    path: str = ""
    features: str = ""
    validation: str = ""
    slow: float = 0.0
    held_out: int = 2


class Module(torch.nn.Module):
    """h' = leak h + input; the loss is the error of a linear reading of h."""

    def __init__(self, settings: ToyModel) -> None:
        super().__init__()
        self.settings = settings
        self.read = torch.nn.Linear(settings.width, 1)
        self.leak = torch.nn.Parameter(torch.full((settings.width,), 0.5))

    def forward(self, batch: dict[str, torch.Tensor], state: dict[str, torch.Tensor]) -> Any:
        h = state["h"] * ~batch["reset"][:, None]
        x = batch["x"]
        if self.training and self.settings.noise:
            x = x + self.settings.noise * torch.randn_like(x)
        outputs = []
        for t in range(TIME):
            h = self.leak * h + x[:, t]
            outputs.append(self.read(h))
        error = torch.cat(outputs, 1) - batch["y"]
        loss = (error**2).mean()
        return loss, {"h": h}, {"mae": error.abs().mean()}


class Task:
    """See `pyvoc.train.task.Task`."""

    def __init__(self, settings: ToyModel) -> None:
        self.settings = settings
        self.module = Module(settings)
        self.updates = 0

    def initial_state(self, rows: int) -> dict[str, torch.Tensor]:
        return {"h": torch.zeros(rows, self.settings.width)}

    def optimizers(self, lr: float) -> dict[str, torch.optim.Optimizer]:
        return {ONLY: torch.optim.Adam(self.module.parameters(), lr=lr, betas=(0.5, 0.8))}

    def losses(self, batch: Any, state: Any) -> Iterator[Loss]:
        value, state, metrics = self.module(batch, state)
        yield Loss(ONLY, value, metrics, state)

    def measure(self, batch: Any, state: Any) -> Any:
        return self.module(batch, state)

    def after_update(self, step: int) -> dict[str, float]:
        self.updates += 1
        with torch.no_grad():
            self.module.read.weight.clamp_(-2, 2)
        return {"updates": float(self.updates)}

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self.updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.updates = state["updates"]

    def load_weights(self, path: str) -> Sequence[str]:
        with torch.no_grad():
            self.module.read.weight.copy_(torch.from_numpy(np.load(path)))
        return ()

    def export(self, path: str, *, precision: str, metadata: Mapping[str, Any]) -> None:
        if self.settings.fail_export:
            from pyvoc.errors import Error

            raise Error("the toy has no shop")
        with atomic_open(path) as file:
            np.save(file, self.module.read.weight.detach().cpu().numpy())

    def samples(self, gguf_path: str) -> Sequence[Sample]:
        weight = float(np.load(gguf_path)[0, 0])
        audio = 0.1 * np.sin(np.arange(4000) * (0.1 + 0.01 * weight))
        return [Sample("tone", audio.astype(np.float32), 16000)]


class Data:
    """See `pyvoc.train.task.Data`."""

    steps_per_epoch = 10
    samples_per_row = TIME

    def __init__(self, settings: ToyData, model: ToyModel, seed: int) -> None:
        self.settings, self.model, self.seed = settings, model, seed

    def _x(self, stream: str, step: int, row: int) -> npt.NDArray[np.float32]:
        generator = np.random.default_rng([self.seed, step, row, len(stream)])
        return generator.normal(size=(TIME, self.model.width)).astype(np.float32)

    def _row(self, stream: str, step: int, row: int) -> dict[str, Any]:
        segment = [self._x(stream, s, row) for s in range(step - step % SEGMENT, step + 1)]
        weights = np.linspace(-0.3, 0.3, self.model.width, dtype=np.float32)
        target = np.cumsum(np.concatenate(segment) @ weights)[-TIME:]
        return {"x": segment[-1], "y": target, "reset": step % SEGMENT == 0}

    def _batch(self, stream: str, step: int, rows: range) -> Arrays:
        found = [self._row(stream, step, row) for row in rows]
        return {name: np.stack([np.asarray(row[name]) for row in found]) for name in found[0]}

    def batch(self, step: int, rows: range) -> Arrays:
        if self.settings.slow:
            time.sleep(self.settings.slow)
        batch = dict(self._batch("train", step, rows))
        if step == self.model.nan_at and self.model.nan_row in rows:
            batch["x"][self.model.nan_row - rows.start, 1] = math.nan
        return batch

    def validation(self, rows: int) -> Iterator[Arrays]:
        for step in range(self.settings.held_out):
            yield self._batch("held out", step, range(rows))


def build(config: TrainConfig) -> tuple[Task, Data]:
    """The family."""
    model = from_mapping(ToyModel, config.model, "settings: model")
    data = from_mapping(ToyData, config.data, "settings: data")
    return Task(model), Data(data, model, config.seed)


TOY = Family(name="toy", title="Toy", package="", spec="", checkpoints="", trainer="toy_task:build")
families.register(TOY)

if __name__ == "__main__":
    from pyvoc.cli import main

    sys.exit(main())
