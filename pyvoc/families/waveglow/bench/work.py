"""How much work one frame of a WaveGlow is, counted from its description."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any


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
