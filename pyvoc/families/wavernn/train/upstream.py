"""Going on from a checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyvoc.convert.model_file import pick_tensors, read_weights
from pyvoc.families.wavernn.convert import pick_wavernn
from pyvoc.families.wavernn.hoist import NORM
from pyvoc.families.wavernn.names import Named
from pyvoc.families.wavernn.single_gru import has_single_gru
from pyvoc.families.wavernn.spec import WAVERNN
from pyvoc.families.wavernn.torch_model import Wavernn, stemmed_names
from pyvoc.train.weights import compare_settings, set_tensors


def load_weights(network: Wavernn, path: str) -> tuple[str, ...]:
    """Take weights to go on from.

    Parameters
    ----------
    network
        With batch norm and a stem.
    path
        A model file, or a checkpoint. Of fatchord's and torchaudio's every tensor is taken as it
        is, batch norm and its averages too.

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
    checkpoint = read_weights(WAVERNN, path)
    ours, theirs = network.shape.settings.metadata(), dict(checkpoint.metadata)
    if checkpoint.format != "gguf" and theirs["wavernn.mode"] == ours["wavernn.mode"]:
        theirs["wavernn.mu_law"] = ours["wavernn.mu_law"]  # which no checkpoint tells
    notes = compare_settings(ours, theirs, WAVERNN.prefix, path)
    as_trained = _trained_form(path)
    if as_trained:
        set_tensors(network, as_trained, path)
        network.resnet.keep_norms()
    else:
        network.go_on_from(checkpoint.arrays, path)
    return notes


def _trained_form(path: str) -> dict[str, np.ndarray]:
    """What a checkpoint holds, as our network names it; nothing of a file of another form."""
    names: list[Named] = []

    def select(tree: Any) -> dict[str, Any]:
        found = pick_wavernn(tree)
        if found is None or has_single_gru(found[1].names):
            return {}
        names.append(found[1])
        return found[0]

    arrays: dict[str, np.ndarray] = pick_tensors(path, select)
    if not names:
        return {}
    (named,) = names
    blocks, stretches = named.naming.count(arrays)

    def layer(kind: str, k: int = 0) -> str:
        return str(named.naming.layer(kind, k, blocks))

    wanted = {"resnet.out.weight": f"{layer('conv_out')}.weight"}
    wanted["resnet.out.bias"] = f"{layer('conv_out')}.bias"
    convs = [("resnet.in", layer("conv_in"), layer("norm_in"))]
    for k in range(blocks):
        for half in "ab":
            convs.append((f"resnet.{k}.{half}", layer(f"conv_{half}", k), layer(f"norm_{half}", k)))
    for ours, conv, norm in convs:
        wanted[f"{ours}.weight"] = f"{conv}.weight"
        wanted |= {f"{ours}.norm.{leaf}": f"{norm}.{leaf}" for leaf in NORM}
    for k in range(stretches):
        wanted[f"upsample.{k}.weight"] = f"{layer('stretch', k)}.weight"
    for full, ours in stemmed_names().items():
        kind, _, leaf = full.partition(".")
        wanted[ours] = f"{layer(kind)}.{leaf}"
    tensors = {ours: np.asarray(arrays[name]) for ours, name in wanted.items()}
    for k in range(stretches):
        tensors[f"upsample.{k}.weight"] = tensors[f"upsample.{k}.weight"].ravel()
    return tensors
