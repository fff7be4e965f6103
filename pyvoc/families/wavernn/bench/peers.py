"""What a child process does with a peer's step network: steps, one after the other.

The peers compute less than we do: onnxruntime neither upsamples nor draws (the sample that is fed
back stays), torch draws but does not upsample.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.bench.memory import peak_bytes, resident_bytes, restart_peak
from pyvoc.bench.timing import timed

Job = dict[str, Any]
Float32 = npt.NDArray[np.float32]

STEPS = 500
"""Samples of each row in a round."""


def inputs(rows: int, state: Any) -> dict[str, Float32]:
    """Inputs of the step network, the states zero."""
    rng = np.random.default_rng(7)
    size = state["I.bias"].size
    aux = state["fc1.weight"].shape[1] - size
    widths = {"x": 1, "mel": state["I.weight"].shape[1] - 1 - aux, "aux": 4 * aux}
    found = {k: rng.uniform(0, 1, (rows, n)).astype(np.float32) for k, n in widths.items()}
    return found | {h: np.zeros((rows, size), np.float32) for h in ("h1", "h2")}


class Peer:
    """One peer; its methods are the calls of `pyvoc.bench.process.Child`.

    Parameters
    ----------
    job
        ``engine`` (of `ENGINES`), ``precision``, ``rows``, ``state`` (.npz), ``graph`` (path),
        ``outputs`` (.npy to write: the first step's), ``cores``.
    """

    def __init__(self, job: Job) -> None:
        with np.load(job["state"]) as file:
            state = {name: file[name] for name in file.files}
        given = inputs(job["rows"], state)
        restart_peak()
        self._before = resident_bytes()
        made: list[Any] = []

        def load() -> None:
            made.append(ENGINES[job["engine"]](job, state, given))

        self._load = timed(load)
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

    def __init__(self, job: Job, state: Any, given: dict[str, Float32]) -> None:
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

    def __init__(self, job: Job, state: Any, given: dict[str, Float32]) -> None:
        import torch

        from pyvoc.families.wavernn.torch_model import Step, draw

        self.version = torch.__version__.partition("+")[0]
        torch.set_num_threads(len(job["cores"]))
        self._torch, self._draw = torch, draw
        network: Any = Step(state).eval()
        if job["precision"] == "int8":
            kinds = {torch.nn.Linear, torch.nn.GRUCell}
            quantization: Any = torch.ao.quantization
            network = quantization.quantize_dynamic(network, kinds, dtype=torch.qint8)
        self._network = network
        self._given = {name: torch.from_numpy(array) for name, array in given.items()}

    def first(self) -> Float32:
        """Outputs of the first step."""
        with self._torch.inference_mode():
            return np.asarray(self._network(**self._given)[0].numpy())

    def run(self, steps: int) -> None:
        """Steps, the states and the drawn sample fed back."""
        given = dict(self._given)
        with self._torch.inference_mode():
            for _ in range(steps):
                outputs, given["h1"], given["h2"] = self._network(**given)
                given["x"] = self._draw(outputs)


ENGINES: dict[str, Callable[[Job, Any, dict[str, Float32]], Any]] = {
    "onnxruntime": Onnxruntime,
    "torch": Torch,
}
