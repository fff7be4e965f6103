"""How much work one sample of a model is: multiply-adds and bytes, counted from its description."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ITEM_BYTES = {"F32": 4, "BF16": 2, "I16": 2, "I8": 1, "I32": 4}
_TREE_LEVELS = 8
_SUBTREE_LANES = 16


@dataclass(frozen=True)
class Work:
    """Work per output sample of one stream.

    Parameters
    ----------
    macs
        Multiply-adds by part; of sparse matrices the stored blocks only.
    bytes
        Bytes read by part: weights once, the rows that table lookups touch, gate inputs and scales.
    """

    macs: dict[str, float]
    bytes: dict[str, float]

    @property
    def total_macs(self) -> float:
        """Multiply-adds per sample."""
        return sum(self.macs.values())

    @property
    def total_bytes(self) -> float:
        """Bytes per sample."""
        return sum(self.bytes.values())


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
    tensors = {t["name"]: t for t in description["tensors"]}
    hop = int(description["hop_length"])

    def count(name: str) -> int:
        return math.prod(tensors[name]["shape"])

    def size(name: str) -> int:
        return count(name) * _ITEM_BYTES[tensors[name]["type"].upper()]

    def matrix(name: str) -> int:
        # Packed sparse weights carry four bytes of input offsets per pair of 8 x 4 blocks.
        blocks = tensors[name]["shape"][0] if len(tensors[name]["shape"]) == 3 else 0
        return size(name) + 2 * blocks

    three_n, three_m = count("gru_a.bias_hh"), count("gru_b.bias_hh")
    m = three_m // 3
    frame = ["conv1", "conv2", "dense1", "dense2", "gru_a.cond", "gru_b.cond"]
    diagonal = count("gru_a.diag") if "gru_a.diag" in tensors else 0
    integer = tensors["gru_a.weight_hh"]["type"].upper() == "I8"
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
        "gru_a.weight_hh": matrix("gru_a.weight_hh") + 4 * diagonal,
        "gru_a.embed_*": sum(size(name) / tensors[name]["shape"][0] for name in tables),
        # Conditioning, sums, and (int8) scales: one value per gate and unit each.
        "gru_a gates": 4 * three_n * (3 if integer else 2),
        "gru_b.weight_ih": matrix("gru_b.weight_ih"),
        "gru_b.weight_hh": matrix("gru_b.weight_hh"),
        "dual_fc": 4 * (2 * lanes if tree else count("dual_fc.weight")),
        "frame network": sum(size(f"{name}.weight") for name in frame) / hop,
    }
    return Work(macs, read)


def melgan_macs(description: Mapping[str, Any]) -> dict[str, int]:
    """Count a MelGAN's multiply-adds per frame, group by group.

    Parameters
    ----------
    description
        What the runtime's ``describe`` says of the model, as parsed JSON.

    Returns
    -------
    dict
        For ``conv_in``, ``up K`` and ``stage K`` of each stage, ``conv_out``: those of direct
        convolution, whatever algorithm computes it. Over the hop length: those per sample.
    """
    sizes = {t["name"]: math.prod(t["shape"]) for t in description["tensors"]}
    shapes = {t["name"]: t["shape"] for t in description["tensors"]}
    macs, rate, stage = {"conv_in": sizes["conv_in.weight"]}, 1, 0
    while (up := f"stage.{stage}.up.weight") in sizes:
        macs[f"up {stage}"] = rate * sizes[up]  # each input meets every tap
        rate *= shapes[up][2] // 2
        block = re.compile(rf"stage\.{stage}\.block\..*\.weight")
        macs[f"stage {stage}"] = rate * sum(n for k, n in sizes.items() if block.fullmatch(k))
        stage += 1
    macs["conv_out"] = rate * sizes["conv_out.weight"]
    return macs


def waveglow_macs(description: Mapping[str, Any]) -> dict[str, int]:
    """Count a WaveGlow's multiply-adds per frame, group by group.

    Parameters
    ----------
    description
        What the runtime's ``describe`` says of the model, as parsed JSON.

    Returns
    -------
    dict
        As `melgan_macs`, for the upsampling, and for all flows together: their first layers, the
        dilated convolutions with the conditioning, what is added to the stream, the skip sums with
        ``end``, the 1x1 convolutions. What we fold beforehand is counted as the network has it.
    """
    sizes = {t["name"]: math.prod(t["shape"]) for t in description["tensors"]}
    shapes = {t["name"]: t["shape"] for t in description["tensors"]}
    hidden = shapes["flow.0.start.weight"][0]
    steps: int = description["hop_length"] // description["metadata"]["waveglow.groups"]

    def total(pattern: str) -> int:
        names = re.compile(rf"flow\.\d+\.{pattern}\.weight")
        return steps * sum(int(n) for name, n in sizes.items() if names.fullmatch(name))

    out = total(r"layer\.\d+\.out")
    layers = sum(name.endswith(".conv.weight") for name in sizes)
    skip = steps * layers * hidden * hidden
    return {
        "upsample": sizes["upsample.weight"],
        "start": total("start"),
        "conv+cond": total(r"layer\.\d+\.(conv|cond)"),
        "out": out - skip,
        "skip": skip + total("end"),
        "couple+unmix": total("unmix"),
    }
