"""Between the layers of a PyTorch network and the tensors of a model file.

Where a network's modules have the names of a spec's layers, this is all that conversion takes:
`to_arrays` and `fill` go by those names, with weight norm folded or split.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from pyvoc.container.tensors import AnyArray

__all__ = ["add_norm", "array_of", "check_shapes", "fill", "to_arrays"]

_LEAVES = ("weight", "bias")


def add_norm(*networks: nn.Module) -> None:
    """Make every convolution's weight a direction and a magnitude for each index of its first axis.

    Salimans & Kingma, "Weight Normalization", 2016.
    """
    for network in networks:
        for module in list(network.modules()):
            if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
                weight_norm(module)


def array_of(tensor: Tensor) -> npt.NDArray[np.float32]:
    """A tensor's values, float32, a copy on the host."""
    return np.array(tensor.detach().float().cpu().numpy())


def to_arrays(network: nn.Module) -> dict[str, AnyArray]:
    """Every ``LAYER.weight`` and ``LAYER.bias`` of a network, float32, as it computes with them."""
    found: dict[str, AnyArray] = {}
    for name, module in network.named_modules():
        for leaf in _LEAVES:
            value = getattr(module, leaf, None)
            if isinstance(value, Tensor):
                found[f"{name}.{leaf}"] = array_of(value)
    return found


def fill(network: nn.Module, arrays: Mapping[str, AnyArray]) -> None:
    """Give every layer of a network its weights; other arrays are left alone.

    Raises
    ------
    ValueError
        A layer's array is missing or has another shape; names the first ones. Nothing is filled.
    """
    check_shapes({name: array.shape for name, array in to_arrays(network).items()}, arrays)
    with torch.no_grad():
        for name, module in network.named_modules():
            for leaf in _LEAVES:
                target = getattr(module, leaf, None)
                if not isinstance(target, Tensor):
                    continue
                values = torch.from_numpy(np.array(arrays[f"{name}.{leaf}"], np.float32))
                if parametrize.is_parametrized(module, leaf):
                    setattr(module, leaf, values.to(target.device))
                else:
                    target.copy_(values)


def check_shapes(expected: Mapping[str, tuple[int, ...]], arrays: Mapping[str, AnyArray]) -> None:
    """Raise ValueError, naming the first ones, where arrays are missing or of other shapes."""
    wrong = []
    for name, shape in expected.items():
        if name not in arrays:
            wrong.append(f"{name} is missing")
        elif tuple(arrays[name].shape) != tuple(shape):
            found = list(arrays[name].shape)
            wrong.append(f"{name} is {found}, this model's is {list(shape)}")
    if wrong:
        raise ValueError("; ".join(wrong[:3]) + ("; ..." if len(wrong) > 3 else ""))
