"""How much work one frame of a MelGAN is, counted from its description."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any


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
