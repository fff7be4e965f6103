"""What a live session has to tell."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

__all__ = ["Stats", "Times"]


@dataclass(frozen=True)
class Times:
    """A distribution of durations, in milliseconds: 99 of 100 did not last longer than `p99`."""

    count: int
    p50: float
    p99: float
    p999: float
    most: float


@dataclass(frozen=True)
class Stats:
    """A snapshot of a session.

    Attributes
    ----------
    seconds
        Of output so far.
    realtime_thread
        Whether the engine's thread has real-time priority.
    chunk_frames
        Feature frames that the model gets at once.
    underruns, silent_ms
        Times that the output ran dry, and the silence that was heard because of it.
    dropped_ms
        Of output that came too late, or made up for time that a device lost.
    overruns, lost_ms
        Writes that found no room, and the input lost by them.
    bad_samples
        Of input: NaN, infinite, or beyond full scale (clipped).
    input_xruns, output_xruns
        That the devices reported.
    tap_lost
        Samples missing in a recording.
    input_level, output_level
        Root mean square of the latest tenth of a second, dB below full scale.
    times_real_time
        Of the model, measured before the start.
    latency_ms
        From a sound at the microphone to the loudspeaker: the sum of `latency_parts`; 0 where a
        file stands in for the microphone.
    latency_parts
        Milliseconds: both devices as PortAudio reports them (their blocks included), resampling,
        what extraction needs beyond a frame, the model's look-ahead, the wait for whole chunks, and
        the time in the output's ring.
    margin_ms, slack_ms
        Sound kept in reserve; the least of it left in the past half second. None left is an
        underrun, and makes the margin larger.
    clock_ppm
        How much faster the output's clock is than the input's, where they are two.
    cpu_share
        Of one core, for the engine's thread.
    response, work
        Milliseconds from a chunk's last sample to its sound, and the engine's own work in it.
    jitter, callback
        Milliseconds that output callbacks came off their time, and that they took.
    """

    seconds: float
    realtime_thread: bool
    chunk_frames: int
    underruns: int
    silent_ms: float
    dropped_ms: float
    overruns: int
    lost_ms: float
    bad_samples: int
    input_xruns: int
    output_xruns: int
    tap_lost: int
    input_level: float
    output_level: float
    times_real_time: float
    latency_ms: float
    latency_parts: dict[str, float]
    margin_ms: float
    slack_ms: float
    clock_ppm: float
    cpu_share: float
    response: Times
    work: Times
    jitter: Times
    callback: Times

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


_TIMES = tuple(f.name for f in fields(Times) if f.name != "count")


def _times(raw: dict[str, Any]) -> Times:
    return Times(count=raw["count"], **{name: round(1000 * raw[name], 4) for name in _TIMES})


def _decibels(level: float) -> float:
    import math

    return round(20 * math.log10(max(level, 1e-6)), 1)


def from_native(
    raw: dict[str, Any],
    *,
    input_rate: int,
    output_rate: int,
    input_ms: float,
    output_ms: float,
    elapsed: float,
) -> Stats:
    """The engine's dictionary in a user's units.

    Parameters
    ----------
    raw
        Of the compiled module's ``Live.stats``.
    input_rate, output_rate
        Hz.
    input_ms, output_ms
        Latencies of the devices as PortAudio reports them; 0 for files.
    elapsed
        Seconds that the engine has run.
    """
    delay = 1000 * raw["delay"]
    inside = {
        "input resampling": 1000 * raw["input_resampler_delay"],
        "extraction": 1000 * raw["extractor_delay"],
        "look-ahead": 1000 * raw["lookahead_delay"],
        "chunk": 1000 * raw["chunk_seconds"],
        "output resampling": 1000 * raw["output_resampler_delay"],
    }
    parts = {"input device": input_ms, **inside, "ring": delay - sum(inside.values())}
    parts["output device"] = output_ms
    if not delay:
        parts = {}
    return Stats(
        seconds=round(raw["output_frames"] / output_rate, 3),
        realtime_thread=raw["realtime_thread"],
        chunk_frames=raw["chunk_frames"],
        underruns=raw["underruns"],
        silent_ms=round(1000 * raw["silent_frames"] / output_rate, 2),
        dropped_ms=round(1000 * raw["dropped_frames"] / output_rate, 2),
        overruns=raw["overruns"],
        lost_ms=round(1000 * raw["lost_frames"] / input_rate, 2),
        bad_samples=raw["bad_samples"],
        input_xruns=raw["input_xruns"],
        output_xruns=raw["output_xruns"],
        tap_lost=raw["tap_lost"],
        input_level=_decibels(raw["input_level"]),
        output_level=_decibels(raw["output_level"]),
        times_real_time=round(raw["times_real_time"], 2),
        latency_ms=round(sum(parts.values()), 2),
        latency_parts={name: round(value, 3) for name, value in parts.items()},
        margin_ms=round(1000 * raw["margin"], 2),
        slack_ms=round(1000 * raw["slack"], 2),
        clock_ppm=round(1e6 * (raw["clock_factor"] - 1), 1),
        cpu_share=round(raw["cpu_seconds"] / elapsed, 4) if elapsed > 0 else 0.0,
        response=_times(raw["response"]),
        work=_times(raw["work"]),
        jitter=_times(raw["jitter"]),
        callback=_times(raw["callback"]),
    )
