"""How much work one sample of a FARGAN is, counted from its description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyvoc.bench.work import Tensors, Work
from pyvoc.families.fargan.spec import SUBFRAME, SUBFRAMES

_CONDITIONING = ("cond.dense1.weight", "cond.conv.weight", "cond.dense2.weight")


def fargan_work(description: Mapping[str, Any]) -> Work:
    """Count a FARGAN's work per sample.

    Parameters
    ----------
    description
        What the runtime's ``describe`` says of the model, as parsed JSON.

    Returns
    -------
    Work
        Matrices only: what a subframe reads divided by its samples, and the conditioning by those
        of a frame. Activations are not counted: they stay in L1.
    """
    tensors = Tensors(description)
    matrices = [
        name
        for name in tensors.names()
        if len(tensors.shape(name)) == 2 and name not in (*_CONDITIONING, "embed_pitch.weight")
    ]
    frame = SUBFRAME * SUBFRAMES
    macs = {"conditioning": sum(map(tensors.count, _CONDITIONING)) / frame}
    read = {"conditioning": sum(map(tensors.size, _CONDITIONING)) / frame}
    for name in matrices:
        part = name.removesuffix(".weight")
        macs[part] = tensors.count(name) / SUBFRAME
        read[part] = tensors.size(name) / SUBFRAME
    return Work(macs, read)
