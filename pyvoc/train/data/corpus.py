"""Speech to train on: folders, lists and files -> clips at one rate, with what was left out.

Every clip is examined before it counts: unreadable, NaN, too short, silent and clipped ones are
reported, not trained on. Held-out clips are chosen by name, by a share, or by a folder of their
own. Clips are held in memory up to a limit; the others are read again whenever they are wanted.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyvoc.errors import AudioError, DoubtError, Error
from pyvoc.files import audio
from pyvoc.files.doubts import collect, doubt
from pyvoc.files.listing import LIST_SUFFIXES, in_folder, in_list

__all__ = ["Clip", "Corpus", "Holdout", "Rejection", "Report", "Source", "Speech", "load_corpus"]

SAMPLE_RATE = 16000
"""Hz."""

_Path = str | os.PathLike[str]

_SILENT_PEAK = 64.0 / 32768.0  # -54 dB of full scale
_FULL_SCALE = 0.999
_CLIPPED_SHARE = 1e-3


@dataclass(frozen=True)
class Source:
    """Where speech comes from, and how much of the training it makes.

    Attributes
    ----------
    path
        A folder (searched to the bottom), a ``.txt`` list of files (relative to the list; ``#``
        starts a comment), an audio file, or a list as corpora have it: ``.csv``, or ``.txt`` whose
        lines go on after a ``|`` (`pyvoc.files.listing.in_list`). Raw files (``.s16``, ``.raw``,
        ``.pcm``, ``.sw``) are 16-bit mono at 16 kHz.
    weight
        Share of the training segments, relative to the other sources'. None, then for all of
        them: by duration.
    """

    path: str
    weight: float | None = None


@dataclass(frozen=True)
class Holdout:
    """Which clips are for validation; at most one way is chosen.

    Attributes
    ----------
    names
        File names, with or without suffix; each must occur.
    fraction
        Share of the clips in 0..1. The choice follows from the clips' names alone, so a corpus
        that grows keeps its validation clips.
    path
        A folder, list or file of their own; sources leave these files out of training.
    """

    names: tuple[str, ...] = ()
    fraction: float = 0.0
    path: _Path | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.fraction < 1.0:
            raise Error(f"the validation fraction is {self.fraction:g}; expected 0 to below 1")
        if sum((bool(self.names), self.fraction > 0, self.path is not None)) > 1:
            raise Error("choose validation clips by names, by a fraction or by a path, not by two")


@dataclass(frozen=True)
class Clip:
    """One usable file.

    Attributes
    ----------
    path
        The file.
    held
        Its samples, int16 [samples]; None: they are read when they are wanted.
    samples, rate
        How many, and Hz.
    peak
        The greatest magnitude, 1 to 32768.
    """

    path: Path
    held: npt.NDArray[np.int16] | None
    samples: int
    rate: int
    peak: int

    @property
    def pcm(self) -> npt.NDArray[np.int16]:
        """The samples, int16 [samples].

        Raises
        ------
        AudioError
            The file is not what it was when it was examined.
        """
        if self.held is not None:
            return self.held
        with collect():  # what is doubtful was said when the file was examined
            found = audio.read_int16(self.path, rate=self.rate)
        if found.size != self.samples:
            raise AudioError(
                f"'{self.path}' has changed: {found.size} samples, expected {self.samples}"
            )
        return found

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.samples / self.rate


@dataclass(frozen=True)
class Rejection:
    """A file that is left out, the kind of fault, and the sentence that says what was found."""

    path: Path
    reason: str
    detail: str


@dataclass(frozen=True)
class Report:
    """What a corpus came from.

    Attributes
    ----------
    clips, seconds
        Clips kept, for training and validation together, and their duration.
    resampled
        Rate in Hz -> files that had it and were brought to the corpus's.
    rejected
        Files that are left out.
    warnings
        Sentences about what is doubtful (:mod:`pyvoc.files.doubts`), files left out among them.
    """

    clips: int
    seconds: float
    resampled: dict[int, int] = field(default_factory=dict)
    rejected: tuple[Rejection, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Reason -> number of files left out."""
        return dict(Counter(r.reason for r in self.rejected))

    def __str__(self) -> str:
        text = f"{self.clips} clips, {self.seconds:.1f} s"
        for rate, count in sorted(self.resampled.items()):
            text += f"; {count} resampled from {rate} Hz"
        if self.rejected:
            reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(self.counts.items()))
            text += f"; left out {len(self.rejected)}: {reasons}"
        return text


@dataclass(frozen=True)
class Speech:
    """The training clips of one source; `share` is its part of the segments, 0..1."""

    clips: tuple[Clip, ...]
    share: float

    @property
    def seconds(self) -> float:
        """Duration."""
        return sum(clip.seconds for clip in self.clips)


@dataclass(frozen=True)
class Corpus:
    """Speech for training (shares add up to 1) and for validation, and where it came from."""

    train: tuple[Speech, ...]
    validation: tuple[Clip, ...]
    report: Report

    @property
    def seconds(self) -> float:
        """Duration of the training clips."""
        return sum(speech.seconds for speech in self.train)


def load_corpus(
    sources: Iterable[Source | _Path],
    holdout: Holdout | None = None,
    *,
    rate: int = SAMPLE_RATE,
    min_seconds: float = 0.5,
    memory: int | None = None,
) -> Corpus:
    """Read and examine speech.

    Parameters
    ----------
    sources
        A path is a source without a weight.
    holdout
        Which clips are for validation; None: none are.
    rate
        Of the clips, in Hz; files at another are resampled.
    min_seconds
        Shorter clips are left out.
    memory
        Bytes that samples may take; clips beyond are read when they are wanted. None: no limit.

    Raises
    ------
    AudioError
        Nothing usable is left for training or, if asked for, for validation; a held-out name
        that no clip has.
    DoubtError
        Doubts are collected strictly, and there is one: a file to be left out is.
    UnsupportedError
        A file is at another rate and the ``soxr`` extra is not installed.
    Error
        No sources, a weight that is no positive number, or a folder or list that cannot be read.
    """
    listed = [s if isinstance(s, Source) else Source(os.fspath(s)) for s in sources]
    if not listed:
        raise Error("no speech to train on was given: expected folders, lists or audio files")
    _check_weights(listed)
    holdout = holdout or Holdout()
    reader = _Reader(rate, min_seconds, memory)
    with collect() as doubts:
        apart = [] if holdout.path is None else _find(Path(holdout.path))
        taken = {path.resolve() for path in apart}
        per_source = [
            reader.read([p for p in _find(Path(s.path)) if p.resolve() not in taken])
            for s in listed
        ]
        found = [clip for clips in per_source for clip in clips]
        held = reader.read(apart) if apart else _select(found, holdout)
    report = replace(reader.report(), warnings=doubts.messages)
    chosen = {clip.path.resolve() for clip in held}
    train = [
        tuple(clip for clip in clips if clip.path.resolve() not in chosen) for clips in per_source
    ]
    why = f" ({report.rejected[0].detail})" if report.rejected else ""
    for source, clips in zip(listed, train, strict=True):
        if not clips:
            raise AudioError(f"'{source.path}' leaves no speech to train on: {report}{why}")
    if not held and holdout != Holdout():
        raise AudioError(f"no clip is left for validation: {report}{why}")
    seconds = [sum(clip.seconds for clip in clips) for clips in train]
    weights = [t if s.weight is None else s.weight for s, t in zip(listed, seconds, strict=True)]
    total = sum(weights)
    speech = tuple(Speech(clips, w / total) for clips, w in zip(train, weights, strict=True))
    unique = {clip.path.resolve(): clip for clip in held}
    return Corpus(speech, tuple(unique.values()), report)


def _check_weights(sources: Sequence[Source]) -> None:
    given = [s.weight for s in sources if s.weight is not None]
    if given and len(given) != len(sources):
        raise Error("some sources have a weight and some have none: give all or none")
    for weight in given:
        if not (weight > 0 and np.isfinite(weight)):
            raise Error(f"a source has weight {weight:g}; expected a positive number")


def _find(path: Path) -> list[Path]:
    """The audio files that a folder, a list or a file name stands for."""
    if path.is_dir():
        return in_folder(path)
    if path.suffix.lower() in LIST_SUFFIXES:
        return in_list(path)
    if not path.exists():
        raise Error(f"cannot read '{path}': No such file or directory")
    return [path]


def _select(clips: Sequence[Clip], holdout: Holdout) -> list[Clip]:
    """The clips to hold out, by name or by share."""
    for name in holdout.names:
        if not any(name in (clip.path.name, clip.path.stem) for clip in clips):
            raise AudioError(f"no usable clip is named '{name}', which validation asks for")
    if holdout.names:
        return [c for c in clips if {c.path.name, c.path.stem} & set(holdout.names)]
    if holdout.fraction == 0.0 or not clips:
        return []
    digests = [hashlib.sha256(clip.path.name.encode()).digest()[:8] for clip in clips]
    places = [int.from_bytes(digest, "big") / 2.0**64 for digest in digests]
    bound = max(holdout.fraction, min(places))  # at least one clip
    return [clip for clip, place in zip(clips, places, strict=True) if place <= bound]


class _Reader:
    """Reads files once each, and keeps count."""

    def __init__(self, rate: int, min_seconds: float, memory: int | None) -> None:
        self._rate, self._min_seconds, self._left = rate, min_seconds, memory
        self._clips: dict[Path, Clip | None] = {}
        self._resampled: Counter[int] = Counter()
        self._rejected: list[Rejection] = []

    def read(self, paths: Iterable[Path]) -> list[Clip]:
        """The usable clips of `paths`."""
        found = []
        for path in paths:
            key = path.resolve()
            if key not in self._clips:
                self._clips[key] = self._admit(path)
            clip = self._clips[key]
            if clip is not None:
                found.append(clip)
        return found

    def report(self) -> Report:
        """What was read so far."""
        kept = [clip for clip in self._clips.values() if clip is not None]
        seconds = sum(clip.seconds for clip in kept)
        return Report(len(kept), seconds, dict(self._resampled), tuple(self._rejected))

    def _admit(self, path: Path) -> Clip | None:
        samples, rate = np.zeros(0, np.float32), self._rate
        try:
            samples, rate = audio.read(path)
            fault = _fault(samples, rate, self._min_seconds)
        except DoubtError:
            raise
        except Error as error:
            fault = ("not finite" if "NaN" in str(error) else "unreadable", str(error))
        else:
            fault = None if fault is None else (fault[0], f"'{path}' {fault[1]}")
        if fault is not None:
            doubt("left out", f"left out: {fault[1]}")
            self._rejected.append(Rejection(path, *fault))
            return None
        if rate != self._rate:
            self._resampled[rate] += 1
            return self._clip(path, audio.read_int16(path, rate=self._rate))
        scaled = np.rint(samples.astype(np.float64) * 32768.0)
        return self._clip(path, np.clip(scaled, -32768, 32767).astype(np.int16))

    def _clip(self, path: Path, pcm: npt.NDArray[np.int16]) -> Clip:
        peak = int(np.abs(pcm.astype(np.int32)).max())
        held = self._left is None or pcm.nbytes <= self._left
        if self._left is not None and held:
            self._left -= pcm.nbytes
        return Clip(path, pcm if held else None, pcm.size, self._rate, peak)


def _fault(samples: npt.NDArray[np.float32], rate: int, least: float) -> tuple[str, str] | None:
    """Why samples are unfit, as the kind of fault and what was found."""
    seconds = samples.size / rate
    if seconds < least:
        return "too short", f"lasts {seconds:.2f} s; expected {least:g} s at least"
    magnitude = np.abs(samples)
    peak = float(magnitude.max())
    if peak < _SILENT_PEAK:
        return "silent", f"has a peak of {peak:.5f}; speech has {_SILENT_PEAK:.5f} at least"
    clipped = float(np.mean(magnitude >= _FULL_SCALE))
    if clipped > _CLIPPED_SHARE:
        return "clipped", f"has {100 * clipped:.2f} % of its samples at full scale"
    return None
