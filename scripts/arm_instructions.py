"""Count the Arm instructions that a second of audio takes, under emulation.

    python scripts/arm_instructions.py BUILD [--junit FILE] [--only WORD ...]

BUILD is a cross build with the static library (scripts/test_arm.sh makes it). A count that is more
than a few percent above what ``tests/emulation/instructions.json`` says of it fails; one that is
lower is to be written there. Counts depend on the compiler: with another one than that file names
they are printed only. Two lengths of the same input are counted, and the start falls out.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from pyvoc.container import read_container
from pyvoc.families.fargan.bench.seeded import SEEDED as SEEDED_FARGAN
from pyvoc.families.hifigan.bench.seeded import SEEDED_V2, mel
from pyvoc.families.lpcnet.bench.seeded import SEEDED as SEEDED_LPCNET
from pyvoc.quant.calibrate import quantize

ROOT = Path(__file__).resolve().parents[1]
EXPECTED = ROOT / "tests" / "emulation" / "instructions.json"
TOLERANCE = 0.03
TRIPLES = {"aarch64": "aarch64-linux-gnu", "arm": "arm-linux-gnueabihf"}
"""By what follows ``qemu-``."""


@dataclass(frozen=True)
class Work:
    """A model and two lengths of its features, in frames."""

    model: Path
    features: Path
    dims: int
    frames: tuple[int, int]
    frame_seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("--junit", type=Path, help="where to leave a JUnit file")
    parser.add_argument("--machine", choices=TRIPLES, default="aarch64")
    parser.add_argument("--only", nargs="+", help="words of the cases to count, e.g. lpcnet max")
    options = parser.parse_args()
    told = json.loads(EXPECTED.read_text(encoding="utf-8"))
    triple = TRIPLES[options.machine]
    compiler = _output(f"{triple}-g++", "-dumpfullversion")
    binding = compiler == told["gcc"]
    if not binding:
        print(f"GCC {compiler}, where the counts are of {told['gcc']}: they do not bind")
    suite = ElementTree.Element("testsuite", name="instructions")
    with tempfile.TemporaryDirectory() as folder:
        counter = Counter(Path(folder), options.build, triple, f"qemu-{options.machine}")
        works = _works(Path(folder))
        for name, wanted in told["millions"][options.machine].items():
            cpu, work = name.split(": ")
            if options.only and not all(word in name for word in options.only):
                continue
            case = ElementTree.SubElement(suite, "testcase", name=name)
            counted = counter.per_second(cpu, works[work]) / 1e6
            line = f"{name}: {counted:.1f} million instructions per second of audio, {wanted} known"
            if counted > (1 + TOLERANCE) * wanted and binding:
                ElementTree.SubElement(case, "failure", message=line)
                line += ": FAILED, more than before"
            elif counted < (1 - TOLERANCE) * wanted:
                line += f": fewer, to be written into {EXPECTED.name}"
            print(line, flush=True)
    if options.junit is not None:
        ElementTree.ElementTree(suite).write(options.junit)
    return 1 if suite.find("testcase/failure") is not None else 0


class Counter:
    """The example ``synth`` as a static program, under an emulator that counts."""

    def __init__(self, folder: Path, build: Path, triple: str, emulator: str) -> None:
        self._folder = folder
        self._emulator = emulator
        self._plugin = folder / "count.so"
        self._program = folder / "synth"
        source = ROOT / "tests" / "emulation" / "count_instructions.c"
        _output("cc", "-O2", "-shared", "-fPIC", "-o", str(self._plugin), str(source))
        objects = folder / "synth.o"
        include = ROOT / "csrc" / "include"
        example = ROOT / "examples" / "c" / "synth.c"
        _output(f"{triple}-gcc", "-O2", f"-I{include}", "-c", "-o", str(objects), str(example))
        library = build / "csrc" / "libpyvoc.a"
        _output(f"{triple}-g++", "-static", "-o", str(self._program), str(objects), str(library))

    def per_second(self, cpu: str, work: Work) -> float:
        few, many = (self._count(cpu, work, frames) for frames in work.frames)
        return (many - few) / ((work.frames[1] - work.frames[0]) * work.frame_seconds)

    def _count(self, cpu: str, work: Work, frames: int) -> int:
        features = self._folder / "some.f32"
        features.write_bytes(work.features.read_bytes()[: frames * 4 * work.dims])
        command = [self._emulator, "-cpu", cpu, "-plugin", str(self._plugin), str(self._program)]
        run = subprocess.run(
            [
                *command,
                "--dims",
                str(work.dims),
                str(work.model),
                str(features),
                str(self._folder / "out.s16"),
            ],
            capture_output=True,
            text=True,
        )
        found = re.search(r"^instructions: (\d+)$", run.stderr, re.MULTILINE)
        if run.returncode != 0 or found is None:
            raise SystemExit(f"{' '.join(command)} ended with {run.returncode}: {run.stderr}")
        return int(found[1])


def _works(folder: Path) -> dict[str, Work]:
    """Seeded models, as a voice may be trained again and then have other counts."""
    speech = ROOT / "pyvoc" / "voices" / "demo.f32"
    lpcnet, fargan = folder / "lpcnet.gguf", folder / "fargan.gguf"
    SEEDED_LPCNET.write(lpcnet, "int8")
    SEEDED_FARGAN.write(fargan, "int8")
    exact, rounded = folder / "v2.f32.gguf", folder / "v2.int8.gguf"
    SEEDED_V2.write(exact, "f32")
    rows = mel(96, read_container(exact).metadata)
    quantize(exact, rounded, [rows], any_sound=True, min_snr_db=0.0, float_share=0.0)
    mels = folder / "mel.f32"
    rows.tofile(mels)
    hop = 256 / 22050
    return {
        "lpcnet int8": Work(lpcnet, speech, 20, (20, 40), 0.01),
        "fargan int8": Work(fargan, speech, 20, (20, 60), 0.01),
        "hifigan v2 int8": Work(rounded, mels, 80, (48, 96), hop),
        "hifigan v2 f32": Work(exact, mels, 80, (48, 96), hop),
    }


def _output(*command: str) -> str:
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {run.returncode}:\n{run.stderr}")
    return run.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
