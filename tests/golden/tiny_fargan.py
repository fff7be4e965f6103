"""The tiny FARGANs that the tests use; `make_tiny.py` writes them to ``fargan/``.

Nothing is trained: weights are uniform, and errors die away. The gain follows a frame's
conditioning, so the audio is a noise that the features move.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pyvoc.families.fargan.spec import FARGAN, FarganSettings

Array = NDArray[np.float64]
Draw = Callable[..., Array]


@dataclass(frozen=True)
class TinyFargan:
    """Sizes by the symbols of the spec; `pitch`: those of the network for the pitch, if any."""

    seed: int
    sizes: tuple[tuple[str, int], ...]
    pitch: tuple[tuple[str, int], ...] = ()

    @property
    def settings(self) -> FarganSettings:
        return FarganSettings()


SYMBOLS = ("P", "C", "D", "S", "A", "N1", "N2", "N3", "K")
PITCH_SYMBOLS = ("I", "J", "H", "V", "G")
EVEN = TinyFargan(
    31,
    tuple(zip(SYMBOLS, (4, 8, 16, 8, 24, 24, 16, 16, 16), strict=True)),
    tuple(zip(PITCH_SYMBOLS, (16, 8, 2, 16, 16), strict=True)),
)
ODD = TinyFargan(
    32,
    tuple(zip(SYMBOLS, (3, 5, 7, 5, 9, 13, 7, 3, 6), strict=True)),
    tuple(zip(PITCH_SYMBOLS, (5, 3, 3, 7, 9), strict=True)),
)

MODELS = {
    "even.f32": (EVEN, "f32"),
    "even.bf16": (EVEN, "bf16"),
    "even.int8": (EVEN, "int8"),
    "odd.f32": (replace(ODD, pitch=()), "f32"),
    "odd.int8": (ODD, "int8"),
}


def make(tiny: TinyFargan, draw: Draw) -> dict[str, Array]:
    """The float tensors of a tiny model by their names in the spec."""
    sizes = dict(tiny.sizes)
    told: dict[str, tuple[int, ...]] = {
        "embed_pitch.weight": (224, sizes["P"]),
        "cond.dense1.weight": (sizes["C"], 0),
        "cond.conv.weight": (sizes["D"], 0),
        "gain.weight": (1, sizes["S"]),
        "fwc.gate.weight": (sizes["A"], sizes["A"]),
        **{f"gru{k}.weight_hh": (3 * sizes[f"N{k}"], sizes[f"N{k}"]) for k in (1, 2, 3)},
        "skip.gate.weight": (sizes["K"], sizes["K"]),
    }
    if tiny.pitch:
        pitch = dict(tiny.pitch)
        told |= {
            "pitch.phases1.weight": (pitch["I"], 88),
            "pitch.phases2.weight": (pitch["J"], pitch["I"]),
            "pitch.conv1.weight": (pitch["H"], 1, 3, 3),
            "pitch.down.weight": (pitch["V"], 0),
            "pitch.gru.weight_hh": (3 * pitch["G"], pitch["G"]),
        }
    layout = FARGAN.layout(told, {})
    found = {}
    for spec in layout.tensors:
        shape = tuple(int(n or 0) for n in spec.resolve(layout.dims))
        found[spec.name] = 2.7 / np.sqrt(shape[-1]) * draw(*shape)
    found["cond.dense1.weight"][:, 0] *= 0.2  # c0 is larger than the other features
    found["out.weight"] *= 1.5
    found["gain.weight"] *= 0.5
    found["gain.bias"][:] = -2.5
    return found
