"""What a child process does with one of our models: rounds, hops, memory."""

from __future__ import annotations

import json
import statistics
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc
from pyvoc.bench.memory import peak_bytes, resident_bytes, restart_peak
from pyvoc.bench.timing import timed
from pyvoc.errors import Error
from pyvoc.families.wavernn.bench.work import wavernn_work

native: Any = _pyvoc
Job = dict[str, Any]

_HOPS = 60
_OPENINGS = 9
_READ_COLS = 256
_READ_SECONDS = 0.3


class Measurement:
    """A model and its streams; its methods are the calls of `pyvoc.bench.process.Child`.

    Parameters
    ----------
    job
        ``model``, ``mel`` (paths), ``streams`` in lockstep, ``cores``: as many threads.
    """

    def __init__(self, job: Job) -> None:
        self._mel: npt.NDArray[np.float32] = np.load(job["mel"])
        self._threads = len(job["cores"])
        restart_peak()
        before = resident_bytes()
        made: list[Any] = []
        load = timed(lambda: made.append(native.Model(job["model"])))
        self._model = made[0]
        self._streams = [
            native.Stream(self._model, 1 + s, 1 if s else self._threads)
            for s in range(job["streams"])
        ]
        self._run(self._mel[:1])
        after = peak_bytes()
        description = json.loads(self._model.describe())
        work = wavernn_work(description)
        plan = {entry["layer"]: entry for entry in description["plan"]}["rnn2.input"]
        slots = json.loads(native.system_info())["slots"]
        self._about = {
            "load_ms": 1e3 * load,
            "rss": None if before is None or after is None else after - before,
            "macs": work.macs,
            "bytes": work.bytes,
            "tier": slots[f"{plan['op']}_{plan['weights'].replace('int8', 'i8')}"],
        }

    def about(self) -> Job:
        """Loading, memory above the interpreter with numpy, work per sample and stream."""
        return self._about

    def round(self) -> Job:
        """Seconds of an utterance in every stream."""
        return {"seconds": timed(lambda: self._run(self._mel))}

    def hops(self) -> Job:
        """Milliseconds to push a frame to every stream and pull the hop that it allows."""
        ahead, hop = self._model.lookahead_frames, self._model.hop_length
        rows = np.resize(self._mel, (ahead + _HOPS, self._mel.shape[1]))
        for stream in self._streams:
            stream.reset(1)
            stream.push(rows[:ahead])
        found = []
        for row in rows[ahead:]:
            found.append(timed(lambda row=row: self._hop(row[None], hop)))  # type: ignore[misc]
        return {"ms": [1e3 * seconds for seconds in found]}

    def first(self) -> Job:
        """Milliseconds from opening a stream to its first hop."""
        ahead, hop = self._model.lookahead_frames, self._model.hop_length
        head = np.resize(self._mel, (ahead + 1, self._mel.shape[1]))

        def open_one() -> None:
            stream = native.Stream(self._model, 1, self._threads)
            stream.push(head)
            if len(stream.pull(hop)) != hop:
                raise Error("look-ahead frames and one more gave no hop; this is a bug")

        return {"ms": 1e3 * statistics.median(timed(open_one) for _ in range(_OPENINGS))}

    def _hop(self, rows: npt.NDArray[np.float32], hop: int) -> None:
        for stream in self._streams:
            stream.push(rows)
        self._pull(hop)

    def _run(self, mel: npt.NDArray[np.float32]) -> None:
        for seed, stream in enumerate(self._streams):
            stream.reset(1 + seed)
            stream.push(mel)
            stream.flush()
        self._pull(len(mel) * self._model.hop_length)

    def _pull(self, samples: int) -> None:
        if len(self._streams) == 1:
            lengths = [len(self._streams[0].pull(samples))]
        else:
            lengths = [len(out) for out in native.pull_lockstep(self._streams, samples)]
        if lengths != [samples] * len(self._streams):
            raise Error(f"{samples} samples were expected from every stream, found {lengths}")


def read_rate(job: Job) -> Job:
    """10^9 bytes per second that the float32 kernel reads of a matrix; job: ``bytes`` of it."""
    panels = max(4, round(job["bytes"] / (64 * _READ_COLS) / 4) * 4)
    rate = native.testing.kernel_rate("dense_f32", panels, _READ_COLS, _READ_SECONDS)
    return {"gbytes": rate * 64 * _READ_COLS * panels / 1e9}
