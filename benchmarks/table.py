"""The tables of docs/performance.md, from the JSON that `pyvoc bench --json` wrote.

python benchmarks/table.py [--update docs/performance.md] RESULT.json ...
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

BEGIN = "<!-- measured: benchmarks/table.py writes what follows -->"
END = "<!-- measured: end -->"

# (name, precision, tier, streams) -> ratio to the peer that we want at least. On the machine the
# peer's figures come from (Zen 5; int8 35.7x, float 11.9x, features 502x) they are 90x, 35x, 55x,
# 115x and 1000x real time; MelGAN's (onnxruntime 18.3x and 32.4x there) 38x and 105x; WaveGlow's
# (onnxruntime 0.41x and 1.28x there) 0.70x and 2.0x.
TARGETS = {
    ("lpcnet", "int8", "avx512vnni", 1): 2.52,
    ("lpcnet", "int8", "avx512vnni", 4): 3.22,
    ("lpcnet", "int8", "avx2", 1): 1.54,
    ("lpcnet", "f32", "avx512", 1): 2.94,
    ("features", None, "avx512", 1): 1.99,
    ("melgan", "f32", "avx512", 1): 2.08,
    ("melgan", "int8", "avx512vnni", 1): 3.24,
    ("waveglow", "f32", "avx512", 1): 1.71,
    ("waveglow", "int8", "avx512vnni", 1): 1.56,
}
MAX_LOAD_MS = 50.0
MAX_C_RSS_MB = 10.0
TITLES = {"melgan": "MelGAN", "waveglow": "WaveGlow"}
"""Models that are measured beside several runtimes."""

Row = dict[str, Any]


def tables(reports: list[Row]) -> str:
    """All tables as Markdown."""
    parts = []
    for report in reports:
        many = [r for r in report["results"] if r["name"] in TITLES]
        others = [r for r in report["results"] if r["name"] not in TITLES]
        parts += [_heading(report), ""]
        if others:
            parts += [*_speed(others), ""]
        if many:
            parts += [*_engines(many), "", *_groups(report, many), "", *_batches(many)]
        lpcnet = [r for r in report["results"] if r["name"] == "lpcnet"]
        if lpcnet:
            parts += [*_latency(lpcnet), "", *_limits(lpcnet), ""]
    parts += _work([r for report in reports for r in report["results"]])
    return "\n".join(parts)


def _heading(report: Row) -> str:
    m = report["machine"]
    peaks = ", ".join(f"{name} {rate:.0f}" for name, rate in m["peak_gmacs"].items())
    return (
        f"### Tier {m['tier']}\n\n{m['cpu']}, one core of {m['cores']}; pyvoc {report['version']}, "
        f"measured {report['date']}. Peak of our kernels, GMAC/s: {peaks}. Read "
        f"bandwidth, GB/s: L1 {m['l1_gbytes']:.0f}, L2 {m['l2_gbytes']:.0f}."
    )


def _label(r: Row) -> str:
    words = [r["name"], r["precision"] or "", f"x {r['streams']}" if r["streams"] > 1 else ""]
    return " ".join(word for word in words if word)


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def _speed(results: list[Row]) -> list[str]:
    rows = []
    for r in results:
        s, peer = r["xrt_spread"], r["peer"]
        target = TARGETS.get((r["name"], r["precision"], r["tier"], r["streams"]))
        them, ratio, pairs = "-", "-", "-"
        if peer is not None:
            p, q = peer["xrt"], peer["pair_ratios"]
            them = f"{p['median']:.1f} ({p['q1']:.1f}..{p['q3']:.1f})"
            ratio, pairs = (
                f"{r['ratio']:.2f}",
                f"{q['median']:.2f} ({q['min']:.2f}..{q['max']:.2f})",
            )
        rows.append(
            [
                _label(r),
                r["tier"],
                f"{r['xrt']:.1f} ({s['q1']:.1f}..{s['q3']:.1f})",
                them,
                ratio,
                pairs,
                "-" if target is None else f">= {target:.2f}",
            ]
        )
    header = ["work", "tier", "x real time", "peer", "ratio", "pair by pair", "target ratio"]
    return _table(header, rows)


def _engines(results: list[Row]) -> list[str]:
    """Ours at each precision, then the peers, which are the same in all results of a run."""
    rows = []
    for r in results:
        rows.append(
            [
                f"pyvoc {r['precision']} ({r['tier']})",
                *_engine_cells(r["xrt_spread"], r),
                f"{r['gmacs']:.0f} ({r['peak_fraction']:.0%})",
                "-" if r["peer"] is None else f"{r['ratio']:.2f} x {_named(r['peer'])}",
            ]
        )
    macs = sum(results[0]["macs_by_part"].values())
    for peer in results[0]["peers"]:
        rate = peer["xrt"]["median"] * results[0]["gmacs"] / results[0]["xrt"]
        rows.append([_named(peer), *_engine_cells(peer["xrt"], peer), f"{rate:.0f}", "-"])
    rows += [[absent["name"], absent["reason"], *["-"] * 5] for absent in results[0]["absent"]]
    title, threads = TITLES[results[0]["name"]], results[0]["threads"]
    chunk = results[0]["chunk_ms"]
    return [
        f"{title}, {threads} thread{'s' if threads > 1 else ''}, {macs / 1e3:.0f} thousand "
        "multiply-adds per sample:",
        "",
        *_table(
            [
                "runtime",
                "x real time",
                f"chunk of {chunk:.0f} ms, p50 ms",
                "load ms",
                "RSS above Python MB (of the packed weights)",
                "GMAC/s (of the peak)",
                "ratio to the best of its kind",
            ],
            rows,
        ),
    ]


def _named(peer: Row) -> str:
    return f"{peer['name']} {peer['weights']}"


def _engine_cells(spread: Row, r: Row) -> list[str]:
    return [
        f"{_speed_of(spread['median'])} ({_speed_of(spread['q1'])}..{_speed_of(spread['q3'])})",
        f"{r['p50_ms']:.2f}",
        f"{r['load_ms']:.0f}",
        _resident(r),
    ]


def _speed_of(xrt: float) -> str:
    """One decimal, below 10 two."""
    return f"{xrt:.1f}" if xrt >= 10 else f"{xrt:.2f}"


def _resident(r: Row) -> str:
    """Memory, and of ours how much more it is than the weights."""
    if r["rss_mb"] is None:
        return "-"
    packed = r.get("packed_mb")
    return f"{r['rss_mb']:.0f}" + ("" if packed is None else f" ({r['rss_mb'] / packed:.2f} x)")


def _groups(report: Row, results: list[Row]) -> list[str]:
    """The work and the speed of each group of layers."""
    macs = results[0]["macs_by_part"]
    total = sum(macs.values())
    rows = []
    for part, n in macs.items():
        cells = [part, f"{n:.0f}", f"{n / total:.1%}"]
        for r in results:
            rate, peak = r["gmacs_by_part"][part], report["machine"]["peak_gmacs"][r["precision"]]
            cells.append(f"{rate:.0f} ({rate / peak:.0%})")
        rows.append(cells)
    header = ["layers", "multiply-adds per sample", "share"]
    speeds = [f"{r['precision']}, GMAC/s (of the peak)" for r in results]
    return ["On one thread, group by group:", "", *_table([*header, *speeds], rows)]


def _batches(results: list[Row]) -> list[str]:
    """Utterances that were handed over together."""
    rows = [
        [
            f"pyvoc {r['precision']}",
            f"{b['utterances']}",
            f"{b['per_second']:.3f}",
            _speed_of(b["xrt"]),
            f"{b['seconds']:.1f}",
        ]
        for r in results
        for b in r.get("batches", [])
    ]
    if not rows:
        return []
    frames = results[0]["batches"][0]["frames"]
    header = ["runtime", "utterances", "utterances/s", "x real time", "seconds in all"]
    return [f"Utterances of {frames} frames, handed over together:", "", *_table(header, rows), ""]


def _latency(results: list[Row]) -> list[str]:
    rows = []
    for r in results:
        above = None if r["c_rss_mb"] is None else r["c_rss_mb"] - r["model_mb"]
        rows.append(
            [
                _label(r),
                f"{r['p50_ms']:.3f}",
                f"{r['p99_ms']:.3f}",
                f"{r['first_sample_ms']:.3f}",
                f"{r['load_ms']:.1f}",
                f"{r['model_mb']:.1f}",
                "-" if r["rss_mb"] is None else f"{r['rss_mb']:.1f}",
                "-" if above is None else f"{above:.1f}",
            ]
        )
    header = ["work", "hop p50 ms", "p99", "first samples ms", "load ms", "file MB"]
    return _table([*header, "RSS above Python MB", "C example above file MB"], rows)


def _limits(results: list[Row]) -> list[str]:
    rows = [
        [
            _label(r),
            f"{r['gmacs']:.1f}",
            f"{r['peak_fraction']:.0%}",
            f"{r['bytes_per_sample'] / 1e3:.1f}",
            "-" if r["l2_fraction"] is None else f"{r['l2_fraction']:.0%}",
            "-" if r["l2_fraction"] is None else f"{r['xrt'] / r['l2_fraction']:.0f}",
        ]
        for r in results
    ]
    header = ["work", "GMAC/s", "of the peak", "kB per sample", "of L2 bandwidth"]
    return _table([*header, "x real time at L2 bandwidth"], rows)


def _work(results: list[Row]) -> list[str]:
    by_precision = {r["precision"]: r for r in results if r["bytes_by_part"] is not None}
    if not by_precision:
        return []
    first = next(iter(by_precision.values()))
    rows = [
        [part, f"{macs:.0f}", *(f"{r['bytes_by_part'][part]:.0f}" for r in by_precision.values())]
        for part, macs in first["macs_by_part"].items()
        if part in first["bytes_by_part"]
    ]
    for part in first["bytes_by_part"]:
        if part not in first["macs_by_part"]:
            rows.append(
                [part, "-", *(f"{r['bytes_by_part'][part]:.0f}" for r in by_precision.values())]
            )
    totals = [sum(first["macs_by_part"].values())]
    totals += [sum(r["bytes_by_part"].values()) for r in by_precision.values()]
    rows.append(["total", *(f"{total:.0f}" for total in totals)])
    header = ["part", "multiply-adds", *(f"bytes {precision}" for precision in by_precision)]
    return ["### Work per sample", "", *_table(header, rows), ""]


def updated(document: str, text: str) -> str:
    """The document with the tables between its two markers."""
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit("the document lacks the two 'measured' markers")
    return f"{head}{BEGIN}\n\n{text}\n{END}{tail}"


def misses(reports: list[Row]) -> list[str]:
    """Sentences about targets that were not reached."""
    found = []
    for r in (r for report in reports for r in report["results"]):
        target = TARGETS.get((r["name"], r["precision"], r["tier"], r["streams"]))
        alone = r["threads"] == 1
        if target is not None and alone and r["ratio"] is not None and r["ratio"] < target:
            found.append(f"{_label(r)} {r['tier']}: {r['ratio']:.2f} of the peer, not {target:.2f}")
        if r["name"] == "lpcnet" and r["load_ms"] is not None and r["load_ms"] >= MAX_LOAD_MS:
            found.append(f"{_label(r)} {r['tier']}: loads in {r['load_ms']:.1f} ms")
        if r["c_rss_mb"] is not None and r["c_rss_mb"] - r["model_mb"] > MAX_C_RSS_MB:
            found.append(f"{_label(r)} {r['tier']}: C example takes {r['c_rss_mb']:.1f} MB")
    return found


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Tables from the JSON of pyvoc bench.")
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--update", type=Path, metavar="FILE", help="write them into this document")
    args = parser.parse_args(argv)
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in args.results]
    reports.sort(key=lambda report: report["machine"]["tier"], reverse=True)  # avx512* before avx2
    text = tables(reports)
    if args.update is None:
        print(text)
    else:
        document = args.update.read_text(encoding="utf-8")
        args.update.write_text(updated(document, text), encoding="utf-8")
    for miss in misses(reports):
        print(f"target missed: {miss}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
