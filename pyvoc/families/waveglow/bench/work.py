"""How much work one frame of a WaveGlow is, counted from its description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pyvoc.bench.work import Tensors


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
    tensors = Tensors(description)
    hidden = tensors.shape("flow.0.start.weight")[0]
    steps: int = description["hop_length"] // description["metadata"]["waveglow.groups"]

    def total(pattern: str) -> int:
        names = re.compile(rf"flow\.\d+\.{pattern}\.weight")
        return steps * sum(map(tensors.count, filter(names.fullmatch, tensors.names())))

    out = total(r"layer\.\d+\.out")
    layers = sum(name.endswith(".conv.weight") for name in tensors.names())
    skip = steps * layers * hidden * hidden
    return {
        "upsample": tensors.count("upsample.weight"),
        "start": total("start"),
        "conv+cond": total(r"layer\.\d+\.(conv|cond)"),
        "out": out - skip,
        "skip": skip + total("end"),
        "couple+unmix": total("unmix"),
    }
