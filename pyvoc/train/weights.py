"""Between the layers of a PyTorch network and the tensors of a model file.

Where a network's modules have the names of a spec's layers, this is all that conversion takes:
`to_arrays` and `fill` go by those names, with weight norm folded or split.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from pyvoc.container.tensors import AnyArray, Scalar
from pyvoc.errors import ModelError

__all__ = [
    "DIRECTION",
    "MAGNITUDE",
    "add_norm",
    "array_of",
    "check_shapes",
    "compare_settings",
    "fill",
    "normed_leaf",
    "set_tensors",
    "to_arrays",
]

_LEAVES = ("weight", "bias", "weight_ih", "weight_hh")
_FEATURES = "pyvoc.features."
MAGNITUDE, DIRECTION = "parametrizations.weight.original0", "parametrizations.weight.original1"
"""Names of weight norm's parts in a layer's state dict."""


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


def normed_leaf(leaf: str) -> str:
    """A tensor's name within its layer as the state dict has it; older ones name norms so."""
    return {"weight_g": MAGNITUDE, "weight_v": DIRECTION}.get(leaf, leaf)


def set_tensors(module: nn.Module, tensors: Mapping[str, Any], source: str) -> None:
    """Copy arrays to entries of a state dict; the others are left alone.

    Raises
    ------
    ModelError
        An array is of another size or not finite, or there is no such entry; names the first ones.
        Nothing is changed. `source` names the file.
    """
    own = module.state_dict()
    wrong = []
    for name, value in tensors.items():
        array = np.asarray(value)
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            wrong.append(f"{name} is not finite")
        elif name not in own or tuple(own[name].shape) != array.shape:
            size = "absent" if name not in own else list(own[name].shape)
            wrong.append(f"{name} is {list(array.shape)}, this run's is {size}")
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ModelError(f"'{source}' does not fit this run's sizes: {'; '.join(wrong[:3])}{more}")
    with torch.no_grad():
        for name, value in tensors.items():
            own[name].copy_(torch.from_numpy(np.array(value, np.float32)))


def compare_settings(
    ours: Mapping[str, Scalar], theirs: Mapping[str, Scalar], prefix: str, source: str
) -> tuple[str, ...]:
    """What a checkpoint that is gone on from says against the run: remarks on another mel.

    Parameters
    ----------
    ours, theirs
        Metadata.
    prefix
        Of the entries that make another network.
    source
        The checkpoint, for messages.

    Raises
    ------
    ModelError
        It is of another network.
    """
    keys = {**ours, **{k: v for k, v in theirs.items() if k.startswith((prefix, _FEATURES))}}
    different = [key for key in keys if not _same(ours.get(key), theirs.get(key))]
    wrong = [
        f"{key} {theirs.get(key)}, this run's is {ours.get(key)}"
        for key in different
        if key.startswith(prefix)
    ]
    if wrong:
        raise ModelError(f"{source}: is another network: {'; '.join(wrong)}")
    names = [key.rpartition(".")[2] for key in different if not key.endswith(".recipe")]
    if not names:
        return ()
    return (f"'{source}' reads mels of another recipe than this run's: other {', '.join(names)}",)


def _same(one: Scalar | None, two: Scalar | None) -> bool:
    """Whether entries are equal; floats have single precision in files."""
    if isinstance(one, float) and isinstance(two, float):
        return bool(np.float32(one) == np.float32(two))
    return one == two
