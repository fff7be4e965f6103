"""Runs the jobs of a benchmark in child processes and puts the report together."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import pyvoc.errors
from pyvoc import _pyvoc
from pyvoc.bench import peers, seeded
from pyvoc.bench.memory import peak_bytes_of
from pyvoc.bench.report import Machine, Peer, Report, Result, Spread
from pyvoc.errors import Error, UnsupportedError
from pyvoc.features import extract, save
from pyvoc.specs.layout import PRECISIONS

native: Any = _pyvoc

TARGETS = ("lpcnet", "features")
_FEATURE_FACTOR = 20
"""Feature extraction is an order of magnitude faster, and gets as much more signal."""
_DEFAULT_L2 = 1 << 20
_C_EXAMPLE_SECONDS = 60


@dataclass(frozen=True)
class Options:
    """What to measure.

    Parameters
    ----------
    targets
        ``lpcnet``, ``features`` or both.
    model
        A model file; None makes seeded ones of the usual size.
    precisions
        Of the seeded models.
    seconds
        Audio per round and stream.
    repeats
        Rounds.
    core
        The logical processor to use (the first of `threads`); None takes the last ones allowed.
    streams
        Numbers of streams to run in lockstep.
    threads
        Threads, each on `streams` streams of its own.
    peer_int8, peer_f32
        lpcnet_demo of an int8 and of a float build.
    c_example
        The binary of examples/c, to see its memory.
    """

    targets: tuple[str, ...] = TARGETS
    model: Path | None = None
    precisions: tuple[str, ...] = PRECISIONS
    seconds: float = 5.0
    repeats: int = 9
    core: int | None = None
    streams: tuple[int, ...] = (1, 4)
    threads: int = 1
    peer_int8: Path | None = None
    peer_f32: Path | None = None
    c_example: Path | None = None


def run(options: Options, *, progress: Callable[[str], None] | None = None) -> Report:
    """Measure.

    Parameters
    ----------
    options
        What.
    progress
        Called with a line before each step.

    Raises
    ------
    ModelError, UnsupportedError, Error
        The model cannot be loaded, is no LPCNet; a core that is not there; a peer that fails.
    """
    say = progress or (lambda line: None)
    cores = _cores(options)
    with tempfile.TemporaryDirectory(prefix="pyvoc-bench-") as name:
        session = _Session(options, cores, Path(name), say)
        session.prepare()
        say("machine")
        l2_bytes = _l2_bytes(cores[0])
        measured = _child({"kind": "machine", "cores": cores[:1], "l2_bytes": l2_bytes})
        machine = Machine(cores=len(_allowed()), l2_bytes=l2_bytes, **measured)
        results: list[Result] = []
        if "lpcnet" in options.targets:
            for path in session.models():
                memory = session.memory(path)
                results += [session.synthesis(path, s, memory, machine) for s in options.streams]
        if "features" in options.targets:
            results.append(session.features())
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return Report(machine, results, today, native.version())


class _Session:
    """One run: its options, its cores and the folder of its inputs."""

    def __init__(
        self, options: Options, cores: list[int], folder: Path, say: Callable[[str], None]
    ) -> None:
        self.options, self.cores, self.folder, self.say = options, cores, folder, say

    def prepare(self) -> None:
        """Write the inputs; refuse a model that cannot be measured before anything is."""
        seconds = self.options.seconds
        if "lpcnet" in self.options.targets:
            layout = "lpcnet36" if self.options.model is None else self._layout(self.options.model)
            rows = extract(seeded.speech(max(seconds, _C_EXAMPLE_SECONDS)), layout=layout)
            save(self.folder / "c_example.f32", rows)
            np.save(self.folder / "features.npy", rows[: round(100 * seconds)])
        if "features" in self.options.targets:
            np.save(self.folder / "pcm.npy", seeded.speech(_FEATURE_FACTOR * seconds))

    def _layout(self, path: Path) -> str:
        model = native.Model(str(path))
        if model.architecture != "lpcnet":
            raise UnsupportedError(f"{path}: pyvoc bench measures LPCNet, not {model.architecture}")
        peer = self.options.peer_int8 or self.options.peer_f32
        if peer is not None and model.feature_layout != "lpcnet36":
            raise UnsupportedError(
                f"{path}: the model's layout is {model.feature_layout}, the peer's lpcnet36: they "
                "cannot be compared"
            )
        return str(model.feature_layout)

    def models(self) -> list[Path]:
        """Model files to measure."""
        if self.options.model is not None:
            return [self.options.model]
        paths = []
        for precision in self.options.precisions:
            paths.append(self.folder / f"lpcnet.{precision}.gguf")
            self.say(f"making a seeded model, {precision}")
            seeded.write_lpcnet(paths[-1], precision)
        return paths

    def memory(self, path: Path) -> tuple[float | None, float | None]:
        """Peak MB above the interpreter, and of the C example."""
        self.say(f"memory of {path.name}")
        rss = self._job("memory", model=str(path), features=str(self.folder / "features.npy"))
        c_rss = None
        if self.options.c_example is not None:
            example = str(self.options.c_example)
            c_rss = peak_bytes_of([example, str(path), str(self.folder / "c_example.f32")])
        return _megabytes(rss["rss"]), _megabytes(c_rss)

    def synthesis(
        self,
        path: Path,
        streams: int,
        memory: tuple[float | None, float | None],
        machine: Machine,
    ) -> Result:
        self.say(f"synthesis with {path.name}, {streams} stream{'s' if streams > 1 else ''}")
        precision = str(native.Model(str(path)).precision)
        program = self.options.peer_int8 if precision == "int8" else self.options.peer_f32
        weights = "int8" if precision == "int8" else "f32"
        threads = self.options.threads
        m = self._job(
            "synthesis",
            model=str(path),
            features=str(self.folder / "features.npy"),
            threads=threads,
            streams=streams,
            repeats=self.options.repeats,
            peer=str(program) if program is not None and threads == 1 else None,
        )
        xrt = Spread.of(m["xrt"])
        gmacs = xrt.median * m["macs"] * m["sample_rate"] / 1e9
        read = xrt.median * m["bytes"] * m["sample_rate"] / 1e9
        peer = _peer(m, weights)
        return Result(
            name="lpcnet",
            precision=precision,
            threads=threads,
            streams=streams,
            xrt=xrt.median,
            xrt_spread=xrt,
            p50_ms=float(np.percentile(m["hops_ms"], 50)),
            p99_ms=float(np.percentile(m["hops_ms"], 99)),
            first_sample_ms=m["first_sample_ms"],
            rss_mb=memory[0],
            c_rss_mb=memory[1],
            model_mb=path.stat().st_size / 1e6,
            load_ms=m["load_ms"],
            gmacs=gmacs,
            peak_fraction=gmacs / (machine.peak_gmacs[precision] * threads),
            bytes_per_sample=round(m["bytes"]),
            l2_fraction=read / (machine.l2_gbytes * threads) if streams == 1 else None,
            macs_by_part=m["macs_by_part"],
            bytes_by_part=m["bytes_by_part"],
            tier=m["tier"],
            peer=peer,
            ratio=None if peer is None else xrt.median / peer.xrt.median,
        )

    def features(self) -> Result:
        self.say("feature extraction")
        program = self.options.peer_int8 or self.options.peer_f32
        m = self._job(
            "features",
            pcm=str(self.folder / "pcm.npy"),
            repeats=self.options.repeats,
            peer=None if program is None else str(program),
        )
        xrt, peer = Spread.of(m["xrt"]), _peer(m, None)
        return Result(
            name="features",
            precision=None,
            threads=1,
            streams=1,
            xrt=xrt.median,
            xrt_spread=xrt,
            p50_ms=float(np.percentile(m["hops_ms"], 50)),
            p99_ms=float(np.percentile(m["hops_ms"], 99)),
            first_sample_ms=None,
            rss_mb=None,
            c_rss_mb=None,
            model_mb=None,
            load_ms=None,
            gmacs=None,
            peak_fraction=None,
            bytes_per_sample=None,
            l2_fraction=None,
            macs_by_part=None,
            bytes_by_part=None,
            tier=m["tier"],
            peer=peer,
            ratio=None if peer is None else xrt.median / peer.xrt.median,
        )

    def _job(self, kind: str, **arguments: Any) -> dict[str, Any]:
        cores = self.cores if kind == "synthesis" else self.cores[:1]
        return _child({"kind": kind, "cores": cores, **arguments})


def _peer(measured: dict[str, Any], weights: str | None) -> Peer | None:
    if not measured["peer_xrt"]:
        return None
    pairs = zip(measured["xrt"], measured["peer_xrt"], strict=True)
    ratios = [ours / theirs for ours, theirs in pairs]
    return Peer(peers.LPCNET, weights, Spread.of(measured["peer_xrt"]), Spread.of(ratios))


# `python -m pyvoc.bench.worker`, but a ./pyvoc in the current folder (a checkout, which lacks the
# compiled module) does not come before the package that is running.
_WORKER = (
    "import runpy, sys\n"
    "sys.path[:] = [folder for folder in sys.path if folder]\n"
    "runpy.run_module('pyvoc.bench.worker', run_name='__main__')"
)


def _child(job: dict[str, Any]) -> dict[str, Any]:
    # The child finds this pyvoc, however the parent found it.
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", _WORKER],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    try:
        reply: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Error(
            f"the benchmark's '{job['kind']}' process ended with code {done.returncode}: {last}"
        ) from error
    if "error" in reply:
        kind = getattr(pyvoc.errors, reply["error"], Error)
        raise kind(reply["message"])
    return reply


def _allowed() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _cores(options: Options) -> list[int]:
    allowed = _allowed()
    if options.core is not None and options.core not in allowed:
        raise UnsupportedError(
            f"core {options.core} is not one this process may use ({', '.join(map(str, allowed))})"
        )
    first = len(allowed) - options.threads if options.core is None else allowed.index(options.core)
    cores = allowed[max(first, 0) : max(first, 0) + options.threads]
    if len(cores) < options.threads:
        raise UnsupportedError(
            f"{options.threads} threads need as many cores, found {len(cores)} from core "
            f"{options.core if options.core is not None else allowed[0]}"
        )
    return cores


def _l2_bytes(core: int) -> int:
    """Size of the core's second-level cache; 1 MB where the system does not say."""
    for folder in Path(f"/sys/devices/system/cpu/cpu{core}/cache").glob("index*"):
        try:
            if (folder / "level").read_text().strip() == "2":
                return int((folder / "size").read_text().strip().removesuffix("K")) * 1024
        except (OSError, ValueError):
            continue
    return _DEFAULT_L2


def _megabytes(count: int | None) -> float | None:
    return None if count is None else count / 1e6


def find_peer() -> Path | None:
    """An installed lpcnet_demo, taken for an int8 build, which is upstream's default."""
    found = shutil.which("lpcnet_demo")
    return None if found is None else Path(found)
