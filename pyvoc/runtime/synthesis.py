"""Synthesis from files and pipes to files and pipes: what ``pyvoc synth`` does."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pyvoc.errors import FeatureError
from pyvoc.files import features
from pyvoc.files.audio import AUDIO_SUFFIXES
from pyvoc.files.audio import look as look_at_audio
from pyvoc.files.doubts import collect, doubt
from pyvoc.files.failures import Failure, Failures, look_first
from pyvoc.files.loading import load_audio, load_draws, load_input
from pyvoc.files.outputs import check_outputs, create_folder
from pyvoc.files.pcm import Write, open_output
from pyvoc.files.pipe import begin, frames_of, rest_of, rows_of
from pyvoc.runtime.batch import synthesize_batch
from pyvoc.runtime.denoise import Denoiser
from pyvoc.runtime.folds import Folds, folded
from pyvoc.runtime.info import ModelInfo
from pyvoc.runtime.inputs import as_frames
from pyvoc.runtime.lockstep import PIECE_HOPS, Progress
from pyvoc.runtime.lookahead import PUSH_FRAMES, LookaheadReport, Meter, meter_for, synthesize_early
from pyvoc.runtime.model import Model
from pyvoc.runtime.speed import as_speed, lag_samples, scaled_length
from pyvoc.runtime.stream import Stream
from pyvoc.runtime.system import system_info

__all__ = [
    "Report",
    "from_files",
    "from_stream",
    "load_draws",
    "load_input",
    "load_utterances",
    "suspect",
]

Float32 = npt.NDArray[np.float32]

_GROUP = 64  # utterances in memory at once


@dataclass(frozen=True)
class Report:
    """What was synthesised.

    Attributes
    ----------
    model, precision, tier
        Model file, its precision, and the kernel tier that ran.
    inputs, outputs
        Files, or ``-``.
    layout
        Of the features, as found.
    frames, samples, sample_rate
        In all, frames as they came; Hz.
    audio_seconds, synthesis_seconds
        Of sound, and of wall time for the network and the denoiser alone.
    times_real_time
        Audio seconds per wall second.
    latency_ms
        Delay that the look-ahead, and the denoiser and the speed at most, cost a stream.
    seed
        Of every utterance.
    denoise
        Strength of the denoiser; 0 for none.
    speed
        How much faster than the frames say; 1 for as they say.
    lookahead
        What a look-ahead that was asked for did to the network's samples; None: the model's own.
    warnings
        Sentences about inputs that may not be what was meant (:mod:`pyvoc.files.doubts`), mel
        files that do not look like what the model reads among them.
    failed
        Inputs that were left out, which are not among `inputs`.
    """

    model: str
    precision: str
    tier: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    layout: str
    frames: int
    samples: int
    sample_rate: int
    audio_seconds: float
    synthesis_seconds: float
    times_real_time: float
    latency_ms: float
    seed: int
    denoise: float = 0.0
    speed: float = 1.0
    lookahead: LookaheadReport | None = None
    warnings: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def from_files(
    model: Model,
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    layout: str | None = None,
    pcm_rate: int | None = None,
    pcm_channels: int | None = None,
    raw: bool = False,
    seed: int = 0,
    draws: npt.ArrayLike | None = None,
    options: Mapping[str, Any] | None = None,
    denoise: float = 0.0,
    speed: float = 1.0,
    lookahead: int | None = None,
    make_folder: bool = False,
    failures: Failures | None = None,
    progress: Progress | None = None,
) -> Report:
    """Synthesise files to files; several in lockstep, on the model's threads.

    Parameters
    ----------
    model
        The model.
    inputs, outputs
        As many of one as of the other; a lone output may be ``-``.
    layout
        Of the feature files; None recognises each.
    pcm_rate, pcm_channels
        Of inputs that are raw PCM, as for :func:`pyvoc.audio.read`.
    raw
        Raw 16-bit PCM in place of wav.
    seed
        Of every utterance.
    draws
        For a lone input.
    options
        Of the model's family, as for :meth:`Model.synthesize`.
    denoise
        Strength, 0 to 1, with which the model's hum is taken out (:class:`pyvoc.Denoiser`); 0 for
        not at all.
    speed
        As for :meth:`Model.synthesize`.
    lookahead
        Frames, as for :class:`pyvoc.Stream`: utterances are streamed, :data:`PUSH_FRAMES` at a
        time, and compared with the exact samples. None for the model's own.
    make_folder
        Create the outputs' folder when there is something to put into it.
    failures
        Takes what fails of the inputs; None: the first failure ends the work. Of several inputs
        the features, and the headers of audio, are looked at before the work; an output that cannot
        be written ends it always.
    progress
        Called with the samples done and in all (of 64 files at a time).

    Returns
    -------
    Report

    Raises
    ------
    Error
        What :func:`load_input`, :meth:`Model.synthesize` and :class:`pyvoc.Denoiser` raise, or an
        output cannot be written, or would overwrite an input or the model; outputs that exist are
        complete.
    """
    check_outputs(outputs, inputs=[*inputs, model.info.path])
    given = model.options(options or {})
    speed = as_speed(speed)
    denoiser = _denoiser(model, denoise)
    failures = failures or Failures()
    frames, samples_made, wall, found = 0, 0, 0.0, set()
    warnings: list[str] = []
    done: list[tuple[str, str]] = []

    def load(name: str) -> Float32:
        rows = load_input(name, model, layout=layout, pcm_rate=pcm_rate, pcm_channels=pcm_channels)
        _check(model, rows, given)
        suspect(name, rows, model.info)
        return rows

    def look(name: str) -> None:
        if Path(name).suffix.lower() in AUDIO_SUFFIXES:
            look_at_audio(name, pcm_channels=pcm_channels)
        else:
            load(name)

    look_first(inputs, look, failures)
    meter = meter_for(model, lookahead, seed=seed, draws=draws, speed=speed, options=given)
    for start in range(0, len(inputs), _GROUP):
        part = slice(start, start + _GROUP)
        rows: list[Float32] = []
        group: list[tuple[str, str]] = []
        with collect() as doubts:
            for name, output in zip(inputs[part], outputs[part], strict=True):
                with failures.attempt(name):
                    rows.append(load(name))
                    group.append((name, output))
        warnings += doubts.messages
        done += group
        if not rows:
            continue
        found |= {_layout_name(array, model.info) for array in rows}
        started = time.perf_counter()
        if lookahead is not None:
            made = synthesize_early(
                model,
                rows,
                lookahead,
                seed=seed,
                draws=draws,
                speed=speed,
                options=given,
                progress=progress,
            )
        elif len(rows) == 1:
            made = [
                model.synthesize(
                    rows[0],
                    seed=seed,
                    draws=draws,
                    speed=speed,
                    progress=progress,
                    **given,
                )
            ]
        else:
            made = synthesize_batch(
                model,
                rows,
                seeds=[seed] * len(rows),
                speed=speed,
                progress=progress,
                **given,
            )
        early = made
        if denoiser is not None:
            made = [denoiser.denoise(samples) for samples in made]
        wall += time.perf_counter() - started
        if meter is not None:
            for array, samples in zip(rows, early, strict=True):
                meter.early(samples)
                meter.push(array)
                meter.end()
        frames += sum(len(array) for array in rows)
        samples_made += sum(len(array) for array in made)
        if make_folder:
            create_folder(Path(outputs[0]).parent)
        for samples, (_, output) in zip(made, group, strict=True):
            rate, count = model.info.sample_rate, len(samples)
            with open_output(output, rate, raw=raw, samples=count) as write:
                write(samples)
    layouts = " ".join(sorted(found))
    measured = None if meter is None else meter.report(PUSH_FRAMES)
    spoken, written = [name for name, _ in done], [output for _, output in done]
    report = _report(
        model, spoken, written, layouts, frames, samples_made, wall, seed, denoiser, speed, measured
    )
    return replace(report, warnings=tuple(warnings), failed=tuple(failures.found))


def _check(model: Model, rows: Float32, options: Mapping[str, Any]) -> None:
    """Refuse features that the model could not speak, before others wait for them."""
    if not len(as_frames(rows, model.info)):
        raise FeatureError("the features hold no frames")
    if folded(options):
        Folds(model, len(rows), **options)


def _denoiser(model: Model, strength: float) -> Denoiser | None:
    return None if strength == 0 else Denoiser.for_model(model, strength=strength)


def suspect(name: str, rows: Float32, info: ModelInfo) -> None:
    """Doubt a mel file for what it does not have in common with the mels that the model reads."""
    if info.mel is None or Path(name).suffix.lower() in AUDIO_SUFFIXES:
        return
    from pyvoc.melcheck import check_rows

    report = check_rows(rows, info.mel, name=name)
    if report.fits:
        return
    what = "; ".join(f"{f.setting}: {f.found}, expected {f.expected}" for f in report.findings)
    doubt(
        "another mel",
        f"'{name}' does not look like a mel of this model ({what}): try pyvoc check-mel",
    )


def load_utterances(names: Sequence[str], model: Model) -> list[Float32]:
    """The features of several files as a model reads them, mels of another recipe doubted.

    Raises
    ------
    Error
        A file cannot be read, or does not suit the model; the message names it.
    """
    found = []
    for name in names:
        with Failures().attempt(name):  # which names the file
            rows = as_frames(load_input(name, model, layout=None), model.info)
            suspect(name, rows, model.info)
            found.append(rows)
    return found


def _layout_name(rows: Float32, info: ModelInfo) -> str:
    if info.mel is not None or rows.shape[1] == info.layout_dims:
        return info.feature_layout
    known = (name for name, layout in features.LAYOUTS.items() if layout.dims == rows.shape[1])
    return next(known, info.feature_layout)


def from_stream(
    model: Model,
    source: BinaryIO,
    output: str,
    *,
    layout: str | None = None,
    pcm_rate: int | None = None,
    pcm_channels: int | None = None,
    raw: bool = True,
    seed: int = 0,
    draws: npt.ArrayLike | None = None,
    options: Mapping[str, Any] | None = None,
    denoise: float = 0.0,
    speed: float = 1.0,
    lookahead: int | None = None,
) -> Report:
    """Synthesise what a pipe brings: frames or audio.

    Raw float32 frames are synthesised as they arrive, and samples written as they are ready. Audio
    (the header of a wav or another format, or raw PCM where `pcm_rate` or `pcm_channels` say that
    it is) is read to its end first, and gives what a file of it gives.

    Parameters
    ----------
    model
        The model.
    source
        Binary stream.
    output
        File, or ``-``.
    layout
        Of the frames; None is the model's.
    pcm_rate, pcm_channels
        The pipe brings raw PCM, see :func:`pyvoc.audio.read`.
    raw, seed, draws, options, denoise, speed
        As :func:`from_files`; draws may run out.
    lookahead
        Frames, as for :class:`pyvoc.Stream`; an exact stream runs beside it, to compare.

    Returns
    -------
    Report

    Raises
    ------
    FeatureError
        No frames, half a frame at the end, or values that are no features of the layout.
    AudioError
        The audio cannot be read.
    Error
        The output cannot be written, or would overwrite the model.
    """
    check_outputs([output], inputs=[model.info.path])
    info = model.info
    given = model.options(options or {}, streaming=True)
    speed = as_speed(speed)
    first, is_audio = begin(source)
    with collect() as doubts:
        if is_audio or pcm_rate is not None or pcm_channels is not None:
            if layout is not None and layout != info.feature_layout:
                raise FeatureError(
                    f"standard input is audio: the model's layout is {info.feature_layout}"
                )
            whole = rest_of(source, first)
            rows = load_audio(whole, model, pcm_rate=pcm_rate, pcm_channels=pcm_channels)
            name, pieces = info.feature_layout, iter([rows])
        else:
            kind = rows_of(info, layout)
            name, pieces = kind.name, frames_of(source, kind, first=first)
    denoiser = _denoiser(model, denoise)
    frames, wall = 0, 0.0
    meter = meter_for(model, lookahead, seed=seed, draws=draws, speed=speed, options=given)
    with (
        model.stream(seed=seed, lookahead=lookahead, speed=speed, **given) as stream,
        open_output(output, info.sample_rate, raw=raw) as write,
    ):
        if draws is not None:
            stream.set_draws(draws)
        for rows in pieces:
            frames += len(rows)
            stream.push(rows)
            wall += _drain(stream, denoiser, write, meter)
            if meter is not None:
                meter.push(rows)
        if not frames:
            raise FeatureError("standard input holds no features")
        stream.flush()
        wall += _drain(stream, denoiser, write, meter)
        if meter is not None:
            meter.end()
        if denoiser is not None:
            started = time.perf_counter()
            rest = denoiser.flush()
            wall += time.perf_counter() - started
            write(rest)
    samples = scaled_length(frames, speed) * info.hop_length
    measured = None if meter is None else meter.report(None)
    report = _report(
        model, ["-"], [output], name, frames, samples, wall, seed, denoiser, speed, measured
    )
    return replace(report, warnings=doubts.messages)


def _drain(stream: Stream, denoiser: Denoiser | None, write: Write, meter: Meter | None) -> float:
    """Write what the stream can give, the first hop at once; the seconds that synthesis took."""
    wall, hops = 0.0, 1
    while True:
        started = time.perf_counter()
        samples = stream.pull(hops * stream.model.info.hop_length)
        hops = min(2 * hops, PIECE_HOPS)
        ended = not len(samples)
        early = samples
        if denoiser is not None:
            samples = denoiser.push(samples)
        wall += time.perf_counter() - started
        if meter is not None:
            meter.early(early)
        if ended:
            return wall
        if len(samples):
            write(samples)


def _report(
    model: Model,
    inputs: Sequence[str],
    outputs: Sequence[str],
    layout: str,
    frames: int,
    samples: int,
    wall: float,
    seed: int,
    denoiser: Denoiser | None,
    speed: float,
    lookahead: LookaheadReport | None,
) -> Report:
    info = model.info
    seconds = samples / info.sample_rate
    latency = info.latency_samples + lag_samples(info, speed)
    if lookahead is not None:
        latency -= max(0, info.lookahead_frames - lookahead.frames) * info.hop_length
    latency += 0 if denoiser is None else denoiser.latency_samples
    return Report(
        model=info.path,
        precision=info.precision,
        tier=str(system_info()["active_tier"]),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        layout=layout,
        frames=frames,
        samples=samples,
        sample_rate=info.sample_rate,
        audio_seconds=round(seconds, 4),
        synthesis_seconds=round(wall, 6),
        times_real_time=round(seconds / max(wall, sys.float_info.min), 2),
        latency_ms=1000 * latency / info.sample_rate,
        seed=seed,
        denoise=0.0 if denoiser is None else denoiser.strength,
        speed=speed,
        lookahead=lookahead,
    )
