"""FARGAN from the checkpoints of upstream's training, in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyvoc.container.base import raise_problems
from pyvoc.container.tensors import AnyArray
from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.layers import Layers
from pyvoc.convert.settings import NO_SETTINGS, Settings
from pyvoc.convert.tensors import NamedTensors
from pyvoc.convert.tree import levels
from pyvoc.families.fargan.exported import NO_PITCH
from pyvoc.families.fargan.names import LAYERS, find_prefix
from pyvoc.families.fargan.shapes import check_shapes
from pyvoc.families.fargan.spec import FARGAN, FarganSettings

_KEPT = ("cond_net.", "sig_net.")


def pick_fargan(tree: Any) -> tuple[dict[str, Any], str, int] | None:
    """Find a network in a checkpoint's contents.

    Returns
    -------
    tuple or None
        Its tensors without what precedes their names, that prefix, and how many entries belong to
        something else; None when there is none.
    """
    for level in levels(tree):
        names = level.names()
        prefix = find_prefix(names)
        if prefix is not None:
            mine = [n for n in names if n.startswith(tuple(prefix + net for net in _KEPT))]
            picked = {n[len(prefix) :]: level.table[n] for n in mine}
            return picked, prefix, len(names) - len(mine)
    return None


def convert_fargan(
    arrays: Mapping[str, AnyArray],
    prefix: str,
    others: int,
    *,
    path: Path,
    container: str,
    settings: Settings = NO_SETTINGS,
) -> Checkpoint:
    """Bring a network to the terms of our spec.

    Parameters
    ----------
    arrays, prefix, others
        What `pick_fargan` found, the tensors read.
    path
        Of the checkpoint.
    container
        Name of the file's format, for ``pyvoc.source.format``.
    settings
        Not asked: rate and features are the network's by definition.

    Raises
    ------
    ModelError
        Tensors are missing, unexpected, misshapen or not finite; one error lists all.
    """
    layers = Layers(arrays, prefix)
    found: dict[str, AnyArray] = {}
    for layer in LAYERS:
        if layer.gates:
            weight = layers.take(layer.torch, 2)
        else:
            weight = layers.weight(layer.torch, 3 if layer.ours == "cond.conv.weight" else 2)
        if weight is not None:
            if weight.ndim == 3:  # [outputs, inputs, taps]: we read the frames one after the other
                weight = weight.transpose(0, 2, 1).reshape(weight.shape[0], -1)
            found[layer.ours] = weight
        if layer.bias is not None and (bias := layers.bias(layer.torch)) is not None:
            found[layer.bias] = bias
    layers.finish()
    problems = layers.problems + check_shapes(found)
    if problems:
        raise_problems(str(path), problems)
    left = (f"{others} tensors that are not the network's were left out",) if others else ()
    return Checkpoint(
        FARGAN,
        found,
        FarganSettings().metadata(),
        f"opus.{container}",
        notes=(*left, NO_PITCH),
        rate_from="the network",
    )


TENSORS = NamedTensors(pick_fargan, convert_fargan)
