"""The runtimes that are measured, ours among them, behind one interface.

Each loads its library when it is made; one process holds one engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pyvoc import families
from pyvoc.bench.mel.inputs import graph_inputs
from pyvoc.bench.model_file import load
from pyvoc.errors import Error, UnsupportedError

Float32 = npt.NDArray[np.float32]
Job = dict[str, Any]


class Engine(Protocol):
    """A runtime with a model; made with the job: ``model`` or ``graph`` (paths), ``cores``.

    Noise is what synthesis starts from, [channels, steps], sigma included; None for models that
    start from none.
    """

    version: str

    def load(self) -> None:
        """Load the model."""

    def run(self, mel: Float32, noise: Float32 | None) -> Float32:
        """Samples of a whole utterance [frames, bands]."""

    def start(self, mel: Float32) -> None:
        """Make ready for chunks that are as long as `mel`."""

    def chunk(self, mel: Float32, noise: Float32 | None) -> Float32:
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
        noisy = bool(self._model.info.noise_channels)
        self._stream = self._model.stream(sigma=1.0 if noisy else None)

    def run(self, mel: Float32, noise: Float32 | None) -> Float32:
        """Reset, push, flush, pull."""
        self._stream.reset()
        if noise is not None:
            self._stream.set_draws(noise.reshape(-1))
        self._stream.push(mel)
        self._stream.flush()
        return np.asarray(self._stream.pull())

    def start(self, mel: Float32) -> None:
        """Fill the look-ahead."""
        ahead = self._model.info.lookahead_frames
        self._stream.reset()
        self._stream.push(np.resize(mel, (ahead, mel.shape[1])))

    def chunk(self, mel: Float32, noise: Float32 | None) -> Float32:
        """Push frames, pull as many hops; noise is the stream's own."""
        self._stream.push(mel)
        return np.asarray(self._stream.pull())

    def first(self, mel: Float32) -> None:
        """A new stream's first hops."""
        with self._model.stream() as stream:
            stream.push(mel)
            if not len(stream.pull()):
                raise Error("look-ahead frames and more gave no samples; this is a bug")

    def batch(self, mels: list[Float32]) -> None:
        """Utterances that are handed over together, each with noise of its own."""
        import pyvoc

        pyvoc.synthesize_batch(self._model, mels, seeds=list(range(len(mels))))

    def group_seconds(self, mel: Float32) -> dict[str, float]:
        """How long each group of layers takes."""
        from pyvoc import _pyvoc

        native: Any = _pyvoc
        seconds: dict[str, float] = native.testing.group_seconds(self._model._native, mel)
        return seconds


_OWN_QUANTISATION = ["WeightBiasQuantization"]
"""The one optimisation that is left out: int8 for float layers between quantised ones, of weights
with 8 bits, which saturate where `peer_int8.saturates`."""


class Onnxruntime:
    """onnxruntime's CPU provider, optimised; a chunk is an utterance of its own."""

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
            self._job["graph"],
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=_OWN_QUANTISATION,
        )

    def run(self, mel: Float32, noise: Float32 | None) -> Float32:
        """One run."""
        (audio,) = self._session.run(None, graph_inputs(mel, noise))
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

    def run(self, mel: Float32, noise: Float32 | None) -> Float32:
        """One inference."""
        request = self._requests[len(mel)]
        audio = next(iter(request.infer(graph_inputs(mel, noise)).values()))
        return np.array(audio, np.float32).reshape(-1)

    def start(self, mel: Float32) -> None:
        """Compile for the chunk."""
        self._compile(len(mel))

    chunk = run

    def _compile(self, frames: int) -> None:
        model = self._core.read_model(self._job["graph"])
        shapes = {"mel": [1, self._job["bands"], frames]}
        if self._job["noise_shape"] is not None:
            channels, steps = self._job["noise_shape"]
            shapes["z"] = [1, channels, steps // self._job["frames"] * frames]
        model.reshape(shapes)
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
        """Fill the family's network."""
        family, source = families.get(self._job["family"]), load(self._job["model"])
        network = family.resolve(str(family.network))
        self._network = network.from_arrays(source.arrays, source.metadata)

    def run(self, mel: Float32, noise: Float32 | None) -> Float32:
        """One forward pass."""
        torch = self._torch
        half = self._job["precision"] == "bf16"
        inputs = [torch.from_numpy(x) for x in graph_inputs(mel, noise).values()]
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            audio = self._network.infer(*inputs)
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
