"""How much work one frame of a MelGAN is, counted from its description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pyvoc.bench.work import Tensors


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
    tensors = Tensors(description)
    count = tensors.count
    macs, rate, stage = {"conv_in": count("conv_in.weight")}, 1, 0
    while (up := f"stage.{stage}.up.weight") in tensors:
        macs[f"up {stage}"] = rate * count(up)  # each input meets every tap
        rate *= tensors.shape(up)[2] // 2
        block = re.compile(rf"stage\.{stage}\.block\..*\.weight")
        macs[f"stage {stage}"] = rate * sum(map(count, filter(block.fullmatch, tensors.names())))
        stage += 1
    macs["conv_out"] = rate * count("conv_out.weight")
    return macs
