"""What a precision costs: teacher-forced distributions of two models on one synthetic probe.

The probe is a voiced, noisy, LPC-filtered signal and features to go with it; deterministic, and the
same for every model, so that figures can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.tensors import Scalar
from pyvoc.errors import Error
from pyvoc.quant.reports import decibels, in_decibels

FRAMES = 40
HOP = 160
LAYOUT_DIMS = {"lpcnet36": 36, "lpcnet55": 55}
LEAST_MASS = 1e-4
"""Tree nodes that the reference reaches more rarely do not count in the logit SNR."""
_FLOOR = 1e-20


@dataclass(frozen=True)
class PrecisionReport:
    """Error of a model against its float form.

    Parameters
    ----------
    samples
        Steps that were compared.
    kl_mean, kl_max
        Kullback-Leibler divergence of the model's distribution from float's, nats per sample.
    logit_snr_db
        Power of float's logits over the power of the difference, dB; None when there is none.
    """

    samples: int
    kl_mean: float
    kl_max: float
    logit_snr_db: float | None

    def line(self) -> str:
        """The figures in one line."""
        return (
            f"against float, teacher-forced on {self.samples} probe samples: "
            f"KL {self.kl_mean:.2e} nats (worst {self.kl_max:.2e}), "
            f"logit SNR {in_decibels(self.logit_snr_db)}"
        )


def probe(layout: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features ``[FRAMES, dims]`` of a layout and pcm ``[FRAMES * HOP]`` in -1..1.

    Raises
    ------
    Error
        The layout is unknown.
    """
    if layout not in LAYOUT_DIMS:
        raise Error(f"feature layout '{layout}' is unknown, expected {', '.join(LAYOUT_DIMS)}")
    rng = np.random.Generator(np.random.PCG64(20190512))
    time = np.arange(FRAMES)
    period = np.rint(130 + 30 * np.sin(time / 6)).astype(int)
    voicing = 0.5 + 0.4 * np.sin(time / 9)
    cepstrum = 0.35 * rng.standard_normal((FRAMES, 18)) / (1 + np.arange(18) / 3)
    cepstrum[:, 0] += 1.5 + np.sin(time / 7)
    cepstrum[:, 1] += 1.2
    reflection = np.zeros(16)
    reflection[:6] = (-0.85, 0.45, -0.2, 0.15, -0.1, 0.05)
    lpc = _step_up(reflection)
    excitation = rng.laplace(0.0, 60.0, FRAMES * HOP) * np.repeat(1.2 - voicing, HOP)
    at = 0
    while at < len(excitation):
        excitation[at] += 1500 * voicing[at // HOP]
        at += int(period[at // HOP])
    signal = np.zeros(len(excitation) + 16)
    for t, e in enumerate(excitation):
        signal[t + 16] = e - lpc @ signal[t : t + 16][::-1]
    # Undo the pre-emphasis: models see what an extractor would have seen.
    pcm = np.zeros(len(excitation))
    memory = 0.0
    for t, x in enumerate(signal[16:]):
        memory = x + 0.85 * memory
        pcm[t] = memory
    features = np.zeros((FRAMES, LAYOUT_DIMS[layout]), np.float32)
    features[:, :18] = cepstrum
    pitch = 18 if layout == "lpcnet36" else 36
    features[:, pitch] = 0.01 * (2 * period - 200)
    features[:, pitch + 1] = voicing - 0.5
    features[:, -16:] = lpc
    rounded = np.clip(np.rint(pcm), -32767, 32767) / 32768
    return features, rounded.astype(np.float32)


def compare(
    exact: Any,
    model: Any,
    *,
    metadata: Mapping[str, Scalar],
    mel: NDArray[np.float32] | None = None,
) -> PrecisionReport:
    """Run both models on the probe and compare their distributions.

    Parameters
    ----------
    exact
        The float form.
    model
        The model to judge.
    metadata
        Of the model: layout of the features and kind of sampling.
    mel
        None: its features are no mel spectrogram.

    Raises
    ------
    Error
        A model's output is not a distribution.
    """
    features, pcm = probe(str(metadata["pyvoc.features.layout"]))
    reference = _distributions(exact, features, pcm)
    found = _distributions(model, features, pcm)
    return measure(reference, found, tree=metadata["lpcnet.sampling"] == "tree")


def measure(
    reference: NDArray[np.float64], found: NDArray[np.float64], *, tree: bool
) -> PrecisionReport:
    """Compare two sets of distributions ``[samples, 256]``."""
    p, q = np.maximum(reference, _FLOOR), np.maximum(found, _FLOOR)
    divergence = np.maximum((p * np.log(p / q)).sum(axis=1), 0.0)
    if tree:
        (a, mass), (b, _) = _tree_logits(reference), _tree_logits(found)
        weight = mass >= LEAST_MASS
    else:
        a, b = np.log(p), np.log(q)
        weight = reference >= LEAST_MASS
        # A softmax leaves the logits' offset open: compare them around their means.
        count = weight.sum(axis=1, keepdims=True)
        a = a - (a * weight).sum(axis=1, keepdims=True) / count
        b = b - (b * weight).sum(axis=1, keepdims=True) / count
    noise = float((((a - b) ** 2) * weight).sum())
    power = float(((a**2) * weight).sum())
    return PrecisionReport(
        len(p), float(divergence.mean()), float(divergence.max()), decibels(power, noise)
    )


def _distributions(
    model: Any, features: NDArray[np.float32], pcm: NDArray[np.float32]
) -> NDArray[np.float64]:
    p = np.asarray(model.predict(features, pcm), np.float64)
    if p.shape != (len(pcm), 256):
        raise Error(f"the model's output has shape {p.shape}, expected {(len(pcm), 256)}")
    total = p.sum(axis=1)
    if not np.isfinite(p).all() or (p < 0).any() or (np.abs(total - 1) > 1e-3).any():
        raise Error("the model's output on the probe is not a distribution")
    return p


def _tree_logits(p: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits and reach probabilities of the 255 nodes, most significant bit first."""
    logits, masses = [], []
    for level in range(8):
        branch = p.reshape(len(p), 1 << level, 2, -1).sum(axis=3)
        masses.append(branch.sum(axis=2))
        safe = np.maximum(branch, _FLOOR)
        logits.append(np.log(safe[:, :, 1] / safe[:, :, 0]))
    return np.concatenate(logits, axis=1), np.concatenate(masses, axis=1)


def _step_up(reflection: NDArray[np.float64]) -> NDArray[np.float64]:
    """LPC a_1..a_n (prediction = -sum a_k x[t-k]) from reflection coefficients."""
    a = np.zeros(len(reflection))
    for i, k in enumerate(reflection):
        a[:i] = a[:i] + k * a[:i][::-1]
        a[i] = k
    return a
