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
from pyvoc.errors import Error, ModelError, UnsupportedError
from pyvoc.evaluate.spectra import log_spectral_distance
from pyvoc.quant.convolution import clipped_range, input_range, quantize_sum
from pyvoc.quant.encode import decode, encode
from pyvoc.quant.integers import Quantized
from pyvoc.specs import read_container, spec_of, write_container
from pyvoc.specs.layout import I8

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
    min_snr_db: float = MIN_SNR_DB,
    progress: Callable[[int, int], None] | None = None,
) -> QuantizationReport:
    """Write the int8 form of a float model whose activations must be measured (MelGAN).

    Parameters
    ----------
    source
        Model file, float32 or bfloat16.
    target
        Where to save; replaced only when all went well.
    utterances
        Features ``[frames, dims]`` of speech like that which the model will hear. With two or more,
        every fourth (at least one) is held out to measure the error.
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
    Error
        No utterances, or a file cannot be read or written.
    """
    if not utterances:
        raise Error("no speech to calibrate with: at least one utterance is needed")
    if Path(source).resolve() == Path(target).resolve():
        raise Error(f"{target}: the int8 model would overwrite the float one")
    container = read_container(source)
    spec = spec_of(container, str(source))
    tensors = spec.layout_of(container).tensors
    names = [t.name for t in tensors if t.type_for("int8") is I8 and t.int8.calibrated]
    if not names:
        raise UnsupportedError(
            f"{source}: {container.architecture} has no activations to calibrate; "
            "pyvoc convert --precision int8 quantises it"
        )
    if container.metadata["pyvoc.precision"] == "int8":
        raise ModelError(f"{source}: is int8 already, expected f32 or bf16")
    model = pyvoc.load(source)
    heard = [u for i, u in enumerate(utterances) if not _held_out(i, len(utterances))]
    tested = [u for i, u in enumerate(utterances) if _held_out(i, len(utterances))] or heard
    total = 2 * len(heard) + len(tested)

    seen = _measure(model, heard, progress and (lambda done: progress(done, total)))
    arrays = decode(spec, container)
    axes = {t.name: t.int8.outputs for t in tensors}
    quantized = _quantize_all(names, arrays, seen, axes)
    layers = tuple(
        _layer_report(_layer(name), seen[_layer(name)], arrays[name], quantized[name])
        for name in names
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


def _layer(weight: str) -> str:
    return weight.removesuffix(".weight")


def _quantize_all(
    names: Sequence[str],
    arrays: Mapping[str, Float64],
    seen: Mapping[str, _Seen],
    axes: Mapping[str, int],
) -> dict[str, Quantized]:
    """All layers; a block's last convolution and its shortcut share an accumulator."""
    found: dict[str, Quantized] = {}
    for name in names:
        if name in found:
            continue
        together = [name]
        if name.endswith(".out.weight"):
            together.append(name.replace(".out.", ".shortcut."))
        inputs = {n: input_range(seen[_layer(n)].low, seen[_layer(n)].high) for n in together}
        weights = {n: arrays[n] for n in together}
        first = quantize_sum(weights, inputs, axis=axes[name])
        if len(together) > 1:
            # The larger product sets the unit, and the smaller one's weights round coarsely: wider
            # steps of its input make up for it, until both errors are alike.
            for n in together:
                layer = seen[_layer(n)]
                report = _layer_report(n, layer, arrays[n], first[n])
                by = 10 ** (max(report.input_snr_db - report.weight_snr_db, 0.0) / 40)
                inputs[n] = input_range(layer.low * by, layer.high * by)
            first = quantize_sum(weights, inputs, axis=axes[name])
        found |= first
    return found


def _layer_report(name: str, seen: _Seen, weight: Float64, q: Quantized) -> LayerReport:
    assert q.input is not None
    steps = q.input[0].astype(np.float64)
    rounding = np.square(q.to_float() - weight).sum()
    return LayerReport(
        name=name,
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
