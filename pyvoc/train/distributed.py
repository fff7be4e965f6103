"""Several processes, as torchrun starts them: who am I, sums over all, gathered rows.

Without torchrun every operation here is that of one process. Only rank 0 writes files.
"""

from __future__ import annotations

import datetime
import importlib
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist

from pyvoc.errors import Error, UnsupportedError
from pyvoc.train.task import State

__all__ = ["Ranks", "for_all_rows", "local_rank", "local_world_size", "rank"]

T = TypeVar("T")

_BUCKET = 1 << 23
_TIMEOUT = datetime.timedelta(hours=2)  # the others wait while rank 0 validates and writes


def _environment(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal():
        raise Error(f"the environment variable {name} is '{text}', expected a number (torchrun's)")
    return int(text)


def rank() -> int:
    """Number of this process among all."""
    return _environment("RANK", 0)


def local_rank() -> int:
    """Number of this process on this machine."""
    return _environment("LOCAL_RANK", 0)


def local_world_size() -> int:
    """Number of processes on this machine."""
    return _environment("LOCAL_WORLD_SIZE", 1)


def for_all_rows(
    function: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor
) -> torch.Tensor:
    """What a function of the whole batch gives for the rows of this process.

    Every process computes it for the rows of all, so that what depends on the other rows (the
    averages of batch norm) is the same as in one process, and so are its averaged gradients. For
    parts of a network that cost little. Every process must call it.

    Parameters
    ----------
    function
        From and to tensors with rows on the first axis.
    rows
        This process's, of input that has no gradient.
    """
    if not dist.is_available() or not dist.is_initialized():
        return function(rows)
    mine = rows.detach().contiguous()
    parts = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, mine)
    first = dist.get_rank() * len(mine)
    return function(torch.cat(parts))[first : first + len(mine)]


class Ranks:
    """The processes of a run. A context manager: leaves the process group at the end.

    Parameters
    ----------
    device
        Of this process.

    Raises
    ------
    UnsupportedError
        PyTorch has no way for processes with this device to communicate.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.rank = rank()
        self.size = _environment("WORLD_SIZE", 1)
        self._joined = False
        if self.size == 1:
            return
        backend = "gloo"
        if device.type != "cpu":
            backend = dist.get_default_backend_for_device(device)
        if not dist.is_available() or not dist.is_backend_available(backend):
            raise UnsupportedError(f"this PyTorch has no '{backend}', which several processes need")
        # Its functions take the group that there is at its import as a default, and keep it. If it
        # were imported on the way, the group's threads would outlive `__exit__`, and one that gives
        # a tensor back while the interpreter ends aborts the process.
        importlib.import_module("torch.distributed.nn.functional")
        dist.init_process_group(backend, timeout=_TIMEOUT)
        self._joined = True

    def __enter__(self) -> Ranks:
        return self

    def __exit__(self, *_: object) -> None:
        if self._joined:
            dist.destroy_process_group()
            self._joined = False

    @property
    def writes(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def slice(self, rows: int) -> range:
        """The rows of a global batch that are this process's.

        Raises
        ------
        Error
            The processes cannot have equally many.
        """
        if rows % self.size:
            raise Error(f"'batch_size' is {rows}, which {self.size} processes cannot share equally")
        share = rows // self.size
        return range(self.rank * share, (self.rank + 1) * share)

    def share(self, module: torch.nn.Module) -> None:
        """Give every process the weights and buffers that rank 0 has."""
        if self._joined:
            with torch.no_grad():
                for tensor in (*module.parameters(), *module.buffers()):
                    dist.broadcast(tensor, 0)

    def average(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Average gradients over the processes, some `_BUCKET` numbers at a time.

        A step may have several losses, each with its own parameters and graph: so the gradients
        are averaged when they are complete, not by hooks that expect one graph.
        """
        if not self._joined:
            return
        bucket: list[torch.Tensor] = []
        count = 0
        for gradient in (p.grad for p in parameters if p.grad is not None):
            if bucket and (count > _BUCKET or gradient.dtype != bucket[0].dtype):
                self._average(bucket)
                bucket, count = [], 0
            bucket.append(gradient)
            count += gradient.numel()
        if bucket:
            self._average(bucket)

    def _average(self, gradients: Sequence[torch.Tensor]) -> None:
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        at = 0
        for gradient in gradients:
            gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
            at += gradient.numel()

    def sum(self, values: Sequence[float]) -> list[float]:
        """Sums over the processes, the same on each (in double precision, where there is)."""
        if not self._joined:
            return list(values)
        dtype = torch.float32 if self.device.type in ("mps", "npu") else torch.float64
        tensor = torch.tensor(values, dtype=dtype, device=self.device)
        dist.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def first(self, values: Sequence[float]) -> list[float]:
        """The values that rank 0 has."""
        return self.sum(values if self.writes else [0.0] * len(values))

    def gather(self, value: T) -> list[T]:
        """What every process has, the same on each. Every process must call it."""
        if not self._joined:
            return [value]
        found: list[T] = [value] * self.size
        dist.all_gather_object(found, value)
        return found

    def gather_rows(self, state: State) -> State:
        """The carried state of all rows, on the CPU. Every process must call it."""
        whole: State = {}
        for name in sorted(state):
            mine = state[name].detach().contiguous()
            if self._joined:
                parts = [torch.empty_like(mine) for _ in range(self.size)]
                dist.all_gather(parts, mine)
                mine = torch.cat(parts)
            whole[name] = mine.cpu()
        return whole
