"""What a benchmark reports: the JSON of `pyvoc bench --json`, and the same as text."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
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
        Precision of its weights: ``int8``, ``bf16`` or ``f32``; None for features.
    xrt
        Its times real time.
    pair_ratios
        Ours over its, round by round.
    ratio
        Ours over its, medians.
    p50_ms, rss_mb, load_ms
        As of `Result`: a chunk (by itself, without context), peak memory above the interpreter
        (its library included), loading; None where not measured.
    snr_db
        Its samples against float32's; None where not compared.
    """

    name: str
    weights: str | None
    xrt: Spread
    pair_ratios: Spread
    ratio: float
    p50_ms: float | None = None
    rss_mb: float | None = None
    load_ms: float | None = None
    snr_db: float | None = None

    @classmethod
    def of(
        cls,
        name: str,
        weights: str | None,
        ours: Sequence[float],
        theirs: Sequence[float],
        **others: float | None,
    ) -> Peer:
        """A peer from the times real time of every round, ours and its."""
        pairs = [mine / its for mine, its in zip(ours, theirs, strict=True)]
        xrt = Spread.of(theirs)
        ratio = Spread.of(ours).median / xrt.median
        return cls(name, weights, xrt, Spread.of(pairs), ratio, **others)


@dataclass(frozen=True)
class Batch:
    """Utterances of one length that were handed over together.

    Parameters
    ----------
    utterances, frames
        How many, and of how many frames each.
    seconds
        Wall time of them all, on the result's threads.
    per_second
        Utterances over seconds.
    xrt
        Audio seconds of all over wall seconds.
    """

    utterances: int
    frames: int
    seconds: float
    per_second: float
    xrt: float

    @classmethod
    def of(cls, utterances: int, frames: int, hop_seconds: float, seconds: float) -> Batch:
        """A batch from what was measured."""
        audio = utterances * frames * hop_seconds
        return cls(utterances, frames, seconds, utterances / seconds, audio / seconds)


@dataclass(frozen=True)
class Absent:
    """A peer that was not measured, and why."""

    name: str
    reason: str


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
        10^9 multiply-adds per second of our fastest kernels, the convolutions' with weights in L1,
        by precision.
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
        What was measured, one of `pyvoc.bench.runner.targets`.
    precision
        Of the model's weights; None for features.
    threads, streams
        LPCNet, FARGAN: threads, and streams in lockstep on each of them. MelGAN, WaveGlow: threads
        of one stream. WaveRNN: threads of one stream, or of several in lockstep.
    xrt
        Audio seconds per wall second, all streams together; median of the rounds.
    xrt_spread
        The rounds.
    chunk_ms
        Audio in the chunks that latency is measured with: LPCNet, FARGAN, WaveRNN one hop, others
        eight.
    p50_ms, p99_ms
        Wall time of one chunk of every stream of one thread.
    first_sample_ms
        From opening a stream to its first chunk, look-ahead frames included; None for features.
    rss_mb
        Peak resident memory, 10^6 bytes above the interpreter; None where the system does not say.
    c_rss_mb
        Peak resident memory of the C example; None when it was not given.
    model_mb
        Size of the model file, 10^6 bytes.
    packed_mb
        Weights as they are in memory, 10^6 bytes; MelGAN and WaveGlow.
    load_ms
        Loading the model, its file in the page cache.
    gmacs
        10^9 multiply-adds per second, those of non-zero blocks and of direct convolution only.
    peak_fraction
        `gmacs` over the machine's peak for the precision.
    bytes_per_sample
        What one sample of one stream reads (docs/performance.md).
    l2_fraction
        Bytes read per second over the machine's L2 bandwidth; None with several streams, which
        share what they read.
    macs_by_part, bytes_by_part
        Multiply-adds and bytes per sample, part by part.
    gmacs_by_part
        MelGAN, WaveGlow: 10^9 multiply-adds per second of each part, on one thread.
    sparsity
        WaveRNN: fraction of the sample loop's blocks that is zero; None: dense, or what the model
        has.
    read_gbytes
        WaveRNN: 10^9 bytes per second that the threads read of a matrix of as many bytes as a
        sample reads, measured in the same run.
    bound_xrt
        WaveRNN: times real time when a sample took only that reading, which lockstep streams
        share, or only its multiply-adds at the machine's peak, whichever is longer.
    tier
        Kernel tier of the matrix products.
    peer, ratio
        The fastest peer of the same precision, and the ratio of the medians, ours over its.
    peers, absent
        All peers that were measured; those that were not, with the reason.
    batches
        MelGAN, WaveGlow: utterances that were handed over together.
    """

    name: str
    precision: str | None
    threads: int
    streams: int
    xrt: float
    xrt_spread: Spread
    chunk_ms: float
    p50_ms: float
    p99_ms: float
    tier: str
    first_sample_ms: float | None = None
    rss_mb: float | None = None
    c_rss_mb: float | None = None
    model_mb: float | None = None
    packed_mb: float | None = None
    load_ms: float | None = None
    gmacs: float | None = None
    peak_fraction: float | None = None
    bytes_per_sample: int | None = None
    l2_fraction: float | None = None
    macs_by_part: dict[str, float] | None = None
    bytes_by_part: dict[str, float] | None = None
    gmacs_by_part: dict[str, float] | None = None
    sparsity: float | None = None
    read_gbytes: float | None = None
    bound_xrt: float | None = None
    peer: Peer | None = None
    ratio: float | None = None
    peers: list[Peer] = field(default_factory=list)
    absent: list[Absent] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)


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
    if r.sparsity is not None:
        what += f", {r.sparsity:.0%} of the blocks zero"
    if r.streams > 1:
        what += f", {r.streams} streams in lockstep"
    if r.threads > 1:
        what += f", {r.threads} threads"
    s = r.xrt_spread
    lines = [
        f"{what}: {speed(r.xrt)}x real time (quartiles {speed(s.q1)}..{speed(s.q3)}, {s.rounds} "
        "rounds)",
        f"  {r.chunk_ms:.0f} ms of audio: p50 {r.p50_ms:.3f} ms, p99 {r.p99_ms:.3f} ms"
        + ("" if r.first_sample_ms is None else f"; first samples {r.first_sample_ms:.3f} ms"),
    ]
    if r.load_ms is not None and r.model_mb is not None:
        rss = "" if r.rss_mb is None else f", resident {r.rss_mb:.1f} MB above the interpreter"
        if r.rss_mb is not None and r.packed_mb is not None:
            rss += f" ({r.rss_mb / r.packed_mb:.2f} x the packed weights)"
        c = "" if r.c_rss_mb is None else f", C example {r.c_rss_mb:.1f} MB in all"
        lines.append(f"  load {r.load_ms:.1f} ms, file {r.model_mb:.1f} MB{rss}{c}")
    if r.gmacs is not None and r.peak_fraction is not None:
        line = f"  {r.gmacs:.1f} GMAC/s, {r.peak_fraction:.0%} of the peak"
        if r.l2_fraction is not None:
            line += f"; {r.bytes_per_sample} bytes per sample, {r.l2_fraction:.0%} of L2 bandwidth"
        if r.bound_xrt is not None:
            line += (
                f"; {r.bytes_per_sample} bytes per sample at {r.read_gbytes:.0f} GB/s: at most "
                f"{r.bound_xrt:.2f}x, {r.xrt / r.bound_xrt:.0%} reached"
            )
        lines.append(line)
    lines += [
        f"  batch of {b.utterances}, {b.frames} frames each: {b.per_second:.3f} utterances/s, "
        f"{speed(b.xrt)}x real time"
        for b in r.batches
    ]
    lines += [_peer_line(peer) for peer in r.peers]
    lines += [f"  {absent.name}: not measured, {absent.reason}" for absent in r.absent]
    return lines


def _peer_line(peer: Peer) -> str:
    p, q = peer.xrt, peer.pair_ratios
    others = (
        ("chunk p50", peer.p50_ms, "ms"),
        ("resident", peer.rss_mb, "MB"),
        ("SNR", peer.snr_db, "dB"),
    )
    return (
        f"  {peer.name}{' ' + peer.weights if peer.weights else ''}: {speed(p.median)}x (quartiles "
        f"{speed(p.q1)}..{speed(p.q3)}); ours / peer {peer.ratio:.2f}, pair by pair {q.median:.2f} "
        f"({q.min:.2f}..{q.max:.2f})"
        + "".join(f"; {what} {n:.1f} {unit}" for what, n, unit in others if n is not None)
    )


def speed(xrt: float) -> str:
    """Times real time: one decimal, below 10 two."""
    return f"{xrt:.1f}" if xrt >= 10 else f"{xrt:.2f}"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
