"""The loss on held-out data."""

from __future__ import annotations

from collections.abc import Callable

import torch

from pyvoc.train.prefetch import to_device, to_tensors
from pyvoc.train.task import Data, Task

__all__ = ["validate"]


def validate(
    task: Task,
    data: Data,
    rows: int,
    device: torch.device,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, float] | None:
    """Mean loss and metrics over the held-out data, in full precision.

    Batches weigh as much as their ``mask`` has samples, otherwise as they have rows. The recurrent
    state is carried from batch to batch where they have equally many rows.

    Parameters
    ----------
    task, data
        The family's.
    rows
        Greatest number of rows of a batch.
    device
        Of the module.
    stopped
        Asked before each batch: whether to break off.

    Returns
    -------
    dict
        ``loss`` and the metrics; empty where there is no held-out data; None where it was broken
        off.
    """
    sums: dict[str, float] = {}
    weights = 0.0
    module = task.module
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            state, held = {}, -1
            for arrays in data.validation(rows):
                if stopped():
                    return None
                batch = to_device(to_tensors(arrays), device)
                found = len(next(iter(batch.values())))
                if found != held:
                    state, held = to_device(task.initial_state(found), device), found
                loss, state, metrics = task.measure(batch, state)
                weight = float(batch["mask"].sum()) if "mask" in batch else float(found)
                if weight == 0.0:
                    continue
                weights += weight
                for name, value in {"loss": loss, **metrics}.items():
                    sums[name] = sums.get(name, 0.0) + weight * float(value)
    finally:
        module.train(was_training)
    return {name: value / weights for name, value in sums.items()}
