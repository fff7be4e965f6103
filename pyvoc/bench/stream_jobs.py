"""What the child processes of a benchmark of streams do: measure, and return plain numbers."""

from __future__ import annotations

import importlib
import json
import statistics
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc
from pyvoc.bench.memory import peak_bytes, resident_bytes, restart_peak
from pyvoc.bench.programs import differences
from pyvoc.bench.timing import in_turns, timed
from pyvoc.bench.work import Work
from pyvoc.errors import Error

native: Any = _pyvoc
Frames = npt.NDArray[np.float32]
Job = dict[str, Any]

_HOPS = 2000
_OPENINGS = 15
_LOADS = 9


def synthesis(job: Job) -> Job:
    """Times real time and latencies.

    job: ``model`` (path), ``features`` (path of .npy), ``threads``, ``streams``, ``repeats``;
    ``work``: ``module:function`` that counts from a description; ``layer``: the one whose kernel
    tells the tier; ``peer``: path of upstream's program, or None, and ``mode``, its first argument.
    """
    frames: Frames = np.load(job["features"])
    loads = [timed(lambda: native.Model(job["model"])) for _ in range(_LOADS)]
    model = native.Model(job["model"])
    description = json.loads(model.describe())
    module, _, count = job["work"].partition(":")
    work: Work = getattr(importlib.import_module(module), count)(description)
    groups = [
        [native.Stream(model, 1 + s, 1) for s in range(job["streams"])]
        for _ in range(job["threads"])
    ]
    audio = len(frames) * model.hop_length / model.sample_rate
    total = audio * job["streams"] * job["threads"]
    with differences(job["peer"], job["mode"], frames.astype("<f4")) as peer:
        _round(groups, frames, model.hop_length)  # warm up
        ours, theirs = in_turns(
            lambda: _round(groups, frames, model.hop_length), peer, job["repeats"]
        )
    hops = _hop_times(groups[0], frames, model.hop_length)
    slots = json.loads(native.system_info())["slots"]
    plan = {entry["layer"]: entry for entry in description["plan"]}[job["layer"]]
    return {
        "precision": model.precision,
        "xrt": [total / seconds for seconds in ours],
        "peer_xrt": [audio / seconds for seconds in theirs],
        "hops_ms": [1e3 * seconds for seconds in hops],
        "first_sample_ms": 1e3 * statistics.median(_openings(model, frames)),
        "load_ms": 1e3 * statistics.median(loads),
        "macs": work.total_macs,
        "bytes": work.total_bytes,
        "macs_by_part": work.macs,
        "bytes_by_part": work.bytes,
        "sample_rate": model.sample_rate,
        "tier": slots[f"{plan['op']}_{plan['weights']}"],
    }


def memory(job: Job) -> Job:
    """Peak memory of loading and streaming above what was there; job: ``model``, ``features``."""
    frames: Frames = np.load(job["features"])
    hop = np.zeros(0, np.float32)
    restart_peak()
    before = resident_bytes()
    model = native.Model(job["model"])
    stream = native.Stream(model, 1, 1)
    for row in frames:
        stream.push(row[None])
        hop = stream.pull(model.hop_length)
    after = peak_bytes()
    if hop.size != model.hop_length:
        raise Error("a benchmark's stream gave no samples; this is a bug")
    return {"rss": None if before is None or after is None else after - before}


def _synthesize(streams: list[Any], frames: Frames, hop: int) -> None:
    samples = len(frames) * hop
    for seed, stream in enumerate(streams):
        stream.reset(1 + seed)
        stream.push(frames)
        stream.flush()
    if len(streams) == 1:
        lengths = [len(streams[0].pull(samples))]
    else:
        lengths = [len(out) for out in native.pull_lockstep(streams, samples)]
    if lengths != [samples] * len(streams):
        raise Error(f"{samples} samples were expected from every stream, found {lengths}")


def _round(groups: list[list[Any]], frames: Frames, hop: int) -> float:
    """Wall seconds in which every thread synthesises all frames on every one of its streams."""
    if len(groups) == 1:
        return timed(lambda: _synthesize(groups[0], frames, hop))
    threads = [threading.Thread(target=_synthesize, args=(group, frames, hop)) for group in groups]

    def both() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return timed(both)


def _hop_times(streams: list[Any], frames: Frames, hop: int) -> list[float]:
    """Seconds to push one frame to each stream and pull the hop that it allows."""
    for stream in streams:
        stream.reset(1)

    def step(row: Frames) -> None:
        for stream in streams:
            stream.push(row)
        if len(streams) == 1:
            streams[0].pull(hop)
        else:
            native.pull_lockstep(streams, hop)

    skip = 8  # look-ahead, and the first touch of everything
    rows = [frames[i % len(frames)][None] for i in range(_HOPS + skip)]
    return [timed(lambda row=row: step(row)) for row in rows][skip:]  # type: ignore[misc]


def _openings(model: Any, frames: Frames) -> list[float]:
    """Seconds from opening a stream to its first hop."""

    def first() -> None:
        stream = native.Stream(model, 1, 1)
        stream.push(frames[: -(-stream.latency_samples // model.hop_length) + 1])
        if len(stream.pull(model.hop_length)) != model.hop_length:
            raise Error("look-ahead frames and one more gave no hop; this is a bug")

    return [timed(first) for _ in range(_OPENINGS)]
