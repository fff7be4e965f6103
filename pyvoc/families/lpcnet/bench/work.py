"""How much work one sample of an LPCNet is, counted from its description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyvoc.bench.work import Tensors, Work

_TREE_LEVELS = 8
_SUBTREE_LANES = 16


def lpcnet_work(description: Mapping[str, Any]) -> Work:
    """Count an LPCNet's work per sample.

    Parameters
    ----------
    description
        What the runtime's ``describe`` says of the model, as parsed JSON.

    Returns
    -------
    Work
        The frame network's share is its work divided by the hop length. Activations and the state
        of GRU A are not counted: they stay in L1.
    """
    tensors, hop = Tensors(description), int(description["hop_length"])
    count, size, packed = tensors.count, tensors.size, tensors.packed
    three_n, three_m = count("gru_a.bias_hh"), count("gru_b.bias_hh")
    m = three_m // 3
    frame = ["conv1", "conv2", "dense1", "dense2", "gru_a.cond", "gru_b.cond"]
    diagonal = count("gru_a.diag") if "gru_a.diag" in tensors else 0
    integer = tensors.kind("gru_a.weight_hh") == "I8"
    tables = ("gru_a.embed_sig", "gru_a.embed_pred", "gru_a.embed_exc")
    tree = description["metadata"]["lpcnet.sampling"] == "tree"
    macs: dict[str, float] = {
        "gru_a.weight_hh": count("gru_a.weight_hh") + diagonal,
        "gru_b.weight_ih": count("gru_b.weight_ih"),
        "gru_b.weight_hh": count("gru_b.weight_hh"),
        "dual_fc": _TREE_LEVELS * 2 * m if tree else count("dual_fc.weight"),
        "frame network": sum(count(f"{name}.weight") for name in frame) / hop,
    }
    lanes = 2 * _SUBTREE_LANES * (m + 2)
    read: dict[str, float] = {
        "gru_a.weight_hh": packed("gru_a.weight_hh") + 4 * diagonal,
        "gru_a.embed_*": sum(size(name) / tensors.shape(name)[0] for name in tables),
        # Conditioning, sums, and (int8) scales: one value per gate and unit each.
        "gru_a gates": 4 * three_n * (3 if integer else 2),
        "gru_b.weight_ih": packed("gru_b.weight_ih"),
        "gru_b.weight_hh": packed("gru_b.weight_hh"),
        "dual_fc": 4 * (2 * lanes if tree else count("dual_fc.weight")),
        "frame network": sum(size(f"{name}.weight") for name in frame) / hop,
    }
    return Work(macs, read)
