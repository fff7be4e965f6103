"""From the logits of a WaveRNN to speech in float64 numpy: draws, mu-law, upstream's folds, ends.
And the likelihood of speech.

Sampling takes its random numbers from outside. ``mol``: ``u_mix`` ``[steps, rows, mixtures]`` and
``u_logistic`` ``[steps, rows]``, uniform in 1e-5 .. 1 - 1e-5; the component of the greatest logit
plus Gumbel noise, then a draw of its logistic. ``raw``: ``u`` ``[steps, rows]`` in 0 .. 1; the
label is the number of labels whose cumulated probability is at most u.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEAST_LOG_SCALE = np.log(1e-14)
FADE_FRAMES = 20
"""Upstream fades the end of everything out over so many frames."""
MOL_CLASSES = 65536


@dataclass(frozen=True)
class Speech:
    """What generation gave.

    Parameters
    ----------
    audio
        ``[samples]``, after everything.
    folds
        ``[steps, rows]`` samples before cross-fading, mu-law expanded.
    labels
        ``[steps, rows]``; None for ``mol``.
    """

    audio: Array
    folds: Array
    labels: NDArray[np.int64] | None


def sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


def draw_mol(logits: Array, u_mix: Array, u_logistic: Array) -> Array:
    """Samples ``[rows]`` of a mixture of logistics, -1..1."""
    weights, means, scales = np.split(logits, 3, axis=1)
    k = np.argmax(weights - np.log(-np.log(u_mix)), axis=1)
    rows = np.arange(len(k))
    scale = np.exp(np.maximum(scales[rows, k], LEAST_LOG_SCALE))
    return np.clip(means[rows, k] + scale * (np.log(u_logistic) - np.log(1 - u_logistic)), -1, 1)


def softmax(logits: Array) -> Array:
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def draw_label(logits: Array, u: Array) -> NDArray[np.int64]:
    """Labels ``[rows]``."""
    below = np.cumsum(softmax(logits), axis=1) <= u[:, None]
    return np.minimum(below.sum(axis=1), logits.shape[1] - 1)


def expand(y: Array, classes: int) -> Array:
    """Mu-law: companded -1..1 to linear."""
    m = classes - 1
    return np.sign(y) / m * ((1 + m) ** np.abs(y) - 1)


def fold_starts(length: int, target: int, overlap: int) -> range:
    """Where upstream's folds of ``target + 2 overlap`` begin; the last may leave the signal.

    Raises
    ------
    ValueError
        The signal is not longer than an overlap (upstream has no fold then, and fails).
    """
    if length <= overlap:
        raise ValueError(f"{length} samples, folding needs more than the overlap of {overlap}")
    step = target + overlap
    count = (length - overlap) // step
    if length != count * step + overlap:
        count += 1
    return range(0, count * step, step)


def cut_folds(x: Array, target: int, overlap: int) -> Array:
    """``[length, dims]`` into ``[target + 2 overlap, folds, dims]``, zeros beyond the end."""
    size = target + 2 * overlap
    starts = fold_starts(len(x), target, overlap)
    long = np.pad(x, ((0, max(starts[-1] + size - len(x), 0)), (0, 0)))
    return np.stack([long[at : at + size] for at in starts], axis=1)


def join_folds(folds: Array, target: int, overlap: int) -> Array:
    """Upstream's equal-power cross-fade of ``[steps, folds]``, at the first and last end too."""
    silent = overlap // 2
    t = np.linspace(-1, 1, overlap - silent)
    rise = np.concatenate([np.zeros(silent), np.sqrt((1 + t) / 2)])
    fall = np.concatenate([np.ones(silent), np.sqrt((1 - t) / 2)])
    step = target + overlap
    joined = np.zeros(folds.shape[1] * step + overlap)
    for i, fold in enumerate(folds.T.copy()):
        if overlap:
            fold[:overlap] *= rise
            fold[-overlap:] *= fall
        joined[i * step : i * step + len(fold)] += fold
    return joined


def end_as_upstream(audio: Array, frames: int, hop: int) -> Array:
    """One hop less than there are frames, the end faded out.

    Raises
    ------
    ValueError
        There are fewer frames than the fade needs (upstream fails then).
    """
    if frames <= FADE_FRAMES:
        raise ValueError(f"{frames} frames, upstream's fade-out needs {FADE_FRAMES + 1}")
    audio = audio[: (frames - 1) * hop].copy()
    audio[-FADE_FRAMES * hop :] *= np.linspace(1, 0, FADE_FRAMES * hop)
    return audio


def log_likelihood_mol(logits: Array, y: Array) -> Array:
    """ln p ``[samples]`` of float samples -1..1 under the discretised mixture, as in training."""
    weights, means, scales = np.split(logits, 3, axis=1)
    scales = np.maximum(scales, LEAST_LOG_SCALE)
    half = 1 / (MOL_CLASSES - 1)
    centred, inverse = y[:, None] - means, np.exp(-scales)
    plus, minus, middle = (inverse * (centred + d) for d in (half, -half, 0.0))

    def softplus(x: Array) -> Array:
        return np.logaddexp(0, x)

    difference = sigmoid(plus) - sigmoid(minus)
    density = middle - scales - 2 * softplus(middle) - np.log((MOL_CLASSES - 1) / 2)
    inside = np.where(difference > 1e-5, np.log(np.maximum(difference, 1e-12)), density)
    each = np.where(
        y[:, None] < -0.999,
        plus - softplus(plus),
        np.where(y[:, None] > 0.999, -softplus(minus), inside),
    )
    top = weights.max(axis=1, keepdims=True)
    logs = weights - top - np.log(np.exp(weights - top).sum(axis=1, keepdims=True))
    return np.logaddexp.reduce(each + logs, axis=1)


def log_likelihood_labels(logits: Array, labels: NDArray[np.integer]) -> Array:
    """ln p ``[samples]`` of labels."""
    top = logits.max(axis=1, keepdims=True)
    logs = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    return logs[np.arange(len(labels)), labels]


def generate(
    net: Any,
    mel: NDArray[np.floating],
    draws: Sequence[NDArray[np.floating]],
    *,
    fold: tuple[int, int] | None = None,
    upstream: bool = True,
) -> Speech:
    """Speak.

    Parameters
    ----------
    net
        A network of `wavernn.py`.
    mel
        ``[frames, bands]``.
    draws
        ``(u_mix, u_logistic)`` or ``(u,)``; a row for each fold, or one.
    fold
        Target and overlap of upstream's folding, samples.
    upstream
        Upstream's length and fade-out; False (only without folds): a hop for every frame, as
        they come.
    """
    if fold is not None and not upstream:
        raise ValueError("folding is upstream's only")
    around = net.condition(np.pad(mel, ((net.pad, net.pad), (0, 0))))
    if fold is not None:
        mels, aux = cut_folds(around.mel, *fold), cut_folds(around.aux, *fold)
    else:
        mels, aux = around.mel[:, None], around.aux[:, None]
    rows = mels.shape[1]
    h1 = h2 = np.zeros((rows, net.states))
    x = np.zeros(rows)
    wide = [np.asarray(u, np.float64) for u in draws]
    samples, labels = np.zeros(mels.shape[:2]), np.zeros(mels.shape[:2], np.int64)
    for i in range(len(mels)):
        logits, h1, h2 = net.step(x, mels[i], aux[i], h1, h2)
        if net.mode == "mol":
            x = draw_mol(logits, wide[0][i], wide[1][i])
        else:
            labels[i] = draw_label(logits, wide[0][i])
            x = 2 * labels[i] / ((1 << net.bits) - 1) - 1
        samples[i] = x
    folds = expand(samples, 1 << net.bits) if net.mu_law else samples
    audio = join_folds(folds, *fold) if fold is not None else folds[:, 0]
    if upstream:
        audio = end_as_upstream(audio, len(mel), net.hop)
    return Speech(audio, folds, labels if net.mode == "raw" else None)
