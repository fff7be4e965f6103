"""What a child process does with one engine: load, rounds, chunks, memory."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

from pyvoc.bench.mel.engines import ENGINES, Engine, Pyvoc
from pyvoc.bench.mel.inputs import load_inputs
from pyvoc.bench.memory import peak_bytes, resident_bytes, restart_peak
from pyvoc.bench.timing import repeated, timed
from pyvoc.errors import Error

Job = dict[str, Any]

CHUNK = 8
"""Frames of a chunk: 93 ms of audio at the usual rate."""
_CHUNKS = 200
_LEAST_CHUNKS = 20
_CHUNK_SECONDS = 20.0
"""After so long, and at least `_LEAST_CHUNKS`, it is enough: threads that spin, on busy cores."""
_WARM = 5
_OPENINGS = 15
_GROUP_RUNS = 5
BATCH_FRAMES = 832
"""Of each utterance of a batch: what the published figures of WaveGlow on accelerators have."""
_BATCH_RUNS = 3


class Measurement:
    """One engine; its methods are the calls of `pyvoc.bench.process.Child`.

    Parameters
    ----------
    job
        ``engine`` (of `ENGINES`), ``precision``, ``mel`` and ``noise`` (paths of .npy; null without
        noise), ``audio`` (path to write), ``samples`` (expected), and what the engine takes.
    """

    def __init__(self, job: Job) -> None:
        self._mel, self._noise = load_inputs(job)
        frames, bands = self._mel.shape
        shape = None if self._noise is None else self._noise.shape
        self._job = {**job, "frames": frames, "bands": bands, "noise_shape": shape}
        restart_peak()
        self._before = resident_bytes()
        self._engine: Engine = ENGINES[job["engine"]](self._job)
        self._load = timed(self._engine.load)
        audio = self._engine.run(self._mel, self._noise)
        if audio.shape != (job["samples"],):
            raise Error(
                f"{job['engine']} gave {audio.size} samples, expected {job['samples']}; this is a "
                "bug"
            )
        np.save(job["audio"], audio)

    def about(self) -> Job:
        """The library's version, and how long loading took."""
        return {"version": self._engine.version, "load_ms": 1e3 * self._load}

    def round(self) -> Job:
        """Seconds of a whole utterance."""
        return {"seconds": timed(lambda: self._engine.run(self._mel, self._noise))}

    def memory(self) -> Job:
        """Peak bytes above the interpreter with numpy, the library included."""
        after = peak_bytes()
        above = None if after is None or self._before is None else after - self._before
        return {"rss": above}

    def chunks(self) -> Job:
        """Milliseconds of chunks, one after the other."""
        pieces = [self._mel[at : at + CHUNK] for at in range(0, len(self._mel) - CHUNK + 1, CHUNK)]
        noise = self._noise
        if noise is not None:
            noise = noise[:, : noise.shape[1] // len(self._mel) * CHUNK]
        self._engine.start(pieces[0])
        times = []
        for turn in range(_WARM + _CHUNKS):
            piece = pieces[turn % len(pieces)]
            times.append(timed(lambda p=piece: self._engine.chunk(p, noise)))  # type: ignore[misc]
            if turn >= _WARM + _LEAST_CHUNKS and sum(times) > _CHUNK_SECONDS:
                break
        return {"ms": [1e3 * seconds for seconds in times[_WARM:]]}

    def first(self) -> Job:
        """Milliseconds from opening a stream of ours to its first chunk."""
        engine = self._engine
        assert isinstance(engine, Pyvoc)
        head = np.resize(self._mel, (self._job["lookahead"] + CHUNK, self._mel.shape[1]))
        return {"ms": 1e3 * statistics.median(repeated(lambda: engine.first(head), _OPENINGS))}

    def groups(self) -> Job:
        """Seconds that our groups of layers take for the utterance, on one thread."""
        engine = self._engine
        assert isinstance(engine, Pyvoc)
        runs: list[dict[str, float]] = []
        repeated(lambda: runs.append(engine.group_seconds(self._mel)), _GROUP_RUNS)
        return {"seconds": {g: statistics.median(run[g] for run in runs) for g in runs[0]}}

    def batches(self) -> Job:
        """Seconds that batches of ours take, by the number of utterances."""
        engine = self._engine
        assert isinstance(engine, Pyvoc)
        mel = np.resize(self._mel, (BATCH_FRAMES, self._mel.shape[1]))
        return {
            str(n): statistics.median(
                repeated(lambda n=n: engine.batch([mel] * n), _BATCH_RUNS)  # type: ignore[misc]
            )
            for n in self._job["batches"]
        }
