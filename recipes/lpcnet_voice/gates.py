#!/usr/bin/env python3
"""Does the voice speak? Copy synthesis of held-out clips in pyvoc's runtime, held against gates.

    python gates.py --model OUT.int8.gguf --float OUT.f32.gguf --validation data/lj/validation \\
        --train data/lj/train --unseen data/flite/kal16

Every clip goes through features and model and is compared with itself by the measures of
`pyvoc evaluate`, whose recipes `--json` prints; a figure is the mean over clips and seeds. Measured
beside: a ceiling (the clip's own excitation in mu-law codes) and a floor (LPC excited by noise).
Exit code 0: all gates that could be measured are passed; 1: one is missed; 3: bad input.

Needs pyvoc with the extras `evaluate` (for the F0 tracker and the spectral envelope that the gates
were set with) and `soxr` for clips at other rates.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping
from math import log
from pathlib import Path
from typing import Any

import numpy as np

import pyvoc
from pyvoc import evaluate
from pyvoc.evaluate import cepstra, f0
from pyvoc.evaluate.references import CEILING_RECIPE, FLOOR_RECIPE, bounds
from pyvoc.families.lpcnet.likelihood import RECIPE as NLL_RECIPE

DELAY = 80  # samples by which LPCNet copy synthesis lags: frames are centred
OPEN, CLOSE = (
    "<!-- gates.py --markdown writes what follows -->",
    "<!-- end of what gates.py writes -->",
)


@dataclasses.dataclass(frozen=True)
class Gate:
    """A figure and its limit: ``most``, ``least``, or ``within`` that of 0 on either side."""

    key: str
    limit: float
    kind: str = "most"

    def passed(self, value: float) -> bool:
        """NaN passes no gate."""
        if self.kind == "least":
            return value >= self.limit
        return (abs(value) if self.kind == "within" else value) <= self.limit

    def text(self) -> str:
        sign = {"most": "<=", "least": ">=", "within": "within"}[self.kind]
        return f"{sign} {self.limit:g}"


GATES = (
    Gate("f0_gross", 0.07),
    Gate("vuv_error", 0.13),
    Gate("lnf0_median", 0.035),
    Gate("mcd_db", 2.55),
    Gate("lsd_db", 9.8),
    Gate("level_db", 1.0, "within"),
    Gate("clicks", 0.0),
    Gate("gain_nats", 0.38, "least"),
    Gate("gap_nats", 0.08),
    Gate("int8_bits", 0.02, "within"),
)
NAMES = {
    "f0_gross": "gross F0 error",
    "vuv_error": "V/UV error",
    "lnf0_median": "median abs. d ln F0",
    "lnf0_rmse": "rms d ln F0",
    "mcd_db": "MCD, dB",
    "lsd_db": "LSD, dB",
    "level_db": "level, dB",
    "clicks": "clicks",
    "pesq": "PESQ (wide band)",
    "stoi": "STOI",
    "nll_nats": "clean NLL, nats per sample",
    "laplace_nats": "oracle Laplace, nats per sample",
    "gain_nats": "NLL below oracle Laplace, nats",
    "train_nll_nats": "clean NLL of training clips",
    "gap_nats": "train/validation gap, nats",
    "int8_bits": "int8 over float32, bits per sample",
}


def clips(folder: Path) -> list[str]:
    """Paths of the folder's wavs, sorted."""
    found = sorted(str(path) for path in folder.glob("*.wav"))
    if not found:
        raise pyvoc.AudioError(f"'{folder}': expected *.wav, found none")
    return found


def speaker(model: pyvoc.Model, paths: list[str], seeds: int, keep: Path | None) -> dict[str, Any]:
    """Everything about one set of clips: copy synthesis with every seed, bounds, likelihood."""
    rate, spoken, best, worst = model.info.sample_rate, [], [], []
    for path in paths:
        clip = evaluate.read(path, rate=rate)
        rows = pyvoc.features.extract(
            pyvoc.features.read_pcm(path), layout=model.info.feature_layout
        )
        for seed in range(1, seeds + 1):
            samples = model.synthesize(rows, seed=seed)
            name = f"{Path(path).stem}.{seed}.wav"
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                pyvoc.audio.write_wav(keep / name, samples, rate)
            copy = evaluate.Sound(name, samples.astype(np.float64), rate)
            spoken.append(evaluate.compare(clip, copy, delay=DELAY).without_signals())
        ceiling, floor = bounds(clip)
        best.append(ceiling.without_signals())
        worst.append(floor.without_signals())
    found = evaluate.evaluate_nll(model, paths)
    means = {
        name: evaluate.Report(tuple(part)).summary()["mean"]
        for name, part in (("model", spoken), ("ceiling", best), ("floor", worst))
    }
    likelihood = {
        "nll_nats": found.nats,
        "laplace_nats": found.figures["laplace"],
        "gain_nats": found.figures["gain"],
    }
    return {
        "clips": [Path(path).name for path in paths],
        **means,
        "model": {**means["model"], **likelihood},
        "syntheses": [{"name": c.output, **c.values} for c in spoken],
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The whole report, as `--json` prints it."""
    model = pyvoc.load(options.model)
    exact = None if options.float is None else pyvoc.load(options.float, precision="f32")
    keep, paths = options.keep, clips(options.validation)
    report: dict[str, Any] = {
        "model": options.model,
        "name": str(model.describe()["metadata"].get("general.name", options.model)),
        "precision": model.info.precision,
        "bytes": Path(model.info.path).stat().st_size,
        "tier": pyvoc.system_info()["active_tier"],
        "seeds": options.seeds,
        "f0": f0.tracker_name(),
        "envelope": cepstra.envelope_name(),
        "validation": speaker(model, paths, options.seeds, keep and keep / "validation"),
    }
    figures: dict[str, float] = report["validation"]["model"]
    if options.train is not None:
        train = evaluate.evaluate_nll(model, clips(options.train)).nats
        figures.update(train_nll_nats=train, gap_nats=figures["nll_nats"] - train)
    if exact is not None:
        cost = figures["nll_nats"] - evaluate.evaluate_nll(exact, paths).nats
        figures["int8_bits"] = cost / log(2)
    if options.unseen is not None:
        there = keep and keep / "unseen"
        report["unseen"] = speaker(model, clips(options.unseen), options.seeds, there)
    report["gates"] = [judge(gate, figures) for gate in GATES]
    report["recipes"] = {
        **evaluate.recipes(),
        **NLL_RECIPE,
        "ceiling": CEILING_RECIPE,
        "floor": FLOOR_RECIPE,
    }
    return report


def judge(gate: Gate, figures: Mapping[str, float]) -> dict[str, Any]:
    """One gate's verdict; `passed` is None where it was not measured."""
    value = figures.get(gate.key)
    passed = None if value is None else gate.passed(value)
    return {**dataclasses.asdict(gate), "text": gate.text(), "value": value, "passed": passed}


def cell(value: float | None) -> str:
    if value is None:
        return ""
    return "0" if value == 0 else f"{value:.{2 if abs(value) >= 1 else 3}f}"


def table(report: Mapping[str, Any]) -> list[str]:
    """The figures in Markdown."""
    gates = {gate["key"]: gate for gate in report["gates"]}
    sets = [report["validation"]] + ([report["unseen"]] if "unseen" in report else [])
    heads = ["", "voice", "gate", "", "ceiling", "floor"]
    heads += ["unseen speaker: voice", "ceiling", "floor"] if "unseen" in report else []
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for key, name in NAMES.items():
        if key not in gates and key not in sets[0]["model"]:
            continue
        row = [name, cell(sets[0]["model"].get(key))]
        verdict = {True: "passed", False: "**missed**", None: "not measured"}
        row += [gates[key]["text"], verdict[gates[key]["passed"]]] if key in gates else ["", ""]
        row += [cell(sets[0][kind].get(key)) for kind in ("ceiling", "floor")]
        for part in sets[1:]:
            row += [cell(part[kind].get(key)) for kind in ("model", "ceiling", "floor")]
        lines.append(f"| {' | '.join(row)} |")
    return lines


def text(report: Mapping[str, Any]) -> list[str]:
    """What is printed, and written into a model card: the table and what it was measured with."""
    lines = table(report)
    lines += [
        "",
        f"{report['name']}: {report['precision']}, {report['bytes']} bytes, "
        f"kernels {report['tier']}; {len(report['validation']['clips'])} held-out clips"
        + (f", {len(report['unseen']['clips'])} of an unseen speaker" if "unseen" in report else "")
        + f"; {report['seeds']} seeds each; F0 by {report['f0']}, envelopes by "
        f"{report['envelope']}.",
    ]
    return lines


def parts_of_card(path: Path) -> tuple[str, str]:
    """What stands before and behind the two marks of a model card."""
    old = path.read_text(encoding="utf-8")
    before, found, rest = old.partition(OPEN)
    _, closed, after = rest.partition(CLOSE)
    if not found or not closed:
        raise pyvoc.Error(f"'{path}': expected the lines '{OPEN}' and '{CLOSE}'")
    return before, after


def write_card(path: Path, lines: list[str]) -> None:
    """Replace what stands between the two marks of a model card."""
    before, after = parts_of_card(path)
    path.write_text("\n".join([before + OPEN, *lines, CLOSE + after]), encoding="utf-8")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("-m", "--model", default="lpcnet", help="the int8 file, or a bundled voice's name")
    add("--float", metavar="GGUF", help="the same weights in float32: what int8 costs")
    add("--validation", type=Path, required=True, metavar="DIR", help="held-out clips")
    add("--train", type=Path, metavar="DIR", help="training clips: the gap in likelihood")
    add("--unseen", type=Path, metavar="DIR", help="clips of a speaker kept out of training")
    add("--seeds", type=int, default=3, metavar="N", help="syntheses of a clip (default 3)")
    add("--keep", type=Path, metavar="DIR", help="save what was spoken there")
    add("--json", action="store_true", help="print everything as JSON")
    add("--markdown", type=Path, metavar="CARD.md", help="write the figures into a model card")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error("--seeds must be 1 or more")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        if options.markdown is not None:
            parts_of_card(options.markdown)  # before minutes of work
        report = measure(options)
        if options.markdown is not None:
            write_card(options.markdown, ["", *text(report), ""])
    except (pyvoc.Error, OSError) as error:
        print(f"gates: {error}", file=sys.stderr)
        return 3
    print(json.dumps(report, indent=2) if options.json else "\n".join(text(report)))
    missed = [NAMES[gate["key"]] for gate in report["gates"] if gate["passed"] is False]
    if missed:
        print(f"gates: missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
