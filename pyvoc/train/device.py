"""The device to train on, and mixed precision on it."""

from __future__ import annotations

import importlib
import importlib.util
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from pyvoc.errors import Error, UnsupportedError
from pyvoc.train.config import TrainConfig

__all__ = ["Amp", "choose_device", "make_amp"]

# Accelerators whose PyTorch back end is a package of its own.
_PLUGINS = {"npu": "torch_npu", "mlu": "torch_mlu", "gcu": "torch_gcu", "hpu": "habana_frameworks"}


def choose_device(name: str, *, local_rank: int = 0, local_world: int = 1) -> torch.device:
    """The device that `name` means here.

    Parameters
    ----------
    name
        ``auto`` (the accelerator if there is one, otherwise the CPU), ``cpu``, or an accelerator's
        name with or without a number (``cuda``, ``cuda:1``, ``npu``, ``mlu``, ...).
    local_rank, local_world
        Of the processes on this machine; each takes its own accelerator.

    Raises
    ------
    UnsupportedError
        There is no such device here.
    Error
        `name` is none.
    """
    kind, colon, number = name.partition(":")
    if not kind.isidentifier() or (colon and not number.isdecimal()):
        raise Error(f"--device {name}: expected auto, cpu, cuda, cuda:1, npu, mlu, ...")
    if kind == "cpu":
        return torch.device("cpu")
    plugin = _PLUGINS.get(kind)
    if plugin and importlib.util.find_spec(plugin) is not None:
        importlib.import_module(plugin)
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if kind == "auto" and found is None:
        return torch.device("cpu")
    if found is None or kind not in ("auto", found.type):
        has = "no accelerator" if found is None else f"'{found.type}'"
        hint = f"; it needs the package {plugin} and its driver" if plugin else ""
        raise UnsupportedError(
            f"--device {name}: not usable here: PyTorch {torch.__version__} finds {has}{hint}"
        )
    count = torch.accelerator.device_count()
    index = int(number) if colon else local_rank
    if colon and local_world > 1:
        raise Error(f"--device {name}: leave the number out; each process takes its own device")
    if index >= count:
        raise UnsupportedError(
            f"--device {name}: device {index} is not there: {count} of '{found.type}' on this "
            f"machine, {local_world} processes"
        )
    device = torch.device(found.type, index)
    torch.accelerator.set_device_index(index)
    return device


@dataclass(frozen=True)
class Amp:
    """Mixed precision; without it everything here does nothing.

    Parameters
    ----------
    name
        ``f32``, ``bf16`` or ``fp16``.
    device
        Where.
    dtype
        Of autocast; None without.
    scaler
        Loss scaling, which only fp16 needs.
    """

    name: str
    device: torch.device
    dtype: torch.dtype | None = None
    scaler: torch.amp.GradScaler | None = None

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of a forward pass."""
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)


def make_amp(config: TrainConfig, device: torch.device) -> Amp:
    """Mixed precision as the settings want it.

    Raises
    ------
    UnsupportedError
        The device does not do it.
    """
    if not config.use_amp:
        return Amp("f32", device)
    wanted = config.amp_dtype
    if wanted == "auto":
        good = device.type != "cuda" or torch.cuda.is_bf16_supported()
        wanted = "bf16" if good else "fp16"
    if wanted == "bf16":
        return Amp("bf16", device, torch.bfloat16)
    if device.type == "cpu":
        raise UnsupportedError("--amp-dtype fp16: processors train in bf16; fp16 needs a GPU")
    return Amp("fp16", device, torch.float16, torch.amp.GradScaler(device.type))
