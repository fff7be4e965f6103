"""Make the tiny models that the tests use: LPCNet here, the others in `tiny_*.py`.

    python tests/golden/make_tiny.py [FOLDER]

Nothing is trained: weights come from a counter-based hash, scaled so that no unit saturates. One
path is laid by hand, from the first cepstral coefficient (loudness) through one unit of every layer
to the excitation's spread, so that synthesis is stable noise with the envelope and the loudness of
the features, a whisper of sorts.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyvoc.container import ModelSpec, write_container
from pyvoc.container.base import COMB
from pyvoc.container.tensors import ElementType, Scalar
from pyvoc.families.fargan.spec import FARGAN
from pyvoc.families.hifigan.spec import HIFIGAN
from pyvoc.families.lpcnet.spec import LPCNET, LpcnetSettings
from pyvoc.families.melgan.spec import MELGAN
from pyvoc.families.waveglow.spec import WAVEGLOW
from pyvoc.families.wavernn.spec import WAVERNN
from pyvoc.quant import encode

Array = NDArray[np.float64]
QUIET, LOUD_SPREAD = 3.0, 16.0
"""Laplace scale of the excitation, in mu-law codes, when the loudness unit is at -AT and at AT."""
AT = 0.7


@dataclass(frozen=True)
class Tiny:
    """Sizes and kind of a tiny model; `block` None is dense, `tables` are those of int8."""

    seed: int
    settings: LpcnetSettings
    n: int = 32
    m: int = 16
    c: int = 16
    p: int = 8
    block: tuple[int, int] | None = (8, 4)
    tables: ElementType = ElementType.I16
    comb: float | None = None


TREE = Tiny(1, LpcnetSettings())
SOFTMAX_DENSE = Tiny(2, LpcnetSettings("softmax", 38), n=16, block=None)
SOFTMAX_SPARSE = Tiny(3, LpcnetSettings("softmax", 38), n=16, block=(16, 1))
END_TO_END = Tiny(4, LpcnetSettings(lpc_gamma=0.96, end_to_end=True), n=16, c=20)
LARGER = Tiny(5, LpcnetSettings(), n=48)
BYTES = Tiny(6, LpcnetSettings(), n=16, tables=ElementType.I8)
COMBED = Tiny(7, LpcnetSettings(), n=16, tables=ElementType.I8, comb=0.75)

MODELS = {
    "tree_sparse.f32": (TREE, "f32"),
    "tree_sparse.bf16": (TREE, "bf16"),
    "tree_sparse.int8": (TREE, "int8"),
    "softmax_dense.int8": (SOFTMAX_DENSE, "int8"),
    "softmax_sparse.f32": (SOFTMAX_SPARSE, "f32"),
    "end_to_end.bf16": (END_TO_END, "bf16"),
    "tree_larger.int8": (LARGER, "int8"),
    "tree_bytes.int8": (BYTES, "int8"),
    "tree_comb.int8": (COMBED, "int8"),
}


class Draws:
    """Uniform numbers in -1..1 from splitmix64 of a counter: the same everywhere, for ever."""

    def __init__(self, seed: int) -> None:
        self.next = np.uint64(seed) << np.uint64(40)

    def __call__(self, *shape: int) -> Array:
        count = int(np.prod(shape))
        with np.errstate(over="ignore"):
            x = self.next + np.arange(1, count + 1, dtype=np.uint64)
            self.next += np.uint64(count)
            x = x * np.uint64(0x9E3779B97F4A7C15)
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            x = x ^ (x >> np.uint64(31))
        uniform: Array = (x >> np.uint64(11)).astype(np.float64) / 2**52 - 1
        return uniform.reshape(shape)


def make(tiny: Tiny) -> dict[str, Array]:
    """The float tensors of a tiny model, dense, by their names in the spec."""
    draw = Draws(tiny.seed)
    n, m, c, p, f = tiny.n, tiny.m, tiny.c, tiny.p, tiny.settings.feature_dims
    loud = 16 if tiny.settings.end_to_end else 0  # the first 16 are reflection coefficients there

    def dense(rows: int, cols: int, gain: float = 1.0) -> Array:
        return gain * np.sqrt(3 / cols) * 0.5 * draw(rows, cols)

    conv1 = dense(c, (f + p) * 3, 0.6).reshape(c, f + p, 3)
    conv1[:, 0] *= 0.1  # c0 is an order of magnitude larger than the other features
    conv1[loud] = 0
    conv1[loud, 0, 1] = 0.1
    conv2 = dense(c, c * 3).reshape(c, c, 3)
    conv2[loud] = 0
    conv2[loud, loud, 1] = 1.2
    dense1, dense2 = dense(c, c), dense(c, c)
    for layer in (dense1, dense2):
        layer[loud] = 0
        layer[loud, loud] = 1.2
    tables = {f"gru_a.embed_{k}": 0.5 * draw(256, 3 * n) for k in ("sig", "pred", "exc")}
    gru_b_in, gru_b_cond = dense(3 * m, n, 0.8), dense(3 * m, c, 0.8)
    gru_b_rec, gru_b_bias = dense(3 * m, m, 0.8), 0.1 * draw(2, 3 * m)
    # GRU B's unit 0: no memory (z near 0), n from the loudness alone.
    for rows in (gru_b_in, gru_b_cond, gru_b_rec):
        rows[[m, 2 * m]] = 0
    gru_b_cond[2 * m, loud] = 1.5
    gru_b_bias[:, [m, 2 * m]] = [[-4.0, 0.0], [-4.0, 0.0]]
    dual = 0.05 * draw(2, 256, m)
    factor = np.stack([np.full(256, 10.0), 0.3 * draw(256)])
    bias = np.stack([np.zeros(256), 0.3 * draw(256)])
    quiet, spread = (
        _logits(tiny.settings.sampling, QUIET),
        _logits(tiny.settings.sampling, LOUD_SPREAD),
    )
    low, high = np.arctanh(quiet / 10), np.arctanh(spread / 10)
    bias[0], dual[0, :, 0] = (low + high) / 2, (high - low) / (2 * AT)
    return {
        "embed_pitch.weight": 0.3 * draw(256, p),
        "conv1.weight": conv1,
        "conv1.bias": _quiet_unit(0.1 * draw(c), loud),
        "conv2.weight": conv2,
        "conv2.bias": _quiet_unit(0.1 * draw(c), loud),
        "dense1.weight": dense1,
        "dense1.bias": _quiet_unit(0.1 * draw(c), loud),
        "dense2.weight": dense2,
        "dense2.bias": _quiet_unit(0.1 * draw(c), loud),
        **tables,
        "gru_a.cond.weight": dense(3 * n, c),
        "gru_a.bias_ih": 0.1 * draw(3 * n),
        "gru_a.weight_hh": _recurrent(tiny, draw),
        "gru_a.bias_hh": 0.1 * draw(3 * n),
        "gru_b.weight_ih": gru_b_in,
        "gru_b.bias_ih": gru_b_bias[0],
        "gru_b.cond.weight": gru_b_cond,
        "gru_b.weight_hh": gru_b_rec,
        "gru_b.bias_hh": gru_b_bias[1],
        "dual_fc.weight": dual,
        "dual_fc.bias": bias,
        "dual_fc.factor": factor,
    }


def write(path: Path, tiny: Tiny, precision: str) -> None:
    """Make a tiny LPCNet and save it."""
    comb = {} if tiny.comb is None else {COMB.key: tiny.comb}
    settings = {**tiny.settings.metadata(), **comb}
    save(path, LPCNET, make(tiny), settings, precision, tiny.tables)


def save(
    path: Path,
    spec: ModelSpec,
    arrays: Mapping[str, Array],
    settings: Mapping[str, Scalar],
    precision: str,
    tables: ElementType = ElementType.I16,
) -> None:
    """Save a model made of float tensors and its own metadata."""
    metadata = {
        "general.name": path.stem,
        "pyvoc.source.format": "seeded",
        "pyvoc.source.sha256": "none",
        **settings,
    }
    container = encode(spec, arrays, metadata=metadata, precision=precision, tables=tables)
    write_container(path, container, spec=spec)


def _quiet_unit(bias: Array, unit: int) -> Array:
    bias[unit] = 0
    return bias


def _recurrent(tiny: Tiny, draw: Draws) -> Array:
    """GRU A's recurrent matrix; sparse ones keep a third of their blocks, and the diagonal."""
    w = 0.35 * draw(3 * tiny.n, tiny.n)
    if tiny.block is None:
        return w / np.sqrt(tiny.n / 16)
    rows, cols = tiny.block
    keep = draw(3 * tiny.n // rows, tiny.n // cols) > 0.3
    at = np.arange(3 * tiny.n)
    diagonal = w[at, at % tiny.n]
    w = w * np.kron(keep, np.ones(tiny.block))
    w[at, at % tiny.n] = diagonal
    return w


def _logits(sampling: str, scale: float) -> Array:
    """Logits of the output layer, within -9..9, for a Laplace distribution around code 128."""
    mass = np.exp(-np.abs(np.arange(256) - 128) / scale)
    if sampling == "softmax":
        return np.asarray(np.clip(np.log(mass), -15, 0) * 1.2 + 9).clip(-9, 9)
    logits = np.zeros(256)
    for level in range(8):
        left, right = mass.reshape(1 << level, 2, -1).sum(axis=2).T
        logits[1 << level : 2 << level] = np.log(right / left)
    return logits.clip(-9, 9)


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0]) if arguments else Path(__file__).resolve().parent
    for name, (tiny, precision) in MODELS.items():
        write(folder / f"{name}.gguf", tiny, precision)
    import tiny_fargan
    import tiny_hifigan
    import tiny_melgan
    import tiny_waveglow
    import tiny_wavernn

    for module, spec in (
        (tiny_fargan, FARGAN),
        (tiny_hifigan, HIFIGAN),
        (tiny_melgan, MELGAN),
        (tiny_waveglow, WAVEGLOW),
        (tiny_wavernn, WAVERNN),
    ):
        below = folder / spec.prefix.rstrip(".")
        below.mkdir(exist_ok=True)
        for name, (tiny, precision) in module.MODELS.items():
            arrays = module.make(tiny, Draws(tiny.seed))
            save(below / f"{name}.gguf", spec, arrays, tiny.settings.metadata(), precision)


if __name__ == "__main__":
    main(sys.argv[1:])
