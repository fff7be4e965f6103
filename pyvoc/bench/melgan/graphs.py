"""ONNX graphs for the peers: float32, and int8 with calibrated activations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.export.melgan import EXPORTER
from pyvoc.export.registry import Source
from pyvoc.quant import decode
from pyvoc.specs import MELGAN, read_container

Job = dict[str, Any]

_WINDOW = 64
_WINDOWS = 4
_OPSET = 17


def load(path: str) -> Source:
    """A model file's float32 values."""
    container = read_container(path)
    MELGAN.validate(container, path)
    arrays = {k: np.asarray(v, np.float32) for k, v in decode(MELGAN, container).items()}
    return Source(container.metadata, arrays)


def write_f32(job: Job) -> Job:
    """Write the graph; job: ``model``, ``graph`` (paths)."""
    graph = EXPORTER.build(load(job["model"]), _OPSET)
    Path(job["graph"]).write_bytes(graph.SerializeToString(deterministic=True))
    return {}


def write_int8(job: Job) -> Job:
    """Quantise a graph as onnxruntime recommends for x86; job: ``source``, ``graph``, ``mel``.

    Weights per output channel, activations u8 from calibration, quantise-dequantise pairs around
    every operator (with those of convolutions only it is slower); the first and the last
    convolution stay float.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    mel: npt.NDArray[np.float32] = np.load(job["mel"])

    class Windows(CalibrationDataReader):  # type: ignore[misc]
        """Pieces of the mel spectrogram."""

        def __init__(self) -> None:
            self._pieces = self._cut()

        def _cut(self) -> Iterator[dict[str, npt.NDArray[np.float32]]]:
            for at in range(0, min(len(mel), _WINDOWS * _WINDOW), _WINDOW):
                yield {"mel": np.ascontiguousarray(mel[at : at + _WINDOW].T[None])}

        def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
            """The next piece, or None."""
            return next(self._pieces, None)

    quantize_static(
        job["source"],
        job["graph"],
        Windows(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=["conv_in", "conv_out"],
    )
    return {}
