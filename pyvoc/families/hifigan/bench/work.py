"""How much work one frame of a HiFi-GAN is, counted from its description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pyvoc.bench.work import Tensors
from pyvoc.families.hifigan.spec import numbers


def hifigan_macs(description: Mapping[str, Any]) -> dict[str, int]:
    """Count a HiFi-GAN's multiply-adds per frame, group by group.

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
    macs, rate = {"conv_in": count("conv_in.weight")}, 1
    for stage, ratio in enumerate(numbers(description["metadata"]["hifigan.ratios"]) or ()):
        macs[f"up {stage}"] = rate * count(f"stage.{stage}.up.weight")  # an input meets every tap
        rate *= ratio
        chain = re.compile(rf"stage\.{stage}\.chain\..*\.weight")
        macs[f"stage {stage}"] = rate * sum(map(count, filter(chain.fullmatch, tensors.names())))
    macs["conv_out"] = rate * count("conv_out.weight")
    return macs
