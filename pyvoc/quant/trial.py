"""What int8 does to a model's audio, and which layers had better stay in floats."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import pyvoc
from pyvoc.container import write_container
from pyvoc.container.base import ModelSpec
from pyvoc.container.layout import BF16
from pyvoc.container.tensors import Container, ElementType, Scalar
from pyvoc.evaluate.spectra import log_spectral_distance
from pyvoc.quant.encode import encode
from pyvoc.quant.integers import Quantized

__all__ = [
    "Errors",
    "Steps",
    "Trial",
    "decibels",
    "noise_of",
    "snippets_of",
    "snr_of",
    "stay_float",
]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Errors = list[tuple[float, float, float]]
"""Of utterances: power of the float audio and of the difference, log-spectral distance."""

SNIPPETS = 4
SNIPPET_SECONDS = 1.0
"""Of speech, to measure what one layer costs: it depends on the sound by 20 dB."""


class Steps:
    """Progress over steps whose number may grow."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def expect(self, more: int) -> None:
        self._total += more

    def done(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)


class Trial:
    """A float model beside forms of it at int8."""

    def __init__(
        self,
        model: pyvoc.Model,
        spec: ModelSpec,
        arrays: Mapping[str, Float64],
        metadata: Mapping[str, Scalar],
    ) -> None:
        self._model, self._spec = model, spec
        self._arrays, self._metadata = arrays, metadata
        self._exact: dict[int, Float64] = {}

    def container(
        self, integers: Mapping[str, Quantized], *, floats: ElementType = BF16
    ) -> Container:
        """The model with these layers as int8."""
        stored = {**self._arrays, **{name: q.to_float() for name, q in integers.items()}}
        return encode(
            self._spec,
            stored,
            metadata=self._metadata,
            precision="int8",
            kept=integers,
            floats=floats,
        )

    def errors(
        self, small: Container, utterances: Sequence[Float32], steps: Steps | None = None
    ) -> tuple[int, Errors]:
        """Bytes of its file, and what every utterance loses."""
        found = []
        with tempfile.TemporaryDirectory(prefix="pyvoc-quantize-") as scratch:
            path = Path(scratch) / "model.gguf"
            write_container(path, small, spec=self._spec)
            other = pyvoc.load(path)
            for features in utterances:
                found.append(self._error(other, features))
                if steps is not None:
                    steps.done()
            return path.stat().st_size, found

    def _error(self, other: pyvoc.Model, features: Float32) -> tuple[float, float, float]:
        key = id(features)  # callers hold them as long as this
        if key not in self._exact:
            self._exact[key] = self._model.synthesize(features).astype(np.float64)
        exact, found = self._exact[key], other.synthesize(features).astype(np.float64)
        distance = log_spectral_distance(exact, found, self._model.info.sample_rate)
        return float(np.square(exact).sum()), float(np.square(exact - found).sum()), distance


def snippets_of(utterances: Sequence[Float32], model: pyvoc.Model) -> list[Float32]:
    """`SNIPPETS` at most, from places that are spread evenly over all speech."""
    n = max(int(SNIPPET_SECONDS * model.info.sample_rate / model.info.hop_length), 1)
    pieces = [u[i : i + n] for u in utterances for i in range(0, max(len(u) - n, 0) + 1, n)]
    chosen = np.linspace(0, len(pieces) - 1, min(SNIPPETS, len(pieces)))
    return [pieces[i] for i in np.rint(chosen).astype(int)]


def stay_float(
    noise: Mapping[str, float], work: Mapping[str, float], most_work: float, goal_db: float
) -> set[str]:
    """Layers that cost most for their work, until what the others cost in all is little enough."""
    chosen, spent = set[str](), 0.0
    for layer in sorted(noise, key=lambda name: noise[name] / work[name], reverse=True):
        if decibels(1.0, sum(noise[name] for name in noise if name not in chosen)) >= goal_db:
            break
        if spent + work[layer] <= most_work:
            chosen.add(layer)
            spent += work[layer]
    return chosen


def snr_of(errors: Errors) -> float:
    """Signal-to-noise ratio of all utterances together, in dB."""
    return decibels(sum(e[0] for e in errors), sum(e[1] for e in errors))


def noise_of(errors: Errors) -> float:
    """Power of the difference over that of the signal."""
    return sum(e[1] for e in errors) / max(sum(e[0] for e in errors), 1e-30)


def decibels(power: float, noise: float) -> float:
    """Of a ratio of powers."""
    return float(10 * np.log10(max(power, 1e-30) / max(noise, 1e-30)))
