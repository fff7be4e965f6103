"""What a precision costs a WaveRNN: samples that its float form draws from a mel spectrogram.

Distributions are those of labels, or of a mixture of logistics in `INTERVALS` equal parts of -1..1,
the outermost reaching to infinity.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.mel import MelRecipe
from pyvoc.container.tensors import Scalar
from pyvoc.families.wavernn.likelihood import LEAST_LOG_SCALE, log_softmax
from pyvoc.quant.audio_report import probe_mel
from pyvoc.quant.likelihood_report import LikelihoodReport, compare_likelihood

INTERVALS = 4096
Array = NDArray[np.float64]


def compare(
    exact: Any,
    model: Any,
    *,
    metadata: Mapping[str, Scalar],
    mel: NDArray[np.float32] | None = None,
) -> LikelihoodReport:
    """Compare what both models expect of the samples that the float form draws.

    Parameters
    ----------
    exact
        The float form.
    model
        The model to judge.
    metadata
        Of the model: the mel recipe, and what the outputs are (``wavernn.*``).
    mel
        ``[frames, bands]``; None takes a synthetic one (`pyvoc.quant.audio_report.probe_mel`).

    Raises
    ------
    Error
        A model's outputs are not logits.
    """
    raw = metadata["wavernn.mode"] == "raw"
    return compare_likelihood(
        exact,
        model,
        probe_mel(MelRecipe.from_metadata(metadata)) if mel is None else mel,
        probe="synthetic" if mel is None else "given",
        classes=1 << int(metadata["wavernn.bits"]) if raw else INTERVALS,
        drawn=partial(classes_of, metadata=metadata),
        distributions=partial(distributions, raw=raw),
    )


def distributions(outputs: NDArray[np.float32], *, raw: bool) -> Array:
    """Probabilities ``[samples, classes]`` of the last layer's outputs."""
    wide = outputs.astype(np.float64)
    return np.exp(log_softmax(wide)) if raw else _mixture(wide)


def classes_of(audio: NDArray[np.float32], metadata: Mapping[str, Scalar]) -> NDArray[np.int64]:
    """The labels that synthesised audio ``[samples]`` was made of; of a mixture, the intervals."""
    signal = audio.astype(np.float64)
    if metadata["wavernn.mode"] != "raw":
        return np.clip(((signal + 1) / 2 * INTERVALS).astype(np.int64), 0, INTERVALS - 1)
    most = (1 << int(metadata["wavernn.bits"])) - 1
    if metadata["wavernn.mu_law"]:
        signal = np.sign(signal) * np.log1p(most * np.abs(signal)) / np.log1p(most)
    return np.clip(np.rint((signal + 1) / 2 * most).astype(np.int64), 0, most)


def _mixture(logits: Array) -> Array:
    """Probability of each interval under mixtures of logistics."""
    edges = np.linspace(-1, 1, INTERVALS + 1)
    edges[[0, -1]] = -1e30, 1e30
    weights, means, scales = np.split(logits, 3, axis=1)
    weights = np.exp(log_softmax(weights))
    found = np.zeros((len(logits), INTERVALS))
    for k in range(weights.shape[1]):
        inverse = np.exp(-np.maximum(scales[:, k], LEAST_LOG_SCALE))
        z = (edges - means[:, k, None]) * inverse[:, None]
        # What lies beyond an edge, away from the mean: differences of small numbers are exact.
        tail = np.exp(-np.abs(z))
        tail /= 1 + tail
        mass = np.abs(np.diff(tail))
        row, at = np.nonzero((z[:, :-1] < 0) & (z[:, 1:] > 0))
        mass[row, at] = 1 - tail[row, at] - tail[row, at + 1]
        found += weights[:, k, None] * mass
    return found
