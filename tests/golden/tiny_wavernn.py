"""The tiny WaveRNNs that the tests use; `make_tiny.py` writes them to ``wavernn/``.

Nothing is trained: a state dict as fatchord's, its weights uniform, goes through our converter.
Weights are multiples of 2^-10, so the products of matrices in there are exact and the files are the
same on every machine. Scales keep the GRUs' states well within -1..1 and the audio a quiet noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.mel import MelRecipe
from pyvoc.families.wavernn.convert import convert_wavernn
from pyvoc.families.wavernn.names import find_network
from pyvoc.families.wavernn.spec import WAVERNN, WavernnSettings
from pyvoc.quant.prune import prune

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TinyWavernn:
    """Sizes and kind of a tiny model.

    Parameters
    ----------
    rnn, fc, hidden, aux
        Sizes of the GRUs, of the fully connected layers, of the residual network, and of a quarter
        of its output.
    blocks
        Of the residual network.
    stretches
        Their product is the hop.
    pad
        Frames that the residual network sees on each side.
    sparsity
        Fraction of the sample loop's blocks that is pruned; None: dense.
    """

    seed: int
    settings: WavernnSettings
    rnn: int
    fc: int
    hidden: int
    aux: int
    blocks: int
    stretches: tuple[int, ...]
    pad: int = 2
    sparsity: float | None = None

    @property
    def outputs(self) -> int:
        """Of the last layer: ten logistics, or the labels."""
        return 30 if self.settings.mode == "mol" else 1 << self.settings.bits


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
MOL = TinyWavernn(21, WavernnSettings(_recipe(8000, _MOL, 256, 20)), 24, 16, 12, 4, 2, _MOL)
RAW = TinyWavernn(
    22,
    WavernnSettings(_recipe(22050, _RAW, 2048, 24), "raw", 8, True),
    16,
    12,
    8,
    2,
    3,
    _RAW,
)
ODD = TinyWavernn(
    23,
    WavernnSettings(_recipe(8000, _ODD, 32, 7), "raw", 5, False),
    13,
    11,
    5,
    3,
    1,
    _ODD,
    pad=3,
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


def state_dict(tiny: TinyWavernn, draw: Callable[..., Array]) -> dict[str, Array]:
    """A state dict with fatchord's names.

    Parameters
    ----------
    tiny
        What to make.
    draw
        Uniform numbers in -1..1 of the shape that it is given.
    """
    state: dict[str, Array] = {}

    def put(name: str, shape: tuple[int, ...], gain: float, middle: float = 0.0) -> None:
        state[name] = np.rint(1024 * (middle + gain * draw(*shape))) / 1024

    def norm(name: str, size: int) -> None:
        put(f"{name}.weight", (size,), 0.3, 1.0)
        put(f"{name}.bias", (size,), 0.2)
        put(f"{name}.running_mean", (size,), 0.2)
        put(f"{name}.running_var", (size,), 0.4, 0.8)

    def linear(name: str, rows: int, columns: int, gain: float) -> None:
        put(f"{name}.weight", (rows, columns), gain * np.sqrt(3 / columns))
        put(f"{name}.bias", (rows,), 0.1)

    mels, d, r, f, a = tiny.settings.recipe.bands, tiny.hidden, tiny.rnn, tiny.fc, tiny.aux
    taps = 2 * tiny.pad + 1
    resnet = "upsample.resnet"
    put(f"{resnet}.conv_in.weight", (d, mels, taps), np.sqrt(3 / (mels * taps)))
    norm(f"{resnet}.batch_norm", d)
    for k in range(tiny.blocks):
        for half in (1, 2):
            put(f"{resnet}.layers.{k}.conv{half}.weight", (d, d, 1), 0.9 * np.sqrt(3 / d))
            norm(f"{resnet}.layers.{k}.batch_norm{half}", d)
    put(f"{resnet}.conv_out.weight", (4 * a, d, 1), 0.6 * np.sqrt(3 / d))
    put(f"{resnet}.conv_out.bias", (4 * a,), 0.2)
    for k, s in enumerate(tiny.stretches):
        kernel = (1, 1, 1, 2 * s + 1)
        put(f"upsample.up_layers.{2 * k + 1}.weight", kernel, 0.3 / kernel[3], 1 / kernel[3])
    linear("I", r, 1 + mels + a, 1.0)
    for name, inputs in (("rnn1", r), ("rnn2", r + a)):
        put(f"{name}.weight_ih_l0", (3 * r, inputs), 0.7 * np.sqrt(3 / inputs))
        put(f"{name}.weight_hh_l0", (3 * r, r), 0.7 * np.sqrt(3 / r))
        put(f"{name}.bias_ih_l0", (3 * r,), 0.1)
        put(f"{name}.bias_hh_l0", (3 * r,), 0.1)
    linear("fc1", f, r + a, 1.2)
    linear("fc2", f, f + a, 1.2)
    linear("fc3", tiny.outputs, f, 1.5)
    if tiny.settings.mode == "mol":
        state["fc3.weight"][10:] *= 0.125  # means and logarithms of scales, around -4
        state["fc3.bias"][10:20] = np.rint(np.linspace(-256, 256, 10)) / 1024
        state["fc3.bias"][20:] -= 4
    else:  # labels near the middle are likelier
        labels = np.linspace(-1, 1, tiny.outputs)
        state["fc3.bias"] -= np.rint(1024 * 8 * np.abs(labels)) / 1024
    return state


def make(tiny: TinyWavernn, draw: Callable[..., Array]) -> dict[str, Array]:
    """The float tensors of a tiny model by their names in the spec."""
    state = state_dict(tiny, draw)
    named = find_network(state)
    assert named is not None
    mode = tiny.settings.mode
    found = convert_wavernn(state, named, path=Path("tiny"), container="seeded", mode=mode)
    arrays, _ = prune(WAVERNN, found.arrays, metadata=found.metadata, sparsity=tiny.sparsity)
    return {name: np.asarray(array, np.float64) for name, array in arrays.items()}
