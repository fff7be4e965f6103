"""Which architectures can be exported, and by what; imports nothing heavy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyvoc import families
from pyvoc.container.tensors import Scalar
from pyvoc.errors import UnsupportedError
from pyvoc.families import Family

if TYPE_CHECKING:
    from onnx import ModelProto

Arrays = Mapping[str, npt.NDArray[np.float32]]


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
        There is none (says why), or the extra ``onnx`` is not installed.
    """
    family = family_of(architecture, source)
    try:
        found: Exporter = family.resolve(str(family.exporter))
    except ImportError as error:
        raise UnsupportedError(
            f"exporting needs {error.name}: pip install 'pyvoc-vocoder[onnx]'"
        ) from error
    return found


def family_of(architecture: str, source: str) -> Family:
    """The family of an architecture, which has an exporter.

    Raises
    ------
    UnsupportedError
        It has none; says why, where that is known.
    """
    able = [family for family in families.everyone() if family.exporter is not None]
    why = ""
    with contextlib.suppress(KeyError):
        family = families.get(architecture)
        if family.exporter is not None:
            return family
        why = f": {family.not_exported}"
    raise UnsupportedError(
        f"{source}: {architecture} cannot be exported to ONNX{why}; expected "
        + " or ".join(family.architecture for family in able)
    )
