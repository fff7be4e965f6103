"""WaveGlow in float64 numpy, straight from the tensors of the spec: slow and plain.

Works on what `pyvoc.quant.decode` gives of any model file, a whole utterance at a time. Signals
inside are ``[channels, time]``; the mel spectrogram that goes in is ``[frames, bands]``, as
everywhere in our API, and a draw of noise is ``[channels, steps]``, a step being `groups` samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Likelihood:
    """What the flows make of audio.

    Parameters
    ----------
    z
        ``[groups, steps]``: what left early, flow by flow, then what the last flow gave.
    log_s
        For each flow ``[c / 2, steps]``: logarithm of the scale of the changed half.
    log_det
        For each flow: steps times the logarithm of the determinant of its 1x1 convolution.
    """

    z: Array
    log_s: tuple[Array, ...]
    log_det: tuple[float, ...]

    def loss(self, sigma: float) -> float:
        """Upstream's training loss: negative log likelihood per sample, without its constant."""
        total = (self.z**2).sum() / (2 * sigma**2)
        total -= sum(s.sum() for s in self.log_s) + sum(self.log_det)
        return float(total / self.z.size)


def upsample(mel: Array, weight: Array, bias: Array, hop: int) -> Array:
    """A transposed convolution ``[in, out, taps]`` of ``[in, frames]``, cut to whole frames.

    Weights ``[in, 1, taps]`` are those of each band by itself.
    """
    frames, taps = mel.shape[1], weight.shape[2]
    if weight.shape[1] == 1:
        weight = np.eye(len(weight))[:, :, None] * weight
    y = np.zeros((weight.shape[1], hop * (frames - 1) + taps))
    for f in range(frames):
        y[:, f * hop : f * hop + taps] += np.tensordot(mel[:, f], weight, 1)
    return y[:, : hop * frames] + bias[:, None]


def conv(x: Array, weight: Array, bias: Array, dilation: int) -> Array:
    """A convolution of ``[outputs, inputs, taps]`` with zeros at both ends; keeps the length."""
    taps, time = weight.shape[2], x.shape[1]
    width = dilation * (taps // 2)
    padded = np.pad(x, ((0, 0), (width, width)))
    y = np.repeat(bias[:, None], time, axis=1)
    for k in range(taps):
        y += weight[:, :, k] @ padded[:, k * dilation : k * dilation + time]
    return y


class Waveglow:
    """A model.

    Parameters
    ----------
    arrays
        Tensors of the spec, float64, dense.
    metadata
        Of the model file.
    """

    def __init__(self, arrays: Mapping[str, Array], metadata: Mapping[str, object]) -> None:
        def whole(name: str) -> int:
            return int(metadata[name])  # type: ignore[call-overload]

        self.w = {name: np.asarray(a, np.float64) for name, a in arrays.items()}
        self.hop = whole("pyvoc.features.hop_length")
        self.groups = whole("waveglow.groups")
        self.every = whole("waveglow.early_every")
        self.size = whole("waveglow.early_size")
        self.alternate = bool(metadata["waveglow.alternate"])
        self.flows = sum(name.endswith(".mix.weight") for name in self.w)
        self.layers = sum(
            name.startswith("flow.0.") and name.endswith(".cond.weight") for name in self.w
        )

    def leaves_early(self, flow: int) -> bool:
        """Whether channels leave before a flow."""
        return flow > 0 and flow % self.every == 0

    def draws(self, frames: int, rng: np.random.Generator) -> list[Array]:
        """Noise for `infer`, standard deviation 1, in the order in which it is needed."""
        steps = self.hop * frames // self.groups
        last = self.w[f"flow.{self.flows - 1}.mix.weight"].shape[0]
        early = [self.size for k in range(self.flows) if self.leaves_early(k) and self.size]
        return [rng.standard_normal((c, steps)) for c in (last, *early)]

    def condition(self, mel: NDArray[np.floating]) -> Array:
        """What all flows see of ``[frames, bands]``: ``[bands * groups, steps]``, band by band."""
        x = np.asarray(mel, np.float64).T
        y = upsample(x, self.w["upsample.weight"], self.w["upsample.bias"], self.hop)
        steps = y.shape[1] // self.groups
        return y.reshape(len(y), steps, self.groups).transpose(0, 2, 1).reshape(-1, steps)

    def infer(
        self, mel: NDArray[np.floating], draws: Sequence[NDArray[np.floating]], sigma: float
    ) -> Array:
        """Audio of a mel spectrogram.

        Parameters
        ----------
        mel
            ``[frames, bands]``.
        draws
            Noise before it is multiplied by `sigma`: ``[channels of the last flow, steps]``, then
            ``[early_size, steps]`` for every time that channels left, the last one first.

        Returns
        -------
        array
            ``[samples]``, as upstream: not limited to -1..1.
        """
        condition = self.condition(mel)
        waiting = [sigma * np.asarray(z, np.float64) for z in draws]
        x = waiting.pop(0)
        for k in reversed(range(self.flows)):
            fixed, changed = self._halves(k, x)
            shift, log_s = self._couple(k, fixed, condition)
            x = self._whole(k, fixed, (changed - shift) / np.exp(log_s))
            x = self.w[f"flow.{k}.unmix.weight"] @ x
            if self.leaves_early(k) and self.size:
                x = np.concatenate([waiting.pop(0), x])
        return x.T.reshape(-1)

    def forward(self, mel: NDArray[np.floating], audio: NDArray[np.floating]) -> Likelihood:
        """The other way: noise of audio ``[samples]``, no longer than the mel's frames."""
        x = np.asarray(audio, np.float64)
        x = x[: len(x) // self.groups * self.groups].reshape(-1, self.groups).T
        steps = x.shape[1]
        condition = self.condition(mel)[:, :steps]
        out, scales, determinants = [], [], []
        for k in range(self.flows):
            if self.leaves_early(k):
                out.append(x[: self.size])
                x = x[self.size :]
            mix = self.w[f"flow.{k}.mix.weight"]
            x = mix @ x
            determinants.append(steps * float(np.linalg.slogdet(mix)[1]))
            fixed, changed = self._halves(k, x)
            shift, log_s = self._couple(k, fixed, condition)
            x = self._whole(k, fixed, np.exp(log_s) * changed + shift)
            scales.append(log_s)
        return Likelihood(np.concatenate([*out, x]), tuple(scales), tuple(determinants))

    def _halves(self, flow: int, x: Array) -> tuple[Array, Array]:
        """The half that is read and the half that is changed."""
        first, second = np.split(x, 2)
        return (second, first) if self.alternate and flow % 2 else (first, second)

    def _whole(self, flow: int, fixed: Array, changed: Array) -> Array:
        pair = (changed, fixed) if self.alternate and flow % 2 else (fixed, changed)
        return np.concatenate(pair)

    def _couple(self, flow: int, fixed: Array, condition: Array) -> tuple[Array, Array]:
        """Shift and logarithm of the scale of the changed half."""
        x = self._conv(f"flow.{flow}.start", fixed)
        skip = np.zeros_like(x)
        for i in range(self.layers):
            layer = f"flow.{flow}.layer.{i}"
            y = self._conv(f"{layer}.conv", x, 2**i) + self._conv(f"{layer}.cond", condition)
            tanh, gate = np.split(y, 2)
            y = self._conv(f"{layer}.out", np.tanh(tanh) / (1 + np.exp(-gate)))
            if i < self.layers - 1:
                residual, y = np.split(y, 2)
                x = x + residual
            skip += y
        shift, log_s = np.split(self._conv(f"flow.{flow}.end", skip), 2)
        return shift, log_s

    def _conv(self, name: str, x: Array, dilation: int = 1) -> Array:
        return conv(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"], dilation)
