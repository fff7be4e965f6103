"""The benchmark of WaveRNN: one stream and several, dense and sparse, beside the peers' steps."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pyvoc import _pyvoc
from pyvoc.bench.process import Child, job
from pyvoc.bench.report import Absent, Machine, Peer, Result, Spread
from pyvoc.bench.session import Session, megabytes
from pyvoc.errors import Error, UnsupportedError
from pyvoc.families.wavernn.bench import seeded
from pyvoc.families.wavernn.bench.peers import STEPS

native: Any = _pyvoc

_HERE = "pyvoc.families.wavernn.bench"

PEERS = (("onnxruntime", "f32"), ("onnxruntime", "int8"), ("torch", "f32"), ("torch", "int8"))
"""Runtimes and precisions."""
STREAMS = (1, 16)
"""Unless told otherwise: one, and as many as go in lockstep."""
SPARSITY = 0.9
_LEAST = 1e-3
"""Float32 peers whose outputs differ more do not compute the same network."""
_SHARE = 10
"""WaveRNN is slow: a tenth of the audio that others are measured on."""
_PAUSE_SECONDS = 0.02


@dataclass
class _Running:
    """A child process, and what it measured."""

    name: str
    precision: str
    streams: int
    child: Child
    model: Path | None = None
    sparsity: float | None = None
    seconds: list[float] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)


class Wavernn:
    """Synthesis, of a model file or of seeded models."""

    def __init__(self, session: Session) -> None:
        self.session, self.options = session, session.options
        self.mel = session.folder / "mel.npy"
        self.models: list[tuple[Path, float | None]] = []
        self.streams = self.options.streams or STREAMS
        self.peers: list[tuple[str, str]] = []
        self.seconds, self.rate = 0.0, 0
        self.absent: list[Absent] = []

    def prepare(self) -> None:
        """Make models and a mel spectrogram; refuse a model that cannot be measured."""
        self.peers = self.options.peers_among(PEERS)
        given = self.options.model
        self.models = [(given, None)] if given is not None else self._seeded()
        for path, _ in self.models:
            model = native.Model(str(path))
            if model.architecture != "wavernn":
                raise UnsupportedError(f"{path}: the model is {model.architecture}, not WaveRNN")
        self.rate = model.sample_rate
        frames = max(round(self.options.seconds * self.rate / model.hop_length / _SHARE), 4)
        self.seconds = frames * model.hop_length / self.rate
        np.save(self.mel, seeded.mel(frames, model.feature_dims))

    def measure(self, machine: Machine) -> list[Result]:
        """Every model with every number of streams, and every peer, once per round."""
        with contextlib.ExitStack() as stack:
            ours = [
                self._ours(stack, path, streams, sparsity)
                for path, sparsity in self.models
                for streams in self.streams
                if sparsity is None or streams == 1
            ]
            peers = self._peers(stack) if self.peers else []
            for turn in range(self.options.repeats):
                self.session.say(f"WaveRNN, round {turn + 1} of {self.options.repeats}")
                for running in [*ours, *peers]:
                    time.sleep(_PAUSE_SECONDS)
                    running.seconds.append(running.child.call("round")["seconds"])
            for running in ours:
                running.figures["hops_ms"] = running.child.call("hops")["ms"]
                running.figures["first_ms"] = running.child.call("first")["ms"]
            for running in peers:
                running.figures |= running.child.call("memory")
        return [self._result(running, peers, machine) for running in ours]

    def _seeded(self) -> list[tuple[Path, float | None]]:
        found: list[tuple[Path, float | None]] = []
        for precision in self.options.precisions:
            for sparsity in (None, SPARSITY):
                kind = "dense" if sparsity is None else "sparse"
                self.session.say(f"making a seeded model, {precision}, {kind}")
                path = self.session.folder / f"wavernn.{kind}.{precision}.gguf"
                seeded.SEEDED.write(path, precision, seeded.tensors(sparsity))
                found.append((path, sparsity))
        return found

    def _ours(
        self, stack: contextlib.ExitStack, path: Path, streams: int, sparsity: float | None
    ) -> _Running:
        self.session.say(f"loading {path.name}, {streams} streams")
        child = Child(
            f"{_HERE}.measurement:Measurement",
            self.session.cores,
            model=str(path),
            mel=str(self.mel),
            streams=streams,
        )
        stack.enter_context(child)
        precision = str(native.Model(str(path)).precision)
        running = _Running("pyvoc", precision, streams, child, path, sparsity)
        running.figures |= child.call("about")
        return running

    def _peers(self, stack: contextlib.ExitStack) -> list[_Running]:
        """The peers that start; the others go to `absent`."""
        if self.options.model is not None:
            reason = "their graph is the seeded checkpoint's: a model file's inputs are hoisted"
            self.absent = [Absent(f"{name} {p}", reason) for name, p in self.peers]
            return []
        model = self.session.folder / "wavernn.dense.f32.gguf"
        if not model.exists():
            seeded.SEEDED.write(model, "f32")
        state = self.session.folder / "state.npz"
        np.savez(state, **seeded.state_dict())  # type: ignore[arg-type]
        graphs = {p: str(self.session.folder / f"step.{p}.onnx") for p in ("f32", "int8")}
        problem: str | None = None
        try:
            job(
                "pyvoc.families.wavernn.bench.graph:write",
                self.session.cores,
                state=str(state),
                **graphs,
            )
        except Error as error:
            problem = f"its graph could not be made: {error}"
        found = []
        for name, precision in self.peers:
            for rows in self.streams:
                outputs = self.session.folder / f"{name}.{precision}.{rows}.npy"
                self.session.say(f"loading {name} {precision}, {rows} rows")
                try:
                    if name == "onnxruntime" and problem is not None:
                        raise UnsupportedError(problem)
                    child = Child(
                        f"{_HERE}.peers:Peer",
                        self.session.cores,
                        engine=name,
                        precision=precision,
                        rows=rows,
                        model=str(model),
                        graph=graphs[precision],
                        outputs=str(outputs),
                    )
                except Error as error:
                    self.absent.append(Absent(f"{name} {precision}", str(error)))
                    break
                stack.enter_context(child)
                running = _Running(name, precision, rows, child, outputs)
                running.figures |= child.call("about")
                found.append(running)
        _same_network(found)
        return found

    def _result(self, ours: _Running, peers: list[_Running], machine: Machine) -> Result:
        assert ours.model is not None
        f, threads, streams = ours.figures, self.options.threads, ours.streams
        xrt = [self.seconds * streams / seconds for seconds in ours.seconds]
        macs, read = sum(f["macs"].values()), sum(f["bytes"].values())
        median = Spread.of(xrt).median
        gmacs = median * macs * self.rate / 1e9
        peak = machine.peak_gmacs[ours.precision] * threads
        gbytes = threads * float(
            self.session.job(
                "pyvoc.families.wavernn.bench.measurement:read_rate", bytes=round(read / threads)
            )["gbytes"]
        )
        bound = min(gbytes * streams / read, peak / macs) * 1e9 / self.rate
        measured = [
            Peer.of(
                f"{peer.name} {peer.figures['version']}",
                peer.precision,
                xrt,
                [STEPS * peer.streams / self.rate / seconds for seconds in peer.seconds],
                rss_mb=megabytes(peer.figures["rss"]),
                load_ms=peer.figures["load_ms"],
            )
            for peer in peers
            if peer.streams == streams
        ]
        same = [peer for peer in measured if peer.weights == ours.precision]
        best = max(same, key=lambda peer: peer.xrt.median, default=None)
        return Result(
            name="wavernn",
            precision=ours.precision,
            threads=threads,
            streams=streams,
            sparsity=ours.sparsity,
            xrt=median,
            xrt_spread=Spread.of(xrt),
            chunk_ms=1e3 * native.Model(str(ours.model)).hop_length / self.rate,
            p50_ms=float(np.percentile(f["hops_ms"], 50)),
            p99_ms=float(np.percentile(f["hops_ms"], 99)),
            first_sample_ms=f["first_ms"],
            rss_mb=megabytes(f["rss"]),
            model_mb=ours.model.stat().st_size / 1e6,
            load_ms=f["load_ms"],
            gmacs=gmacs,
            peak_fraction=gmacs / peak,
            bytes_per_sample=round(read),
            read_gbytes=gbytes,
            bound_xrt=bound,
            macs_by_part=f["macs"],
            bytes_by_part=f["bytes"],
            tier=f["tier"],
            peer=best,
            ratio=None if best is None else best.ratio,
            peers=measured,
            absent=self.absent,
        )


def _same_network(peers: list[_Running]) -> None:
    """Raise `Error` when float32 peers with as many rows give different outputs."""
    first: dict[int, _Running] = {}
    for peer in peers:
        if peer.precision != "f32" or peer.model is None:
            continue
        other = first.setdefault(peer.streams, peer)
        assert other.model is not None
        gap = float(np.abs(np.load(peer.model) - np.load(other.model)).max())
        if gap > _LEAST:
            raise Error(
                f"{peer.name} computes something else than {other.name}: outputs differ by "
                f"{gap:.1e}; this is a bug"
            )
