"""Inputs for measurements that need no download: a seeded WaveRNN and a mel spectrogram for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyvoc.bench.seeded import Seeded
from pyvoc.container.tensors import AnyArray
from pyvoc.errors import UnsupportedError
from pyvoc.families.wavernn.shape import WavernnShape
from pyvoc.families.wavernn.spec import WAVERNN, WavernnSettings

Array = npt.NDArray[np.float32]
Wide = npt.NDArray[np.float64]
Draw = Callable[..., Wide]
"""Uniform numbers in -1..1 of the shape that it is given."""

SHAPE = WavernnShape(
    WavernnSettings(),
    rnn=512,
    fc=512,
    hidden=128,
    aux=32,
    blocks=10,
    stretches=(5, 5, 11),
    pad=2,
    outputs=30,
)
"""The published size of fatchord/WaveRNN (4.23 M weights), a mixture of ten logistics, its mel."""


def state_dict() -> dict[str, Array]:
    """A checkpoint as fatchord's code saves it, random and seeded; its audio is a quiet noise."""
    rng = np.random.default_rng(4)
    state = random_state(SHAPE, lambda *shape: rng.uniform(-1, 1, shape))
    return {name: np.asarray(array, np.float32) for name, array in state.items()}


def random_state(
    shape: WavernnShape, draw: Draw, *, exactly: Callable[[Wide], Wide] = lambda array: array
) -> dict[str, Wide]:
    """A state dict with fatchord's names, whose GRUs' states stay well within -1..1.

    Parameters
    ----------
    shape
        Sizes of the network.
    draw
        Where random numbers come from.
    exactly
        Rounds what is made of them.
    """
    state: dict[str, Wide] = {}

    def put(name: str, size: tuple[int, ...], gain: float, middle: float = 0.0) -> None:
        state[name] = exactly(middle + gain * draw(*size))

    def norm(name: str) -> None:
        for leaf, gain, middle in (
            ("weight", 0.3, 1.0),
            ("bias", 0.2, 0.0),
            ("running_mean", 0.2, 0.0),
            ("running_var", 0.4, 0.8),
        ):
            put(f"{name}.{leaf}", (d,), gain, middle)

    def linear(name: str, rows: int, columns: int, gain: float) -> None:
        put(f"{name}.weight", (rows, columns), gain * np.sqrt(3 / columns))
        put(f"{name}.bias", (rows,), 0.1)

    mels, d, r, f, a = shape.bands, shape.hidden, shape.rnn, shape.fc, shape.aux
    taps = 2 * shape.pad + 1
    resnet = "upsample.resnet"
    put(f"{resnet}.conv_in.weight", (d, mels, taps), np.sqrt(3 / (mels * taps)))
    norm(f"{resnet}.batch_norm")
    for k in range(shape.blocks):
        for half in (1, 2):
            put(f"{resnet}.layers.{k}.conv{half}.weight", (d, d, 1), 0.9 * np.sqrt(3 / d))
            norm(f"{resnet}.layers.{k}.batch_norm{half}")
    put(f"{resnet}.conv_out.weight", (4 * a, d, 1), 0.6 * np.sqrt(3 / d))
    put(f"{resnet}.conv_out.bias", (4 * a,), 0.2)
    for k, s in enumerate(shape.stretches):
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
    linear("fc3", shape.outputs, f, 1.5)
    if shape.settings.mode == "mol":
        mixtures = shape.outputs // 3
        state["fc3.weight"][mixtures:] *= 0.125  # means, and logarithms of scales around -4
        state["fc3.bias"][2 * mixtures :] -= 4
    return state


def tensors(sparsity: float | None = None) -> Mapping[str, AnyArray]:
    """The checkpoint in the terms of the spec.

    Parameters
    ----------
    sparsity
        Fraction of the sample loop's blocks that is pruned; None: dense.
    """
    from pyvoc.families.wavernn.convert import convert_wavernn
    from pyvoc.families.wavernn.names import find_network
    from pyvoc.quant.prune import prune

    state = state_dict()
    named = find_network(state)
    if named is None:
        raise UnsupportedError("the seeded WaveRNN is not recognised; this is a bug")
    found = convert_wavernn(state, named, path=Path("seeded"), container="seeded", mode="mol")
    arrays, _ = prune(WAVERNN, found.arrays, metadata=found.metadata, sparsity=sparsity)
    return arrays


SEEDED = Seeded("WaveRNN", WAVERNN, SHAPE.settings, tensors)


def mel(frames: int, bands: int) -> Array:
    """A normalised mel spectrogram [frames, bands]."""
    return np.asarray(np.random.default_rng(6).uniform(0.1, 0.9, (frames, bands)), np.float32)
