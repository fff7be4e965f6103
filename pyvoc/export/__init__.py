"""Models for other runtimes: `pyvoc export`, and the same in Python.

`export_onnx` writes a model as an ONNX graph in float32, checks it and compares it with this
runtime; `dynamic_dims` tells Ascend's tools its lengths; `write_samples` makes wav files of what
another runtime computed with it. Which families can be exported
is in their records.
"""

from __future__ import annotations

from pyvoc.export.ascend import DynamicDims, dynamic_dims
from pyvoc.export.run import Export, export_onnx
from pyvoc.export.samples import Written, read_samples, write_samples

__all__ = [
    "DynamicDims",
    "Export",
    "Written",
    "dynamic_dims",
    "export_onnx",
    "read_samples",
    "write_samples",
]
