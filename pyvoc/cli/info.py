"""``pyvoc info``: this machine, or what is in files."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from pyvoc import voices
from pyvoc.cli.doubtful import add_strict
from pyvoc.cli.inspection import inspect
from pyvoc.files.layouts import LAYOUTS
from pyvoc.runtime.system import system_info

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "info",
        help="what this machine does; what is in a model, checkpoint, feature or audio file",
        description="Without files: version, processor, kernel tiers, the kernel table slot by "
        "slot, backends, voices. With files: what is in them.",
    )
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="a voice by name, model (.gguf), checkpoint that `pyvoc convert` reads, "
        "features (.f32, .npy), audio",
    )
    parser.add_argument("--tensors", action="store_true", help="list a model's tensors")
    parser.add_argument(
        "--layout", choices=list(LAYOUTS), help="of feature files; default: recognised"
    )
    add_strict(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; raises :class:`pyvoc.Error`."""
    if not args.files:
        system = {**system_info(), "voices": list(voices.names())}
        print(json.dumps(system, indent=2) if args.json else "\n".join(_system_lines(system)))
        return 0
    reports = []
    for name in args.files:
        report = inspect(name, layout=args.layout)
        if report["kind"] == "model" and not args.tensors:
            report["tensors"] = len(report["tensors"])
        reports.append(report)
        if not args.json:
            print("\n".join(_lines(report)))
    if args.json:
        print(json.dumps(reports, indent=2))
    return 0


def _system_lines(system: dict[str, Any]) -> list[str]:
    lines = [f"pyvoc    {system['version']}", f"cpu      {system['cpu']}"]
    tiers = []
    for tier in system["tiers"]:
        why = " (where asked for)" if tier["asked_for"] else ""
        tiers.append(tier["name"] + (why if tier["supported"] else " (not on this cpu)"))
    lines.append(f"tiers    {', '.join(tiers)}")
    lines.append(f"active   {system['active_tier']}  (PYVOC_ISA=NAME forces another)")
    lines.append(f"voices   {', '.join(system['voices']) or 'none: install pyvoc again'}")
    for backend in system["backends"]:
        why, about = backend["unavailable"], backend["about"]
        state = f": unavailable, {why}" if why else f": {about}" if about else ""
        lines.append(f"backend  {backend['name']}{state}")
    lines.append("kernels")
    width = max(len(slot) for slot in system["slots"])
    lines.extend(f"  {slot:<{width}}  {tier}" for slot, tier in system["slots"].items())
    return lines


def _lines(report: dict[str, Any]) -> list[str]:
    kinds = {
        "model": _model_lines,
        "checkpoint": _checkpoint_lines,
        "checkpoints": _bundle_lines,
        "features": _feature_lines,
        "audio": _audio_lines,
        "other": _other_lines,
    }
    return kinds[report["kind"]](report)


def _other_lines(report: dict[str, Any]) -> list[str]:
    advice = f" ({report['advice']})" if report["advice"] else ""
    return [f"{report['path']}: {report['what']}{advice}"]


def _bundle_lines(report: dict[str, Any]) -> list[str]:
    held = report["checkpoints"]
    return [
        f"{report['path']}: holds {len(held)} checkpoints",
        *(f"  {name}" for name in held),
        f"  pyvoc convert {shlex.quote(report['path'])} --which NAME -o MODEL.gguf  makes a model "
        "of one",
    ]


def _checkpoint_lines(report: dict[str, Any]) -> list[str]:
    target = shlex.quote(f"{Path(report['path']).stem}.gguf")
    sizes = ", ".join(f"{symbol} {size}" for symbol, size in report["sizes"].items())
    width = max(len(key) for key in report["settings"])
    return [
        f"{report['path']}: checkpoint, {report['family']} ({report['format']}), "
        f"{report['bytes'] / 1e6:.2f} MB",
        f"  {report['sample_rate']} Hz ({report['rate_from'] or 'the usual rate'}), "
        f"{report['tensors']} tensors, {report['parameters'] / 1e6:.2f} M parameters, "
        f"{report['weights']} weights",
        f"  sizes: {sizes}",
        "  settings",
        *(f"    {key:<{width}}  {value}" for key, value in report["settings"].items()),
        *(f"  note: {note}" for note in report["notes"]),
        f"  pyvoc convert {shlex.quote(report['path'])} -o {target}  makes a model of it "
        f"(--precision {', '.join(report['precisions'])})",
    ]


def _audio_lines(report: dict[str, Any]) -> list[str]:
    return [
        f"{report['path']}: audio, {report['seconds']:.3f} s, {report['samples']} samples at "
        f"{report['sample_rate']} Hz, peak {report['peak']:.3f}, rms {report['rms']:.4f}"
    ]


def _feature_lines(report: dict[str, Any]) -> list[str]:
    lines = [
        f"{report['path']}: features, {report['layout']} ({report['dims']} floats), "
        f"{report['frames']} frames, {report['seconds']:.2f} s"
    ]
    for name, (low, high) in report["ranges"].items():
        lines.append(f"  {name:<11} {low:10.4f} .. {high:.4f}")
    return lines


def _pitch_lines(report: dict[str, Any]) -> list[str]:
    if report["mel"] is not None:
        return []
    how = "the model's own network" if report["pitch_network"] else "LPCNet's estimator"
    return [f"  features of audio: pitch by {how}"]


def _model_lines(report: dict[str, Any]) -> list[str]:
    tensors = report["tensors"]
    count = tensors if isinstance(tensors, int) else len(tensors)
    lines = [
        f"{report['path']}: model, {report['architecture']}, {report['precision']}, "
        f"{report['bytes'] / 1e6:.2f} MB, {count} tensors, "
        f"packed {report['packed_bytes'] / 1e6:.2f} MB",
        f"  {report['sample_rate']} Hz, {report['hop_length']} samples per frame, features "
        f"{report['feature_layout']} (the first {report['feature_dims']} of "
        f"{report['layout_dims']} floats)",
        *_pitch_lines(report),
        f"  look-ahead {report['lookahead_frames']} frames: latency {report['latency_samples']} "
        f"samples, {1000 * report['latency_samples'] / report['sample_rate']:.0f} ms",
        "  metadata",
    ]
    width = max(len(key) for key in report["metadata"])
    lines.extend(f"    {key:<{width}}  {value}" for key, value in report["metadata"].items())
    lines.append("  plan")
    for entry in report["plan"]:
        shape = f"{entry['rows']} x {entry['cols']}"
        lines.append(
            f"    {entry['layer']:<18} {entry['op']:<14} {shape:>12}  {entry['weights']:<5} "
            f"{entry['backend']}"
        )
    if not isinstance(tensors, int):
        lines.append("  tensors")
        for tensor in tensors:
            lines.append(f"    {tensor['name']:<24} {tensor['type']:<5} {tensor['shape']}")
    return lines
