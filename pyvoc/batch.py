"""Many utterances at once: in lockstep, so that they share the weights, and on several threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc
from pyvoc._inputs import as_frames, as_seed
from pyvoc._noise import as_sigma
from pyvoc.errors import Error, FeatureError
from pyvoc.model import PIECE_HOPS, Model, ModelInfo, Progress

__all__ = ["synthesize_batch"]

Float32 = npt.NDArray[np.float32]

_LOCKSTEP = 16  # streams that share the weights at once


def synthesize_batch(
    model: Model,
    features: Sequence[npt.ArrayLike],
    *,
    seeds: Sequence[int] | None = None,
    sigma: float | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Float32]:
    """Synthesise many utterances, several in lockstep so that they share the weights.

    Parameters
    ----------
    model
        The model.
    features
        One array [frames, dims] per utterance; lengths may differ.
    seeds
        One per utterance; None for 0 everywhere.
    sigma
        As for :meth:`Model.synthesize`.
    threads
        Threads among which the utterances are divided; None for the model's.
    progress
        Called, on one thread at a time, with the samples done and in all.

    Returns
    -------
    list of float32 [samples]
        Exactly what :meth:`Model.synthesize` returns for each.

    Raises
    ------
    FeatureError
        As :meth:`Model.synthesize`; the message says which utterance.
    Error
        Seeds and features differ in number, or an argument makes no sense.
    """
    threads = model.threads if threads is None else threads
    if threads < 1:
        raise Error(f"threads is {threads}, expected 1 or more")
    if seeds is not None and len(seeds) != len(features):
        raise Error(f"{len(seeds)} seeds for {len(features)} utterances")
    rows = [_numbered(item, model.info, i) for i, item in enumerate(features)]
    checked = [0] * len(rows) if seeds is None else [as_seed(seed) for seed in seeds]
    # Utterances of like length together: a group is in lockstep until its shortest ends.
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    size = min(_LOCKSTEP, -(-len(order) // threads)) or 1
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    sigma = as_sigma(sigma, model.info.architecture, takes=bool(model.info.noise_channels))
    job = _Batch(model, rows, checked, sigma, progress, max(threads // max(len(groups), 1), 1))
    if threads == 1 or len(groups) <= 1:
        for group in groups:
            job.run(group)
        return job.samples
    with ThreadPoolExecutor(min(threads, len(groups))) as pool:
        try:
            for future in [pool.submit(job.run, group) for group in groups]:
                future.result()
        except BaseException:
            job.cancelled = True
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return job.samples


def _numbered(features: npt.ArrayLike, info: ModelInfo, index: int) -> Float32:
    try:
        rows = as_frames(features, info)
    except FeatureError as error:
        raise FeatureError(f"utterance {index}: {error}") from error
    if not len(rows):
        raise FeatureError(f"utterance {index}: the features hold no frames")
    return rows


class _Batch:
    """Many utterances on their way; `run` may be called from several threads."""

    def __init__(
        self,
        model: Model,
        rows: list[Float32],
        seeds: list[int],
        sigma: float | None,
        progress: Progress | None,
        threads: int,
    ) -> None:
        hop = model.info.hop_length
        self._model = model
        self._threads = threads  # of each stream
        self._rows = rows
        self._seeds = seeds
        self._sigma = sigma
        self._piece = PIECE_HOPS * hop
        self._progress = progress
        self._lock = threading.Lock()
        self._total = hop * sum(len(array) for array in rows)
        self._done = 0
        self.samples = [np.empty(len(array) * hop, dtype=np.float32) for array in rows]
        self.cancelled = False

    def run(self, group: list[int]) -> None:
        """Synthesise these utterances in lockstep."""
        at = dict.fromkeys(group, 0)
        native, threads = self._model._native, self._threads
        streams = {i: _pyvoc.Stream(native, self._seeds[i], threads, self._sigma) for i in group}
        for i, stream in streams.items():
            stream.push(self._rows[i])
            stream.flush()
        while streams and not self.cancelled:
            pieces = _pyvoc.pull_lockstep(list(streams.values()), self._piece)
            for i, piece in zip(list(streams), pieces, strict=True):
                self.samples[i][at[i] : at[i] + len(piece)] = piece
                at[i] += len(piece)
                if at[i] == len(self.samples[i]):
                    streams.pop(i).close()
            self._report(sum(len(piece) for piece in pieces))

    def _report(self, done: int) -> None:
        with self._lock:
            self._done += done
            if self._progress is not None:
                self._progress(self._done, self._total)
