"""How much work one sample of a WaveRNN is, counted from its description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pyvoc.bench.work import Tensors, Work

_UPSAMPLED = 4


def wavernn_work(description: Mapping[str, Any]) -> Work:
    """Count a WaveRNN's work per sample.

    Parameters
    ----------
    description
        What the runtime's ``describe`` says of the model, as parsed JSON.

    Returns
    -------
    Work
        Of sparse matrices the stored blocks only. The frame's share (residual network, products
        with the mel) is its work divided by the hop length. Activations are not counted.
    """
    tensors, hop = Tensors(description), int(description["hop_length"])
    count = tensors.count
    loop = ("rnn1.hidden", "rnn2.input", "rnn2.hidden", "fc1", "fc2", "fc3")
    frame = re.compile(r"resnet\..*\.weight|.*\.input\.(mel|aux)")
    per_frame = [name for name in tensors.names() if frame.fullmatch(name)]
    inputs = sum(count(f"{layer}.input.sample") for layer in ("rnn1", "rnn2", "fc1"))
    # Of a published upsampling's frames three or four are not zero; constants; the sample's column.
    rows = _UPSAMPLED + 2
    macs: dict[str, float] = {name: count(f"{name}.weight") for name in loop}
    read: dict[str, float] = {name: tensors.packed(f"{name}.weight") for name in loop}
    macs["inputs"], read["inputs"] = rows * inputs, 4 * rows * inputs
    macs["frame network"] = sum(count(name) for name in per_frame) / hop
    read["frame network"] = sum(tensors.size(name) for name in per_frame) / hop
    return Work(macs, read)
