"""Inputs for measurements that need no download: a seeded LPCNet and a speech-like signal."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyvoc.bench.seeded import Seeded
from pyvoc.families.lpcnet.spec import LPCNET, LpcnetSettings

Array = npt.NDArray[np.float64]

GRU_A, GRU_B, COND, PITCH = 384, 16, 128, 64
DENSITY = (0.05, 0.05, 0.2)
"""Share of GRU A's 8 x 4 blocks that training keeps, gates r, z, n (xiph/LPCNet)."""
SAMPLE_RATE = 16000
_BLOCK = (8, 4)
_SPREAD = 6.0  # of the excitation, in mu-law codes


def tensors() -> dict[str, Array]:
    """The weights by their names in the spec."""
    rng = np.random.default_rng(1)
    n, m, c, p, f = GRU_A, GRU_B, COND, PITCH, LpcnetSettings().feature_dims

    def draw(*shape: int) -> Array:
        return np.asarray(rng.uniform(-1.0, 1.0, shape))

    def dense(rows: int, cols: int) -> Array:
        return np.asarray(np.sqrt(0.75 / cols) * draw(rows, cols))

    bias = np.zeros((2, 256))
    bias[0] = np.arctanh(_tree_logits() / 10)
    arrays = {
        "embed_pitch.weight": 0.3 * draw(256, p),
        "conv1.weight": 0.3 * dense(c, (f + p) * 3).reshape(c, f + p, 3),
        "conv2.weight": dense(c, c * 3).reshape(c, c, 3),
        "dense1.weight": dense(c, c),
        "dense2.weight": dense(c, c),
        "gru_a.cond.weight": dense(3 * n, c),
        "gru_a.weight_hh": _recurrent(rng),
        "gru_b.weight_ih": dense(3 * m, n),
        "gru_b.cond.weight": dense(3 * m, c),
        "gru_b.weight_hh": dense(3 * m, m),
        "dual_fc.weight": 0.05 * draw(2, 256, m),
        "dual_fc.bias": bias,
        "dual_fc.factor": np.stack([np.full(256, 10.0), 0.3 * draw(256)]),
    }
    arrays |= {f"gru_a.embed_{kind}": 0.5 * draw(256, 3 * n) for kind in ("sig", "pred", "exc")}
    arrays |= {f"{name}.bias": 0.1 * draw(c) for name in ("conv1", "conv2", "dense1", "dense2")}
    for name, size in (("gru_a", n), ("gru_b", m)):
        arrays |= {f"{name}.bias_{kind}": 0.1 * draw(3 * size) for kind in ("ih", "hh")}
    return arrays


SEEDED = Seeded("LPCNet 384/16", LPCNET, LpcnetSettings(), tensors)
"""Of LPCNet's usual size and sparsity."""


def _recurrent(rng: np.random.Generator) -> Array:
    """GRU A's recurrent matrix: random blocks of each gate, and the diagonal."""
    rows, cols = _BLOCK
    gates = []
    for density in DENSITY:
        total = GRU_A // rows * (GRU_A // cols)
        keep = np.zeros(total, bool)
        keep[rng.permutation(total)[: round(density * total)]] = True
        mask = np.kron(keep.reshape(GRU_A // rows, GRU_A // cols), np.ones(_BLOCK))
        np.fill_diagonal(mask, 1.0)
        gates.append(mask * rng.uniform(-0.15, 0.15, mask.shape))
    return np.concatenate(gates)


def _tree_logits() -> Array:
    """Logits of the tree's nodes for a Laplace distribution around code 128."""
    mass = np.exp(-np.abs(np.arange(256) - 128) / _SPREAD)
    logits = np.zeros(256)
    for level in range(8):
        left, right = mass.reshape(1 << level, 2, -1).sum(axis=2).T
        logits[1 << level : 2 << level] = np.log(right / left)
    return logits.clip(-9, 9)


def speech(seconds: float) -> npt.NDArray[np.int16]:
    """A speech-like signal: a gliding pulse train through resonances, in syllables, and noise.

    Parameters
    ----------
    seconds
        Length of the result.

    Returns
    -------
    int16 [samples]
        At 16 kHz; every 2 s are the same.
    """
    length = 2 * SAMPLE_RATE
    t = np.arange(length) / SAMPLE_RATE
    rng = np.random.default_rng(2)
    phase = np.cumsum(110 + 40 * np.sin(2 * np.pi * 0.7 * t)) / SAMPLE_RATE
    source = np.diff(np.floor(phase), prepend=0.0) + 0.01 * rng.standard_normal(length)
    frequency = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    gain = sum(1 / (1 + ((frequency - f) / 120) ** 2) for f in (600, 1400, 2600, 3500))
    voiced = np.fft.irfft(np.fft.rfft(source) * gain, length)
    envelope = np.sin(2 * np.pi * 1.5 * t) ** 2 + 0.02
    signal = voiced * envelope
    pcm = np.round(12000 / np.abs(signal).max() * signal).astype(np.int16)
    return np.resize(pcm, round(seconds * SAMPLE_RATE))
