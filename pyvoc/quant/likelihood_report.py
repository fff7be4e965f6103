"""What a precision costs a model that predicts each sample: likelihood of what float says.

Free-running audio cannot be compared: the first draw that differs makes another utterance of equal
quality. And on a signal that a model would never make, one forced on it from outside, the
distributions of a trained model say nothing about its speech. So the float form speaks, with fixed
draws; then both models are given that past, and asked how likely each sample was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyvoc.errors import Error
from pyvoc.evaluate.forcing import predictions

__all__ = ["LikelihoodReport", "compare_likelihood"]

SEED = 2018
"""Of the float form's draws."""
MOST_VALUES = 2_000_000
"""Probabilities that are compared, at most: of as many samples, spread over all."""
CHUNK_FRAMES, WARM_UP_FRAMES = 100, 25
_FLOOR = 1e-30

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class LikelihoodReport:
    """A model against its float form, on samples that the float form drew.

    Parameters
    ----------
    frames, samples
        Of the features; samples whose distributions were compared.
    probe
        What the features are: ``synthetic``, ``given`` or ``bundled`` with the package.
    guess
        Nats per sample of one who gives every class the same probability.
    nll_exact, nll
        Negative log-likelihood of the samples under float and under the model, nats per sample.
    kl_mean, kl_max
        Kullback-Leibler divergence from float's distribution, nats per sample.
    """

    frames: int
    samples: int
    probe: str
    guess: float
    nll_exact: float
    nll: float
    kl_mean: float
    kl_max: float

    def line(self) -> str:
        """The figures in one line."""
        return (
            f"against float, on {self.samples} samples that float drew from {self.probe} features: "
            f"NLL {self.nll:.4f} nats per sample ({self.nll - self.nll_exact:+.1e}; guessing "
            f"{self.guess:.2f}), KL {self.kl_mean:.2e} (worst {self.kl_max:.2e})"
        )


def compare_likelihood(
    exact: Any,
    model: Any,
    features: Float32,
    *,
    probe: str,
    classes: int,
    drawn: Callable[[Float32], NDArray[np.int64]],
    distributions: Callable[[Float32], Float64],
) -> LikelihoodReport:
    """Let the float form speak, and compare what both models expect at each of its samples.

    Parameters
    ----------
    exact, model
        The float form and the model to judge, loaded.
    features
        ``[frames, dims]`` to speak.
    probe
        For the report.
    classes
        What a draw chooses from.
    drawn
        Audio ``[samples]`` of the float form -> the class of each sample.
    distributions
        What `Model.predict` gave ``[samples, n]`` -> probabilities ``[samples, classes]``.

    Raises
    ------
    Error
        A model's outputs are no distributions of the next sample.
    """
    audio = exact.synthesize(features, seed=SEED)
    step = -(-len(audio) * classes // MOST_VALUES)
    p, q = (_forced(one, features, audio, step, classes, distributions) for one in (exact, model))
    at = np.arange(len(p)), drawn(audio)[::step]
    p, q = np.maximum(p, _FLOOR), np.maximum(q, _FLOOR)
    divergence = np.maximum((p * np.log(p / q)).sum(axis=1), 0.0)
    return LikelihoodReport(
        frames=len(features),
        samples=len(p),
        probe=probe,
        guess=math.log(classes),
        nll_exact=float(-np.log(p[at]).mean()),
        nll=float(-np.log(q[at]).mean()),
        kl_mean=float(divergence.mean()),
        kl_max=float(divergence.max()),
    )


def _forced(
    model: Any,
    features: Float32,
    audio: Float32,
    step: int,
    classes: int,
    distributions: Callable[[Float32], Float64],
) -> Float64:
    """Distributions ``[samples / step, classes]`` of every so many-th sample, given the past."""
    found: list[Float64] = []
    for first, outputs in predictions(
        model, features, audio, frames=CHUNK_FRAMES, warm_up=WARM_UP_FRAMES
    ):
        size = min(len(audio) - first, CHUNK_FRAMES * model.info.hop_length)
        if len(outputs) != size:
            raise Error(f"the model predicts {len(outputs)} samples, expected {size}")
        p = distributions(outputs[-first % step :: step])
        if p.shape[1] != classes:
            raise Error(f"the model tells {p.shape[1]} classes apart, expected {classes}")
        if not np.isfinite(p).all() or (p < 0).any() or (np.abs(p.sum(axis=1) - 1) > 1e-3).any():
            raise Error("the model's output on the probe is not a distribution")
        found.append(p)
    return np.concatenate(found)
