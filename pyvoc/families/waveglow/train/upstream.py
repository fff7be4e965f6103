"""Going on from a checkpoint."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from pyvoc.convert.layers import layer_of
from pyvoc.convert.model_file import pick_tensors, read_weights
from pyvoc.families.waveglow.names import pick_waveglow
from pyvoc.families.waveglow.spec import WAVEGLOW
from pyvoc.families.waveglow.torch_model import Waveglow
from pyvoc.train.weights import DIRECTION, MAGNITUDE, compare_settings, normed_leaf, set_tensors

_LAYER = re.compile(r"WN\.(\d+)\.(start|in_layers\.(\d+)|cond_layer|res_skip_layers\.(\d+))")
_SIGMA = "waveglow.sigma"
"""Is for synthesis, and makes no other network."""


def load_weights(network: Waveglow, path: str) -> tuple[str, ...]:
    """Take weights to go on from.

    Parameters
    ----------
    network
        With or without weight norm.
    path
        A model file, or a checkpoint of NVIDIA's of either generation. Where its layers and the
        network's are directions and magnitudes, those are taken as they are.

    Returns
    -------
    tuple of str
        What the user should know.

    Raises
    ------
    ModelError
        The file is damaged, of another network or of other sizes.
    Error
        The operating system refused to read.
    """
    checkpoint = read_weights(WAVEGLOW, path)
    ours, theirs = network.shape.settings.metadata(), dict(checkpoint.metadata)
    theirs[_SIGMA] = ours[_SIGMA]
    notes = compare_settings(ours, theirs, WAVEGLOW.prefix, path)
    network.go_on_from(checkpoint.arrays, path)
    if any(name.endswith(DIRECTION) for name in network.state_dict()):
        set_tensors(network, _normed(path, network.shape.layers), path)
    return notes


def _normed(path: str, layers: int) -> dict[str, Any]:
    """Directions and magnitudes, as our network names them; of a file of another form nothing."""

    def select(tree: Any) -> Any:
        found = pick_waveglow(tree)
        return {} if found is None else found[0]

    found: dict[str, Any] = {}
    for name, value in pick_tensors(path, select).items():
        layer = layer_of(name)
        leaf = "" if layer is None else normed_leaf(name[len(layer) + 1 :])
        if layer is None or leaf not in (DIRECTION, MAGNITUDE):
            continue
        match = _LAYER.fullmatch(layer)
        if match is None:  # the older generation's layers, which are joined: weights alone
            continue
        flow, kind, conv, out = match.groups()
        if kind == "cond_layer":
            for i, part in enumerate(np.split(np.asarray(value), layers)):
                found[f"flow.{flow}.layer.{i}.cond.{leaf}"] = part
        elif kind == "start":
            found[f"flow.{flow}.start.{leaf}"] = value
        elif conv is not None:
            found[f"flow.{flow}.layer.{conv}.conv.{leaf}"] = value
        else:
            found[f"flow.{flow}.layer.{out}.out.{leaf}"] = value
    return found
