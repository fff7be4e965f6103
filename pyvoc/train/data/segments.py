"""Mel and sound of segments of speech, for every family that turns mels into sound.

A row is `MelDataConfig.segment` samples of a clip and the frames that the model would be given of
them: those of the whole clip, so that only its true ends are mirrored (programs that compute the
mel of a segment alone mirror each segment's ends). Which segment is a pure function of seed, step
and row; every place of the speech is equally likely.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pyvoc.container.mel import MelRecipe
from pyvoc.errors import Error
from pyvoc.files.features import Extractor
from pyvoc.train.data.corpus import Clip, Corpus, Holdout, Source, load_corpus
from pyvoc.train.data.given import GivenMels
from pyvoc.train.data.schedule import check_rows, generator, row_seeds

__all__ = ["MelDataConfig", "MelSegments", "open_mel_data"]

Float32 = npt.NDArray[np.float32]
Batch = dict[str, npt.NDArray[Any]]

_DRAWS, _OTHERS, _NOISE, _OTHER_NOISE = range(10, 14)  # purposes
_FULL_SCALE = 32768.0


@dataclass(frozen=True)
class MelDataConfig:
    """The ``data:`` section of a run of a family that reads mels.

    Parameters
    ----------
    path
        Speech: a folder, a list or an audio file (`pyvoc.train.data.Source`).
    sources
        Several of them, with the share of segments that each is drawn for; in place of `path`.
    mels
        Folder of mels made elsewhere (`pyvoc.train.data.given`); empty: they are computed.
    validation
        A folder, a list or a file of held-out speech.
    validation_names, validation_fraction
        Or held-out clips by name, or a share of all clips.
    validation_seconds
        Of each held-out clip, so much from its beginning.
    speak
        Folder of mels that are spoken at checkpoints; empty: the first held-out clips (the first of
        all, where none are held out).
    segment
        Samples of a row, a whole number of frames.
    peak
        Each clip is brought to this peak; 0 leaves its level as it is.
    gain
        Range of a factor on top, drawn for each segment.
    noise
        Standard deviation of noise on the sound (not on its mel), in 16-bit steps.
    short
        What is done with clips that are shorter than a segment: ``repeat`` them, or leave them
        ``out``. They are never filled up with zeros, which no mel of speech has.
    min_seconds
        Still shorter clips are left out.
    memory_mb
        Megabytes that sound and mels may take; what is beyond is read again for every segment.
    """

    path: str = ""
    sources: tuple[Source, ...] = ()
    mels: str = ""
    validation: str = ""
    validation_names: tuple[str, ...] = ()
    validation_fraction: float = 0.0
    validation_seconds: float = 10.0
    speak: str = ""
    segment: int = 8192
    peak: float = 0.0
    gain: tuple[float, float] = (1.0, 1.0)
    noise: float = 0.0
    short: Literal["repeat", "out"] = "repeat"
    min_seconds: float = 0.2
    memory_mb: int = 4096

    def __post_init__(self) -> None:
        """Raise ValueError for what contradicts itself."""
        if bool(self.path) == bool(self.sources):
            raise ValueError("give either 'path' (--data) or 'sources': what to train on")
        if not 0.0 <= self.peak <= 1.0:
            raise ValueError(f"'peak' is {self.peak:g}, expected 0 to 1")
        low, high = self.gain
        if not 0.0 < low <= high <= 10.0:
            raise ValueError(f"'gain' is {low:g} to {high:g}, expected a range above 0, up to 10")
        if not 0.0 <= self.noise <= 1000.0:
            raise ValueError(f"'noise' is {self.noise:g}, expected 0 to 1000")
        if self.segment < 1 or self.memory_mb < 0 or not self.validation_seconds > 0:
            raise ValueError("'segment', 'memory_mb' and 'validation_seconds' are not positive")


def open_mel_data(
    config: MelDataConfig,
    recipe: MelRecipe,
    *,
    rows: int,
    seed: int,
    context: int = 0,
    others: bool = False,
) -> MelSegments:
    """Read and check everything that a run trains on.

    Parameters
    ----------
    config
        What, and how.
    recipe
        Of the model's mels.
    rows
        Of the global batch.
    seed
        Of the draws.
    context
        Frames before and after the segment that the model sees besides.
    others
        Whether each row has a second, independent segment.

    Raises
    ------
    Error
        Files that are not there, not usable or do not fit together.
    """
    sources = config.sources or (Source(config.path),)
    apart = config.validation or None
    holdout = Holdout(config.validation_names, config.validation_fraction, apart)
    memory = config.memory_mb << 20
    corpus = load_corpus(
        sources,
        holdout,
        rate=recipe.sample_rate,
        min_seconds=config.min_seconds,
        memory=memory,
    )
    clips = {c.path: c for speech in corpus.train for c in speech.clips}
    clips |= {c.path: c for c in corpus.validation}
    given = None
    if config.mels:
        used = sum(clip.held.nbytes for clip in clips.values() if clip.held is not None)
        left = max(0, memory - used)
        given = GivenMels(config.mels, recipe, list(clips.values()), memory=left)
    return MelSegments(
        corpus, recipe, config, rows=rows, seed=seed, given=given, context=context, others=others
    )


@dataclass(frozen=True)
class _Pool:
    """The clips of one source that segments are drawn from."""

    clips: Sequence[Clip]
    places: npt.NDArray[np.int64] = field(repr=False)

    def draw(self, u: float) -> tuple[Clip, float]:
        """A clip, by the places that it has, and where between its first and its last (0..1)."""
        at = u * float(self.places[-1])
        index = min(int(np.searchsorted(self.places, at, side="right")), len(self.clips) - 1)
        before = float(self.places[index - 1]) if index else 0.0
        return self.clips[index], (at - before) / (float(self.places[index]) - before)


class MelSegments:
    """Batches of mel and sound; see `pyvoc.train.task.Data`.

    An array ``mel`` is float32 [rows, bands, frames + 2 context], ``audio`` float32 [rows, segment]
    in -1..1: hop h of the sound is that of frame context + h. With `others` there are ``other_mel``
    and ``other_audio`` of the same sizes.

    Parameters
    ----------
    corpus
        Speech at the recipe's rate.
    recipe, config, rows, seed, context, others
        As `open_mel_data`.
    given
        Mels to be used instead of those of the sound.

    Raises
    ------
    Error
        No clip is long enough, or the segment is no whole number of frames.
    """

    def __init__(
        self,
        corpus: Corpus,
        recipe: MelRecipe,
        config: MelDataConfig,
        *,
        rows: int,
        seed: int,
        given: GivenMels | None = None,
        context: int = 0,
        others: bool = False,
    ) -> None:
        hop = recipe.hop_length
        if config.segment % hop:
            near = max(1, round(config.segment / hop)) * hop
            raise Error(
                f"'segment' is {config.segment} samples, no whole number of hops of {hop}; "
                f"{near} would be"
            )
        self.corpus = corpus
        self.samples_per_row = config.segment
        self._recipe, self._config, self._rows, self._seed = recipe, config, rows, seed
        self._given, self._context, self._others = given, context, others
        self._frames = config.segment // hop
        self._local = threading.local()
        span = self._frames + 2 * context
        self._need = max(
            span * hop, (span - 1) * hop + recipe.fft_length - 2 * recipe.pad, recipe.pad + 1
        )
        self._pools = []
        for speech in corpus.train:
            usable = [c for c in speech.clips if config.short == "repeat" or self._spare(c) >= 0]
            if not usable:
                raise Error(
                    f"no clip is as long as a segment with its context ({self._need} samples): a "
                    "shorter 'segment' is needed, or 'short: repeat'"
                )
            places = np.cumsum([max(self._spare(clip), 0) + 1 for clip in usable])
            self._pools.append(_Pool(usable, places.astype(np.int64)))
        self._shares = np.cumsum([speech.share for speech in corpus.train])
        self.steps_per_epoch = max(1, sum(len(pool.clips) for pool in self._pools) // rows)
        """One segment of every clip, as upstream trainers count epochs."""

    def batch(self, step: int, rows: range) -> Batch:
        """Rows `rows` of the global batch of step `step`: a pure function of seed, step and row."""
        check_rows(step, rows, self._rows)
        names = ("", "other_") if self._others else ("",)
        out: Batch = {}
        for which, name in enumerate(names):
            mel = np.empty((len(rows), self._recipe.bands, self._width), np.float32)
            audio = np.empty((len(rows), self._config.segment), np.float32)
            for i, row in enumerate(rows):
                mel[i], audio[i] = self._draw(which, step, row)
            out |= {f"{name}mel": mel, f"{name}audio": audio}
        out["step"] = np.full(len(rows), step, np.int64)
        out["seed"] = row_seeds(self._seed, step, rows)
        return out

    def validation(self, rows: int) -> Iterator[Batch]:
        """Each held-out clip from its beginning, alone, at its level and without noise.

        ``mask`` is there so that clips weigh as much as they last.
        """
        for clip in self.corpus.validation:
            mel, audio = self.whole(clip)
            mask = np.ones((1, audio.size), bool)
            yield {"mel": np.ascontiguousarray(mel.T)[None], "audio": audio[None], "mask": mask}

    def whole(self, clip: Clip) -> tuple[Float32, Float32]:
        """A clip's beginning as validation hears it: mel [frames, bands], sound [hop * frames]."""
        hop = self._recipe.hop_length
        most = max(1, int(self._config.validation_seconds * clip.rate) // hop)
        sound = clip.pcm.astype(np.float32) * np.float32(self._level(clip) / _FULL_SCALE)
        if self._given is not None:
            mel = self._given.of(clip)[: self._given.frames(clip)]
        else:
            if sound.size < self._recipe.pad + hop:
                sound = np.resize(sound, self._recipe.pad + hop)
            extractor = self._extractor()
            mel = np.concatenate([extractor.push(sound), extractor.flush()])
        frames = min(most, len(mel), sound.size // hop)
        return mel[:frames], sound[: frames * hop]

    def examples(self, count: int) -> list[tuple[str, Float32]]:
        """Names and mels [frames, bands] of the first held-out clips; without such, of others."""
        clips = self.corpus.validation or self._pools[0].clips
        clips = sorted(clips, key=lambda clip: clip.path.name)[:count]
        return [(clip.path.stem, self.whole(clip)[0]) for clip in clips]

    @property
    def _width(self) -> int:
        return self._frames + 2 * self._context

    def _level(self, clip: Clip) -> float:
        """The factor that brings a clip to the wanted peak."""
        if self._config.peak == 0.0:
            return 1.0
        return self._config.peak * _FULL_SCALE / max(clip.peak, 1)

    def _spare(self, clip: Clip) -> int:
        """Samples (with given mels: frames) that a clip has beyond the least; negative: too few."""
        if self._given is not None:
            return self._given.frames(clip) - self._width
        return clip.samples - self._need

    def _draw(self, which: int, step: int, row: int) -> tuple[Float32, Float32]:
        """Mel [bands, width] and sound [segment] of a row."""
        rng = generator(self._seed, (_DRAWS, _OTHERS)[which], step, row)
        u, v, w = rng.random(3)
        source = min(int(np.searchsorted(self._shares, u, side="right")), len(self._pools) - 1)
        clip, where = self._pools[source].draw(v)
        low, high = self._config.gain
        level = (low + w * (high - low)) * self._level(clip) / _FULL_SCALE
        start = min(int(where * (max(self._spare(clip), 0) + 1)), max(self._spare(clip), 0))
        if self._given is None:
            mel, audio = self._cut(clip, start, np.float32(level))
        else:
            mel, audio = self._cut_given(self._given, clip, start, np.float32(level))
        if self._config.noise > 0.0:
            noise = generator(self._seed, (_NOISE, _OTHER_NOISE)[which], step, row)
            scale = np.float32(self._config.noise / _FULL_SCALE)
            audio = audio + scale * noise.standard_normal(audio.size, dtype=np.float32)
        return np.ascontiguousarray(mel.T), audio

    def _cut(self, clip: Clip, start: int, level: np.float32) -> tuple[Float32, Float32]:
        """From sample `start` on; the mel's frames begin there.

        So much is taken before and after that no frame sees an end that is not the clip's own.
        """
        recipe, hop = self._recipe, self._recipe.hop_length
        pcm = clip.pcm
        if pcm.size < self._need:
            pcm = np.resize(pcm, self._need)
        lead = min(-(-recipe.pad // hop), start // hop)
        first = start - lead * hop
        beyond = max(hop, recipe.fft_length - recipe.pad)  # the last frame's beginning
        last = first + (lead + self._width - 1) * hop + beyond
        sound = pcm[first:last].astype(np.float32) * level
        extractor = self._extractor()
        mel = extractor.push(sound)
        if last > pcm.size:
            mel = np.concatenate([mel, extractor.flush()])
        begin = lead * hop + self._context * hop
        return mel[lead : lead + self._width], sound[begin : begin + self._config.segment]

    def _cut_given(
        self, given: GivenMels, clip: Clip, start: int, level: np.float32
    ) -> tuple[Float32, Float32]:
        """From frame `start` on."""
        hop = self._recipe.hop_length
        frames = given.frames(clip)
        mel, pcm = given.of(clip)[:frames], clip.pcm[: frames * hop]
        if frames < self._width:
            mel = np.resize(mel, (self._width, mel.shape[1]))
            pcm = np.resize(pcm, self._width * hop)
        begin = (start + self._context) * hop
        sound = pcm[begin : begin + self._config.segment].astype(np.float32) * level
        return mel[start : start + self._width], sound

    def _extractor(self) -> Extractor:
        """One for each thread, at the beginning of a signal."""
        found: Extractor | None = getattr(self._local, "extractor", None)
        if found is None:
            found = self._local.extractor = Extractor(recipe=self._recipe)
        found.reset()
        return found
