"""What a precision costs a model that predicts each sample: two models' logits, teacher forced.

Free-running audio cannot be compared: the first draw that differs makes another utterance of equal
quality. So both models are given the same past, a made-up signal as loud as the mel spectrogram is,
and their distributions of the next sample are compared: of labels, or of a mixture of logistics in
`INTERVALS` equal parts of -1..1, the outermost reaching to infinity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.mel import MelRecipe
from pyvoc.container.tensors import Scalar
from pyvoc.errors import Error
from pyvoc.quant.audio_report import probe_mel
from pyvoc.quant.reports import decibels, in_decibels

INTERVALS = 4096
MOST_LABELS, MOST_MIXTURES = 2000, 250
"""Steps whose distributions are compared, spread over all."""
_FLOOR = 1e-30
Array = NDArray[np.float64]


@dataclass(frozen=True)
class LogitReport:
    """Error of a model's distributions against those of its float form.

    Parameters
    ----------
    frames, samples
        Of the mel spectrogram; steps whose logits were compared.
    probe
        ``synthetic`` or ``given``.
    kl_mean, kl_max
        Kullback-Leibler divergence from float's distribution, nats per sample.
    nll_exact, nll
        Negative log-likelihood of the signal under float and under the model, nats per sample.
    logit_snr_db
        Power of float's logits over the power of the difference; None when there is none.
    """

    frames: int
    samples: int
    probe: str
    kl_mean: float
    kl_max: float
    nll_exact: float
    nll: float
    logit_snr_db: float | None

    def line(self) -> str:
        """The figures in one line."""
        return (
            f"against float, teacher-forced on {self.samples} samples of a {self.probe} mel: "
            f"KL {self.kl_mean:.2e} nats (worst {self.kl_max:.2e}), NLL {self.nll:.4f} nats "
            f"({self.nll - self.nll_exact:+.1e}), logit SNR {in_decibels(self.logit_snr_db)}"
        )


def compare(
    exact: Any,
    model: Any,
    *,
    metadata: Mapping[str, Scalar],
    mel: NDArray[np.float32] | None = None,
) -> LogitReport:
    """Run both models on one mel spectrogram and one signal, and compare what they expect.

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
        A model's output are not logits of the right number.
    """
    recipe = MelRecipe.from_metadata(metadata)
    features = probe_mel(recipe) if mel is None else mel
    pcm = signal_of(features, recipe)
    reference, found = (_logits(m, features, pcm) for m in (exact, model))
    if reference.shape != found.shape:
        raise Error(f"the model has logits {list(found.shape)}, its float {list(reference.shape)}")
    raw = metadata["wavernn.mode"] == "raw"
    noise, power = _powers(reference, found, centred=raw)
    step = -(-len(pcm) // (MOST_LABELS if raw else MOST_MIXTURES))
    signal = pcm[::step].astype(np.float64)
    p, q = (_distributions(logits[::step], raw=raw) for logits in (reference, found))
    at = np.arange(len(p)), _classes(signal, p.shape[1], metadata)
    divergence = np.maximum((p * np.log(p / q)).sum(axis=1), 0.0)
    return LogitReport(
        frames=len(features),
        samples=len(p),
        probe="synthetic" if mel is None else "given",
        kl_mean=float(divergence.mean()),
        kl_max=float(divergence.max()),
        nll_exact=float(-np.log(p[at]).mean()),
        nll=float(-np.log(q[at]).mean()),
        logit_snr_db=decibels(power, noise),
    )


def _powers(
    reference: NDArray[np.float32], found: NDArray[np.float32], *, centred: bool
) -> tuple[float, float]:
    """Powers of the difference and of the reference; a softmax leaves the logits' offset open."""
    if centred:
        reference = reference - reference.mean(axis=1, keepdims=True)
        found = found - found.mean(axis=1, keepdims=True)
    difference = reference - found
    return (
        float((difference**2).sum(dtype=np.float64)),
        float((reference**2).sum(dtype=np.float64)),
    )


def signal_of(mel: NDArray[np.float32], recipe: MelRecipe) -> NDArray[np.float32]:
    """A signal ``[frames * hop]`` in -1..1 whose loudness follows a mel spectrogram's."""
    rng = np.random.Generator(np.random.PCG64(20180223))
    level = mel.mean(axis=1, dtype=np.float64)
    span = float(level.max() - level.min())
    loud = (level - level.min()) / span if span > 0 else np.full(len(level), 0.5)
    envelope = np.repeat(0.01 + 0.3 * loud**2, recipe.hop_length)
    time = np.arange(len(envelope)) / recipe.sample_rate
    voice = sum(np.sin(2 * np.pi * 130 * k * time + k) / k for k in (1, 2, 3, 5, 8))
    signal = envelope * (0.5 * voice + 0.1 * rng.standard_normal(len(envelope)))
    return np.clip(signal, -1, 1).astype(np.float32)


def _logits(model: Any, mel: NDArray[np.float32], pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    logits = np.asarray(model.predict(mel, pcm), np.float32)
    if logits.ndim != 2 or len(logits) != len(pcm) or not logits.shape[1]:
        raise Error(f"the model's logits have shape {list(logits.shape)}, expected [{len(pcm)}, n]")
    if not np.isfinite(logits).all():
        raise Error("the model's logits on the probe are not finite")
    return logits


def _softmax(logits: Array) -> Array:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p: Array = e / e.sum(axis=1, keepdims=True)
    return p


def _distributions(logits: NDArray[np.float32], *, raw: bool) -> Array:
    """Probabilities ``[steps, classes]``, none of them zero."""
    wide = logits.astype(np.float64)
    return np.maximum(_softmax(wide) if raw else _mixture(wide), _FLOOR)


def _mixture(logits: Array) -> Array:
    """Probability of each interval under mixtures of logistics."""
    edges = np.linspace(-1, 1, INTERVALS + 1)
    edges[[0, -1]] = -1e30, 1e30
    weights, means, scales = np.split(logits, 3, axis=1)
    weights = _softmax(weights)
    found = np.zeros((len(logits), INTERVALS))
    for k in range(weights.shape[1]):
        inverse = np.exp(-np.maximum(scales[:, k], np.log(1e-14)))
        z = (edges - means[:, k, None]) * inverse[:, None]
        low, high = z[:, :-1], z[:, 1:]
        # Both ends on the side where the logistic function is small and differences are exact.
        above = low + high > 0
        low, high = np.where(above, -high, low), np.where(above, -low, high)
        found += weights[:, k, None] * (_sigmoid(high) - _sigmoid(low))
    return found


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    s: Array = np.where(x < 0, e, 1.0) / (1 + e)
    return s


def _classes(signal: Array, classes: int, metadata: Mapping[str, Scalar]) -> NDArray[np.int64]:
    """The class of each sample."""
    if metadata["wavernn.mode"] != "raw":
        return np.clip(((signal + 1) / 2 * classes).astype(np.int64), 0, classes - 1)
    most = classes - 1
    if metadata["wavernn.mu_law"]:
        signal = np.sign(signal) * np.log1p(most * np.abs(signal)) / np.log1p(most)
    return np.clip(np.floor((signal + 1) / 2 * most + 0.5).astype(np.int64), 0, most)
