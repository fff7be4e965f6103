"""The benchmark of a family that synthesises by streams, one and several in lockstep, beside
upstream's own program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc
from pyvoc.bench.memory import peak_bytes_of
from pyvoc.bench.report import Machine, Peer, Result, Spread
from pyvoc.bench.seeded import Seeded
from pyvoc.bench.session import Session, megabytes
from pyvoc.errors import UnsupportedError
from pyvoc.files.features import save

__all__ = ["StreamCase", "peer_of"]

native: Any = _pyvoc

_JOBS = "pyvoc.bench.stream_jobs"
_C_EXAMPLE_SECONDS = 60
_STREAMS = (1, 4)
"""Unless told otherwise."""


class StreamCase:
    """Synthesis, of a model file or of seeded models; a family says what is particular.

    Attributes
    ----------
    name
        Of the target and of the architecture.
    seeded
        The model that is measured without a file.
    work
        ``module:function``: what the runtime's ``describe`` says, as parsed JSON -> `Work`.
    layer
        Of the runtime's plan: the matrix whose kernel tells the tier.
    peer_name, peer_mode
        Upstream's program: for people, and its first argument.
    """

    name: str
    seeded: Seeded
    work: str
    layer: str
    peer_name: str
    peer_mode: str

    def __init__(self, session: Session) -> None:
        self.session, self.options = session, session.options
        self.frames = session.folder / f"{self.name}.npy"
        self.example = session.folder / "c_example.f32"

    def features(self, model: Any | None, seconds: float) -> npt.NDArray[np.float32]:
        """Frames [100 x seconds, dims] for a model (a native one), or for the seeded ones.

        Raises
        ------
        UnsupportedError
            The model cannot be measured.
        """
        raise NotImplementedError

    def prepare(self) -> None:
        """Write features; refuse a model that cannot be measured."""
        seconds, path = self.options.seconds, self.options.model
        model = None if path is None else native.Model(str(path))
        if model is not None and model.architecture != self.name:
            raise UnsupportedError(
                f"{path}: the model is {model.architecture}, not {self.name}: name what to "
                f"measure, pyvoc bench {model.architecture}"
            )
        rows = self.features(model, max(seconds, _C_EXAMPLE_SECONDS))
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

    def _models(self) -> list[Path]:
        if self.options.model is not None:
            return [self.options.model]
        paths = []
        for precision in self.options.precisions:
            paths.append(self.session.folder / f"{self.name}.{precision}.gguf")
            self.session.say(f"making a seeded model, {precision}")
            self.seeded.write(paths[-1], precision)
        return paths

    def _memory(self, path: Path) -> tuple[float | None, float | None]:
        """Peak MB above the interpreter, and of the C example."""
        self.session.say(f"memory of {path.name}")
        rss = self.session.job(f"{_JOBS}:memory", model=str(path), features=str(self.frames))
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
        model = native.Model(str(path))
        precision = str(model.precision)
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
            work=self.work,
            layer=self.layer,
            peer=str(program) if program is not None and threads == 1 else None,
            mode=self.peer_mode,
        )
        xrt = Spread.of(m["xrt"])
        gmacs = xrt.median * m["macs"] * m["sample_rate"] / 1e9
        read = xrt.median * m["bytes"] * m["sample_rate"] / 1e9
        peer = peer_of(self.peer_name, m, "int8" if precision == "int8" else "f32")
        return Result(
            name=self.name,
            precision=precision,
            threads=threads,
            streams=streams,
            xrt=xrt.median,
            xrt_spread=xrt,
            chunk_ms=1e3 * model.hop_length / model.sample_rate,
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


def peer_of(name: str, measured: dict[str, Any], weights: str | None) -> Peer | None:
    """Upstream's program from a child's figures, or None where it was not measured."""
    if not measured["peer_xrt"]:
        return None
    return Peer.of(name, weights, measured["xrt"], measured["peer_xrt"])
