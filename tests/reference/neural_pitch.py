"""Features of layout opus20 with the pitch of a network (Opus's PitchDNN), in float64 numpy.

Cepstra and LPC are LPCNet's. The network hears how far the phases of 30 bins advance from frame to
frame, their levels, and how alike the LPC residual is to its own past at 224 periods. Signals are
on the scale of 16-bit samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reference.lpcnet_features import FRAME, LAGS, MAX_PERIOD, ORDER, WINDOW, cepstrum, predictor

Array = NDArray[np.float64]
Weights = Mapping[str, Array]
BINS, CLASSES = 30, 180
LOW_PASS = np.array([1, -0.84946, 1]), np.array([1, -1.54220, 0.70781])


def bytes_of(x: Array) -> Array:
    """What an int8 layer makes of its input: steps of 1/127."""
    return np.rint(127 * x) / 127


class Network:
    """One stream.

    Parameters
    ----------
    weights
        float64 tensors by their names in the spec.
    tanh
        Exact, or as a program approximates it; the logistic function follows from it.
    heard
        What the matrices make of their inputs: `bytes_of` in an int8 model.
    """

    def __init__(
        self,
        weights: Weights,
        tanh: Callable[[Array], Array] = np.tanh,
        heard: Callable[[Array], Array] = lambda x: x,
    ) -> None:
        self.w = {k.removeprefix("pitch."): v for k, v in weights.items() if k[:6] == "pitch."}
        self.tanh, self.heard = tanh, heard
        self.correlations = np.zeros((1, 3, LAGS))  # [channel, frame, lag], the newest last
        self.planes = np.zeros((len(self.w["conv1.bias"]), 3, LAGS))
        self.state = np.zeros(self.w["gru.weight_hh"].shape[1])

    def dense(self, layer: str, x: Array) -> Array:
        return self.w[f"{layer}.weight"] @ self.heard(x) + self.w[f"{layer}.bias"]

    def convolve(self, layer: str, planes: Array) -> Array:
        """[outputs, lags], of the last three frames and three neighbouring lags."""
        padded = np.pad(planes, ((0, 0), (0, 0), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=2)
        product = np.einsum("itck,oitk->oc", windows, self.w[f"{layer}.weight"])
        return self.tanh(product + self.w[f"{layer}.bias"][:, None])

    def gru(self, x: Array) -> Array:
        h = self.state
        a = self.w["gru.weight_ih"] @ self.heard(x) + self.w["gru.bias_ih"]
        b = self.w["gru.weight_hh"] @ self.heard(h) + self.w["gru.bias_hh"]
        (ar, az, an), (br, bz, bn) = np.split(a, 3), np.split(b, 3)
        r, z = (0.5 + 0.5 * self.tanh(0.5 * s) for s in (ar + br, az + bz))
        self.state = z * h + (1 - z) * self.tanh(an + r * bn)
        return self.state

    def step(self, phases: Array, correlation: Array) -> dict[str, Array]:
        """Every layer's output for a frame: phases and levels [88], correlations [224]."""
        first = self.tanh(self.dense("phases1", phases))
        second = self.tanh(self.dense("phases2", first))
        self.correlations = np.concatenate(
            [self.correlations[:, 1:], correlation[None, None]], axis=1
        )
        conv1 = self.convolve("conv1", self.correlations)
        self.planes = np.concatenate([self.planes[:, 1:], conv1[:, None]], axis=1)
        conv2 = self.convolve("conv2", self.planes)[0]
        down = self.tanh(self.dense("down", np.concatenate([conv2, second])))
        state = self.gru(down)
        logits = self.dense("out", state)
        return {
            "if2": second, "conv1": conv1, "conv2": conv2, "down": down, "gru": state,
            "logits": logits,
        }  # fmt: skip


def pitch_of(logits: Array) -> float:
    """The mean of the classes around the likeliest, in octaves below 353 Hz."""
    at = int(np.argmax(logits[:CLASSES])) if logits[:CLASSES].max() > -1 else 0
    near = np.arange(max(0, at - 2), min(CLASSES, at + 3))
    weight = np.exp(logits[near] - logits[near].max())
    return float((near * weight).sum() / weight.sum()) / 60 - 1.5


def phases_of(spectrum: Array, before: Array) -> Array:
    """[88]: the level of bin 0, then of each bin its phase's advance and its level."""
    power = np.abs(spectrum) ** 2
    power[0] = spectrum[0].real ** 2
    level = np.clip((10 * np.log10(1e-15 + power) - 6) / 64, -1, 1)
    product = spectrum * before.conj()
    unit = product / np.sqrt(1e-15 + np.abs(product) ** 2)
    rows = np.stack([unit.real, unit.imag, level], axis=1)
    return np.concatenate([level[:1], rows[1:].ravel()])


def extract(pcm: Array, network: Network, trace: dict[str, list[Any]] | None = None) -> Array:
    """Features [frames, 20] of a 16 kHz signal.

    Parameters
    ----------
    pcm
        [samples], 16-bit scale.
    network
        At its beginning.
    trace
        Collects every layer's output, what the network is given (``if_features``, ``xcorr``) and
        ``lpc``.
    """
    x = np.asarray(pcm, np.float64)
    x = x - 0.85 * np.concatenate([[0.0], x[:-1]])
    frames = len(x) // FRAME
    padded = np.concatenate([np.zeros(FRAME), x])
    before = np.zeros(BINS, complex)
    excited = np.zeros(MAX_PERIOD + FRAME)
    lowered = np.zeros(MAX_PERIOD + FRAME)
    past_input, past_residual, memory = np.zeros(ORDER), 0.0, np.zeros(2)
    rows = np.zeros((frames, 20))
    for n in range(frames):
        window = padded[n * FRAME : (n + 2) * FRAME]
        rows[n, :18] = cepstrum(window)
        lpc, _ = predictor(rows[n, :18])
        spectrum = np.fft.rfft(window * WINDOW)[:BINS] / (2 * FRAME)
        phases, before = phases_of(spectrum, before), spectrum
        delayed = padded[n * FRAME + 80 : n * FRAME + 80 + FRAME]
        joined = np.concatenate([past_input, delayed])
        past_input = joined[-ORDER:]
        residual = np.convolve(joined, np.concatenate([[1.0], lpc]), mode="valid")
        emphasised = residual + 0.7 * np.concatenate([[past_residual], residual[:-1]])
        past_residual = residual[-1]
        low, memory = low_pass(residual, memory)
        excited = np.concatenate([excited[FRAME:], emphasised])
        lowered = np.concatenate([lowered[FRAME:], low])
        now = excited[MAX_PERIOD:]
        lagged = np.lib.stride_tricks.sliding_window_view(excited, FRAME)[:LAGS]
        correlation = 2 * (lagged @ now) / (1 + now @ now + (lagged**2).sum(axis=1))
        found = network.step(phases, correlation)
        rows[n, 18] = pitch_of(found["logits"])
        period = int(np.floor(0.5 + 256 / 2 ** (rows[n, 18] + 1.5)))
        u, v = lowered[MAX_PERIOD:], lowered[MAX_PERIOD - period :][:FRAME]
        alike = (u @ v) / np.sqrt(1 + (u @ u) * (v @ v))
        rows[n, 19] = np.log1p(np.exp(5 * alike)) / np.log1p(np.exp(5)) - 0.5
        if trace is not None:
            for name, value in (("if_features", phases), ("xcorr", correlation), ("lpc", lpc)):
                trace.setdefault(name, []).append(value)
            for name, value in found.items():
                trace.setdefault(name, []).append(value)
    return rows


def low_pass(x: Array, memory: Array) -> tuple[Array, Array]:
    """The filter of `LOW_PASS`, from the state that `memory` is; and its next one."""
    (_, b1, b2), (_, a1, a2) = LOW_PASS
    y = np.empty_like(x)
    m0, m1 = memory
    for i, value in enumerate(x):
        y[i] = value + m0
        m0, m1 = m1 + b1 * value - a1 * y[i], b2 * value - a2 * y[i]
    return y, np.array([m0, m1])
