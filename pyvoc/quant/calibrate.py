"""From a float model of convolutions to int8: measure activations, round, measure the cost."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import pyvoc
from pyvoc import _pyvoc
from pyvoc.container import read_container, write_container
from pyvoc.container.layout import F32, I8, TensorSpec
from pyvoc.errors import Error, ModelError, UnsupportedError
from pyvoc.families import spec_of
from pyvoc.files.doubts import doubt
from pyvoc.files.outputs import check_outputs, check_place
from pyvoc.quant.convolution import (
    balanced_range,
    clipped_range,
    input_range,
    quantize_sum,
)
from pyvoc.quant.encode import carried, decode
from pyvoc.quant.integers import Quantized
from pyvoc.quant.speech import lacks_speech
from pyvoc.quant.trial import Steps, Trial, decibels, noise_of, snippets_of, snr_of, stay_float
from pyvoc.runtime.inputs import as_frames

__all__ = ["MIN_SNR_DB", "LayerReport", "QuantizationReport", "quantize"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

MIN_SNR_DB = 20.0
"""Below this signal-to-noise ratio of the audio a model is not written unless told."""
GOAL_SNR_DB = 30.0
"""Below this, layers that cost most stay in floats."""
FLOAT_SHARE = 0.05
"""Of the multiply-adds, in layers that stay in floats."""
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
    alone_snr_db
        Of the audio where this layer alone is int8 (with what shares its accumulator); None: not
        measured.
    stays_float
        Whether it is not int8 in the model: it would cost most.
    """

    name: str
    low: float
    high: float
    input_snr_db: float
    weight_snr_db: float
    alone_snr_db: float | None = None
    stays_float: bool = False


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
    float_share
        Of the multiply-adds, in layers that stayed in floats.
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
    float_share: float
    layers: tuple[LayerReport, ...]


def quantize(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    utterances: Sequence[Float32],
    *,
    names: Sequence[str] | None = None,
    any_sound: bool = False,
    min_snr_db: float = MIN_SNR_DB,
    float_share: float = FLOAT_SHARE,
    goal_snr_db: float = GOAL_SNR_DB,
    progress: Callable[[int, int], None] | None = None,
) -> QuantizationReport:
    """Write the int8 form of a float model whose activations must be measured (MelGAN, WaveGlow).

    Errors of a trained network's layers differ by orders of magnitude. Where the audio is below
    `goal_snr_db` with all layers at int8, each is measured alone, and those that cost most for
    their multiply-adds stay in floats (families whose layers can).

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
    float_share
        Of the multiply-adds, at most, in layers that stay in floats; 0: none do.
    goal_snr_db
        With the audio at this signal-to-noise ratio no layer more stays in floats.
    progress
        Called with (steps done, all of them).

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
    check_place(target)
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
    steps = Steps(progress, 2 * len(heard) + len(tested))

    seen = _measure(model, heard, steps)
    arrays = decode(spec, container)
    quantized = _quantize_all(specs, arrays, seen)
    metadata = carried(container.metadata)
    trial = Trial(model, spec, arrays, metadata)
    everything = trial.container(quantized)
    size, errors = trial.errors(everything, tested, steps)
    alone: dict[str, float] = {}
    small, chosen = everything, set[str]()
    groups = _groups(specs)
    work = {g: sum(_work(t, arrays, seen) for t in together) for g, together in groups.items()}
    total = sum(work.values())
    optional = {g: t for g, t in groups.items() if all(spec.int8.optional for spec in t)}
    if float_share > 0 and optional and snr_of(errors) < goal_snr_db:
        steps.expect(len(optional) + len(tested))
        parts = snippets_of(heard, model)
        for group, together in optional.items():
            only = {t.name: quantized[t.name] for t in together}
            alone[group] = noise_of(trial.errors(trial.container(only, floats=F32), parts)[1])
            steps.done()
        chosen = stay_float(alone, work, float_share * total, goal_snr_db)
    if chosen:
        kept = {t.name: quantized[t.name] for g in groups if g not in chosen for t in groups[g]}
        small = trial.container(kept)
        size, errors = trial.errors(small, tested, steps)
    reports = []
    for group, together in groups.items():
        for t in together:
            report = _layer_report(t, _seen_by(t, seen), arrays[t.name], quantized[t.name])
            snr_db = decibels(1.0, alone[group]) if group in alone else None
            reports.append(replace(report, alone_snr_db=snr_db, stays_float=group in chosen))
    order = [t.layer for t in specs]
    snr = snr_of(errors)
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
        worst_snr_db=min(snr_of([error]) for error in errors),
        lsd_db=float(np.mean([distance for _, _, distance in errors])),
        float_share=sum(work[group] for group in chosen) / total,
        layers=tuple(sorted(reports, key=lambda r: order.index(r.name))),
    )


def _groups(specs: Sequence[TensorSpec]) -> dict[str, list[TensorSpec]]:
    """Layers by the one whose accumulator they share, under its name."""
    return {
        spec.layer: [spec, *(other for other in specs if other.partner == spec.name)]
        for spec in specs
        if spec.partner is None
    }


def _work(spec: TensorSpec, arrays: Mapping[str, Float64], seen: Mapping[str, _Seen]) -> float:
    """Multiply-adds of a layer: every row of inputs meets every weight."""
    return float(_seen_by(spec, seen).rows * arrays[spec.name].size)


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
    """What a layer's input channels were: the ranges that are kept, the powers, how many rows."""

    low: Float64
    high: Float64
    power: Float64
    rows: float


def _measure(model: pyvoc.Model, utterances: Sequence[Float32], steps: Steps) -> dict[str, _Seen]:
    """Two passes: how far the values go, then how they are distributed."""
    calibration = _pyvoc.Calibration(model._native)
    for turn in range(2):
        for features in utterances:
            calibration.add(np.ascontiguousarray(features, np.float32))
            steps.done()
        if turn == 0:
            calibration.count_in(HISTOGRAM)
    found = {}
    for layer, ((low, high, squares, count), histograms) in calibration.layers().items():
        power = squares / np.maximum(count, 1)
        found[layer] = _Seen(*clipped_range(low, high, histograms), power, float(count[0]))
    return found


def _held_out(i: int, n: int) -> bool:
    return n > 1 and i % HELD_OUT == min(n, HELD_OUT) - 1


def _quantize_all(
    specs: Sequence[TensorSpec], arrays: Mapping[str, Float64], seen: Mapping[str, _Seen]
) -> dict[str, Quantized]:
    """All layers; those that share an accumulator together."""
    found: dict[str, Quantized] = {}
    for together in _groups(specs).values():
        spec = together[0]
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
        input_snr_db=decibels(float(seen.power.sum()), float(np.square(steps).sum() / 12)),
        weight_snr_db=decibels(float(np.square(weight).sum()), float(rounding)),
    )
