"""The benchmarks of LPCNet's synthesis and of its feature extraction."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from pyvoc import _pyvoc
from pyvoc.bench.memory import peak_bytes_of
from pyvoc.bench.report import Machine, Peer, Result, Spread
from pyvoc.bench.session import Session, megabytes
from pyvoc.errors import UnsupportedError
from pyvoc.families.lpcnet.bench import peers, seeded
from pyvoc.files.features import HOP_LENGTH, SAMPLE_RATE, extract, save

native: Any = _pyvoc

_FEATURE_FACTOR = 20
"""Feature extraction is an order of magnitude faster, and gets as much more signal."""
_C_EXAMPLE_SECONDS = 60
_STREAMS = (1, 4)
"""Unless told otherwise."""
_HOP_MS = 1e3 * HOP_LENGTH / SAMPLE_RATE


_JOBS = "pyvoc.families.lpcnet.bench.jobs"


class Lpcnet:
    """Synthesis, of a model file or of seeded models."""

    def __init__(self, session: Session) -> None:
        self.session, self.options = session, session.options
        self.frames = session.folder / "lpcnet.npy"
        self.example = session.folder / "c_example.f32"

    def prepare(self) -> None:
        """Write features; refuse a model that cannot be measured."""
        seconds, model = self.options.seconds, self.options.model
        layout = "lpcnet36" if model is None else self._layout(model)
        rows = extract(seeded.speech(max(seconds, _C_EXAMPLE_SECONDS)), layout=layout)
        save(self.example, rows)
        np.save(self.frames, rows[: round(100 * seconds)])

    def measure(self, machine: Machine) -> list[Result]:
        """Every model with every number of streams."""
        results = []
        for path in self._models():
            memory = self._memory(path)
            streams = self.options.streams or _STREAMS
            results += [self._synthesis(path, s, memory, machine) for s in streams]
        return results

    def _layout(self, path: Path) -> str:
        model = native.Model(str(path))
        if model.architecture != "lpcnet":
            raise UnsupportedError(
                f"{path}: the model is {model.architecture}, not LPCNet: name what to measure, "
                f"pyvoc bench {model.architecture}"
            )
        peer = self.options.peer_int8 or self.options.peer_f32
        if peer is not None and model.feature_layout != "lpcnet36":
            raise UnsupportedError(
                f"{path}: the model's layout is {model.feature_layout}, the peer's lpcnet36: they "
                "cannot be compared"
            )
        return str(model.feature_layout)

    def _models(self) -> list[Path]:
        if self.options.model is not None:
            return [self.options.model]
        paths = []
        for precision in self.options.precisions:
            paths.append(self.session.folder / f"lpcnet.{precision}.gguf")
            self.session.say(f"making a seeded model, {precision}")
            seeded.SEEDED.write(paths[-1], precision)
        return paths

    def _memory(self, path: Path) -> tuple[float | None, float | None]:
        """Peak MB above the interpreter, and of the C example."""
        self.session.say(f"memory of {path.name}")
        rss = self.session.job(
            "pyvoc.families.lpcnet.bench.jobs:memory", model=str(path), features=str(self.frames)
        )
        c_rss = None
        if self.options.c_example is not None:
            c_rss = peak_bytes_of([str(self.options.c_example), str(path), str(self.example)])
        return megabytes(rss["rss"]), megabytes(c_rss)

    def _synthesis(
        self,
        path: Path,
        streams: int,
        memory: tuple[float | None, float | None],
        machine: Machine,
    ) -> Result:
        plural = "s" if streams > 1 else ""
        self.session.say(f"synthesis with {path.name}, {streams} stream{plural}")
        precision = str(native.Model(str(path)).precision)
        program = self.options.peer_int8 if precision == "int8" else self.options.peer_f32
        threads = self.options.threads
        m = self.session.job(
            f"{_JOBS}:synthesis",
            all_cores=True,
            model=str(path),
            features=str(self.frames),
            threads=threads,
            streams=streams,
            repeats=self.options.repeats,
            peer=str(program) if program is not None and threads == 1 else None,
        )
        xrt = Spread.of(m["xrt"])
        gmacs = xrt.median * m["macs"] * m["sample_rate"] / 1e9
        read = xrt.median * m["bytes"] * m["sample_rate"] / 1e9
        peer = _peer(m, "int8" if precision == "int8" else "f32")
        return Result(
            name="lpcnet",
            precision=precision,
            threads=threads,
            streams=streams,
            xrt=xrt.median,
            xrt_spread=xrt,
            chunk_ms=_HOP_MS,
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
            ratio=None if peer is None else peer.ratio,
            peers=[] if peer is None else [peer],
        )


class Features:
    """Feature extraction."""

    def __init__(self, session: Session) -> None:
        self.session, self.options = session, session.options
        self.pcm = session.folder / "pcm.npy"

    def prepare(self) -> None:
        """Write a signal."""
        np.save(self.pcm, seeded.speech(_FEATURE_FACTOR * self.options.seconds))

    def measure(self, machine: Machine) -> list[Result]:
        """The layout of LPCNet's features."""
        self.session.say("feature extraction")
        program = self.options.peer_int8 or self.options.peer_f32
        m = self.session.job(
            "pyvoc.families.lpcnet.bench.extraction:measure",
            pcm=str(self.pcm),
            repeats=self.options.repeats,
            peer=None if program is None else str(program),
        )
        xrt, peer = Spread.of(m["xrt"]), _peer(m, None)
        result = Result(
            name="features",
            precision=None,
            threads=1,
            streams=1,
            xrt=xrt.median,
            xrt_spread=xrt,
            chunk_ms=_HOP_MS,
            p50_ms=float(np.percentile(m["hops_ms"], 50)),
            p99_ms=float(np.percentile(m["hops_ms"], 99)),
            tier=m["tier"],
            peer=peer,
            ratio=None if peer is None else peer.ratio,
            peers=[] if peer is None else [peer],
        )
        return [result]


def _peer(measured: dict[str, Any], weights: str | None) -> Peer | None:
    if not measured["peer_xrt"]:
        return None
    return Peer.of(peers.LPCNET, weights, measured["xrt"], measured["peer_xrt"])


def find_peer() -> Path | None:
    """An installed lpcnet_demo, taken for an int8 build, which is upstream's default."""
    found = shutil.which("lpcnet_demo")
    return None if found is None else Path(found)
