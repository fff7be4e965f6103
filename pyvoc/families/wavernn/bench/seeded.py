"""Inputs for measurements that need no download: a seeded WaveRNN and a mel spectrogram for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyvoc.bench.seeded import write_seeded
from pyvoc.errors import UnsupportedError
from pyvoc.families.wavernn.shape import WavernnShape
from pyvoc.families.wavernn.spec import WAVERNN, WavernnSettings

Array = npt.NDArray[np.float32]

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
"""The published size of fatchord/WaveRNN, a mixture of ten logistics, and its mel."""


def state_dict() -> dict[str, Array]:
    """A checkpoint as fatchord's code saves it (4.23 M weights), random and seeded.

    The states stay well within -1..1, and the audio is a quiet noise.
    """
    rng = np.random.default_rng(4)
    r, f, d, a = SHAPE.rnn, SHAPE.fc, SHAPE.hidden, SHAPE.aux
    state: dict[str, Array] = {}

    def put(name: str, shape: tuple[int, ...], gain: float, middle: float = 0.0) -> None:
        state[name] = np.asarray(middle + gain * rng.uniform(-1, 1, shape), np.float32)

    def norm(name: str) -> None:
        for leaf, gain, middle in (
            ("weight", 0.3, 1.0),
            ("bias", 0.2, 0.0),
            ("running_mean", 0.2, 0.0),
            ("running_var", 0.4, 0.8),
        ):
            put(f"{name}.{leaf}", (d,), gain, middle)

    def linear(name: str, rows: int, columns: int, gain: float) -> None:
        put(f"{name}.weight", (rows, columns), gain * (3 / columns) ** 0.5)
        put(f"{name}.bias", (rows,), 0.1)

    bands, resnet = SHAPE.bands, "upsample.resnet"
    put(f"{resnet}.conv_in.weight", (d, bands, 5), (3 / (5 * bands)) ** 0.5)
    norm(f"{resnet}.batch_norm")
    for k in range(SHAPE.blocks):
        for half in (1, 2):
            put(f"{resnet}.layers.{k}.conv{half}.weight", (d, d, 1), 0.1)
            norm(f"{resnet}.layers.{k}.batch_norm{half}")
    put(f"{resnet}.conv_out.weight", (4 * a, d, 1), 0.1)
    put(f"{resnet}.conv_out.bias", (4 * a,), 0.2)
    for k, s in enumerate(SHAPE.stretches):
        taps = 2 * s + 1
        put(f"upsample.up_layers.{2 * k + 1}.weight", (1, 1, 1, taps), 0.3 / taps, 1 / taps)
    linear("I", r, 1 + bands + a, 1.0)
    for name, inputs in (("rnn1", r), ("rnn2", r + a)):
        put(f"{name}.weight_ih_l0", (3 * r, inputs), 0.7 * (3 / inputs) ** 0.5)
        put(f"{name}.weight_hh_l0", (3 * r, r), 0.7 * (3 / r) ** 0.5)
        put(f"{name}.bias_ih_l0", (3 * r,), 0.1)
        put(f"{name}.bias_hh_l0", (3 * r,), 0.1)
    linear("fc1", f, r + a, 1.2)
    linear("fc2", f, f + a, 1.2)
    linear("fc3", SHAPE.outputs, f, 1.5)
    mixtures = SHAPE.outputs // 3
    state["fc3.weight"][mixtures:] *= 0.125  # means, and logarithms of scales around -4
    state["fc3.bias"][2 * mixtures :] -= 4
    return state


def write_wavernn(path: Path, precision: str, sparsity: float | None) -> None:
    """Write the seeded network as a model file.

    Parameters
    ----------
    path
        The file to write.
    precision
        ``f32``, ``bf16`` or ``int8``.
    sparsity
        Fraction of the sample loop's blocks that is pruned; None: dense.

    Raises
    ------
    UnsupportedError
        The extra ``convert`` is not installed.
    """
    from pyvoc.families.wavernn.convert import convert_wavernn
    from pyvoc.families.wavernn.names import find_network
    from pyvoc.quant.prune import prune

    state = state_dict()
    named = find_network(state)
    if named is None:
        raise UnsupportedError("the seeded WaveRNN is not recognised; this is a bug")
    found = convert_wavernn(state, named, path=path, container="seeded", mode="mol")
    arrays, _ = prune(WAVERNN, found.arrays, metadata=found.metadata, sparsity=sparsity)
    write_seeded(
        path,
        WAVERNN,
        arrays,
        name="seeded WaveRNN",
        settings=SHAPE.settings.metadata(),
        precision=precision,
    )


def mel(frames: int, bands: int) -> Array:
    """A normalised mel spectrogram [frames, bands]."""
    return np.asarray(np.random.default_rng(6).uniform(0.1, 0.9, (frames, bands)), np.float32)
