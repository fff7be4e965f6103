"""WaveRNN in float64 numpy, plain and slow: upstream's network as it is, and ours with its inputs
hoisted, straight from the tensors of the spec.

Mel spectrograms are ``[frames, bands]``, signals ``[samples]`` or ``[samples, rows]``; rows are
folds or independent streams (`wavernn_speech.py`). A frame gives ``hop`` samples; the network looks
`Network.pad` frames to each side, zeros beyond the ends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
EPSILON = 1e-5
"""Of batch norm."""


@dataclass(frozen=True)
class Conditioning:
    """What depends on the mel spectrogram alone.

    Parameters
    ----------
    mel
        ``[samples, bands]``, upsampled.
    aux
        ``[samples, 4 A]``: the residual network's output, constant over a frame.
    """

    mel: Array
    aux: Array


@dataclass(frozen=True)
class Forced:
    """A teacher-forced pass: ``[samples, ...]`` each."""

    logits: Array
    h1: Array
    h2: Array


def sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


def gates(inputs: Array, recurrent: Array, h: Array) -> Array:
    """A GRU's step from the two sums ``[rows, 3 R]`` of its gates r, z, n; the new state."""
    (ir, iz, i_n), (hr, hz, hn) = np.split(inputs, 3, axis=1), np.split(recurrent, 3, axis=1)
    r, z = sigmoid(ir + hr), sigmoid(iz + hz)
    n = np.tanh(i_n + r * hn)
    return (1 - z) * n + z * h


def conv(x: Array, weight: Array, bias: Array | float = 0.0) -> Array:
    """``[time, inputs]`` by ``[outputs, inputs, taps]``, without padding."""
    taps = weight.shape[2]
    time = len(x) - taps + 1
    return sum(x[k : k + time] @ weight[:, :, k].T for k in range(taps)) + bias


def stretch(x: Array, kernel: Array) -> Array:
    """Repeat every row s times, then a kernel of 2 s + 1 taps along time, zeros beyond the ends."""
    s = len(kernel) // 2
    wide = np.pad(np.repeat(x, s, axis=0), ((s, s), (0, 0)))
    return sum(kernel[k] * wide[k : k + s * len(x)] for k in range(2 * s + 1))


class Network(ABC):
    """A WaveRNN; the two below differ in how they compute a step.

    Parameters
    ----------
    mode, bits, mu_law
        As in the spec.
    pad, hop, states
        Frames seen to each side; samples per frame; size of a GRU.
    """

    def __init__(
        self, *, mode: str, bits: int, mu_law: bool, pad: int, hop: int, states: int
    ) -> None:
        self.mode, self.bits, self.mu_law = mode, bits, mu_law
        self.pad, self.hop, self.states = pad, hop, states

    @abstractmethod
    def resnet(self, padded: Array) -> Array:
        """``[frames + 2 pad, bands]`` to ``[frames, 4 A]``."""

    @abstractmethod
    def kernels(self) -> Sequence[Array]:
        """Of the stretches."""

    @abstractmethod
    def step(
        self, x: Array, mel: Array, aux: Array, h1: Array, h2: Array
    ) -> tuple[Array, Array, Array]:
        """Logits and the new states, all ``[rows, ...]``; `x` ``[rows]`` is the sample before."""

    def condition(self, padded: NDArray[np.floating]) -> Conditioning:
        """The two networks before the loop, on a mel spectrogram with `pad` frames at each end."""
        wide = np.asarray(padded, np.float64)
        mel = wide
        for kernel in self.kernels():
            mel = stretch(mel, kernel)
        edge = self.pad * self.hop
        aux = np.repeat(self.resnet(wide), self.hop, axis=0)
        return Conditioning(mel[edge : len(mel) - edge], aux)

    def teacher_forced(self, padded: NDArray[np.floating], x: NDArray[np.floating]) -> Forced:
        """Given the sample before each, from states of zero."""
        around = self.condition(padded)
        h1 = h2 = np.zeros((1, self.states))
        found = []
        for i, sample in enumerate(np.asarray(x, np.float64)):
            mel, aux = around.mel[i : i + 1], around.aux[i : i + 1]
            logits, h1, h2 = self.step(np.array([sample]), mel, aux, h1, h2)
            found.append((logits[0], h1[0], h2[0]))
        return Forced(*(np.array(a) for a in zip(*found, strict=True)))


class Upstream(Network):
    """The network as upstream has it.

    Parameters
    ----------
    state
        A state dict with fatchord's names.
    """

    def __init__(
        self,
        state: Mapping[str, NDArray[np.floating]],
        *,
        mode: str,
        bits: int = 16,
        mu_law: bool = False,
    ) -> None:
        self.w = {name: np.asarray(a, np.float64) for name, a in state.items()}
        taps = self.w["upsample.resnet.conv_in.weight"].shape[2]
        hop = int(np.prod([len(k) // 2 for k in self.kernels()]))
        states = len(self.w["I.bias"])
        super().__init__(mode=mode, bits=bits, mu_law=mu_law, pad=taps // 2, hop=hop, states=states)

    def kernels(self) -> list[Array]:
        found, k = [], 1
        while (name := f"upsample.up_layers.{k}.weight") in self.w:
            found.append(self.w[name].ravel())
            k += 2
        return found

    def _norm(self, name: str, x: Array) -> Array:
        w = {leaf: self.w[f"upsample.resnet.{name}.{leaf}"] for leaf in ("weight", "bias")}
        mean, var = (self.w[f"upsample.resnet.{name}.running_{leaf}"] for leaf in ("mean", "var"))
        return (x - mean) / np.sqrt(var + EPSILON) * w["weight"] + w["bias"]

    def resnet(self, padded: Array) -> Array:
        w, k = self.w, 0
        x = conv(padded, w["upsample.resnet.conv_in.weight"])
        x = np.maximum(self._norm("batch_norm", x), 0)
        while (block := f"upsample.resnet.layers.{k}") + ".conv1.weight" in w:
            y = conv(x, w[f"{block}.conv1.weight"])
            y = np.maximum(self._norm(f"layers.{k}.batch_norm1", y), 0)
            y = conv(y, w[f"{block}.conv2.weight"])
            x = x + self._norm(f"layers.{k}.batch_norm2", y)
            k += 1
        return conv(x, w["upsample.resnet.conv_out.weight"], w["upsample.resnet.conv_out.bias"])

    def _linear(self, name: str, *inputs: Array) -> Array:
        return np.concatenate(inputs, axis=1) @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def _gru(self, name: str, h: Array, *inputs: Array) -> Array:
        w = {leaf: self.w[f"{name}.{leaf}_l0"] for leaf in ("weight_ih", "weight_hh")}
        inner = np.concatenate(inputs, axis=1) @ w["weight_ih"].T + self.w[f"{name}.bias_ih_l0"]
        return gates(inner, h @ w["weight_hh"].T + self.w[f"{name}.bias_hh_l0"], h)

    def step(
        self, x: Array, mel: Array, aux: Array, h1: Array, h2: Array
    ) -> tuple[Array, Array, Array]:
        size = aux.shape[1] // 4
        a1, a2, a3, a4 = (aux[:, k * size : (k + 1) * size] for k in range(4))
        y = self._linear("I", x[:, None], mel, a1)
        h1 = self._gru("rnn1", h1, y)
        y = y + h1
        h2 = self._gru("rnn2", h2, y, a2)
        y = y + h2
        y = np.maximum(self._linear("fc1", y, a3), 0)
        y = np.maximum(self._linear("fc2", y, a4), 0)
        return self._linear("fc3", y), h1, h2


class SingleGru(Upstream):
    """geneing's network, with one GRU and one hidden layer; it reads mels of -4..4."""

    def step(
        self, x: Array, mel: Array, aux: Array, h1: Array, h2: Array
    ) -> tuple[Array, Array, Array]:
        size = aux.shape[1] // 2
        y = self._linear("I", x[:, None], mel, aux[:, : size - 1])
        h1 = self._gru("rnn1", h1, y)
        y = np.maximum(self._linear("fc1", y + h1, aux[:, size : 2 * size]), 0)
        return self._linear("fc3", y), h1, h2


class Wavernn(Network):
    """The network as our model files have it.

    Parameters
    ----------
    arrays
        Tensors of the spec, float64, dense.
    metadata
        Of the model file.
    """

    def __init__(
        self, arrays: Mapping[str, NDArray[np.floating]], metadata: Mapping[str, object]
    ) -> None:
        self.w = {name: np.asarray(a, np.float64) for name, a in arrays.items()}
        super().__init__(
            mode=str(metadata["wavernn.mode"]),
            bits=int(metadata["wavernn.bits"]),  # type: ignore[call-overload]
            mu_law=metadata["wavernn.mu_law"] is True,
            pad=self.w["resnet.in.weight"].shape[2] // 2,
            hop=int(metadata["pyvoc.features.hop_length"]),  # type: ignore[call-overload]
            states=self.w["rnn1.hidden.weight"].shape[1],
        )

    def kernels(self) -> list[Array]:
        count = sum(name.startswith("upsample.") for name in self.w)
        return [self.w[f"upsample.{k}.weight"] for k in range(count)]

    def _conv(self, name: str, x: Array) -> Array:
        return conv(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"])

    def resnet(self, padded: Array) -> Array:
        x, k = np.maximum(self._conv("resnet.in", padded), 0), 0
        while f"resnet.{k}.a.weight" in self.w:
            x = x + self._conv(f"resnet.{k}.b", np.maximum(self._conv(f"resnet.{k}.a", x), 0))
            k += 1
        return self._conv("resnet.out", x)

    def _input(self, layer: str, x: Array, mel: Array, aux: Sequence[Array]) -> Array:
        w = {kind: self.w[f"{layer}.input.{kind}"] for kind in ("sample", "mel", "aux", "bias")}
        given = np.concatenate(aux, axis=1)
        return x[:, None] * w["sample"] + mel @ w["mel"].T + given @ w["aux"].T + w["bias"]

    def step(
        self, x: Array, mel: Array, aux: Array, h1: Array, h2: Array
    ) -> tuple[Array, Array, Array]:
        w, (a1, a2, a3, a4) = self.w, np.split(aux, 4, axis=1)
        inner = self._input("rnn1", x, mel, [a1])
        h1 = gates(inner, h1 @ w["rnn1.hidden.weight"].T + w["rnn1.hidden.bias"], h1)
        inner = self._input("rnn2", x, mel, [a1, a2]) + h1 @ w["rnn2.input.weight"].T
        h2 = gates(inner, h2 @ w["rnn2.hidden.weight"].T + w["rnn2.hidden.bias"], h2)
        y = self._input("fc1", x, mel, [a1, a3]) + (h1 + h2) @ w["fc1.weight"].T
        y = np.maximum(y, 0) @ w["fc2.weight"].T
        y = np.maximum(y + a4 @ w["fc2.input.aux"].T + w["fc2.input.bias"], 0)
        return y @ w["fc3.weight"].T + w["fc3.bias"], h1, h2
