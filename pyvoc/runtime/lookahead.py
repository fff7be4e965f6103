"""Synthesis with less look-ahead than the model's, and how far it is from the exact one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.runtime.lockstep import PIECE_HOPS, Progress
from pyvoc.runtime.model import Model
from pyvoc.runtime.speed import scaled_length

__all__ = ["PUSH_FRAMES", "LookaheadReport", "Meter", "meter_for", "synthesize_early"]

Float32 = npt.NDArray[np.float32]

PUSH_FRAMES = 8
"""Frames that utterances are pushed in: what is due after a push depends on them."""


@dataclass(frozen=True)
class LookaheadReport:
    """What a short look-ahead did to the samples.

    Attributes
    ----------
    frames
        Of look-ahead.
    push_frames
        Frames of a push; None: as they came through a pipe.
    snr_db
        Power of the exact samples to that of the difference; None: there is none, or no power.
    max_error
        The largest difference; full scale is 1.
    """

    frames: int
    push_frames: int | None
    snr_db: float | None
    max_error: float


class Meter:
    """Holds samples that come early against the exact ones, from a stream of its own.

    Parameters
    ----------
    model
        The model.
    lookahead
        Frames that the early samples have.
    seed, draws, speed, options
        Of the streams that they come from.
    """

    def __init__(
        self,
        model: Model,
        lookahead: int,
        *,
        seed: int = 0,
        draws: npt.ArrayLike | None = None,
        speed: float = 1.0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._stream = model.stream(seed=seed, speed=speed, **(options or {}))
        self._piece = PIECE_HOPS * model.info.hop_length
        self._frames = lookahead
        self._draws = draws
        self._power = self._noise = self._worst = 0.0
        self._begin()

    def _begin(self) -> None:
        self._early = np.empty(0, np.float32)
        if self._draws is not None:
            self._stream.set_draws(self._draws)

    def early(self, samples: Float32) -> None:
        """Take the next early samples [n]; the frames that they came of may be pushed later."""
        self._early = np.concatenate([self._early, samples])

    def push(self, rows: Float32) -> None:
        """Take the next frames [n, dims]; the samples that they were due at have come."""
        self._stream.push(rows)
        self._compare()

    def end(self) -> None:
        """Take the end of an utterance; another may begin."""
        self._stream.flush()
        self._compare()
        self._stream.reset()
        self._begin()

    def _compare(self) -> None:
        while n := len(samples := self._stream.pull(self._piece)):
            exact = samples.astype(np.float64)
            gap = exact - self._early[:n]
            self._early = self._early[n:]
            self._power += float(np.square(exact).sum())
            self._noise += float(np.square(gap).sum())
            self._worst = max(self._worst, float(np.abs(gap).max()))

    def report(self, push_frames: int | None) -> LookaheadReport:
        """Of all samples so far."""
        some = self._noise > 0 and self._power > 0
        snr = 10 * float(np.log10(self._power / self._noise)) if some else None
        return LookaheadReport(self._frames, push_frames, snr, self._worst)


def meter_for(
    model: Model,
    lookahead: int | None,
    *,
    seed: int,
    draws: npt.ArrayLike | None,
    speed: float,
    options: Mapping[str, Any],
) -> Meter | None:
    """A :class:`Meter`, if a look-ahead was asked for."""
    if lookahead is None:
        return None
    return Meter(model, lookahead, seed=seed, draws=draws, speed=speed, options=options)


def synthesize_early(
    model: Model,
    features: Sequence[Float32],
    lookahead: int,
    *,
    seed: int = 0,
    draws: npt.ArrayLike | None = None,
    speed: float = 1.0,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[Float32]:
    """Utterances as streams with less look-ahead give them, 8 frames pushed at a time.

    Parameters
    ----------
    model
        The model.
    features
        [frames, dims] of each utterance.
    lookahead
        Frames, as for :class:`pyvoc.Stream`.
    seed, draws, speed, options
        As for :meth:`Model.synthesize`, of every utterance.
    progress
        Called with the samples done and in all.

    Returns
    -------
    list of float32 [frames * hop_length]
        Full scale is -1..1.

    Raises
    ------
    Error
        What :class:`pyvoc.Stream` and :meth:`Model.synthesize` raise.
    """
    lengths = [model.info.hop_length * scaled_length(len(rows), speed) for rows in features]
    total, done = sum(lengths), 0
    made = []
    for rows, samples in zip(features, lengths, strict=True):
        pieces = []
        with model.stream(seed=seed, lookahead=lookahead, speed=speed, **(options or {})) as stream:
            if draws is not None:
                stream.set_draws(draws, samples=samples)
            for start in range(0, len(rows), PUSH_FRAMES):
                stream.push(rows[start : start + PUSH_FRAMES])
                pieces.append(stream.pull())
                done += len(pieces[-1])
                if progress is not None:
                    progress(done, total)
            stream.flush()
            pieces.append(stream.pull())
            done += len(pieces[-1])
        made.append(np.concatenate(pieces))
    if progress is not None:
        progress(done, total)
    return made
