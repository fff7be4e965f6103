"""From a model file to an ONNX file that was checked and compared."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyvoc import families
from pyvoc.container import Container, ModelSpec, read_container
from pyvoc.errors import Error, UnsupportedError
from pyvoc.export.registry import Arrays, Exporter, Source, exporter_of
from pyvoc.families import spec_of
from pyvoc.files.atomic import atomic_open
from pyvoc.files.outputs import check_outputs
from pyvoc.quant import decode

if TYPE_CHECKING:
    from onnx import ModelProto

DEFAULT_OPSET = 17
LEAST_OPSET = 13
TOLERANCE = 1e-5
"""Greatest difference between the graph's samples and this runtime's, full scale 1."""
ROUNDING = 4.0
"""Or so many times what the last bit of the inputs changes, where a model magnifies that more."""

Render = Callable[[Path, Arrays], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Export:
    """What was exported.

    Parameters
    ----------
    source, target
        The model file and the ONNX file.
    architecture, precision
        Of the model file; the graph is float32.
    opset
        Version of the operators.
    bytes
        Size of the ONNX file.
    inputs, outputs
        Shape by name; a string is a dynamic dimension.
    max_error
        Greatest difference between the graph in onnxruntime and this runtime; None when they were
        not compared.
    note
        Why they were not compared, or why the error is more than 1e-5; otherwise None.
    """

    source: str
    target: str
    architecture: str
    precision: str
    opset: int
    bytes: int
    inputs: Mapping[str, tuple[int | str, ...]]
    outputs: Mapping[str, tuple[int | str, ...]]
    max_error: float | None
    note: str | None


def export_onnx(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    opset: int = DEFAULT_OPSET,
    z_inside: bool = False,
    sigma: float | None = None,
    overwrite: bool = False,
    render: Render | None = None,
) -> Export:
    """Write a model as an ONNX graph.

    The graph computes in float32 with the values that the file's precision holds. It is checked by
    the `onnx` package and, where onnxruntime is installed, compared with this runtime; the file
    appears under its name only after that.

    Parameters
    ----------
    source
        A model file.
    target
        The ONNX file to write.
    opset
        Version of ONNX's operators, 13 or later.
    z_inside
        The graph of a model that starts from noise draws it itself, anew in every run; otherwise
        noise is an input.
    sigma
        Standard deviation of that noise, 0 to 4; None is what the model file says. With `z_inside`
        alone: noise that is given has its own.
    overwrite
        Replace a file that is there.
    render
        What to compare with, in place of this runtime: (path of a float32 model file, inputs by
        name) -> output.

    Returns
    -------
    Export

    Raises
    ------
    ModelError
        The model file is damaged or breaks its layout.
    UnsupportedError
        The architecture has no graph, or starts from no noise; an opset that is not there; the
        extra ``onnx`` is missing.
    Error
        The file exists, or is the model; sigma is out of range or scales nothing in the graph; the
        graph fails its check or differs from this runtime by more than 1e-5 and by more than
        rounding explains; the operating system refused.
    """
    check_outputs([target], inputs=[source])
    goal = Path(target)
    if goal.is_file() and not overwrite:
        raise Error(f"'{target}' exists already: remove it or ask for it to be replaced (--force)")
    if sigma is not None and not z_inside:
        raise Error(
            "sigma goes with noise that the graph draws (--z-inside): noise that is given to it "
            "has its sigma already"
        )
    container = read_container(source)
    exporter = exporter_of(container.architecture, str(source))
    if z_inside and exporter.noise is None:
        raise UnsupportedError(
            f"{source}: {container.architecture} starts from no noise that the graph could draw "
            "inside"
        )
    spec = spec_of(container, str(source))
    spec.validate(container, str(source))
    _check_opset(opset)
    arrays = {
        name: np.asarray(array, np.float32) for name, array in decode(spec, container).items()
    }
    drawn = _sigma(container, sigma) if z_inside else None
    model = Source(container.metadata, arrays, drawn)
    graph = exporter.build(model, opset)
    data = _checked(graph)
    path = Path(source)
    shown = data if drawn is None else _showing(graph, str(exporter.noise))
    worst, note = _compare(shown, exporter, model, container, spec, path, render or exporter.render)
    with atomic_open(goal) as stream:
        stream.write(data)
    return Export(
        source=str(source),
        target=str(target),
        architecture=container.architecture,
        precision=str(container.metadata["pyvoc.precision"]),
        opset=opset,
        bytes=len(data),
        inputs=_shapes(graph.graph.input),
        outputs=_shapes(graph.graph.output),
        max_error=worst,
        note=note,
    )


def _sigma(container: Container, sigma: float | None) -> float:
    """The standard deviation that was asked for, or the file's."""
    prefix = container.architecture.removeprefix("pyvoc.")
    asked = families.options_of(prefix, {"sigma": sigma}, what="the model").get("sigma")
    return float(container.metadata[f"{prefix}.sigma"] if asked is None else asked)


def _showing(graph: ModelProto, name: str) -> bytes:
    """The graph with a result inside it as one more output."""
    import onnx

    more = onnx.ModelProto()
    more.CopyFrom(graph)
    more.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    data: bytes = more.SerializeToString()
    return data


def _check_opset(opset: int) -> None:
    import onnx

    most = onnx.defs.onnx_opset_version()
    if not LEAST_OPSET <= opset <= most:
        raise UnsupportedError(
            f"opset {opset} is not available: onnx {onnx.__version__} and this exporter have "
            f"{LEAST_OPSET} to {most}"
        )


def _checked(graph: ModelProto) -> bytes:
    import onnx

    data: bytes = graph.SerializeToString(deterministic=True)
    try:
        onnx.checker.check_model(data, full_check=True)
    except Exception as error:  # the checker's own types, and protobuf's
        raise Error(f"the exported graph fails onnx's check; this is a bug: {error}") from error
    return data


def _compare(
    data: bytes,
    exporter: Exporter,
    model: Source,
    container: Container,
    spec: ModelSpec,
    path: Path,
    render: Render,
) -> tuple[float | None, str | None]:
    """The greatest difference; or None, and why there is none."""
    try:
        import onnxruntime
    except ImportError as error:
        return (
            None,
            f"not compared: {error.name} is not installed (pip install 'pyvoc-vocoder[onnx]')",
        )
    try:
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own types, which it does not publish
        raise Error(
            f"onnxruntime {onnxruntime.__version__} refuses the graph: {error}; another "
            "--opset may help"
        ) from error
    worst, note = 0.0, None
    with tempfile.TemporaryDirectory(prefix="pyvoc-export-") as folder:
        if container.metadata["pyvoc.precision"] != "f32":
            path = _in_f32(Path(folder), spec, container, model)
        for inputs in exporter.examples(model):
            theirs, *drawn = session.run(None, dict(inputs))
            if drawn:
                inputs[str(exporter.noise)] = drawn[0]
            try:
                ours = render(path, inputs)
                found = _difference(theirs, ours)
                if not found <= TOLERANCE:
                    excuse = _excuse(found, _difference(render(path, _nudged(inputs)), ours))
                    note = excuse if found > worst else note
            except UnsupportedError as error:
                return None, f"not compared: {error}"
            worst = max(worst, found)
    return worst, note


def _excuse(error: float, moved: float) -> str:
    """Why a difference beyond the tolerance is rounding; `moved` is what the last bit does."""
    if not error <= ROUNDING * moved:
        raise Error(
            f"the graph's samples differ from this runtime's by {error:.2g}, at most {TOLERANCE:g} "
            "is allowed: nothing was written; this is a bug"
        )
    return (
        f"the model magnifies rounding: the last bit of its inputs moves this runtime's samples by "
        f"{moved:.1e}"
    )


def _nudged(inputs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
    """The inputs with every number moved to a neighbouring one, up and down in turns."""
    found = {}
    for name, array in inputs.items():
        goal = np.where(np.arange(array.size) % 2, np.inf, -np.inf).reshape(array.shape)
        found[name] = np.nextafter(array, goal.astype(np.float32))
    return found


def _in_f32(folder: Path, spec: ModelSpec, container: Container, model: Source) -> Path:
    """The values of a bf16 or int8 model as an f32 one: the arithmetic that the graph has."""
    from pyvoc.container import write_container
    from pyvoc.quant import encode

    path = folder / "model.gguf"
    metadata = {**container.metadata, "pyvoc.precision": "f32"}
    copy = encode(spec, model.arrays, metadata=metadata, precision="f32")
    write_container(path, copy, spec=spec)
    return path


def _difference(theirs: npt.NDArray[np.float32], ours: npt.NDArray[np.float32]) -> float:
    if theirs.shape != ours.shape:
        raise Error(
            f"the graph gives {list(theirs.shape)} samples, this runtime {list(ours.shape)}: "
            "nothing was written; this is a bug"
        )
    return float(np.abs(theirs.astype(np.float64) - ours).max())


def _shapes(values: Any) -> dict[str, tuple[int | str, ...]]:
    return {
        value.name: tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in values
    }
