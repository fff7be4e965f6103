"""The benchmarks of LPCNet's synthesis and of its feature extraction."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.bench.report import Machine, Result, Spread
from pyvoc.bench.session import Session
from pyvoc.bench.streams import StreamCase, peer_of
from pyvoc.errors import UnsupportedError
from pyvoc.families.lpcnet.bench import seeded
from pyvoc.files.features import HOP_LENGTH, SAMPLE_RATE, extract

_PEER = "xiph/LPCNet"
_FEATURE_FACTOR = 20
"""Feature extraction is an order of magnitude faster, and gets as much more signal."""
_HOP_MS = 1e3 * HOP_LENGTH / SAMPLE_RATE


class Lpcnet(StreamCase):
    """Synthesis, beside lpcnet_demo."""

    name = "lpcnet"
    seeded = seeded.SEEDED
    work = "pyvoc.families.lpcnet.bench.work:lpcnet_work"
    layer = "gru_a.weight_hh"
    peer_name = _PEER
    peer_mode = "-synthesis"

    def features(self, model: Any | None, seconds: float) -> npt.NDArray[np.float32]:
        """Of a speech-like signal."""
        layout = "lpcnet36" if model is None else str(model.feature_layout)
        peer = self.options.peer_int8 or self.options.peer_f32
        if peer is not None and layout != "lpcnet36":
            raise UnsupportedError(
                f"{self.options.model}: the model's layout is {layout}, the peer's lpcnet36: they "
                "cannot be compared"
            )
        return extract(seeded.speech(seconds), layout=layout)


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
        xrt, peer = Spread.of(m["xrt"]), peer_of(_PEER, m, None)
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


def find_peer() -> Path | None:
    """An installed lpcnet_demo, taken for an int8 build, which is upstream's default."""
    found = shutil.which("lpcnet_demo")
    return None if found is None else Path(found)
