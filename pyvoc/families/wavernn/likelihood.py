"""Likelihood of speech under a WaveRNN: of its labels, or of 16-bit ones under the mixture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyvoc.evaluate.forcing import predictions
from pyvoc.evaluate.nll_report import Measured, Scorer
from pyvoc.files import features

if TYPE_CHECKING:
    from pyvoc.runtime.model import Model

__all__ = [
    "LEAST_LOG_SCALE",
    "SCORER",
    "expected_of",
    "labels_of",
    "log_softmax",
    "measure",
    "mixture_nats",
    "raw_nats",
]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

MIXTURE_LABELS = 65536
"""Labels that a mixture of logistics is integrated over."""
LEAST_LOG_SCALE = float(np.log(1e-14))
CHUNK_FRAMES = 100
"""Frames whose outputs are in memory at once: 113 MB with 1024 labels and hops of 275."""
WARM_UP_FRAMES = 25
_BLOCK = 4096  # samples that are worked on in double precision

RECIPE = {
    "nll": "-log p(label | past, mel), teacher forced: wav at the model's rate, mono 16 bit, "
    "divided by 32768 -> the model's mel, sample i within frame i // hop -> labels as in training "
    "(raw: those of the softmax, mu-law where the model has it; mixture of logistics: 65536 equal "
    "parts of -1..1, the outermost reaching to infinity), fed back in place of what the model "
    f"would draw -> Model.predict; all samples, in chunks of {CHUNK_FRAMES} frames after "
    f"{WARM_UP_FRAMES} of warm-up",
    "marginal": "raw: entropy of the histogram of all labels",
}


def labels_of(samples: Float64, classes: int, *, mu_law: bool) -> Labels:
    """Labels [samples] of samples in -1..1, rounded as upstream does when it prepares its data."""
    most = classes - 1
    if mu_law:
        companded = np.sign(samples) * np.log1p(most * np.abs(samples)) / np.log1p(most)
        labels = np.floor((companded + 1) / 2 * most + 0.5)
    else:
        labels = np.trunc((samples + 1) * most / 2)
    return np.asarray(np.clip(labels, 0, most), np.int64)


def expected_of(labels: Labels, classes: int, *, mu_law: bool) -> Float64:
    """The samples in -1..1 that labels stand for."""
    most = classes - 1
    x = 2 * labels / most - 1
    if mu_law:
        return np.asarray(np.sign(x) * np.expm1(np.abs(x) * np.log1p(most)) / most)
    return np.asarray(x)


def log_softmax(logits: Float64) -> Float64:
    """Logarithms of the probabilities [samples, classes] that logits stand for."""
    top = logits.max(axis=1, keepdims=True)
    shifted = logits - top
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def raw_nats(outputs: Float32, labels: Labels) -> Float64:
    """Nats [samples] of labels under logits [samples, labels]."""
    logs = log_softmax(outputs.astype(np.float64))
    return np.asarray(-logs[np.arange(len(labels)), labels])


def mixture_nats(outputs: Float32, labels: Labels) -> Float64:
    """Nats [samples] of 16-bit labels under mixtures of logistics [samples, 3 * logistics]."""
    weights, means, scales = np.split(outputs.astype(np.float64), 3, axis=1)
    most = MIXTURE_LABELS - 1
    x = expected_of(labels, MIXTURE_LABELS, mu_law=False)[:, None]
    inverse = np.exp(-np.maximum(scales, LEAST_LOG_SCALE))
    low, high = (inverse * (x + d / most - means) for d in (-1, 1))
    low[labels == 0] = -np.inf
    high[labels == most] = np.inf
    # sigmoid(high) - sigmoid(low) = sigmoid(high) sigmoid(-low) (1 - exp(low - high)), exactly.
    each = -np.logaddexp(0, -high) - np.logaddexp(0, low) + np.log(-np.expm1(low - high))
    return np.asarray(-np.logaddexp.reduce(each + log_softmax(weights), axis=1))


def measure(model: Model, pcm: npt.NDArray[np.int16]) -> Measured:
    """Score one signal; see :data:`RECIPE`.

    Parameters
    ----------
    model
        A WaveRNN.
    pcm
        Mono int16 [samples] at the model's rate, enough for a mel frame.

    Raises
    ------
    AudioError
        Too short.
    """
    metadata: Mapping[str, Any] = model.describe()["metadata"]
    raw = metadata["wavernn.mode"] == "raw"
    classes = model.info.distribution_size if raw else MIXTURE_LABELS
    mu_law = raw and bool(metadata["wavernn.mu_law"])
    nats_of = raw_nats if raw else mixture_nats
    rows = features.extract(pcm, model=model)
    labels = labels_of(pcm / 32768, classes, mu_law=mu_law)
    heard = expected_of(labels, classes, mu_law=mu_law).astype(np.float32)
    total = 0.0
    for first, outputs in predictions(
        model, rows, heard, frames=CHUNK_FRAMES, warm_up=WARM_UP_FRAMES
    ):
        for at in range(0, len(outputs), _BLOCK):
            part = outputs[at : at + _BLOCK]
            start = first + at
            total += float(nats_of(part, labels[start : start + len(part)]).sum())
    histogram = np.bincount(labels, minlength=classes) if raw else None
    return Measured(len(pcm), total / len(pcm), {}, histogram)


SCORER = Scorer(measure, RECIPE)
