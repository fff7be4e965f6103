"""The next batch, made in one background thread while the present one is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pyvoc.errors import Error
from pyvoc.train.task import Arrays, Data

__all__ = ["Prefetcher", "to_device", "to_tensors"]

Tensors = dict[str, torch.Tensor]


def to_tensors(arrays: Mapping[str, npt.NDArray[Any]], rows: int | None = None) -> Tensors:
    """A batch as tensors that share its memory where they can.

    Raises
    ------
    Error
        An array has another number of rows than `rows`.
    """
    tensors = {}
    for name, array in arrays.items():
        if rows is not None and array.shape[:1] != (rows,):
            raise Error(f"the data gave '{name}' of shape {array.shape}, expected {rows} rows")
        array = np.ascontiguousarray(array)
        tensors[name] = torch.from_numpy(array if array.flags.writeable else array.copy())
    return tensors


def to_device(tensors: Mapping[str, torch.Tensor], device: torch.device) -> Tensors:
    """The tensors on a device."""
    return {name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()}


class Prefetcher:
    """Batches of consecutive steps. A context manager: ends its thread.

    Parameters
    ----------
    data
        Where they come from.
    rows
        Of each global batch, those wanted.
    end
        The step after the last.
    device
        Where they go.
    """

    def __init__(self, data: Data, rows: range, end: int, device: torch.device) -> None:
        self._data, self._rows, self._end, self._device = data, rows, end, device
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pyvoc-data")
        self._next: tuple[int, Future[Tensors]] | None = None

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def get(self, step: int) -> Tensors:
        """The batch of a step, on the device; that of the next one is begun."""
        if self._next is None or self._next[0] != step:
            self._next = step, self._pool.submit(self._make, step)
        tensors = self._next[1].result()
        self._next = None
        if step + 1 < self._end:
            self._next = step + 1, self._pool.submit(self._make, step + 1)
        return to_device(tensors, self._device)

    def _make(self, step: int) -> Tensors:
        arrays: Arrays = self._data.batch(step, self._rows)
        tensors = to_tensors(arrays, len(self._rows))
        if self._device.type == "cuda":
            tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}
        return tensors
