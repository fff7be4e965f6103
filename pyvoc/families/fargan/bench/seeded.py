"""Inputs for measurements that need no download: a seeded FARGAN and features."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from pyvoc.bench.seeded import Seeded
from pyvoc.families.fargan.spec import FARGAN, FEATURES, PERIODS, SUBFRAME, FarganSettings

Array = npt.NDArray[np.float64]

SIZES = MappingProxyType(
    {"P": 12, "C": 64, "D": 128, "S": 80, "A": 192, "N1": 160, "N2": 128, "N3": 128, "K": 128}
)
"""Of Opus's network, by the symbols of the spec."""
_PITCH = 18


def tensors() -> dict[str, Array]:
    """The weights by their names in the spec."""
    rng = np.random.default_rng(1)
    told = {
        "embed_pitch.weight": (PERIODS, SIZES["P"]),
        "cond.dense1.weight": (SIZES["C"], 0),
        "cond.conv.weight": (SIZES["D"], 0),
        "gain.weight": (1, SIZES["S"]),
        "fwc.gate.weight": (SIZES["A"], SIZES["A"]),
        **{f"gru{k}.weight_hh": (3 * SIZES[f"N{k}"], SIZES[f"N{k}"]) for k in (1, 2, 3)},
        "skip.gate.weight": (SIZES["K"], SIZES["K"]),
        "out.weight": (SUBFRAME, SIZES["K"]),
    }
    layout = FARGAN.layout(told, {})
    found: dict[str, Array] = {}
    for spec in layout.tensors:
        shape = tuple(int(n or 0) for n in spec.resolve(layout.dims))
        found[spec.name] = 1.7 / np.sqrt(shape[-1]) * rng.uniform(-1.0, 1.0, shape)
    found["cond.dense1.weight"][:, 0] *= 0.2  # c0 is larger than the other features
    found["gain.weight"] *= 0.5
    found["gain.bias"][:] = -1.0
    return found


SEEDED = Seeded("FARGAN", FARGAN, FarganSettings(), tensors)
"""Of the size that Opus has."""


def features(frames: int) -> npt.NDArray[np.float32]:
    """Frames [frames, 20] whose periods go through all that there are."""
    rng = np.random.default_rng(2)
    rows = rng.uniform(-1.0, 1.0, (frames, FEATURES))
    rows[:, 0] *= 4
    rows[:, _PITCH] = rng.uniform(-1.5, 1.5, frames)
    rows[:, _PITCH + 1] *= 0.5
    return rows.astype(np.float32)
