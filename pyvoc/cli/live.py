"""``pyvoc live``: microphone -> features -> model -> loudspeaker."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import pyvoc
from pyvoc.live import LatencyReport, Options, Session, Stats, measure_latency
from pyvoc.live.stats import Times
from pyvoc.voices import DEFAULT

__all__ = ["add_parser", "run"]

_REFRESH = 0.2  # seconds


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "live",
        help="microphone to loudspeaker through a model",
        description="Speak through a model: microphone, features, model, loudspeaker. Ends with "
        "Ctrl-C. Files may stand in for both devices.",
    )
    parser.add_argument(
        "-m",
        "--model",
        default=DEFAULT,
        metavar="MODEL",
        help="a voice (`pyvoc voices` lists them) or a .gguf file; default: %(default)s",
    )
    ends = parser.add_argument_group("ends")
    ends.add_argument("--input", metavar="DEV", help="microphone; see pyvoc devices")
    ends.add_argument("--output", metavar="DEV", help="loudspeaker")
    ends.add_argument(
        "--from",
        dest="source",
        metavar="FILE",
        help="audio or features of the model, in place of the microphone",
    )
    ends.add_argument(
        "--to", dest="sink", metavar="FILE", help=".wav or raw .s16, in place of the loudspeaker"
    )
    ends.add_argument(
        "--record", metavar="FILE.wav", help="input (left) beside output (right), as heard"
    )
    ends.add_argument("--duration", type=_positive, metavar="S", help="end after S seconds")
    voice = parser.add_argument_group("voice")
    voice.add_argument("--pitch", type=float, default=0.0, metavar="SEMITONES", help="-24 to 24")
    voice.add_argument(
        "--formant",
        type=float,
        default=0.0,
        metavar="SEMITONES",
        help="-24 to 24: a shorter or longer vocal tract (LPCNet; mel frames move as a whole, "
        "with --pitch)",
    )
    voice.add_argument("--seed", type=int, default=0, metavar="N")
    voice.add_argument("--bypass", action="store_true", help="the input itself, for comparison")
    tuning = parser.add_argument_group("tuning")
    tuning.add_argument("--rate", type=int, metavar="HZ", help="of the devices; default: model's")
    tuning.add_argument("--block", type=float, default=10.0, metavar="MS", help="default: 10")
    tuning.add_argument(
        "--channels", type=_channels, default=(None, None), metavar="IN[,OUT]", help="default: 1,2"
    )
    tuning.add_argument("--margin", type=float, metavar="MS", help="reserve; default: measured")
    tuning.add_argument(
        "--chunk", type=int, metavar="FRAMES", help="that the model gets at once; default: measured"
    )
    tuning.add_argument(
        "--threads", type=int, default=1, metavar="N", help="HiFi-GAN, MelGAN, WaveGlow"
    )
    tuning.add_argument(
        "--force", action="store_true", help="even if the model is slower than real time here"
    )
    tuning.add_argument(
        "--python-callback",
        action="store_true",
        help="let Python pass on every block, if the native way fails: underruns when it is busy",
    )
    report = parser.add_argument_group("report")
    report.add_argument("--stats", action="store_true", help="all figures at the end")
    report.add_argument("--json", action="store_true", help="the figures as JSON")
    report.add_argument(
        "--measure-latency",
        action="store_true",
        help="measure the delay: connect the output to the input (a cable) before",
    )


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:  # NaN too
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds")
    return number


def _channels(text: str) -> tuple[int | None, int | None]:
    parts = text.split(",")
    if len(parts) > 2 or not all(p.isascii() and p.isdecimal() for p in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is no IN or IN,OUT")
    return int(parts[0]), int(parts[1]) if len(parts) == 2 else None


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; raises :class:`pyvoc.Error`."""
    options = Options(
        input=args.input,
        output=args.output,
        source=args.source,
        sink=args.sink,
        record=args.record,
        pitch=args.pitch,
        formant=args.formant,
        rate=args.rate,
        block_ms=args.block,
        channels=args.channels,
        margin_ms=args.margin,
        chunk=args.chunk,
        seed=args.seed,
        bypass=args.bypass,
        python_callback=args.python_callback,
        force=args.force,
    )
    model = pyvoc.load(args.model, threads=args.threads)
    if args.python_callback:
        _say("every block waits for Python now: a busy interpreter costs underruns")
    if args.measure_latency:
        _print_latency(measure_latency(model, options), as_json=args.json)
        return 0
    session = Session(model, options)
    try:
        with session:
            _announce(session)
            _watch(session, args.duration)
    except KeyboardInterrupt:
        pass  # how it ends
    stats = session.stats()
    if args.json:
        print(json.dumps(stats.as_dict()))
    elif args.stats:
        _print_stats(stats)
    elif args.sink is None or stats.underruns:
        _say(
            f"{stats.seconds:.1f} s, {stats.underruns} underruns, {stats.overruns} overruns, "
            f"{stats.input_xruns + stats.output_xruns} xruns"
        )
    return 0


def _say(text: str) -> None:
    print(f"pyvoc: {text}", file=sys.stderr)


def _announce(session: Session) -> None:
    info, stats = session.model.info, session.stats()
    ahead = 1000 * info.latency_samples / info.sample_rate
    if session.options.bypass:
        _say("bypass: no model")
        return
    chunk = "" if stats.chunk_frames == 1 else f", {stats.chunk_frames} frames at once"
    _say(
        f"{info.architecture}, {info.precision}: {stats.times_real_time:.1f} x real time{chunk}, "
        f"looks {ahead:.0f} ms ahead"
    )
    if ahead > 300:
        _say(f"the model alone is {ahead / 1000:.1f} s late: for listening, not for talking")


def _watch(session: Session, duration: float | None) -> None:
    """Show the state on a terminal until the end."""
    end = None if duration is None else time.monotonic() + duration
    shown = sys.stderr.isatty()
    try:
        while end is None or time.monotonic() < end:
            left = _REFRESH if end is None else min(_REFRESH, max(0.0, end - time.monotonic()))
            if session.wait(left):
                return
            if shown:
                print("\r" + _line(session.stats()), end="\x1b[K", file=sys.stderr, flush=True)
    finally:
        if shown:
            print(file=sys.stderr)


def _line(stats: Stats) -> str:
    late = f"latency {stats.latency_ms:.0f} ms, " if stats.latency_ms else ""
    return (
        f"in {_meter(stats.input_level)} out {_meter(stats.output_level)}  {late}"
        f"reserve {stats.slack_ms:.1f} ms, underruns {stats.underruns}, overruns {stats.overruns}"
    )


def _meter(level: float) -> str:
    full = round(max(0.0, min(1.0, 1 + level / 60)) * 12)
    return f"[{'#' * full:<12}] {max(level, -99):>5.1f} dB"


def _times(name: str, times: Times) -> str:
    return (
        f"  {name:<10} p50 {times.p50:8.3f}  p99 {times.p99:8.3f}  p99.9 {times.p999:8.3f}  "
        f"max {times.most:8.3f} ms   ({times.count})"
    )


def _print_stats(stats: Stats) -> None:
    print(f"{stats.seconds:.1f} s, {stats.times_real_time:.1f} x real time before the start")
    print(
        f"underruns {stats.underruns} ({stats.silent_ms:g} ms of silence), overruns "
        f"{stats.overruns} ({stats.lost_ms:g} ms lost), dropped {stats.dropped_ms:g} ms, device "
        f"xruns {stats.input_xruns} in, {stats.output_xruns} out, bad samples {stats.bad_samples}"
    )
    print(
        f"engine's thread: {100 * stats.cpu_share:.1f} % of a core, "
        f"{'real-time' if stats.realtime_thread else 'ordinary'} priority; reserve "
        f"{stats.margin_ms:g} ms, clock {stats.clock_ppm:+g} ppm"
    )
    if stats.latency_parts:
        print(f"latency {stats.latency_ms:.1f} ms:")
        for name, value in stats.latency_parts.items():
            print(f"  {name:<18} {value:7.2f} ms")
    for name in ("response", "work", "jitter", "callback"):
        print(_times(name, getattr(stats, name)))


def _print_latency(report: LatencyReport, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report.as_dict()))
        return
    print(f"total {report.total:.1f} ms by correlation ({report.correlation[1]:.2f}), of it")
    print(f"  {'devices, loopback':<18} {report.round_trip:7.2f} ms ({report.correlation[0]:.2f})")
    print(f"  {'engine':<18} {report.engine:7.2f} ms; {report.counted:.2f} ms by its own count:")
    for name, value in report.parts.items():
        print(f"    {name:<18} {value:7.2f} ms")
    if report.moved > 1.0:
        print(
            f"the delay changed by {report.moved:.1f} ms while measuring ({report.underruns} "
            "underruns): measure again"
        )
