"""LPCNet in float64 numpy, straight from the tensors of the spec: slow, plain, and the truth.

Works on what `pyvoc.quant.decode` gives of any model file (any precision, sparse or dense), so that
a runtime tensor can be compared with the exact arithmetic of the same weights. Signals are on the
scale of 16-bit samples; frames are causal as in the runtime: frame n's condition is computed from
frames up to n, and its LPC is that of frame n - lookahead (frames before the first have LPC 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
HOP = 160
ORDER = 16
LEVELS = 256
BAND_CENTRES = 4 * np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 34, 40])
COMPENSATION = np.array(
    [0.8, 1, 1, 1, 1, 1, 1, 1, 2 / 3, 0.5, 0.5, 0.5, 1 / 3, 0.25, 0.25, 0.2, 1 / 6, 0.173913]
)
"""Of a band's width, by which its summed energy is too large."""


@dataclass(frozen=True)
class Frames:
    """The condition network over an utterance, and the LPC it is used with.

    Parameters
    ----------
    conv1, conv2, dense1, cond
        ``[frames, C]`` after their tanh.
    cond_a, cond_b
        ``[frames, 3N]`` with GRU A's input bias, ``[frames, 3M]`` without a bias; gates r, z, n.
    lpc
        ``[frames, 16]`` as used by each frame.
    gain
        ``[frames]`` pitch correlation feature as used by each frame (2019's temperature).
    """

    conv1: Array
    conv2: Array
    dense1: Array
    cond: Array
    cond_a: Array
    cond_b: Array
    lpc: Array
    gain: Array


@dataclass(frozen=True)
class Steps:
    """A teacher-forced run: inputs and tensors of every sample, states after the step.

    Parameters
    ----------
    sig, pred, exc
        Mu-law indices that were the inputs, int ``[samples]``.
    target
        Mu-law index of the forced excitation, int ``[samples]``.
    prediction
        Linear prediction, 16-bit scale.
    gru_a, gru_b
        ``[samples, N]`` and ``[samples, M]``.
    logits
        ``[samples, 256]``; tree: by node, and what node 0 gives is not used.
    """

    sig: NDArray[np.int64]
    pred: NDArray[np.int64]
    exc: NDArray[np.int64]
    target: NDArray[np.int64]
    prediction: Array
    gru_a: Array
    gru_b: Array
    logits: Array


def sigmoid(x: Array) -> Array:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def upstream_log(x: Array) -> Array:
    """Natural logarithm as upstream approximates it: a cubic in the mantissa."""
    mantissa, exponent = np.frexp(x)  # mantissa in .5 to 1
    f = 2 * mantissa - 1.5
    cubic = -0.41445418 + f * (0.95909232 + f * (-0.33951290 + f * 0.16541097))
    return 0.69315 * (exponent + cubic)


def lin2ulaw(x: Array | float) -> NDArray[np.int64]:
    """Mu-law index 0..255 of a 16-bit scale value, rounded half up, with upstream's logarithm."""
    x = np.asarray(x, np.float64)
    sign = np.where(x >= 0, 1, -1)
    u = 128 + sign * 128 * upstream_log(1 + 255 / 32768 * np.abs(x)) / np.log(256)
    return np.floor(np.clip(u, 0, 255) + 0.5).astype(np.int64)


def ulaw2lin(u: NDArray[np.int64] | int) -> Array:
    """16-bit scale value of a mu-law index."""
    d = np.asarray(u, np.float64) - 128
    return np.sign(d) * (32768 / 255) * np.expm1(np.abs(d) / 128 * np.log(256))


def rc2lpc(reflection: Array) -> Array:
    """LPC a_1..a_16 (prediction = -sum a_k x[t-k]) from reflection coefficients (step-up)."""
    a = np.zeros_like(reflection)
    for i, k in enumerate(reflection):
        a[:i] = a[:i] + k * a[:i][::-1]
        a[i] = k
    return a


def lpc_from_cepstrum(cepstrum: Array, *, compensate: bool = True) -> Array:
    """LPC a_1..a_16 from 18 Bark cepstra (c0 less 4).

    Band energies times `COMPENSATION` (2019's synthesis leaves it out), linear interpolation over
    the spectrum, autocorrelation, noise floor and lag window, Levinson until the gain is 30 dB.
    """
    c = np.array(cepstrum, np.float64)
    c[0] += 4
    bands = np.arange(18)
    dct = np.cos((bands[:, None] + 0.5) * bands * np.pi / 18) * np.sqrt(2 / 18)
    dct[:, 0] *= np.sqrt(0.5)
    energy = 10 ** (dct @ c) * (COMPENSATION if compensate else 1.0)
    spectrum = np.interp(np.arange(HOP + 1), BAND_CENTRES, energy)
    spectrum[HOP] = 0
    correlation = np.fft.irfft(spectrum, 2 * HOP)[: ORDER + 1] * 2 * HOP
    correlation[0] = correlation[0] * (1 + 1e-4) + 26 / 38  # (320 / 12 in integers) / 38
    correlation *= 1 - 6e-5 * np.arange(ORDER + 1) ** 2
    a, error = np.zeros(ORDER), correlation[0]
    for i in range(ORDER):
        r = -(a[:i] @ correlation[i:0:-1] + correlation[i + 1]) / error
        a[:i] = a[:i] + r * a[:i][::-1]
        a[i] = r
        error *= 1 - r * r
        if error < 0.001 * correlation[0]:
            break
    return a


def pitch_index(feature: Array) -> NDArray[np.int64]:
    """Row of the pitch embedding: the period in samples, clamped to 33..255."""
    return np.clip(np.floor(0.1 + 50 * feature + 100), 33, 255).astype(np.int64)


def network_features(layout: Array, dims: int) -> Array:
    """What the network sees of feature vectors: 20 of 36, or 38 of 55 with 18..35 forced to 0."""
    x = np.array(layout[:, :dims], np.float64)
    if dims == 38:
        x[:, 18:36] = 0
    return x


class Lpcnet:
    """A model.

    Parameters
    ----------
    arrays
        Spec tensors by name, dense, float.
    metadata
        Of the container.
    """

    def __init__(self, arrays: Mapping[str, Array], metadata: Mapping[str, object]) -> None:
        self.w = arrays
        self.features = int(str(metadata["lpcnet.feature_dims"]))
        self.tree = metadata["lpcnet.sampling"] == "tree"
        self.end_to_end = bool(metadata["lpcnet.end_to_end"])
        self.gamma = float(str(metadata["lpcnet.lpc_gamma"]))
        self.lookahead = int(str(metadata["lpcnet.lookahead"]))

    def frames(self, features: Array) -> Frames:
        """Run the condition network over feature vectors in the file layout (36 or 55 columns)."""
        w, f = self.w, self.features
        x = network_features(features, f)
        pitch = w["embed_pitch.weight"][pitch_index(x[:, f - 2])]
        x = np.concatenate([x, pitch], axis=1)
        conv1 = np.tanh(_causal(x, w["conv1.weight"]) + w["conv1.bias"])
        conv1[: w["conv1.weight"].shape[2] // 2] = 0
        conv2 = np.tanh(_causal(conv1, w["conv2.weight"]) + w["conv2.bias"])
        conv2[: self.lookahead] = 0
        dense1 = np.tanh(conv2 @ w["dense1.weight"].T + w["dense1.bias"])
        cond = np.tanh(dense1 @ w["dense2.weight"].T + w["dense2.bias"])
        if self.end_to_end:
            lpc = np.stack([rc2lpc(row[:ORDER]) for row in cond])
        else:
            lpc = _delayed(np.asarray(features[:, -ORDER:], np.float64), self.lookahead)
        return Frames(
            conv1=conv1,
            conv2=conv2,
            dense1=dense1,
            cond=cond,
            cond_a=cond @ w["gru_a.cond.weight"].T + w["gru_a.bias_ih"],
            cond_b=cond @ w["gru_b.cond.weight"].T,
            lpc=lpc * self.gamma ** np.arange(1, ORDER + 1),
            gain=_delayed(x[:, f - 1 : f], self.lookahead)[:, 0],
        )

    def gru_a(self, h: Array, cond_a: Array, sig: int, pred: int, exc: int) -> Array:
        """GRU A's next state."""
        w = self.w
        x = cond_a + w["gru_a.embed_sig"][sig] + w["gru_a.embed_pred"][pred]
        x = x + w["gru_a.embed_exc"][exc]
        return _gru(x, w["gru_a.weight_hh"] @ h + w["gru_a.bias_hh"], h)

    def gru_b(self, h: Array, cond_b: Array, a: Array) -> Array:
        """GRU B's next state, given GRU A's."""
        w = self.w
        x = w["gru_b.weight_ih"] @ a + cond_b + w["gru_b.bias_ih"]
        return _gru(x, w["gru_b.weight_hh"] @ h + w["gru_b.bias_hh"], h)

    def logits(self, h: Array) -> Array:
        """The dual layer's 256 outputs."""
        w = self.w
        units = np.tanh(w["dual_fc.weight"] @ h + w["dual_fc.bias"])
        return (w["dual_fc.factor"] * units).sum(axis=0)

    def distribution(self, logits: Array) -> Array:
        """Probabilities of the 256 excitation codes: ``[..., 256]``."""
        if self.tree:
            return tree_distribution(logits)
        e = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    def teacher_forced(
        self,
        features: Array,
        pcm: Array,
        *,
        start: int = 0,
        samples: int | None = None,
        lpc: Array | None = None,
    ) -> Steps:
        """Run with the signal forced.

        Parameters
        ----------
        features
            ``[frames, 36 or 55]``.
        pcm
            16-bit scale signal that is fed back (de-emphasised speech), aligned with the frames.
        start
            First frame that runs; states and signal memory are zero there.
        samples
            How many; default: all that pcm has from `start`.
        lpc
            ``[frames, 16]`` to use instead of that of the features.
        """
        frames = self.frames(features)
        if lpc is not None:
            frames = replace(frames, lpc=np.asarray(lpc, np.float64))
        signal = np.asarray(pcm, np.float64)[start * HOP :]
        n = len(signal) if samples is None else samples
        a = np.zeros(self.w["gru_a.weight_hh"].shape[1])
        b = np.zeros(self.w["gru_b.weight_hh"].shape[1])
        memory = np.zeros(ORDER)
        exc, last = 128, 0.0
        index = np.zeros((4, n), np.int64)
        prediction = np.zeros(n)
        states_a, states_b = np.zeros((n, len(a))), np.zeros((n, len(b)))
        logits = np.zeros((n, LEVELS))
        for t in range(n):
            frame = start + t // HOP
            p = -float(frames.lpc[frame] @ memory)
            sig, pred = int(lin2ulaw(memory[0])), int(lin2ulaw(p))
            a = self.gru_a(a, frames.cond_a[frame], sig, pred, exc)
            b = self.gru_b(b, frames.cond_b[frame], a)
            states_a[t], states_b[t], logits[t] = a, b, self.logits(b)
            x = signal[t] - 0.85 * last
            last = signal[t]
            target = int(lin2ulaw(x - p))
            index[:, t] = sig, pred, exc, target
            prediction[t] = p
            exc = target
            memory = np.concatenate([[x], memory[:-1]])
        return Steps(*index, prediction, states_a, states_b, logits)

    def replay(
        self, frames: Frames, sig: Array, pred: Array, exc: Array, *, start: int = 0
    ) -> tuple[Array, Array, Array]:
        """GRU A and B states and logits for given index streams, from zero states."""
        a = np.zeros(self.w["gru_a.weight_hh"].shape[1])
        b = np.zeros(self.w["gru_b.weight_hh"].shape[1])
        rows = []
        for t in range(len(sig)):
            frame = start + t // HOP
            a = self.gru_a(a, frames.cond_a[frame], int(sig[t]), int(pred[t]), int(exc[t]))
            b = self.gru_b(b, frames.cond_b[frame], a)
            rows.append((a, b, self.logits(b)))
        return tuple(np.stack(column) for column in zip(*rows, strict=True))  # type: ignore


def tree_distribution(logits: Array) -> Array:
    """Leaf probabilities of a binary tree, most significant bit first: ``[..., 256]``."""
    p = np.ones((*logits.shape[:-1], 1))
    for level in range(8):
        right = sigmoid(logits[..., 1 << level : 2 << level])
        p = np.stack([p * (1 - right), p * right], axis=-1).reshape(*logits.shape[:-1], -1)
    return p


def sampled_2019(logits: Array, gain: Array) -> Array:
    """The 2019 runtime's un-normalised weights: temperature from the pitch gain, floor .002."""
    scaled = logits * (1 + np.maximum(0, 1.5 * gain - 0.5))[..., None]
    e = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.maximum(e / e.sum(axis=-1, keepdims=True) - 0.002, 0)


def _gru(x: Array, m: Array, h: Array) -> Array:
    """Gates r, z, n; the reset applies after the recurrent product."""
    (xr, xz, xn), (mr, mz, mn) = np.split(x, 3), np.split(m, 3)
    z = sigmoid(xz + mz)
    n = np.tanh(xn + sigmoid(xr + mr) * mn)
    return z * h + (1 - z) * n


def _causal(x: Array, weight: Array) -> Array:
    """Convolution ``[C, in, K]`` over frames, zeros before the first; the last tap is now."""
    kernel = weight.shape[2]
    padded = np.concatenate([np.zeros((kernel - 1, x.shape[1])), x])
    return sum(padded[k : k + len(x)] @ weight[:, :, k].T for k in range(kernel))  # type: ignore


def _delayed(x: Array, frames: int) -> Array:
    return np.concatenate([np.zeros((frames, x.shape[1])), x])[: len(x)]
