"""What upstream's trainer (jik876/hifi-gan) leaves to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from pyvoc.convert.layers import layer_of
from pyvoc.convert.model_file import pick_tensors, read_weights
from pyvoc.errors import ModelError
from pyvoc.families.hifigan.convert import their_layers
from pyvoc.families.hifigan.names import count, find_generator
from pyvoc.families.hifigan.spec import HIFIGAN
from pyvoc.families.hifigan.torch_model import Hifigan
from pyvoc.pickles import load_torch
from pyvoc.train.gan import Adversaries
from pyvoc.train.weights import DIRECTION, MAGNITUDE, compare_settings, normed_leaf, set_tensors


def load_weights(module: Adversaries, path: str) -> tuple[str, ...]:
    """Take weights to go on from.

    Parameters
    ----------
    module
        The two networks.
    path
        A model file, or a checkpoint of the generator's. Of upstream's ``g_NNN`` the directions
        and magnitudes are taken as they are, and from ``do_NNN`` beside it the discriminators.

    Returns
    -------
    tuple of str
        What the user should know.

    Raises
    ------
    ModelError
        A file is damaged, of another network or of other sizes.
    Error
        The operating system refused to read.
    """
    generator = module.generator
    assert isinstance(generator, Hifigan)
    checkpoint = read_weights(HIFIGAN, path)
    ours = generator.shape.settings.metadata()
    notes = list(compare_settings(ours, checkpoint.metadata, HIFIGAN.prefix, path))
    generator.go_on_from(checkpoint.arrays, path)
    normed = _normed(path)
    if normed:
        set_tensors(generator, normed, path)
    beside = Path(path).with_name(Path(path).name.replace("g_", "do_", 1))
    if Path(path).name.startswith("g_") and beside.is_file():
        _load_discriminators(module.discriminator, str(beside))
        notes.append(f"the discriminators were taken from '{beside}'")
    else:
        notes.append("the discriminators begin anew: a g_ file has its do_ file beside it")
    return tuple(notes)


def _normed(path: str) -> dict[str, np.ndarray]:
    """Directions and magnitudes of a PyTorch checkpoint, as our network names them."""
    tree = pick_tensors(path, _generator)
    named = find_generator(list(tree)) if isinstance(tree, dict) else None
    if named is None:
        return {}
    short = {name: tree[full] for name, full in named.names.items()}
    layers = {layer for name in short if (layer := layer_of(name)) is not None}
    found = {}
    for ours, theirs in their_layers(named, *count(named, layers)).items():
        for leaf in ("weight_g", "weight_v", MAGNITUDE, DIRECTION):
            if f"{theirs}.{leaf}" in short:
                found[f"{ours}.{normed_leaf(leaf)}"] = short[f"{theirs}.{leaf}"]
    return found


def _generator(tree: Any) -> Any:
    return tree.get("generator", {}) if type(tree) is dict else {}


def _load_discriminators(module: nn.Module, path: str) -> None:
    """Take ``mpd`` and ``msd`` of a ``do_*`` file."""
    parts = load_torch(
        path,
        select=lambda tree: {k: tree.get(k) for k in ("mpd", "msd")} if type(tree) is dict else {},
    )
    state: dict[str, np.ndarray] = {}
    for part in ("mpd", "msd"):
        tensors = parts.get(part)
        if not isinstance(tensors, Mapping):
            raise ModelError(f"'{path}' holds no '{part}', which upstream's do_ files have")
        for name, value in tensors.items():
            state[f"{part}.{our_name(str(name), tensors)}"] = value
    missing = [name for name in module.state_dict() if name not in state]
    extra = [name for name in state if name not in module.state_dict()]
    if missing or extra:
        raise ModelError(
            f"'{path}': other discriminators than this run's: {len(missing)} tensors are missing, "
            f"{len(extra)} unexpected ({', '.join((missing + extra)[:3])})"
        )
    set_tensors(module, state, path)


def our_name(name: str, names: Mapping[str, Any]) -> str:
    """A discriminator's tensor as our modules name it (PyTorch's older norms are other modules)."""
    layer, _, leaf = name.rpartition(".")
    if f"{layer}.weight_orig" in names:  # spectral norm
        new = {
            "weight_orig": "parametrizations.weight.original",
            "weight_u": "parametrizations.weight.0.u",
            "weight_v": "parametrizations.weight.0.v",
        }
        return f"{layer}.{new.get(leaf, leaf)}"
    return f"{layer}.{normed_leaf(leaf)}"
