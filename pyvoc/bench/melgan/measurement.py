"""What a child process does with one engine: load, rounds, chunks, memory."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.bench.melgan.engines import ENGINES, Engine, Pyvoc
from pyvoc.bench.memory import peak_bytes, resident_bytes, restart_peak
from pyvoc.bench.timing import timed
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


class Measurement:
    """One engine; its methods are the calls of `pyvoc.bench.process.Child`.

    Parameters
    ----------
    job
        ``engine`` (of `ENGINES`), ``precision``, ``mel`` (path of .npy), ``audio`` (path to write),
        ``samples`` (expected), and what the engine takes.
    """

    def __init__(self, job: Job) -> None:
        self._mel: npt.NDArray[np.float32] = np.load(job["mel"])
        self._job = {**job, "frames": self._mel.shape[0], "bands": self._mel.shape[1]}
        restart_peak()
        self._before = resident_bytes()
        self._engine: Engine = ENGINES[job["engine"]](self._job)
        self._load = timed(self._engine.load)
        audio = self._engine.run(self._mel)
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
        return {"seconds": timed(lambda: self._engine.run(self._mel))}

    def memory(self) -> Job:
        """Peak bytes above the interpreter with numpy, the library included."""
        after = peak_bytes()
        above = None if after is None or self._before is None else after - self._before
        return {"rss": above}

    def chunks(self) -> Job:
        """Milliseconds of chunks, one after the other."""
        pieces = [self._mel[at : at + CHUNK] for at in range(0, len(self._mel) - CHUNK + 1, CHUNK)]
        self._engine.start(pieces[0])
        times = []
        for turn in range(_WARM + _CHUNKS):
            piece = pieces[turn % len(pieces)]
            times.append(timed(lambda piece=piece: self._engine.chunk(piece)))  # type: ignore[misc]
            if turn >= _WARM + _LEAST_CHUNKS and sum(times) > _CHUNK_SECONDS:
                break
        return {"ms": [1e3 * seconds for seconds in times[_WARM:]]}

    def first(self) -> Job:
        """Milliseconds from opening a stream of ours to its first chunk."""
        engine = self._engine
        assert isinstance(engine, Pyvoc)
        head = self._mel[: self._job["lookahead"] + CHUNK]
        times = [timed(lambda: engine.first(head)) for _ in range(_OPENINGS)]
        return {"ms": 1e3 * statistics.median(times)}

    def groups(self) -> Job:
        """Seconds that our groups of layers take for the utterance, on one thread."""
        engine = self._engine
        assert isinstance(engine, Pyvoc)
        runs = [engine.group_seconds(self._mel) for _ in range(_GROUP_RUNS)]
        return {"seconds": {g: statistics.median(run[g] for run in runs) for g in runs[0]}}
