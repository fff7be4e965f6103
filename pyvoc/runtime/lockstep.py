"""Utterances, or folds of them, in lockstep on several threads: what batches and folds run on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc

__all__ = ["PIECE_HOPS", "Part", "Progress", "run_parts"]

Float32 = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called with the samples done and the samples in all."""

PIECE_HOPS = 48
"""Native work between two chances for Ctrl-C and progress."""

_LOCKSTEP = 16  # streams that share the weights at once


@dataclass(frozen=True)
class Part:
    """What one stream makes.

    Attributes
    ----------
    rows
        Frames [frames, dims], checked.
    samples
        To be pulled.
    seed
        Of the random draws.
    skip
        Samples left out before.
    draws
        Given ones, checked; None for the stream's own.
    """

    rows: Float32
    samples: int
    seed: int = 0
    skip: int = 0
    draws: Float32 | None = None


def run_parts(
    native: _pyvoc.Model,
    parts: Sequence[Part],
    *,
    sigma: float | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> list[Float32]:
    """Synthesise parts, several in lockstep so that they share the weights.

    Parameters
    ----------
    native
        The model.
    parts
        What the streams make; sizes may differ.
    sigma
        Of the noise, checked.
    threads
        Among which the parts are divided.
    progress
        Called, on one thread at a time; an exception from it ends the synthesis.

    Returns
    -------
    list of float32 [samples]
        Each as a stream alone would make it.
    """
    # Parts of like length together: a group is in lockstep until its shortest ends.
    order = sorted(range(len(parts)), key=lambda i: -parts[i].samples)
    size = min(_LOCKSTEP, -(-len(order) // threads)) or 1
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    job = _Job(native, parts, sigma, progress, max(threads // max(len(groups), 1), 1))
    if threads == 1 or len(groups) <= 1:
        for group in groups:
            job.run(group)
        return job.samples
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(threads, len(groups))) as pool:
        try:
            for future in [pool.submit(job.run, group) for group in groups]:
                future.result()
        except BaseException:
            job.cancelled = True
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return job.samples


class _Job:
    """Parts on their way; `run` may be called from several threads."""

    def __init__(
        self,
        native: _pyvoc.Model,
        parts: Sequence[Part],
        sigma: float | None,
        progress: Progress | None,
        threads: int,
    ) -> None:
        self._native = native
        self._threads = threads  # of each stream
        self._parts = parts
        self._sigma = sigma
        self._piece = PIECE_HOPS * native.hop_length
        self._progress = progress
        self._lock = threading.Lock()
        self._total = sum(part.samples for part in parts)
        self._done = 0
        self.samples = [np.empty(part.samples, dtype=np.float32) for part in parts]
        self.cancelled = False

    def run(self, group: list[int]) -> None:
        """Synthesise these parts in lockstep."""
        at = dict.fromkeys(group, 0)
        streams = {i: self._open(self._parts[i]) for i in group}
        while streams and not self.cancelled:
            pieces = _pyvoc.pull_lockstep(list(streams.values()), self._piece)
            done = 0
            for i, piece in zip(list(streams), pieces, strict=True):
                # A fold's stream could go on into the next fold.
                wanted = piece[: len(self.samples[i]) - at[i]]
                self.samples[i][at[i] : at[i] + len(wanted)] = wanted
                at[i] += len(wanted)
                done += len(wanted)
                if at[i] == len(self.samples[i]):
                    streams.pop(i).close()
            self._report(done)

    def _open(self, part: Part) -> _pyvoc.Stream:
        stream = _pyvoc.Stream(self._native, part.seed, self._threads, self._sigma)
        if part.skip:
            stream.skip(part.skip)
        if part.draws is not None:
            stream.set_draws(part.draws)
        stream.push(part.rows)
        stream.flush()
        return stream

    def _report(self, done: int) -> None:
        with self._lock:
            self._done += done
            if self._progress is not None:
                self._progress(self._done, self._total)
