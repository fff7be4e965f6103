"""FARGAN in numpy, float64, as plain as possible: the oracle of everything faster.

A call takes a frame of features and gives 160 samples; call n is given frame n and gives those from
80 before to 80 after the centre of frame n - 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SUBFRAME, SUBFRAMES = 40, 4
HOP = SUBFRAME * SUBFRAMES
HISTORY = 256
PREEMPHASIS = 0.85


def period(feature: float) -> int:
    """Samples, of a frame's pitch feature."""
    return int(np.clip(np.floor(0.5 + 256 / 2.0 ** (feature + 1.5)), 32, HISTORY))


def rational_tanh(x: Array) -> Array:
    """Upstream's tanh."""
    u = x * x
    top = 952.52801514 + 96.39235687 * u + 0.60863042 * u * u
    bottom = 952.72399902 + 413.36801147 * u + 11.88600922 * u * u
    return np.clip(x * top / bottom, -1, 1)


class Fargan:
    """One stream.

    Parameters
    ----------
    weights
        float64 tensors by their names in the spec.
    tanh
        Exact, or as a program approximates it; the logistic function follows from it.
    """

    def __init__(
        self, weights: Mapping[str, Array], tanh: Callable[[Array], Array] = np.tanh
    ) -> None:
        self.w = weights
        self.tanh = tanh
        self.frames = np.zeros((2, len(weights["cond.dense1.weight"])))  # of the convolution
        self.states = [np.zeros(weights[f"gru{k}.weight_hh"].shape[1]) for k in (1, 2, 3)]
        self.before = np.zeros(weights["fwc.weight"].shape[1] // 2)
        self.history = np.zeros(HISTORY)
        self.memory = 0.0
        self.period = 0  # of the frame before
        self.trace: dict[str, list[Any]] = {}

    def _keep(self, **values: Any) -> None:
        for name, value in values.items():
            self.trace.setdefault(name, []).append(np.copy(value))

    def logistic(self, x: Array) -> Array:
        return 0.5 + 0.5 * self.tanh(0.5 * x)

    def glu(self, layer: str, x: Array) -> Array:
        return x * self.logistic(self.w[f"{layer}.gate.weight"] @ x)

    def gru(self, k: int, x: Array) -> Array:
        h = self.states[k - 1]
        a, b = self.w[f"gru{k}.weight_ih"] @ x, self.w[f"gru{k}.weight_hh"] @ h
        (ar, az, an), (br, bz, bn) = np.split(a, 3), np.split(b, 3)
        r, z = self.logistic(ar + br), self.logistic(az + bz)
        n = self.tanh(an + r * bn)
        self.states[k - 1] = z * h + (1 - z) * n
        return self.states[k - 1]

    def condition(self, features: Array) -> Array:
        """The conditioning [4, S] of a frame."""
        pitch = self.w["embed_pitch.weight"][np.clip(period(features[18]) - 32, 0, 223)]
        first = self.tanh(self.w["cond.dense1.weight"] @ np.concatenate([features, pitch]))
        rows = np.vstack([self.frames, first])
        second = self.tanh(self.w["cond.conv.weight"] @ rows.ravel())
        self.frames = rows[1:]
        found = self.tanh(self.w["cond.dense2.weight"] @ second)
        self._keep(fdense1=first, fconv1=second, cond=found)
        return found.reshape(SUBFRAMES, -1)

    def subframe(self, cond: Array, period: int) -> Array:
        """40 samples, pre-emphasised."""
        w = self.w
        gain = np.exp(w["gain.weight"] @ cond + w["gain.bias"])[0]
        past = np.clip(self.history / (1e-5 + gain), -1, 1)
        at, places = HISTORY - period - 2, []
        for _ in range(SUBFRAME + 4):
            if at == HISTORY:
                at -= period
            places.append(max(at, 0))
            at += 1
        pred, prev = past[places], past[-SUBFRAME:]
        x = np.concatenate([cond, pred, prev])
        fwc = self.glu("fwc", self.tanh(w["fwc.weight"] @ np.concatenate([self.before, x])))
        self.before = x
        q = self.logistic(w["pitch_gates.weight"] @ fwc + w["pitch_gates.bias"])
        p = pred[2:-2]
        outputs, last = [], fwc
        for k in (1, 2, 3):
            state = self.gru(k, np.concatenate([last, q[k - 1] * p, prev]))
            last = self.glu(f"gru{k}", state)
            outputs.append(last)
        together = np.concatenate([*outputs, fwc, q[3] * p, prev])
        skip = self.glu("skip", self.tanh(w["skip.weight"] @ together))
        y = gain * self.tanh(w["out.weight"] @ skip)
        self.history = np.concatenate([self.history[SUBFRAME:], y])
        self._keep(
            period=period, gain=gain, pred=pred, prev=prev, fwc0=fwc, pitch_gate=q, skip=skip, exc=y
        )
        self._keep(**{f"gru{k}_state": self.states[k - 1] for k in (1, 2, 3)})
        self._keep(**{f"glu{k}": outputs[k - 1] for k in (1, 2, 3)})
        return y

    def prime(self, pcm: Array, features: Array) -> None:
        """Start after 320 samples (-1..1) and their five frames [5, 20]."""
        for row in features:
            cond = self.condition(row)
        x = pcm.copy()
        x[1:] -= PREEMPHASIS * pcm[:-1]
        x[0] = 0
        self.history[-HOP:] = x[:HOP]
        self.period = period(features[3, 18])
        for i in range(SUBFRAMES):
            self.subframe(cond[i], self.period)
            self.history[-SUBFRAME:] = x[HOP + i * SUBFRAME :][:SUBFRAME]
        self.memory = pcm[-1]

    def call(self, features: Array) -> Array:
        """160 samples, from a frame."""
        cond = self.condition(features)
        samples = np.empty(HOP)
        for i in range(SUBFRAMES):
            for t, y in enumerate(self.subframe(cond[i], self.period)):
                self.memory = y + PREEMPHASIS * self.memory
                samples[i * SUBFRAME + t] = self.memory
        self.period = period(features[18])
        self._keep(pcm=samples)
        return samples

    def synthesize(self, features: Array) -> Array:
        """All samples of an utterance, aligned: 160 for a frame."""
        rows = np.asarray(features, np.float64)[:, :20]
        self.prime(np.zeros(2 * HOP), np.repeat(rows[:1], 5, axis=0))
        calls = [*rows[1:], rows[-1], rows[-1]]
        return np.concatenate([self.call(row) for row in calls])[80:-80]
