"""What upstream trainers leave to go on from: generators, and discriminators beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from pyvoc.convert.layers import layer_of
from pyvoc.convert.model_file import pick_tensors, read_weights
from pyvoc.convert.tree import levels
from pyvoc.errors import ModelError
from pyvoc.families.melgan.names import find_generator
from pyvoc.families.melgan.spec import MELGAN
from pyvoc.families.melgan.torch_model import Melgan
from pyvoc.train.gan import Adversaries
from pyvoc.train.weights import DIRECTION, MAGNITUDE, compare_settings, normed_leaf, set_tensors

_CRITIC = re.compile(
    r"(?:.*\.)?(?:discriminators\.\d+\.discriminator\.\d+|model\.disc_\d+\.model\.layer_\d+"
    r"|dis[123]\.conv\d|avg[12]\.conv)\b.*"
)
"""Names of discriminators' tensors: seungwonpark's, descript's, MindSpore's."""
_OPTIMISER = re.compile(r"(?:^|\.)(?:moment[12]|adam_[mv]|exp_avg\w*)\.")


def load_weights(module: Adversaries, path: str) -> tuple[str, ...]:
    """Take weights to go on from.

    Parameters
    ----------
    module
        The two networks.
    path
        A model file, or a checkpoint of the generator's. Discriminators are taken too where they
        are in the file (seungwonpark, MindSpore) or in ``netD.pt`` beside ``netG.pt`` (descript).

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
    assert isinstance(generator, Melgan)
    checkpoint = read_weights(MELGAN, path)
    notes = compare_settings(
        generator.shape.settings.metadata(), checkpoint.metadata, MELGAN.prefix, path
    )
    generator.go_on_from(checkpoint.arrays, path)
    set_tensors(generator, _normed(path), path)
    name = Path(path).name
    beside = Path(path).with_name(name.replace("netG", "netD", 1))
    source = str(beside) if "netG" in name and beside.is_file() else path
    state = pick_tensors(source, _critic)
    if not state:
        return (*notes, "the discriminators begin anew: the checkpoint has none")
    fill_in_order(module.discriminator, state, source)
    return (*notes, f"the discriminators were taken from '{source}'")


def _critic(tree: Any) -> Any:
    found: dict[str, Any] = {}
    for level in levels(tree):
        names = [n for n in level.names() if _CRITIC.fullmatch(n) and not _OPTIMISER.search(n)]
        if names and not found:
            found = {name: level.table[name] for name in names}
    return found


def fill_in_order(module: nn.Module, state: Mapping[str, Any], path: str) -> None:
    """Fill convolutions from others' that are listed in the same order."""
    theirs = list(dict.fromkeys(layer_of(name) or name for name in state))
    convs = [n for n, m in module.named_modules() if isinstance(m, nn.Conv1d)]
    if len(theirs) != len(convs):
        raise ModelError(
            f"'{path}': its discriminators have {len(theirs)} convolutions, this run's {len(convs)}"
        )
    ours = dict(zip(theirs, convs, strict=True))
    found = {}
    for name, value in state.items():
        layer = layer_of(name) or name
        array = np.asarray(value)
        array = array[:, :, 0] if array.ndim == 4 else array
        found[f"{ours[layer]}.{normed_leaf(name[len(layer) + 1 :])}"] = array
    set_tensors(module, found, path)


def _normed(path: str) -> dict[str, Any]:
    """Directions and magnitudes of a generator, as our network names them."""

    def select(tree: Any) -> Any:
        for level in levels(tree):
            named = find_generator(level.names())
            if named is not None:
                short = {name: level.table[full] for name, full in named.names.items()}
                layers = (layer for name in short if (layer := layer_of(name)) is not None)
                pairs = named.naming.layers(*named.naming.count(layers))
                ours = {theirs: mine for mine, theirs in pairs.items()}
                found = {}
                for name, value in short.items():
                    layer = layer_of(name)
                    leaf = "" if layer is None else normed_leaf(name[len(layer) + 1 :])
                    if leaf in (DIRECTION, MAGNITUDE) and layer in ours:
                        found[f"{ours[layer]}.{leaf}"] = value
                return found
        return {}

    found: dict[str, Any] = pick_tensors(path, select)
    return found
