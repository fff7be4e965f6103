"""LPCNet batches straight from speech: augmentation, features, and the signal with its noise.

Alignment is upstream's (xiph/LPCNet ``dump_data``): a feature row sees samples ``160 r - 160`` to
``160 r + 159`` and is centred on the sample frame ``160 r - 80`` to ``160 r + 79``, which is why
PCM is 80 samples late against features. A frame's samples are told from the rows ``f - 2`` to
``f + 2``, and predicted with the LPC of row ``f``: what the runtime does with its look-ahead of 2.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc
from pyvoc.errors import Error
from pyvoc.files.features import HOP_LENGTH, Extractor
from pyvoc.train.data.augment import AugmentConfig, change_speed, draw_noise, draw_treatment
from pyvoc.train.data.corpus import Clip, Corpus
from pyvoc.train.data.schedule import check_rows, generator, place, row_seeds

__all__ = ["GENERATIONS", "LPC_ORDER", "Batch", "LpcnetWavs", "Segment", "make_segment"]

Float32 = npt.NDArray[np.float32]
Batch = dict[str, npt.NDArray[Any]]
"""Arrays by name; rows on axis 0."""

LOOKAHEAD = 2
"""Feature rows before and after a frame that its samples are told from."""
LPC_ORDER = 16
TRAINING_OFFSET = HOP_LENGTH // 2
"""Samples that PCM is delayed by, so that a feature row is centred on its frame of PCM."""
GENERATIONS = {"latest": ("lpcnet36", 20), "2019": ("lpcnet55", 38)}
"""Name -> feature layout, and how many of its columns the network is fed."""

_PREEMPHASIS = np.float32(0.85)
_FULL_SCALE = np.float32(32767.0)
_SEGMENTS = 1  # purposes of draws


@dataclass(frozen=True)
class Segment:
    """Arrays of n frames that follow one another; t0 is the first sample of frame f0.

    Attributes
    ----------
    features
        float32 [n + 4, dims], frames f0 - 2 to f0 + n + 1.
    lpc
        float32 [n + 1, 16], frames f0 - 1 to f0 + n - 1.
    signal
        float32 [160 n + 16], times t0 - 17 to t0 + 160 n - 2: pre-emphasised, s16 scale, with the
        excitation's quantisation and noise fed back.
    clean
        float32 [160 n], pre-emphasised, s16 scale.
    """

    features: Float32
    lpc: Float32
    signal: Float32
    clean: Float32

    def put(self, batch: Batch, row: int, first: int, frames: int) -> None:
        """Copy `frames` frames from `first` on into a row of a batch."""
        at, samples = first * HOP_LENGTH, frames * HOP_LENGTH
        batch["features"][row] = self.features[first : first + frames + 2 * LOOKAHEAD]
        batch["lpc"][row] = self.lpc[first : first + frames + 1]
        batch["signal"][row] = self.signal[at : at + samples + LPC_ORDER]
        batch["clean"][row] = self.clean[at : at + samples]


def lead_in(frames: int, lead: int) -> int:
    """Rows before a segment of `frames` frames: `lead`, or up to 3 more.

    The 2019 features come in groups of four, which the whole then fills.
    """
    return lead + -(frames + lead + LOOKAHEAD) % 4


def make_segment(
    samples: Float32,
    frames: int,
    noise: npt.NDArray[np.int32],
    *,
    generation: str = "latest",
    extractor: Extractor | None = None,
) -> Segment:
    """Analyse prepared speech.

    Parameters
    ----------
    samples
        float32 [160 (lead + frames + 2)] on the s16 scale, not pre-emphasised. What comes before
        the segment, 3 frames at least, gives pitch tracking and prediction their history.
    frames
        n, of the segment.
    noise
        int32 [160 (n + 2)], mu-law steps to add to the excitation, from two frames early on.
    generation
        ``latest`` or ``2019``.
    extractor
        Of the generation's layout; reset here. None: a new one.
    """
    layout, dims = GENERATIONS[generation]
    extractor = extractor or Extractor(layout)
    extractor.reset()
    rows = extractor.push(samples * np.float32(1.0 / 32768.0))
    first = len(samples) // HOP_LENGTH - frames - LOOKAHEAD  # the row of f0
    late = np.zeros_like(samples)
    late[TRAINING_OFFSET:] = samples[:-TRAINING_OFFSET]
    late[TRAINING_OFFSET + 1 :] -= _PREEMPHASIS * samples[: -TRAINING_OFFSET - 1]
    np.clip(late, -_FULL_SCALE, _FULL_SCALE, out=late)
    begin, end = first - 2, first + frames
    lpc = np.ascontiguousarray(rows[begin:end, -LPC_ORDER:])
    clean = late[begin * HOP_LENGTH : end * HOP_LENGTH]
    signal, _ = _pyvoc.training.excite(clean, lpc, noise)
    start = 2 * HOP_LENGTH
    return Segment(
        np.ascontiguousarray(rows[begin : end + LOOKAHEAD, :dims]),
        lpc[1:],
        signal[start - LPC_ORDER - 1 : -1],
        clean[start:],
    )


class LpcnetWavs:
    """LPCNet training data from a corpus of speech.

    :meth:`batch` is a pure function of (seed, step, row): a row's segment is cached, but a cold
    call gives the same arrays. Segments start anywhere in a source, whose clips are joined to a
    ring, so every sample is as likely as another. Safe to call from several threads.

    Parameters
    ----------
    corpus
        Speech, see :func:`pyvoc.train.data.load_corpus`.
    rows
        Of the global batch.
    generation
        ``latest`` (20 features) or ``2019`` (38).
    frames_per_chunk
        10 ms frames per row and step.
    chunks_per_segment
        Steps that the recurrent state is carried through before a row starts elsewhere.
    augment
        None: upstream's for the generation.
    seed
        Of everything that is drawn.
    lead
        Frames analysed before each segment, for the pitch tracker's sake.
    """

    def __init__(
        self,
        corpus: Corpus,
        rows: int,
        *,
        generation: str = "latest",
        frames_per_chunk: int = 5,
        chunks_per_segment: int = 15,
        augment: AugmentConfig | None = None,
        seed: int = 0,
        lead: int = 20,
    ) -> None:
        if generation not in GENERATIONS:
            raise Error(f"generation is {generation!r}; expected latest or 2019")
        for name, value, least in (
            ("rows", rows, 1),
            ("frames_per_chunk", frames_per_chunk, 1),
            ("chunks_per_segment", chunks_per_segment, 1),
            ("lead", lead, 3),
        ):
            if value < least:
                raise Error(f"{name} is {value}; expected {least} at least")
        self.corpus = corpus
        self.rows = rows
        self.generation = generation
        self.frames_per_chunk = frames_per_chunk
        self.chunks_per_segment = chunks_per_segment
        self.augment = augment or AugmentConfig.upstream(generation)
        self.seed = seed
        self.steps_per_epoch = max(
            1, round(corpus.seconds * 16000 / (rows * frames_per_chunk * HOP_LENGTH))
        )
        self._frames = frames_per_chunk * chunks_per_segment
        self._lead = lead_in(self._frames, lead)
        self._shares = np.cumsum([speech.share for speech in corpus.train])
        joined = [np.concatenate([c.pcm for c in speech.clips]) for speech in corpus.train]
        self._rings = [[change_speed(p, f) for f in self.augment.speeds] for p in joined]
        self._segments: dict[int, tuple[int, Segment]] = {}  # row -> its last segment
        self._local = threading.local()

    @property
    def dims(self) -> int:
        """Features that the network is fed per frame."""
        return GENERATIONS[self.generation][1]

    @property
    def samples_per_row(self) -> int:
        """Audio samples in a row of a batch."""
        return self.frames_per_chunk * HOP_LENGTH

    def batch(self, step: int, rows: range) -> Batch:
        """Rows of the global batch of a step.

        Returns
        -------
        dict
            With F = frames_per_chunk, T = 160 F: ``features`` float32 [rows, F + 4, dims], ``lpc``
            float32 [rows, F + 1, 16], ``signal`` float32 [rows, T + 16], ``clean`` float32
            [rows, T] (see :class:`Segment`), ``reset`` bool [rows], ``seed`` int64 [rows].

        Raises
        ------
        Error
            Rows outside the global batch.
        """
        check_rows(step, rows, self.rows)
        out = self._empty(len(rows))
        for i, row in enumerate(rows):
            where = place(step, row, self.chunks_per_segment)
            cached = self._segments.get(row)
            if cached is None or cached[0] != where.segment:
                cached = (where.segment, self._draw(where.segment, row))
                self._segments[row] = cached
            first = where.chunk * self.frames_per_chunk
            cached[1].put(out, i, first, self.frames_per_chunk)
            out["reset"][i] = where.reset
        out["seed"][:] = row_seeds(self.seed, step, rows)
        return out

    def validation(self, rows: int) -> Iterator[Batch]:
        """The held-out clips, whole, at their natural level and without noise.

        Each row plays clips one after another; the state is carried from batch to batch, and
        ``reset`` is set where a clip starts. ``mask`` bool [rows, T] tells the samples that count.
        """
        lanes: list[list[Clip]] = [[] for _ in range(rows)]
        for clip in sorted(self.corpus.validation, key=lambda c: -c.pcm.size):
            min(lanes, key=lambda lane: sum(c.pcm.size for c in lane)).append(clip)
        streams = [self._play(lane) for lane in lanes]
        while True:
            out = self._empty(rows)
            out["mask"] = np.zeros((rows, self.frames_per_chunk * HOP_LENGTH), np.bool_)
            busy = [self._fill(out, i, next(s, None)) for i, s in enumerate(streams)]
            if not any(busy):
                return
            yield out

    def _empty(self, rows: int) -> Batch:
        frames, samples = self.frames_per_chunk, self.frames_per_chunk * HOP_LENGTH
        return {
            "features": np.zeros((rows, frames + 2 * LOOKAHEAD, self.dims), np.float32),
            "lpc": np.zeros((rows, frames + 1, LPC_ORDER), np.float32),
            "signal": np.zeros((rows, samples + LPC_ORDER), np.float32),
            "clean": np.zeros((rows, samples), np.float32),
            "reset": np.ones(rows, np.bool_),
            "seed": np.zeros(rows, np.int64),
        }

    def _extractor(self) -> Extractor:
        found: Extractor | None = getattr(self._local, "extractor", None)
        if found is None:
            found = self._local.extractor = Extractor(GENERATIONS[self.generation][0])
        return found

    def _draw(self, number: int, row: int) -> Segment:
        rng = generator(self.seed, _SEGMENTS, number, row)
        u, v, w = rng.random(3)
        source = min(int(np.searchsorted(self._shares, u, side="right")), len(self._rings) - 1)
        speeds = self._rings[source]
        ring = speeds[int(v * len(speeds))]
        length = (self._lead + self._frames + LOOKAHEAD) * HOP_LENGTH
        pcm = _read_ring(ring, int(w * ring.size), length)
        samples = draw_treatment(self.augment, rng).apply(pcm, rng)
        noise = draw_noise(self.augment, self._frames + 2, rng)
        return make_segment(
            samples, self._frames, noise, generation=self.generation, extractor=self._extractor()
        )

    def _play(self, clips: Sequence[Clip]) -> Iterator[tuple[Segment, int, int]]:
        """(segment of the clip, first frame of a chunk, samples in the clip)."""
        for clip in clips:
            chunks = max(1, -(-(clip.pcm.size // HOP_LENGTH) // self.frames_per_chunk))
            frames = chunks * self.frames_per_chunk
            lead = lead_in(frames, 20)
            samples = np.zeros((lead + frames + LOOKAHEAD) * HOP_LENGTH, np.float32)
            pcm = clip.pcm[: frames * HOP_LENGTH]
            samples[lead * HOP_LENGTH :][: pcm.size] = pcm
            noise = np.zeros((frames + 2) * HOP_LENGTH, np.int32)
            segment = make_segment(
                samples,
                frames,
                noise,
                generation=self.generation,
                extractor=self._extractor(),
            )
            for chunk in range(chunks):
                yield segment, chunk * self.frames_per_chunk, pcm.size

    def _fill(self, out: Batch, row: int, item: tuple[Segment, int, int] | None) -> bool:
        if item is None:
            return False
        segment, first, length = item
        segment.put(out, row, first, self.frames_per_chunk)
        out["reset"][row] = first == 0
        at = first * HOP_LENGTH - TRAINING_OFFSET + np.arange(out["mask"].shape[1])
        out["mask"][row] = (at >= 0) & (at < length)
        return True


def _read_ring(ring: npt.NDArray[np.int16], start: int, length: int) -> npt.NDArray[np.int16]:
    if start + length <= ring.size:
        return ring[start : start + length]
    return np.take(ring, np.arange(start, start + length), mode="wrap")
