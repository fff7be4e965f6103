"""Which architectures can be exported, and by what; imports nothing heavy."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyvoc.errors import UnsupportedError
from pyvoc.specs.tensors import Scalar

if TYPE_CHECKING:
    from onnx import ModelProto

Arrays = Mapping[str, npt.NDArray[np.float32]]

EXPORTERS = {"pyvoc.melgan": "pyvoc.export.melgan", "pyvoc.waveglow": "pyvoc.export.waveglow"}
"""Architecture -> the module whose ``EXPORTER`` does it."""
_PER_SAMPLE = "its network runs once per sample, inside the loop that draws the samples"
_REFUSED = {"pyvoc.lpcnet": _PER_SAMPLE, "pyvoc.wavernn": _PER_SAMPLE}


@dataclass(frozen=True)
class Source:
    """A model to export, decoded.

    Parameters
    ----------
    metadata
        All entries of the model file.
    arrays
        Its tensors by name, float32 whatever the file's precision.
    sigma
        Standard deviation of the noise that the graph draws itself; None: noise is an input, or
        the model starts from none.
    """

    metadata: Mapping[str, Scalar]
    arrays: Arrays
    sigma: float | None = None


@dataclass(frozen=True)
class Exporter:
    """What an architecture has to say about its graph.

    Parameters
    ----------
    build
        (source, opset) -> the graph.
    examples
        (source) -> some inputs by name, of different lengths, to compare the graph on.
    render
        (path of a float32 model file, inputs) -> this runtime's output for the same inputs, in the
        graph's shape. Noise that the graph drew is among the inputs then.
    noise
        Name of the noise in the graph, an input or a result; None for a model that starts from
        none.
    """

    build: Callable[[Source, int], ModelProto]
    examples: Callable[[Source], list[dict[str, npt.NDArray[np.float32]]]]
    render: Callable[[Path, Arrays], npt.NDArray[np.float32]]
    noise: str | None = None


def exporter_of(architecture: str, source: str) -> Exporter:
    """The exporter of an architecture; `source` names the file in errors.

    Raises
    ------
    UnsupportedError
        As :func:`module_of`, or the extra ``onnx`` is not installed.
    """
    module = module_of(architecture, source)
    try:
        found: Exporter = importlib.import_module(module).EXPORTER
    except ImportError as error:
        raise UnsupportedError(
            f"exporting needs {error.name}: pip install 'pyvoc[onnx]'"
        ) from error
    return found


def module_of(architecture: str, source: str) -> str:
    """The name of the module that exports an architecture.

    Raises
    ------
    UnsupportedError
        There is none; says why, where that is known.
    """
    module = EXPORTERS.get(architecture)
    if module is None:
        why = _REFUSED.get(architecture)
        raise UnsupportedError(
            f"{source}: {architecture} cannot be exported to ONNX"
            + (f": {why}" if why else "")
            + f"; expected {' or '.join(EXPORTERS)}"
        )
    return module
