"""Compare an output with its reference: align, then every measure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from pyvoc.errors import AudioError
from pyvoc.evaluate import alignment, asked, cepstra, f0, levels, perceptual, spectra
from pyvoc.evaluate.alignment import Alignment
from pyvoc.files import audio, doubts
from pyvoc.files.audio import RAW_SUFFIXES

__all__ = [
    "LEAST_SECONDS",
    "MEASURES",
    "Comparison",
    "Measure",
    "Sound",
    "check",
    "compare",
    "read",
    "read_pair",
]

Float64 = npt.NDArray[np.float64]
_Path = str | os.PathLike[str]

LEAST_SECONDS, MOST_SECONDS = 0.1, 900.0
LOWEST_RATE, HIGHEST_RATE = 8000, 48000


@dataclass(frozen=True)
class Measure:
    """A figure.

    Attributes
    ----------
    key, label, unit
        In JSON, in tables; dB and the like.
    digits
        After the decimal point.
    best
        Value of a perfect output; None: there is none, and nothing is better than another.
    in_table
        Whether tables for people have it; JSON has everything.
    """

    key: str
    label: str
    unit: str
    digits: int
    best: float | None
    in_table: bool = True


def _opinion(key: str, label: str, *, in_table: bool = True) -> tuple[Measure, ...]:
    """A predicted opinion, what it differs by from the original's, and the original's."""
    return (
        Measure(key, label, "", 2, 5, in_table),
        Measure(f"{key}_delta", "delta", "", 2, None, in_table),
        Measure(f"{key}_reference", f"{label} of REF", "", 2, None, False),
    )


MEASURES = (
    Measure("mcd_db", "MCD", "dB", 2, 0),
    Measure("lsd_db", "LSD", "dB", 2, 0),
    Measure("lnf0_rmse", "lnF0rms", "", 3, 0),
    Measure("lnf0_median", "lnF0med", "", 4, 0),
    Measure("f0_gross", "gross", "", 3, 0),
    Measure("vuv_error", "V/UV", "", 3, 0),
    Measure("level_db", "level", "dB", 2, 0),
    Measure("clicks", "clicks", "", 0, 0),
    Measure("pesq", "PESQ", "", 2, 4.64),
    Measure("stoi", "STOI", "", 3, 1),
    *_opinion("distillmos", "DistillMOS"),
    *_opinion("dnsmos_ovrl", "DNSMOS"),
    *_opinion("dnsmos_sig", "SIG", in_table=False),
    *_opinion("dnsmos_bak", "BAK", in_table=False),
    *_opinion("dnsmos_p808", "P.808"),
    Measure("visqol", "ViSQOL", "", 2, 5),
)


@dataclass(frozen=True)
class Sound:
    """A signal that was read.

    Attributes
    ----------
    name
        The file.
    samples
        float64 [samples] in -1..1, mono.
    rate
        Hz.
    notes
        What was done to it: channels averaged, resampled.
    """

    name: str
    samples: Float64
    rate: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """How an output compares with its reference.

    Attributes
    ----------
    reference, output
        Names.
    rate
        Hz.
    seconds
        Compared, after alignment.
    alignment
        Which it was.
    values
        By :attr:`Measure.key`; None where there is nothing to measure.
    notes
        What a reader of the figures must know.
    signals, tracks
        Reference and output: the aligned samples, and their F0.
    """

    reference: str
    output: str
    rate: int
    seconds: float
    alignment: Alignment
    values: Mapping[str, float | None]
    notes: tuple[str, ...] = ()
    signals: tuple[Float64, Float64] = field(repr=False, compare=False, default=(np.empty(0),) * 2)
    tracks: tuple[f0.Track, f0.Track] = field(
        repr=False, compare=False, default=(f0.Track(np.empty(0)),) * 2
    )

    def without_signals(self) -> Comparison:
        """The figures alone, so that many comparisons take little memory."""
        nothing = np.empty(0)
        return replace(self, signals=(nothing, nothing), tracks=(f0.Track(nothing),) * 2)


def read(path: _Path, *, rate: int | None = None, called: str | None = None) -> Sound:
    """Read a file for comparison.

    Parameters
    ----------
    path
        Anything :func:`pyvoc.audio.read` reads; several channels are averaged, which is noted.
    rate
        Resample to this rate in Hz; None keeps the file's.
    called
        Its name; None: the path.

    Raises
    ------
    AudioError
        No audio, NaN, silent, too short or too long, or a rate that the measures are not made for.
    UnsupportedError
        Resampling needs the soxr extra.
    """
    file = os.fspath(path)
    name = called or file
    with doubts.called(file, name):
        samples, own = audio.read(file)
    notes = []
    channels = _channels(file)
    if channels > 1:
        notes.append(f"'{name}': {channels} channels averaged")
    if rate is not None and own != rate:
        with doubts.called(file, name):
            samples, _ = audio.read(file, rate=rate)
        notes.append(f"'{name}': resampled from {own} to {rate} Hz with soxr VHQ")
    return Sound(name, samples.astype(np.float64), rate or own, tuple(notes))


def read_pair(
    reference: _Path, output: _Path, *, rate: int | None = None, called: str | None = None
) -> tuple[Sound, Sound]:
    """Read a reference and an output at one rate; `called` is the output's name.

    Raises
    ------
    AudioError
        As :func:`read`; or the rates differ and none was asked for.
    """
    left, right = read(reference, rate=rate), read(output, rate=rate, called=called)
    if left.rate != right.rate:
        raise AudioError(
            f"'{left.name}' is at {left.rate} Hz and '{right.name}' at {right.rate} Hz: resample "
            f"both to one rate, for example --rate {min(left.rate, right.rate)}"
        )
    return left, right


def _channels(name: str) -> int:
    import soundfile

    if os.path.splitext(name)[1].lower() in RAW_SUFFIXES:
        return 1
    with open(name, "rb") as file:  # by its name soundfile opens no file whose name is not UTF-8
        return int(soundfile.info(file).channels)


def check(sound: Sound) -> None:
    """Refuse what cannot be judged.

    Raises
    ------
    AudioError
        It is silent, not finite, not mono, too short or too long, or of a rate that the measures
        are not made for.
    """
    samples, name = sound.samples, sound.name
    if samples.ndim != 1:
        raise AudioError(f"'{name}' has shape {samples.shape}; expected mono [samples]")
    if not LOWEST_RATE <= sound.rate <= HIGHEST_RATE:
        raise AudioError(
            f"'{name}' is at {sound.rate} Hz; the measures are for {LOWEST_RATE}..{HIGHEST_RATE} Hz"
        )
    seconds = len(samples) / sound.rate
    if seconds < LEAST_SECONDS:
        raise AudioError(
            f"'{name}' is too short: {seconds:.3f} s, at least {LEAST_SECONDS} s are needed"
        )
    if seconds > MOST_SECONDS:
        raise AudioError(
            f"'{name}' is too long: {seconds:.0f} s, at most {MOST_SECONDS:.0f} s; cut it up"
        )
    if not np.isfinite(samples).all():
        raise AudioError(f"'{name}' holds NaN or infinite samples")
    if not np.abs(samples).max() > 0:
        raise AudioError(f"'{name}' is silent: every sample is zero")


def compare(
    reference: Sound,
    output: Sound,
    *,
    delay: int | None = None,
    require: tuple[str, ...] = (),
) -> Comparison:
    """Measure how near an output is to its reference.

    Parameters
    ----------
    reference, output
        Of one rate.
    delay
        Samples by which the output is known to lag; None searches, see
        :mod:`pyvoc.evaluate.alignment`.
    require
        ``pesq``, ``stoi``: refuse when they are not installed; they are measured when they are.
        ``mos`` (DistillMOS), ``dnsmos``, ``visqol``: measure them too, which takes seconds; refuse
        when they are not installed.

    Raises
    ------
    AudioError
        Rates differ; a signal is silent, not finite, too short or too long; nothing is left in
        common after alignment.
    UnsupportedError
        What was required is not installed.
    """
    for name in require:
        (asked if name in asked.ASKED else perceptual).require(name)
    for sound in (reference, output):
        check(sound)
    if reference.rate != output.rate:
        raise AudioError(
            f"'{reference.name}' is at {reference.rate} Hz and '{output.name}' at {output.rate} Hz"
        )
    rate = reference.rate
    aligned = alignment.align(reference.samples, output.samples, rate, delay=delay)
    left, right = alignment.apply(reference.samples, output.samples, aligned.delay)
    if len(left) < LEAST_SECONDS * rate:
        raise AudioError(
            f"'{reference.name}' and '{output.name}' share {len(left)} samples at a delay of "
            f"{aligned.delay}: at least {LEAST_SECONDS} s are needed"
        )
    for sound, part in ((reference, left), (output, right)):
        if not np.abs(part).max() > 0:
            raise AudioError(f"'{sound.name}' is silent in the part that is compared")
    notes = [*reference.notes, *output.notes, *_alignment_notes(reference, output, aligned)]
    tracks = f0.estimate(left, rate), f0.estimate(right, rate)
    difference = f0.compare(*tracks)
    if difference.rmse is None:
        notes.append("no frame is voiced in both signals: there is no F0 to compare")
    values: dict[str, float | None] = {
        "mcd_db": cepstra.mel_cepstral_distortion(left, right, rate, tracks),
        "lsd_db": spectra.log_spectral_distance(left, right, rate),
        "lnf0_rmse": difference.rmse,
        "lnf0_median": difference.median,
        "f0_gross": difference.gross,
        "vuv_error": difference.voicing,
        "level_db": levels.level_difference(left, right),
        "clicks": levels.clicks(left, right, rate),
    }
    for name, measure in (("pesq", perceptual.pesq), ("stoi", perceptual.stoi)):
        if perceptual.installed(name):
            values[name], why = measure(left, right, rate)
            notes += [why] if why else []
    for name in require:
        if name in asked.PREDICTED:
            opinions, more = _opinions(name, reference, output)
            values |= opinions
            notes += more
        elif name == "visqol":
            values[name], why = asked.against(left, right, rate)
            notes += [why] if why else []
    return Comparison(
        reference=reference.name,
        output=output.name,
        rate=rate,
        seconds=len(left) / rate,
        alignment=aligned,
        values=values,
        notes=tuple(notes),
        signals=(left, right),
        tracks=tracks,
    )


def _opinions(
    name: str, reference: Sound, output: Sound
) -> tuple[dict[str, float | None], list[str]]:
    """What is predicted of both, whole and each for itself, and the difference."""
    values: dict[str, float | None] = {}
    of_output, notes = asked.alone(name, output)
    of_reference, more = asked.alone(name, reference)
    for key, value in of_output.items():
        original = of_reference[key]
        values[key], values[f"{key}_reference"] = value, original
        values[f"{key}_delta"] = None if value is None or original is None else value - original
    return values, notes + more


def _alignment_notes(reference: Sound, output: Sound, aligned: Alignment) -> list[str]:
    notes = []
    if aligned.method == "none":
        notes.append(
            "no clear alignment was found, so none was done: give --delay if the output lags"
        )
    elif aligned.method == "waveform" and abs(aligned.fraction) > 0.1:
        notes.append(f"{aligned.fraction:+.2f} samples of delay remain")
    difference = abs(len(reference.samples) - len(output.samples)) / reference.rate
    if difference > 0.25:
        notes.append(f"lengths differ by {difference:.2f} s: only what both have is compared")
    return notes
