"""The benchmark of a model from mel to audio: ours at each precision, every peer, in turns."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pyvoc import _pyvoc
from pyvoc.bench.mel.family import Family
from pyvoc.bench.mel.measurement import BATCH_FRAMES, CHUNK
from pyvoc.bench.process import Child, job
from pyvoc.bench.report import Absent, Batch, Machine, Peer, Result, Spread
from pyvoc.bench.session import Session, megabytes
from pyvoc.container import read_container
from pyvoc.errors import Error, UnsupportedError

native: Any = _pyvoc

_CALIBRATION_FRAMES = 200
_SAME_DB = 60.0
"""Float32 runtimes that agree less than this do not compute the same network."""
_PAUSE_SECONDS = 0.02
"""Between turns: a runtime's idle threads stop spinning."""


@dataclass
class _Running:
    """A child process with one engine, and what it measured."""

    name: str
    precision: str
    child: Child
    audio: Path
    model: Path
    seconds: list[float] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.name} {self.figures['version']}"


class MelCase:
    """Synthesis, of a model file or of seeded models, as utterance and in chunks."""

    family: Family
    """Of the subclass."""

    def __init__(self, session: Session) -> None:
        self.session, self.options = session, session.options
        self.mel, self.noise = session.folder / "mel.npy", session.folder / "noise.npy"
        self.models: list[Path] = []
        self.peers: list[tuple[str, str]] = []
        self.seconds = 0.0
        self.samples = 0
        self.absent: list[Absent] = []

    def prepare(self) -> None:
        """Make models and a mel spectrogram; refuse what cannot be measured."""
        self.peers = self.options.peers_among(self.family.peers)
        self.models = [self.options.model] if self.options.model is not None else self._seeded()
        for path in self.models:
            model = native.Model(str(path))
            if model.architecture != self.family.name:
                raise UnsupportedError(
                    f"{path}: the model is {model.architecture}, not {self.family.title}"
                )
        rate, hop = model.sample_rate, model.hop_length
        frames = max(round(self.options.seconds * rate / hop), 2 * CHUNK)
        self.samples, self.seconds = frames * hop, frames * hop / rate
        metadata = read_container(self.models[0]).metadata
        np.save(self.mel, self.family.mel(frames, metadata))
        noise = self.family.noise(frames, metadata)
        if noise is not None:
            np.save(self.noise, noise)

    def measure(self, machine: Machine) -> list[Result]:
        """Every engine once per round."""
        with contextlib.ExitStack() as stack:
            ours = [self._ours(stack, path) for path in self.models]
            peers = self._peers(stack) if self.peers else []
            everyone = [*ours, *peers]
            for turn in range(self.options.repeats):
                self.session.say(f"{self.family.title}, round {turn + 1} of {self.options.repeats}")
                for running in everyone:
                    time.sleep(_PAUSE_SECONDS)
                    running.seconds.append(running.child.call("round")["seconds"])
            for running in everyone:
                self.session.say(f"{running.name} {running.precision}, memory and chunks")
                running.figures |= running.child.call("memory")
                running.figures["chunks_ms"] = running.child.call("chunks")["ms"]
            for running in ours:
                running.figures["first_ms"] = running.child.call("first")["ms"]
                running.figures["groups"] = running.child.call("groups")["seconds"]
                if self.options.batches:
                    self.session.say(f"{running.name} {running.precision}, batches")
                running.figures["batches"] = running.child.call("batches")
        snr = _ratios(everyone)
        return [self._result(running, peers, snr, machine) for running in ours]

    def _seeded(self) -> list[Path]:
        paths = []
        for precision in self.options.precisions:
            paths.append(self.session.folder / f"{self.family.name}.{precision}.gguf")
            self.session.say(f"making a seeded model, {precision}")
            if precision == "int8":
                self._calibrate(paths[-1])
            else:
                self.family.seeded.write(paths[-1], precision)
        return paths

    def _calibrate(self, path: Path) -> None:
        """Write the int8 form of the seeded model."""
        from pyvoc.quant.calibrate import quantize

        exact = self.session.folder / f"{self.family.name}.f32.gguf"
        if not exact.exists():
            self.family.seeded.write(exact, "f32")
        mel = self.family.mel(_CALIBRATION_FRAMES, read_container(exact).metadata)
        quantize(exact, path, [mel], any_sound=True, min_snr_db=0.0, float_share=0.0)

    def _ours(self, stack: contextlib.ExitStack, path: Path) -> _Running:
        model = native.Model(str(path))
        return self._open(
            stack,
            "pyvoc",
            str(model.precision),
            path,
            lookahead=model.lookahead_frames,
            batches=self.options.batches,
        )

    def _open(
        self, stack: contextlib.ExitStack, name: str, precision: str, model: Path, **more: Any
    ) -> _Running:
        self.session.say(f"loading {name} {precision}")
        audio = self.session.folder / f"{name}.{precision}.npy"
        child = Child(
            "pyvoc.bench.mel.measurement:Measurement",
            self.session.cores,
            family=self.family.name,
            engine=name,
            precision=precision,
            model=str(model),
            audio=str(audio),
            **self._inputs(),
            samples=self.samples,
            **more,
        )
        stack.enter_context(child)
        running = _Running(name, precision, child, audio, model)
        running.figures |= child.call("about")
        return running

    def _inputs(self) -> dict[str, str | None]:
        """Paths, as jobs name them."""
        return {"mel": str(self.mel), "noise": str(self.noise) if self.noise.exists() else None}

    def _peers(self, stack: contextlib.ExitStack) -> list[_Running]:
        """The peers that start; the others go to `absent`."""
        model = self.models[0]
        graphs = {p: self.session.folder / f"{self.family.name}.{p}.onnx" for p in ("f32", "int8")}
        problems: dict[str, str] = {}
        paths = {"model": str(model), "source": str(graphs["f32"]), **self._inputs()}
        wanted = {"int8" if p == "int8" else "f32" for name, p in self.peers if name != "torch"}
        for precision, graph in graphs.items():
            if not wanted or (precision == "int8" and "int8" not in wanted):
                continue  # the int8 one is made of the float one
            self.session.say(f"making the peers' graph, {precision}")
            kind = f"pyvoc.bench.mel.graphs:write_{precision}"
            try:
                job(kind, self.session.cores, graph=str(graph), **paths)
            except Error as error:
                problems[precision] = f"its graph could not be made: {error}"
        found = []
        for name, precision in self.peers:
            kind = "int8" if precision == "int8" else "f32"
            try:
                if name != "torch" and kind in problems:
                    raise UnsupportedError(problems[kind])
                running = self._open(stack, name, precision, model, graph=str(graphs[kind]))
                found.append(running)
            except Error as error:
                self.absent.append(Absent(f"{name} {precision}", str(error)))
        return found

    def _result(
        self, ours: _Running, peers: list[_Running], snr: dict[str, float | None], machine: Machine
    ) -> Result:
        model = native.Model(str(ours.model))
        description = json.loads(model.describe())
        macs = {k: n / model.hop_length for k, n in self.family.macs(description).items()}
        slots = json.loads(native.system_info())["slots"]
        xrt = [self.seconds / seconds for seconds in ours.seconds]
        gmacs = Spread.of(xrt).median * sum(macs.values()) * model.sample_rate / 1e9
        measured = [
            Peer.of(
                peer.title,
                peer.precision,
                xrt,
                [self.seconds / seconds for seconds in peer.seconds],
                p50_ms=float(np.median(peer.figures["chunks_ms"])),
                rss_mb=megabytes(peer.figures["rss"]),
                load_ms=peer.figures["load_ms"],
                snr_db=snr[peer.audio.name],
            )
            for peer in peers
        ]
        same = [peer for peer in measured if peer.weights == ours.precision]
        best = max(same, key=lambda peer: peer.xrt.median, default=None)
        return Result(
            name=self.family.measured,
            precision=ours.precision,
            threads=self.options.threads,
            streams=1,
            xrt=Spread.of(xrt).median,
            xrt_spread=Spread.of(xrt),
            chunk_ms=1e3 * CHUNK * model.hop_length / model.sample_rate,
            p50_ms=float(np.percentile(ours.figures["chunks_ms"], 50)),
            p99_ms=float(np.percentile(ours.figures["chunks_ms"], 99)),
            first_sample_ms=ours.figures["first_ms"],
            rss_mb=megabytes(ours.figures["rss"]),
            model_mb=ours.model.stat().st_size / 1e6,
            packed_mb=description["packed_bytes"] / 1e6,
            load_ms=ours.figures["load_ms"],
            gmacs=gmacs,
            peak_fraction=gmacs / (machine.peak_gmacs[ours.precision] * self.options.threads),
            macs_by_part=macs,
            gmacs_by_part={
                part: n * self.samples / ours.figures["groups"][part] / 1e9
                for part, n in macs.items()
            },
            tier=slots[f"{self.family.kernel}_{ours.precision.replace('int8', 'i8')}"],
            peer=best,
            ratio=None if best is None else best.ratio,
            peers=measured,
            absent=self.absent,
            batches=[
                Batch.of(int(n), BATCH_FRAMES, model.hop_length / model.sample_rate, seconds)
                for n, seconds in ours.figures["batches"].items()
            ],
        )


def _ratios(everyone: list[_Running]) -> dict[str, float | None]:
    """Signal over error, dB, of each engine's samples against the first float32 engine's.

    Raises
    ------
    Error
        A float32 engine computes something else.
    """
    first = next((running for running in everyone if running.precision == "f32"), None)
    if first is None:
        return {running.audio.name: None for running in everyone}
    truth = np.load(first.audio).astype(np.float64)
    found: dict[str, float | None] = {}
    for running in everyone:
        error = float(np.square(np.load(running.audio) - truth).sum())
        power = float(np.square(truth).sum())
        found[running.audio.name] = snr = (
            None if error == 0 else 10 * float(np.log10(max(power, 1e-30) / error))
        )
        if running.precision == "f32" and snr is not None and snr < _SAME_DB:
            raise Error(
                f"{running.name} computes something else than {first.name}: {snr:.1f} dB; this is "
                "a bug"
            )
    return found
