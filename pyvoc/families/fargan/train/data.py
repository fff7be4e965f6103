"""FARGAN's training data: sequences of speech with their features, from recordings at 16 kHz.

Feature row r is centred on sample 160 r, and frame r of the network is the 160 samples around it:
sound is 80 samples late against features, as in upstream's ``dump_data -train``. Features are those
of the augmented sound, by the extractor that serves synthesis.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc
from pyvoc.errors import Error
from pyvoc.families.fargan.spec import FEATURES, LAYOUT, SUBFRAME, SUBFRAMES
from pyvoc.files.features import Extractor
from pyvoc.runtime.model import Model, load
from pyvoc.train.data import AugmentConfig, Corpus, Holdout, Source, load_corpus
from pyvoc.train.data.augment import change_speed, draw_treatment
from pyvoc.train.data.schedule import check_rows, generator, place, row_seeds

Float32 = npt.NDArray[np.float32]
Batch = dict[str, npt.NDArray[Any]]

HOP = SUBFRAME * SUBFRAMES
LEAD = 20
"""Frames that are analysed before a segment, for the pitch tracker's sake."""
LEAST_FRAMES = 9
"""Of a sequence: the longest window of the loss is 16 frames, mirrored at both ends."""
_PREEMPHASIS = np.float32(0.85)
_FULL_SCALE = np.float32(32767.0)
_COLOUR = 0.98
"""Range of a random filter's coefficients, within which it is stable."""
_SEGMENTS, _LONG, _WHICH = 20, 21, 22  # purposes of draws


@dataclass(frozen=True)
class Augment:
    """What is done to speech; defaults are upstream's, with made noise in place of recordings.

    Parameters
    ----------
    gain_db, random_sign, faint, mute, tilt, high_pass, dither, speeds
        As `pyvoc.train.data.AugmentConfig`.
    noise_share
        Share of the segments that noise of a random colour is added to.
    noise_snr
        Range of speech over noise in them, dB.
    """

    gain_db: tuple[float, float] = (-30.0, 9.0)
    random_sign: bool = True
    faint: float = 0.0
    mute: float = 0.01
    tilt: float = 0.75
    high_pass: bool = True
    dither: bool = True
    speeds: tuple[float, ...] = (1.0,)
    noise_share: float = 0.5
    noise_snr: tuple[float, float] = (10.0, 50.0)

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be."""
        low, high = self.noise_snr
        if not 0.0 <= self.noise_share <= 1.0 or not -20.0 <= low <= high <= 120.0:
            raise ValueError("'noise_share' is no share, or 'noise_snr' no range in -20 to 120 dB")

    def config(self) -> AugmentConfig:
        """The part that every family shares.

        Raises
        ------
        Error
            A value is out of range.
        """
        return AugmentConfig(
            self.gain_db,
            self.random_sign,
            self.faint,
            self.mute,
            self.tilt,
            self.high_pass,
            self.dither,
            self.speeds,
            noise="none",
        )


@dataclass(frozen=True)
class FarganData:
    """The ``data:`` section of a run.

    Parameters
    ----------
    path
        Speech: a folder, a list or an audio file (`pyvoc.train.data.Source`).
    sources
        Several of them, with the share of segments that each is drawn for; in place of `path`.
    validation
        A folder, a list or a file of held-out speech.
    validation_names, validation_fraction
        Or held-out clips by name, or a share of all clips.
    validation_seconds
        Of each held-out clip, so much from its beginning.
    min_seconds
        Shorter clips are left out.
    features_from
        A FARGAN (a GGUF) whose own extractor makes the features, and whose tensors for that leave
        with the trained model; empty: the pitch is found by LPCNet's search.
    frames
        10 ms frames of a sequence, two of them true signal.
    long_share
        Share of the steps in which two rows are one sequence of twice the length.
    sequences_per_segment
        Sequences that are cut from one stretch of speech, one in each step.
    memory_mb
        Megabytes that sound and analysed stretches may take. Sound is held in any case; a stretch
        that finds no room is analysed again for each of its sequences.
    augment
        What is done to speech.
    """

    path: str = ""
    sources: tuple[Source, ...] = ()
    validation: str = ""
    validation_names: tuple[str, ...] = ()
    validation_fraction: float = 0.0
    validation_seconds: float = 10.0
    min_seconds: float = 0.5
    features_from: str = ""
    frames: int = 15
    long_share: float = 0.1
    sequences_per_segment: int = 8
    memory_mb: int = 4096
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        """Raise ValueError for what contradicts itself."""
        if bool(self.path) == bool(self.sources):
            raise ValueError("give either 'path' (--data) or 'sources': what to train on")
        if self.frames < LEAST_FRAMES:
            raise ValueError(f"'frames' is {self.frames}, expected {LEAST_FRAMES} at least")
        if not 0.0 <= self.long_share <= 1.0:
            raise ValueError(f"'long_share' is {self.long_share:g}, expected 0 to 1")
        if self.sequences_per_segment < 1 or self.memory_mb < 0 or not self.validation_seconds > 0:
            raise ValueError(
                "'sequences_per_segment', 'memory_mb' and 'validation_seconds' are not positive"
            )


@dataclass(frozen=True)
class Segment:
    """A stretch of n frames.

    Attributes
    ----------
    features
        float32 [n + 2, 20], from the frame before on.
    audio
        float32 [160 n], pre-emphasised, full scale 1.
    """

    features: Float32
    audio: Float32

    def put(self, batch: Batch, row: int, first: int) -> None:
        """Copy a sequence from frame `first` on into a row of a batch."""
        frames = batch["features"].shape[1] - 2
        batch["features"][row] = self.features[first : first + frames + 2]
        batch["audio"][row] = self.audio[first * HOP : (first + frames) * HOP]


def make_segment(samples: Float32, frames: int, extractor: Extractor) -> Segment:
    """Analyse prepared speech.

    Parameters
    ----------
    samples
        float32 [160 m], m > frames + 1, on the s16 scale; the segment's frames are the last but
        one.
    frames
        n, of the segment.
    extractor
        Reset here.
    """
    samples = np.clip(samples, -_FULL_SCALE, _FULL_SCALE) * np.float32(1.0 / 32768.0)
    extractor.reset()
    rows = extractor.push(samples)
    first = len(rows) - frames - 1
    late = np.zeros_like(samples)
    late[HOP // 2 :] = samples[: -HOP // 2]
    late[HOP // 2 + 1 :] -= _PREEMPHASIS * samples[: -HOP // 2 - 1]
    audio = late[first * HOP : (first + frames) * HOP]
    return Segment(np.ascontiguousarray(rows[first - 1 :, :FEATURES]), audio)


class FarganWavs:
    """Sequences from a corpus of speech; see `pyvoc.train.task.Data`.

    Parameters
    ----------
    corpus
        Speech at 16 kHz.
    config
        What is drawn, and how.
    rows
        Of the global batch.
    seed
        Of everything that is drawn.
    memory
        Bytes that analysed stretches may take.
    model
        Whose extractor makes the features; None: LPCNet's search finds the pitch.
    """

    def __init__(
        self,
        corpus: Corpus,
        config: FarganData,
        *,
        rows: int,
        seed: int,
        memory: int,
        model: Model | None = None,
    ) -> None:
        self.corpus = corpus
        self.samples_per_row = config.frames * HOP
        self.steps_per_epoch = max(1, round(corpus.seconds * 16000 / (rows * self.samples_per_row)))
        self._config, self._rows, self._seed, self._model = config, rows, seed, model
        self._augment = config.augment.config()
        self._frames = config.frames * config.sequences_per_segment
        size = 4 * ((self._frames + 2) * FEATURES + self._frames * HOP)
        self._held = memory // size
        self._shares = np.cumsum([speech.share for speech in corpus.train])
        joined = [np.concatenate([c.pcm for c in speech.clips]) for speech in corpus.train]
        self._rings = [[change_speed(p, f) for f in self._augment.speeds] for p in joined]
        self._segments: dict[int, tuple[int, Segment]] = {}  # row -> its last
        self._local = threading.local()

    def batch(self, step: int, rows: range) -> Batch:
        """Rows of the global batch of a step.

        Returns
        -------
        dict
            ``features`` float32 [rows, F + 2, 20], frames f0 - 1 to f0 + F; ``audio`` float32
            [rows, 160 F], pre-emphasised; ``seed`` int64 [rows]; ``long`` bool [rows], the same in
            all: whether row 2 k + 1 goes on where row 2 k ends; ``step`` int64 [rows], the same in
            all.

        Raises
        ------
        Error
            Rows outside the global batch, or that part two which go together.
        """
        check_rows(step, rows, self._rows)
        out = self._empty(len(rows))
        share = self._config.long_share if self._rows % 2 == 0 else 0.0
        if share and (len(rows) % 2 or rows.start % 2):
            raise Error(
                f"rows {rows.start} to {rows.stop - 1} of the batch part two that are one long "
                "sequence: each process needs an even number ('batch_size'), or data.long_share: 0"
            )
        long = generator(self._seed, _WHICH, step).random() < share
        out["long"][:] = long
        out["step"][:] = step
        out["seed"][:] = row_seeds(self._seed, step, rows)
        frames = self._config.frames
        for i, row in enumerate(rows):
            if long and i % 2:
                continue
            if long:
                segment = self._draw(_LONG, step, row, 2 * frames)
                segment.put(out, i, 0)
                segment.put(out, i + 1, frames)
                continue
            where = place(step, row, self._config.sequences_per_segment)
            self._segment(where.segment, row).put(out, i, where.chunk * frames)
        return out

    def validation(self, rows: int) -> Iterator[Batch]:
        """The held-out clips' beginnings in sequences of four times the length of training's (or
        one of a short clip's), at their level."""
        most = int(self._config.validation_seconds * 16000)
        for clip in self.corpus.validation:
            whole = max(min(clip.samples, most) // HOP, LEAST_FRAMES)
            pcm = clip.pcm[: whole * HOP].astype(np.float32)
            frames = min(4 * self._config.frames, whole)
            samples = np.zeros((LEAD + whole + 1) * HOP, np.float32)
            samples[LEAD * HOP :][: pcm.size] = pcm
            segment = make_segment(samples, whole, self._extractor())
            starts = range(0, whole - frames + 1, frames)
            for begin in range(0, len(starts), rows):
                part = starts[begin : begin + rows]
                out = self._empty(len(part), frames)
                for i, start in enumerate(part):
                    segment.put(out, i, start)
                yield out

    def example(self) -> Float32 | None:
        """Features [frames, 20] of the shortest held-out clip, as in a file; None without one."""
        if not self.corpus.validation:
            return None
        clip = min(self.corpus.validation, key=lambda c: c.samples)
        extractor = self._extractor()
        extractor.reset()
        rows = extractor.push(clip.pcm[: int(self._config.validation_seconds * 16000)])
        return np.ascontiguousarray(rows)

    def _empty(self, rows: int, frames: int = 0) -> Batch:
        frames = frames or self._config.frames
        return {
            "features": np.zeros((rows, frames + 2, FEATURES), np.float32),
            "audio": np.zeros((rows, frames * HOP), np.float32),
            "seed": np.zeros(rows, np.int64),
            "long": np.zeros(rows, np.bool_),
            "step": np.zeros(rows, np.int64),
        }

    def _segment(self, number: int, row: int) -> Segment:
        """A row's stretch; kept for the steps that follow, as far as the memory goes."""
        found = self._segments.get(row)
        if found is not None and found[0] == number:
            return found[1]
        segment = self._draw(_SEGMENTS, number, row, self._frames)
        if row < self._held:
            self._segments[row] = (number, segment)
        return segment

    def _draw(self, purpose: int, number: int, row: int, frames: int) -> Segment:
        rng = generator(self._seed, purpose, number, row)
        u, v, w = rng.random(3)
        source = min(int(np.searchsorted(self._shares, u, side="right")), len(self._rings) - 1)
        speeds = self._rings[source]
        ring = speeds[int(v * len(speeds))]
        start, length = int(w * ring.size), (LEAD + frames + 1) * HOP
        pcm = np.take(ring, np.arange(start, start + length), mode="wrap")
        samples = self._noisy(draw_treatment(self._augment, rng).apply(pcm, rng), rng)
        return make_segment(samples, frames, self._extractor())

    def _noisy(self, samples: Float32, rng: np.random.Generator) -> Float32:
        """With noise of a random colour; the number of draws does not depend on the settings."""
        augment = self._config.augment
        which, where = rng.random(2)
        colour = (_COLOUR * (rng.random((2, 2)) - 0.5)).astype(np.float32)
        if which >= augment.noise_share:
            return samples
        noise = rng.standard_normal(samples.size, dtype=np.float32)
        noise = _pyvoc.training.biquad(noise, colour[0], colour[1])
        low, high = augment.noise_snr
        snr = low + where * (high - low)
        power = np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
        scale = power / np.sqrt(np.mean(np.square(noise, dtype=np.float64))) * 10.0 ** (-snr / 20)
        noisy: Float32 = samples + np.float32(scale) * noise
        return noisy

    def _extractor(self) -> Extractor:
        """One for each thread."""
        found: Extractor | None = getattr(self._local, "extractor", None)
        if found is None:
            model = self._model
            found = Extractor(model=model) if model is not None else Extractor(LAYOUT)
            self._local.extractor = found
        return found


def open_data(config: FarganData, *, rows: int, seed: int) -> FarganWavs:
    """Read and check everything that a run trains on.

    Raises
    ------
    Error
        Files that are not there, not usable or do not fit together.
    """
    model = load(config.features_from) if config.features_from else None
    if model is not None and model.info.feature_layout != LAYOUT:
        raise Error(
            f"{config.features_from}: reads {model.info.feature_layout}, expected {LAYOUT} "
            "(data.features_from)"
        )
    sources = config.sources or (Source(config.path),)
    holdout = Holdout(
        config.validation_names, config.validation_fraction, config.validation or None
    )
    corpus = load_corpus(sources, holdout, min_seconds=config.min_seconds)
    clips = [clip for speech in corpus.train for clip in speech.clips]
    used = 2 * sum(clip.samples for clip in clips) * (1 + len(config.augment.speeds))
    memory = max(0, (config.memory_mb << 20) - used)
    return FarganWavs(corpus, config, rows=rows, seed=seed, memory=memory, model=model)
