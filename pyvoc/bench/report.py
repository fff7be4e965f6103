"""What a benchmark reports: the JSON of `pyvoc bench --json`, and the same as text."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """A figure over rounds."""

    median: float
    q1: float
    q3: float
    min: float
    max: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        q1, median, q3 = (
            statistics.quantiles(values, n=4, method="inclusive")
            if len(values) > 1
            else (values[0], values[0], values[0])
        )
        return cls(median, q1, q3, min(values), max(values), len(values))


@dataclass(frozen=True)
class Peer:
    """Another implementation of the same work, measured in turns with ours.

    Parameters
    ----------
    name
        What it is.
    weights
        Precision of its weights: ``int8`` or ``f32``; None for features.
    xrt
        Its times real time.
    pair_ratios
        Ours over its, round by round.
    """

    name: str
    weights: str | None
    xrt: Spread
    pair_ratios: Spread


@dataclass(frozen=True)
class Machine:
    """Where it was measured, and what one core of it can do (docs/performance.md).

    Parameters
    ----------
    cpu, tier
        Processor and kernel tier in use.
    cores
        Logical processors that this process may use.
    l2_bytes
        Size of one core's second-level cache that was assumed.
    peak_gmacs
        10^9 multiply-adds per second of our dense kernels on a matrix in L1, by precision.
    l1_gbytes, l2_gbytes
        10^9 bytes of weights per second that the float32 kernel reads from L1 and L2.
    """

    cpu: str
    tier: str
    cores: int
    l2_bytes: int
    peak_gmacs: dict[str, float]
    l1_gbytes: float
    l2_gbytes: float


@dataclass(frozen=True)
class Result:
    """One measured configuration.

    Parameters
    ----------
    name
        ``lpcnet`` or ``features``.
    precision
        Of the model's weights; None for features.
    threads, streams
        Threads, and streams in lockstep on each of them.
    xrt
        Audio seconds per wall second, all streams together; median of the rounds.
    xrt_spread
        The rounds.
    p50_ms, p99_ms
        Wall time of one hop (10 ms of audio) of every stream of one thread.
    first_sample_ms
        From opening a stream to its first hop, look-ahead frames included; None for features.
    rss_mb
        Peak resident memory, 10^6 bytes above the interpreter; None where the system does not say.
    c_rss_mb
        Peak resident memory of the C example; None when it was not given.
    model_mb
        Size of the model file, 10^6 bytes.
    load_ms
        Loading the model, its file in the page cache.
    gmacs
        10^9 multiply-adds per second, those of non-zero blocks only.
    peak_fraction
        `gmacs` over the machine's peak for the precision.
    bytes_per_sample
        What one sample of one stream reads (docs/performance.md).
    l2_fraction
        Bytes read per second over the machine's L2 bandwidth; None with several streams, which
        share what they read.
    macs_by_part, bytes_by_part
        Multiply-adds and bytes per sample, part by part.
    tier
        Kernel tier of the matrix products.
    peer, ratio
        A peer, and the ratio of the medians, ours over its.
    """

    name: str
    precision: str | None
    threads: int
    streams: int
    xrt: float
    xrt_spread: Spread
    p50_ms: float
    p99_ms: float
    first_sample_ms: float | None
    rss_mb: float | None
    c_rss_mb: float | None
    model_mb: float | None
    load_ms: float | None
    gmacs: float | None
    peak_fraction: float | None
    bytes_per_sample: int | None
    l2_fraction: float | None
    macs_by_part: dict[str, float] | None
    bytes_by_part: dict[str, float] | None
    tier: str
    peer: Peer | None
    ratio: float | None


@dataclass(frozen=True)
class Report:
    """Everything one run of `pyvoc bench` measured.

    Parameters
    ----------
    machine
        Where.
    results
        In the order measured.
    date, version
        ISO date; pyvoc's version.
    """

    machine: Machine
    results: list[Result]
    date: str
    version: str

    def to_json(self) -> str:
        """As a JSON object; floats with five significant digits."""
        return json.dumps(_rounded(dataclasses.asdict(self)), indent=2)

    def to_text(self) -> str:
        """As lines for people."""
        m = self.machine
        peaks = ", ".join(f"{name} {rate:.0f}" for name, rate in m.peak_gmacs.items())
        lines = [
            f"{m.cpu}, {m.cores} core{'s' if m.cores > 1 else ''}, tier {m.tier}",
            f"one core: {peaks} GMAC/s; read L1 {m.l1_gbytes:.0f}, L2 {m.l2_gbytes:.0f} GB/s",
        ]
        for result in self.results:
            lines += ["", *_result_lines(result)]
        return "\n".join(lines)


def _result_lines(r: Result) -> list[str]:
    what = " ".join(part for part in (r.name, r.precision, r.tier) if part)
    if r.streams > 1:
        what += f", {r.streams} streams in lockstep"
    if r.threads > 1:
        what += f", {r.threads} threads"
    s = r.xrt_spread
    lines = [
        f"{what}: {r.xrt:.1f}x real time (quartiles {s.q1:.1f}..{s.q3:.1f}, {s.rounds} rounds)",
        f"  10 ms of audio: p50 {r.p50_ms:.3f} ms, p99 {r.p99_ms:.3f} ms"
        + ("" if r.first_sample_ms is None else f"; first samples {r.first_sample_ms:.3f} ms"),
    ]
    if r.load_ms is not None and r.model_mb is not None:
        rss = "" if r.rss_mb is None else f", resident {r.rss_mb:.1f} MB above the interpreter"
        c = "" if r.c_rss_mb is None else f", C example {r.c_rss_mb:.1f} MB in all"
        lines.append(f"  load {r.load_ms:.1f} ms, file {r.model_mb:.1f} MB{rss}{c}")
    if r.gmacs is not None and r.peak_fraction is not None:
        line = f"  {r.gmacs:.1f} GMAC/s, {r.peak_fraction:.0%} of the peak"
        if r.l2_fraction is not None:
            line += f"; {r.bytes_per_sample} bytes per sample, {r.l2_fraction:.0%} of L2 bandwidth"
        lines.append(line)
    if r.peer is not None and r.ratio is not None:
        p, q = r.peer.xrt, r.peer.pair_ratios
        name = f"{r.peer.name} {r.peer.weights}" if r.peer.weights else r.peer.name
        lines.append(
            f"  {name}: {p.median:.1f}x (quartiles {p.q1:.1f}..{p.q3:.1f}); ours / peer "
            f"{r.ratio:.2f}, pair by pair {q.median:.2f} ({q.min:.2f}..{q.max:.2f})"
        )
    return lines


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
