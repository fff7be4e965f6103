"""From a float model of convolutions to int8: measure activations, round, measure the cost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import pyvoc
from pyvoc import _pyvoc
from pyvoc.container import read_container, write_container
from pyvoc.container.layout import I8, TensorSpec
from pyvoc.errors import Error, ModelError, UnsupportedError
from pyvoc.evaluate.spectra import log_spectral_distance
from pyvoc.families import spec_of
from pyvoc.files.doubts import doubt
from pyvoc.files.outputs import check_outputs
from pyvoc.quant.convolution import (
    balanced_range,
    clipped_range,
    input_range,
    quantize_sum,
)
from pyvoc.quant.encode import decode, encode
from pyvoc.quant.integers import Quantized
from pyvoc.quant.speech import lacks_speech
from pyvoc.runtime.inputs import as_frames

__all__ = ["MIN_SNR_DB", "LayerReport", "QuantizationReport", "quantize"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

MIN_SNR_DB = 20.0
"""Below this signal-to-noise ratio of the audio a model is not written unless told."""
HISTOGRAM = 256
"""Parts in which a channel's values are counted."""
HELD_OUT = 4
"""Every so many-th utterance is kept out of the calibration and measures the error."""


@dataclass(frozen=True)
class LayerReport:
    """What int8 does to one layer.

    Parameters
    ----------
    name
        Of the layer in the model file.
    low, high
        Range of its input that bytes span, over all channels; each has its own. What lay beyond in
        the calibration was rarer than finer steps are worth.
    input_snr_db, weight_snr_db
        Power of the values over that of their rounding errors (of inputs: a 12th of a squared
        step).
    """

    name: str
    low: float
    high: float
    input_snr_db: float
    weight_snr_db: float


@dataclass(frozen=True)
class QuantizationReport:
    """What `quantize` did.

    Parameters
    ----------
    source, target
        Model files; `target` is None when the error was beyond the budget.
    bytes
        Size of the model file.
    utterances, frames
        That the calibration heard.
    held_out
        Utterances that it did not hear, on which the error was measured; 0: on those it heard.
    snr_db, worst_snr_db
        Power of the float model's audio over that of the difference: all together, and of the worst
        utterance.
    lsd_db
        Log-spectral distance from the float model's audio, mean over utterances.
    layers
        In the order of the network.
    """

    source: str
    target: str | None
    bytes: int
    utterances: int
    frames: int
    held_out: int
    snr_db: float
    worst_snr_db: float
    lsd_db: float
    layers: tuple[LayerReport, ...]


def quantize(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    utterances: Sequence[Float32],
    *,
    names: Sequence[str] | None = None,
    any_sound: bool = False,
    min_snr_db: float = MIN_SNR_DB,
    progress: Callable[[int, int], None] | None = None,
) -> QuantizationReport:
    """Write the int8 form of a float model whose activations must be measured (MelGAN, WaveGlow).

    Parameters
    ----------
    source
        Model file, float32 or bfloat16.
    target
        Where to save; replaced only when all went well.
    utterances
        Features ``[frames, dims]`` of speech like that which the model will hear. With two or more,
        every fourth (at least one) is held out to measure the error. One that holds no speech is
        doubted (:mod:`pyvoc.files.doubts`).
    names
        Of the utterances, for messages; None counts them.
    any_sound
        Whether the utterances need not be speech (a benchmark's, whose weights are random too).
    min_snr_db
        If the audio's signal-to-noise ratio is below, nothing is written (`target` is None in the
        report).
    progress
        Called with (utterances done, all of them).

    Returns
    -------
    QuantizationReport
        Errors by layer and end to end.

    Raises
    ------
    UnsupportedError
        The model needs no calibration (LPCNet: `pyvoc convert --precision int8`).
    ModelError
        It is int8 already, or damaged.
    FeatureError
        Features that do not suit the model.
    DoubtError
        Doubts are collected strictly, and an utterance holds no speech.
    Error
        No utterances, none that holds speech, or a file cannot be read or written, or the int8
        model would overwrite the float one.
    """
    if not utterances:
        raise Error("no speech to calibrate with: at least one utterance is needed")
    check_outputs([target], inputs=[source])
    container = read_container(source)
    spec = spec_of(container, str(source))
    tensors = spec.layout_of(container).tensors
    specs = [t for t in tensors if t.type_for("int8") is I8 and t.int8.calibrated]
    if not specs:
        raise UnsupportedError(
            f"{source}: {container.architecture} has no activations to calibrate; "
            "pyvoc convert --precision int8 quantises it"
        )
    if container.metadata["pyvoc.precision"] == "int8":
        raise ModelError(f"{source}: is int8 already, expected f32 or bf16")
    model = pyvoc.load(source)
    if not any_sound:
        _check_speech(model, utterances, names)
    heard = [u for i, u in enumerate(utterances) if not _held_out(i, len(utterances))]
    tested = [u for i, u in enumerate(utterances) if _held_out(i, len(utterances))] or heard
    total = 2 * len(heard) + len(tested)

    seen = _measure(model, heard, progress and (lambda done: progress(done, total)))
    arrays = decode(spec, container)
    quantized = _quantize_all(specs, arrays, seen)
    layers = tuple(
        _layer_report(t, _seen_by(t, seen), arrays[t.name], quantized[t.name]) for t in specs
    )

    stored = {**arrays, **{name: q.to_float() for name, q in quantized.items()}}
    metadata = {
        key: value
        for key, value in container.metadata.items()
        if key not in ("general.architecture", "general.alignment")
        and key not in ("pyvoc.format_version", "pyvoc.spec_revision", "pyvoc.precision")
    }
    small = encode(spec, stored, metadata=metadata, precision="int8", kept=quantized)
    errors = []
    with tempfile.TemporaryDirectory(prefix="pyvoc-quantize-") as scratch:
        trial = Path(scratch) / "model.gguf"
        write_container(trial, small, spec=spec)
        other = pyvoc.load(trial)
        for i, features in enumerate(tested):
            errors.append(_error(model, other, features))
            if progress is not None:
                progress(2 * len(heard) + i + 1, total)
        size = trial.stat().st_size
    power, noise, distance = (np.array(column) for column in zip(*errors, strict=True))
    snr = _db(power.sum(), noise.sum())
    good = snr >= min_snr_db
    if good:
        write_container(target, small, spec=spec)
    return QuantizationReport(
        source=str(source),
        target=str(target) if good else None,
        bytes=size,
        utterances=len(heard),
        frames=sum(len(u) for u in heard),
        held_out=len(tested) if tested is not heard else 0,
        snr_db=snr,
        worst_snr_db=min(_db(p, n) for p, n in zip(power, noise, strict=True)),
        lsd_db=float(distance.mean()),
        layers=layers,
    )


def _check_speech(
    model: pyvoc.Model, utterances: Sequence[Float32], names: Sequence[str] | None
) -> None:
    """Doubt utterances that are none, and refuse to hear nothing else."""
    assert model.info.mel is not None
    rows = [as_frames(features, model.info) for features in utterances]
    lacking = {i: why for i, r in enumerate(rows) if (why := lacks_speech(r, model.info.mel))}
    called = names or [f"utterance {i + 1}" for i in range(len(rows))]
    if len(lacking) == len(rows):
        more = f" (and so on, {len(rows)} in all)" if len(rows) > 1 else ""
        raise Error(f"no speech to calibrate with: {called[0]}: {lacking[0]}{more}")
    for i, why in lacking.items():
        doubt("no speech", f"{called[i]} holds no speech: {why}")


@dataclass(frozen=True)
class _Seen:
    """What a layer's input channels were: the ranges that are kept, and the powers."""

    low: Float64
    high: Float64
    power: Float64


def _measure(
    model: pyvoc.Model, utterances: Sequence[Float32], progress: Callable[[int], None] | None
) -> dict[str, _Seen]:
    """Two passes: how far the values go, then how they are distributed."""
    calibration = _pyvoc.Calibration(model._native)
    for turn in range(2):
        for i, features in enumerate(utterances):
            calibration.add(np.ascontiguousarray(features, np.float32))
            if progress is not None:
                progress(turn * len(utterances) + i + 1)
        if turn == 0:
            calibration.count_in(HISTOGRAM)
    found = {}
    for layer, ((low, high, squares, count), histograms) in calibration.layers().items():
        found[layer] = _Seen(*clipped_range(low, high, histograms), squares / np.maximum(count, 1))
    return found


def _held_out(i: int, n: int) -> bool:
    return n > 1 and i % HELD_OUT == min(n, HELD_OUT) - 1


def _quantize_all(
    specs: Sequence[TensorSpec], arrays: Mapping[str, Float64], seen: Mapping[str, _Seen]
) -> dict[str, Quantized]:
    """All layers; those that share an accumulator together."""
    found: dict[str, Quantized] = {}
    for spec in specs:
        if spec.partner is not None:
            continue
        together = [spec, *(other for other in specs if other.partner == spec.name)]
        ranges = {t.name: _seen_by(t, seen) for t in together}
        inputs = {name: input_range(r.low, r.high) for name, r in ranges.items()}
        weights = {t.name: arrays[t.name] for t in together}
        if len(together) == 1 and spec.int8.reads is None:
            r, axis = ranges[spec.name], spec.int8.outputs
            wide = balanced_range(r.low, r.high, r.power, weights[spec.name], axis=axis)
            inputs[spec.name] = input_range(*wide)
        first = quantize_sum(weights, inputs, axis=spec.int8.outputs)
        if len(together) > 1:
            # The larger product sets the unit, and the smaller one's weights round coarsely: wider
            # steps of its input make up for it, until both errors are alike.
            for t in (t for t in together if t.int8.reads is None):
                r = ranges[t.name]
                report = _layer_report(t, r, arrays[t.name], first[t.name])
                by = 10 ** (max(report.input_snr_db - report.weight_snr_db, 0.0) / 40)
                inputs[t.name] = input_range(r.low * by, r.high * by)
            first = quantize_sum(weights, inputs, axis=spec.int8.outputs)
        found |= first
    return found


def _seen_by(spec: TensorSpec, seen: Mapping[str, _Seen]) -> _Seen:
    return seen[spec.int8.reads or spec.layer]


def _layer_report(spec: TensorSpec, seen: _Seen, weight: Float64, q: Quantized) -> LayerReport:
    assert q.input is not None
    steps = q.input[0].astype(np.float64)
    rounding = np.square(q.to_float() - weight).sum()
    return LayerReport(
        name=spec.layer,
        low=float(seen.low.min()),
        high=float(seen.high.max()),
        input_snr_db=_db(float(seen.power.sum()), float(np.square(steps).sum() / 12)),
        weight_snr_db=_db(float(np.square(weight).sum()), float(rounding)),
    )


def _error(exact: pyvoc.Model, other: pyvoc.Model, features: Float32) -> tuple[float, float, float]:
    """Power of the float audio, of the difference, and the log-spectral distance."""
    a = exact.synthesize(features).astype(np.float64)
    b = other.synthesize(features).astype(np.float64)
    distance = log_spectral_distance(a, b, exact.info.sample_rate)
    return float(np.square(a).sum()), float(np.square(a - b).sum()), distance


def _db(power: float, noise: float) -> float:
    return float(10 * np.log10(max(power, 1e-30) / max(noise, 1e-30)))
