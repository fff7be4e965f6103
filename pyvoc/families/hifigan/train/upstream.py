"""Upstream's trainer (jik876/hifi-gan): its settings file, and what it leaves to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from pyvoc.convert.layers import layer_of
from pyvoc.convert.model_file import read_weights
from pyvoc.convert.tensors import find_loader
from pyvoc.errors import Error, ModelError
from pyvoc.families.hifigan.convert import their_layers
from pyvoc.families.hifigan.names import count, find_generator
from pyvoc.families.hifigan.spec import HIFIGAN
from pyvoc.families.hifigan.torch_model import Hifigan
from pyvoc.pickles import HEAD, load_torch
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
    try:
        generator.fill(checkpoint.arrays)
    except ValueError as error:
        raise ModelError(f"{path}: does not fit this run's sizes: {error}") from error
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
    with open(path, "rb") as file:
        head = file.read(HEAD)
    loader = find_loader(head, Path(path).stat().st_size)
    if loader is None or loader[0] != "torch":
        return {}
    tree = load_torch(path, select=_generator)
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


_MODEL = {
    **{
        key: key
        for key in (
            "upsample_rates",
            "upsample_kernel_sizes",
            "upsample_initial_channel",
            "resblock_kernel_sizes",
            "resblock_dilation_sizes",
            "adam_b1",
            "adam_b2",
        )
    },
    "discriminator_periods": "periods",
    "fmax_for_loss": "loss_fmax",
}
_RUN = {"batch_size": "batch_size", "learning_rate": "lr", "lr_decay": "lr_gamma", "seed": "seed"}
_MEL = {
    "num_mels": "bands",
    "n_fft": "fft_length",
    "hop_size": "hop_length",
    "win_size": "window_length",
    "sampling_rate": "sample_rate",
    "fmin": "fmin",
    "fmax": "fmax",
}
_IDLE = ("num_gpus", "num_freq", "num_workers", "dist_config")
"""What upstream's trainer reads and ours has no use for."""


def translate(settings: Mapping[str, Any], path: str) -> dict[str, Any] | None:
    """Upstream's ``config.json`` in our terms; None where the file is ours.

    Raises
    ------
    Error
        It has keys that upstream's trainer does not know.
    """
    if "upsample_rates" not in settings:
        return None
    known = {*_MODEL, *_RUN, *_MEL, *_IDLE, "resblock", "segment_size"}
    strange = sorted(key for key in settings if key not in known)
    if strange:
        raise Error(
            f"{path}: looks like a config.json of HiFi-GAN, but its trainer knows no "
            f"{', '.join(map(repr, strange))}"
        )
    model: dict[str, Any] = {ours: settings[k] for k, ours in _MODEL.items() if k in settings}
    if "resblock" in settings:  # what is not "1" is the other kind
        model["resblock"] = "1" if str(settings["resblock"]) == "1" else "2"
    mel = {ours: settings[key] for key, ours in _MEL.items() if key in settings}
    fft, hop = mel.get("fft_length", 1024), mel.get("hop_length", 256)
    if isinstance(fft, int) and isinstance(hop, int):
        mel["pad"] = max(0, (fft - hop) // 2)
    if mel.get("fmax", 0) is None:
        mel["fmax"] = mel.get("sample_rate", 22050) / 2
    run = {ours: settings[key] for key, ours in _RUN.items() if key in settings}
    data = {"segment": settings["segment_size"]} if "segment_size" in settings else {}
    return {**run, "schedule": "epochs", "model": {**model, "mel": mel}, "data": data}
