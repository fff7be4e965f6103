"""What a child process does with a peer's step network: steps, one after the other.

The peers compute less than we do: neither upsamples, and onnxruntime does not draw either (the
sample that is fed back stays). onnxruntime has upstream's network, torch ours: linear inputs go
straight to the layers that see them, a tenth fewer multiply-adds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.bench.memory import peak_bytes, resident_bytes, restart_peak
from pyvoc.bench.model_file import load
from pyvoc.bench.timing import timed
from pyvoc.export.registry import Source
from pyvoc.families.wavernn.shape import WavernnShape

Job = dict[str, Any]
Float32 = npt.NDArray[np.float32]

STEPS = 500
"""Samples of each row in a round."""


def inputs(rows: int, shape: WavernnShape) -> dict[str, Float32]:
    """Inputs of the step network, the states zero."""
    rng = np.random.default_rng(7)
    widths = {"x": 1, "mel": shape.bands, "aux": 4 * shape.aux}
    found = {k: rng.uniform(0, 1, (rows, n)).astype(np.float32) for k, n in widths.items()}
    return found | {h: np.zeros((rows, shape.rnn), np.float32) for h in ("h1", "h2")}


class Peer:
    """One peer; its methods are the calls of `pyvoc.bench.process.Child`.

    Parameters
    ----------
    job
        ``engine`` (of `ENGINES`), ``precision``, ``rows``, ``model``, ``graph`` (paths),
        ``outputs`` (.npy to write: the first step's), ``cores``.
    """

    def __init__(self, job: Job) -> None:
        source = load(job["model"])
        given = inputs(job["rows"], WavernnShape.of(source.arrays, source.metadata))
        restart_peak()
        self._before = resident_bytes()
        made: list[Any] = []

        def start() -> None:
            made.append(ENGINES[job["engine"]](job, source, given))

        self._load = timed(start)
        self._engine = made[0]
        np.save(job["outputs"], self._engine.first())
        self._engine.run(STEPS // 10)

    def about(self) -> Job:
        """The library's version, and how long loading took."""
        return {"version": self._engine.version, "load_ms": 1e3 * self._load}

    def round(self) -> Job:
        """Seconds of `STEPS` steps."""
        return {"seconds": timed(lambda: self._engine.run(STEPS))}

    def memory(self) -> Job:
        """Peak bytes above the interpreter with numpy, the library included."""
        after = peak_bytes()
        above = None if after is None or self._before is None else after - self._before
        return {"rss": above}


class Onnxruntime:
    """onnxruntime's CPU provider, all optimisations."""

    def __init__(self, job: Job, source: Source, given: dict[str, Float32]) -> None:
        import onnxruntime

        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(job["cores"])
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            job["graph"], options, providers=["CPUExecutionProvider"]
        )
        self._given = given

    def first(self) -> Float32:
        """Outputs of the first step."""
        return np.asarray(self._session.run(None, self._given)[0])

    def run(self, steps: int) -> None:
        """Steps, the states fed back."""
        given = dict(self._given)
        for _ in range(steps):
            _, given["h1"], given["h2"] = self._session.run(None, given)


class Torch:
    """PyTorch, eager; int8 by dynamic quantisation."""

    def __init__(self, job: Job, source: Source, given: dict[str, Float32]) -> None:
        import torch

        from pyvoc.families.wavernn.torch_model import Wavernn

        self.version = torch.__version__.partition("+")[0]
        torch.set_num_threads(len(job["cores"]))
        self._torch = torch
        network: Any = Wavernn.from_arrays(source.arrays, source.metadata)
        self._draws = network.shape.draws
        if job["precision"] == "int8":
            kinds = {torch.nn.Linear, torch.nn.GRUCell}
            quantization: Any = torch.ao.quantization
            network = quantization.quantize_dynamic(network, kinds, dtype=torch.qint8)
        self._network = network
        self._given = {name: torch.from_numpy(array) for name, array in given.items()}

    def first(self) -> Float32:
        """Outputs of the first step."""
        with self._torch.inference_mode():
            return np.asarray(self._network.step(**self._given)[0].numpy())

    def run(self, steps: int) -> None:
        """Steps, the states and the drawn sample fed back."""
        given = dict(self._given)
        rows, rand = len(given["x"]), self._torch.rand
        with self._torch.inference_mode():
            for _ in range(steps):
                outputs, given["h1"], given["h2"] = self._network.step(**given)
                u = rand(rows, self._draws).clamp(1e-5, 1 - 1e-5)
                given["x"] = self._network.draw(outputs, u)


ENGINES: dict[str, Callable[[Job, Source, dict[str, Float32]], Any]] = {
    "onnxruntime": Onnxruntime,
    "torch": Torch,
}
