"""The runtimes that are measured, ours among them, behind one interface.

Each loads its library when it is made; one process holds one engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pyvoc.errors import Error, UnsupportedError

Float32 = npt.NDArray[np.float32]
Job = dict[str, Any]


class Engine(Protocol):
    """A runtime with a model; made with the job: ``model`` or ``graph`` (paths), ``cores``."""

    version: str

    def load(self) -> None:
        """Load the model."""

    def run(self, mel: Float32) -> Float32:
        """Samples of a whole utterance [frames, bands]."""

    def start(self, mel: Float32) -> None:
        """Make ready for chunks that are as long as `mel`."""

    def chunk(self, mel: Float32) -> Float32:
        """Samples of the next chunk."""


class Pyvoc:
    """This runtime: a chunk continues a stream, with the whole of its context."""

    def __init__(self, job: Job) -> None:
        import pyvoc

        self.version = pyvoc.__version__
        self._open = pyvoc.load
        self._job = job
        self._model: Any = None
        self._stream: Any = None

    def load(self) -> None:
        """Load the model."""
        self._model = self._open(self._job["model"], threads=len(self._job["cores"]))
        self._stream = self._model.stream()

    def run(self, mel: Float32) -> Float32:
        """Reset, push, flush, pull."""
        self._stream.reset()
        self._stream.push(mel)
        self._stream.flush()
        return np.asarray(self._stream.pull())

    def start(self, mel: Float32) -> None:
        """Fill the look-ahead."""
        ahead = self._model.info.lookahead_frames
        self._stream.reset()
        self._stream.push(np.resize(mel, (ahead, mel.shape[1])))

    def chunk(self, mel: Float32) -> Float32:
        """Push frames, pull as many hops."""
        self._stream.push(mel)
        return np.asarray(self._stream.pull())

    def first(self, mel: Float32) -> None:
        """A new stream's first hops."""
        with self._model.stream() as stream:
            stream.push(mel)
            if not len(stream.pull()):
                raise Error("look-ahead frames and more gave no samples; this is a bug")

    def group_seconds(self, mel: Float32) -> dict[str, float]:
        """How long each group of layers takes."""
        from pyvoc import _pyvoc

        native: Any = _pyvoc
        seconds: dict[str, float] = native.testing.group_seconds(self._model._native, mel)
        return seconds


class Onnxruntime:
    """onnxruntime's CPU provider, all optimisations; a chunk is an utterance of its own."""

    def __init__(self, job: Job) -> None:
        import onnxruntime

        self.version = onnxruntime.__version__
        self._library, self._job = onnxruntime, job
        self._session: Any = None

    def load(self) -> None:
        """Make the session."""
        options = self._library.SessionOptions()
        options.intra_op_num_threads = len(self._job["cores"])
        options.inter_op_num_threads = 1
        self._session = self._library.InferenceSession(
            self._job["graph"], options, providers=["CPUExecutionProvider"]
        )

    def run(self, mel: Float32) -> Float32:
        """One run."""
        (audio,) = self._session.run(None, {"mel": np.ascontiguousarray(mel.T[None])})
        return np.asarray(audio).reshape(-1)

    def start(self, mel: Float32) -> None:
        """Nothing: any length will do."""

    chunk = run


class Openvino:
    """openvino's CPU plug-in, compiled for the length at hand; a chunk as above."""

    def __init__(self, job: Job) -> None:
        import openvino

        self.version = openvino.__version__.partition("-")[0]
        self._library, self._job = openvino, job
        self._core: Any = openvino.Core()
        self._requests: dict[int, Any] = {}
        capabilities = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if job["precision"] == "bf16" and "BF16" not in capabilities:
            raise UnsupportedError("this processor has no bf16 products")

    def load(self) -> None:
        """Compile for the utterance."""
        self._compile(self._job["frames"])

    def run(self, mel: Float32) -> Float32:
        """One inference."""
        request = self._requests[len(mel)]
        audio = next(iter(request.infer({0: np.ascontiguousarray(mel.T[None])}).values()))
        return np.array(audio, np.float32).reshape(-1)

    def start(self, mel: Float32) -> None:
        """Compile for the chunk."""
        self._compile(len(mel))

    chunk = run

    def _compile(self, frames: int) -> None:
        model = self._core.read_model(self._job["graph"])
        model.reshape([1, self._job["bands"], frames])
        hint = "bf16" if self._job["precision"] == "bf16" else "f32"
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": len(self._job["cores"]),
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": hint,
        }
        compiled = self._core.compile_model(model, "CPU", settings)
        self._requests[frames] = compiled.create_infer_request()


class Torch:
    """PyTorch, eager; bf16 by autocast; a chunk as above."""

    def __init__(self, job: Job) -> None:
        import torch

        self.version = torch.__version__.partition("+")[0]
        self._torch, self._job = torch, job
        torch.set_num_threads(len(job["cores"]))
        self._network: Any = None

    def load(self) -> None:
        """Make tensors."""
        from pyvoc.bench.melgan.torch_twin import Generator

        self._network = Generator(self._job["model"])

    def run(self, mel: Float32) -> Float32:
        """One forward pass."""
        torch = self._torch
        half = self._job["precision"] == "bf16"
        x = torch.from_numpy(np.ascontiguousarray(mel.T[None]))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            audio = self._network(x)
        return np.asarray(audio.float().numpy()).reshape(-1)

    def start(self, mel: Float32) -> None:
        """Nothing: any length will do."""

    chunk = run


ENGINES: dict[str, Callable[[Job], Engine]] = {
    "pyvoc": Pyvoc,
    "onnxruntime": Onnxruntime,
    "openvino": Openvino,
    "torch": Torch,
}
