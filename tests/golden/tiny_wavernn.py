"""The tiny WaveRNNs that the tests use; `make_tiny.py` writes them to ``wavernn/``.

Nothing is trained: a state dict as fatchord's, its weights uniform, goes through our converter.
Weights are multiples of 2^-10, so the products of matrices in there are exact and the files are the
same on every machine. Scales keep the GRUs' states well within -1..1 and the audio a quiet noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.mel import MelRecipe
from pyvoc.families.wavernn.bench.seeded import Draw, random_state
from pyvoc.families.wavernn.convert import convert_wavernn
from pyvoc.families.wavernn.names import find_network
from pyvoc.families.wavernn.shape import WavernnShape
from pyvoc.families.wavernn.spec import WAVERNN, WavernnSettings
from pyvoc.quant.prune import prune

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TinyWavernn(WavernnShape):
    """A tiny model; `sparsity` is the fraction of the loop's blocks that is pruned, None: dense."""

    seed: int = 0
    sparsity: float | None = None


def _recipe(rate: int, stretches: tuple[int, ...], fft: int, bands: int) -> MelRecipe:
    hop = prod(stretches)
    return MelRecipe(
        name="custom",
        sample_rate=rate,
        hop_length=hop,
        window_length=4 * hop,
        fft_length=fft,
        bands=bands,
        fmax=rate / 2,
        log="db",
        pad=fft // 2,
        normalized=True,
    )


_MOL, _RAW, _ODD = (5, 3, 2), (5, 5, 11), (3, 2)
MOL = TinyWavernn(
    WavernnSettings(_recipe(8000, _MOL, 256, 20)), 24, 16, 12, 4, 2, _MOL, 2, 30, seed=21
)
RAW = TinyWavernn(
    WavernnSettings(_recipe(22050, _RAW, 2048, 24), "raw", 8, True),
    16,
    12,
    8,
    2,
    3,
    _RAW,
    2,
    256,
    seed=22,
)
ODD = TinyWavernn(
    WavernnSettings(_recipe(8000, _ODD, 32, 7), "raw", 5, False),
    13,
    11,
    5,
    3,
    1,
    _ODD,
    3,
    32,
    seed=23,
)
SPARSE = replace(MOL, seed=24, sparsity=0.75)

MODELS = {
    "mol.f32": (MOL, "f32"),
    "mol.bf16": (MOL, "bf16"),
    "mol.int8": (MOL, "int8"),
    "raw.f32": (RAW, "f32"),
    "raw.bf16": (RAW, "bf16"),
    "raw.int8": (RAW, "int8"),
    "odd.f32": (ODD, "f32"),
    "odd.int8": (ODD, "int8"),
    "sparse.bf16": (SPARSE, "bf16"),
    "sparse.int8": (SPARSE, "int8"),
}


def state_dict(tiny: TinyWavernn, draw: Draw) -> dict[str, Array]:
    """A state dict with fatchord's names."""
    state = random_state(tiny, draw, exactly=lambda array: np.rint(1024 * array) / 1024)
    if tiny.settings.mode == "mol":
        state["fc3.bias"][10:20] = np.rint(np.linspace(-256, 256, 10)) / 1024
    else:  # labels near the middle are likelier
        labels = np.linspace(-1, 1, tiny.outputs)
        state["fc3.bias"] -= np.rint(1024 * 8 * np.abs(labels)) / 1024
    return state


def make(tiny: TinyWavernn, draw: Draw) -> dict[str, Array]:
    """The float tensors of a tiny model by their names in the spec."""
    state = state_dict(tiny, draw)
    named = find_network(state)
    assert named is not None
    mode = tiny.settings.mode
    found = convert_wavernn(state, named, path=Path("tiny"), container="seeded", mode=mode)
    arrays, _ = prune(WAVERNN, found.arrays, metadata=found.metadata, sparsity=tiny.sparsity)
    return {name: np.asarray(array, np.float64) for name, array in arrays.items()}
