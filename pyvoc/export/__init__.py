"""Models for other runtimes: `pyvoc export`, and the same in Python.

`export_onnx` writes a model as an ONNX graph in float32, checks it and compares it with this
runtime. A new architecture is a module with an `Exporter` and a line in
`pyvoc.export.registry.EXPORTERS`.
"""

from __future__ import annotations

from pyvoc.export.run import Export, export_onnx

__all__ = ["Export", "export_onnx"]
