"""ONNX graphs for the peers: float32, and int8 with calibrated activations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.bench.mel.inputs import graph_inputs, load_inputs
from pyvoc.bench.model_file import load
from pyvoc.bench.peer_int8 import weight_options
from pyvoc.container import read_container
from pyvoc.container.layout import I8
from pyvoc.export.registry import exporter_of
from pyvoc.families import spec_of

Job = dict[str, Any]

_WINDOW = 64
_WINDOWS = 4
_OPSET = 17


def write_f32(job: Job) -> Job:
    """Write the graph; job: ``model``, ``graph`` (paths)."""
    source = load(job["model"])
    exporter = exporter_of(str(source.metadata["general.architecture"]), job["model"])
    graph = exporter.build(source, _OPSET)
    Path(job["graph"]).write_bytes(graph.SerializeToString(deterministic=True))
    return {}


def write_int8(job: Job) -> Job:
    """Quantise a graph as onnxruntime recommends for x86; job: ``model``, ``source``, ``graph``...

    ... and the paths of the inputs. Weights per output channel, activations u8 from calibration,
    quantise-dequantise pairs around every operator (with those of convolutions only it is slower);
    the layers that stay float in our int8 files stay float.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    mel, noise = load_inputs(job)

    class Windows(CalibrationDataReader):  # type: ignore[misc]
        """Pieces of the utterance."""

        def __init__(self) -> None:
            self._pieces = self._cut()

        def _cut(self) -> Iterator[dict[str, npt.NDArray[np.float32]]]:
            for at in range(0, min(len(mel), _WINDOWS * _WINDOW), _WINDOW):
                yield graph_inputs(mel, noise, at, _WINDOW)

        def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
            """The next piece, or None."""
            return next(self._pieces, None)

    quantize_static(
        job["source"],
        job["graph"],
        Windows(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        nodes_to_exclude=_float_layers(job["model"]),
        **weight_options(),
    )
    return {}


def _float_layers(path: str) -> list[str]:
    """Layers that int8 leaves float; in a graph, the nodes have their names."""
    container = read_container(path)
    layout = spec_of(container, path).layout_of(container)
    weights = (spec for spec in layout.tensors if spec.name.endswith(".weight"))
    return [spec.layer for spec in weights if spec.type_for("int8") is not I8]
