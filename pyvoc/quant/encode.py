"""From float arrays to a container of a chosen precision, and back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.base import FORMAT_VERSION, ModelSpec
from pyvoc.container.blocks import expand_blocks, square_diagonals
from pyvoc.container.layout import BF16, F32, I8, I16, I32, PRECISIONS, Layout, TensorSpec
from pyvoc.container.tensors import AnyArray, Container, ElementType, Scalar, Tensor
from pyvoc.errors import ModelError, UnsupportedError
from pyvoc.quant.bf16 import from_bf16, to_bf16
from pyvoc.quant.integers import (
    Quantized,
    keeps_rules,
    quantize_columns,
    quantize_rows,
    quantize_table,
    widen_columns,
)
from pyvoc.quant.sparse import choose_block, cut_blocks, used_blocks

_WRITTEN = (
    "general.architecture",
    "general.alignment",
    "pyvoc.format_version",
    "pyvoc.spec_revision",
    "pyvoc.precision",
)
"""Entries of a container that :func:`encode` makes."""


def encode(
    spec: ModelSpec,
    arrays: Mapping[str, AnyArray],
    *,
    metadata: Mapping[str, Scalar],
    precision: str,
    kept: Mapping[str, Quantized] | None = None,
    floats: ElementType = BF16,
    tables: ElementType = I16,
) -> Container:
    """Store a model's float arrays at a precision.

    Parameters
    ----------
    spec
        The model's layout.
    arrays
        Every tensor of the spec by name, dense and with its diagonal, finite.
    metadata
        The model's own entries, ``general.name`` and ``pyvoc.source.*``.
    precision
        ``f32``, ``bf16`` or ``int8``.
    kept
        Matrices and tables that were integers in the source; at ``int8`` they are stored as they
        are, if they keep the container's rules. Where the matrix is sparse in the source, its
        diagonal is apart in `arrays` and zero in ``q``. Matrices whose rule is
        `Int8Rule.calibrated` are taken from
        here, as they are: all of them, or at least some of those that are `Int8Rule.optional`.
    floats
        What the rest of those is stored as, F32 or BF16.
    tables
        What tables are at ``int8``: I16, or I8, which is half as large and less exact.

    Returns
    -------
    Container
        Ready to be written; the writer checks it against the spec.

    Raises
    ------
    ModelError
        A value does not fit float32, or is not finite.
    UnsupportedError
        An int8 matrix needs calibration and is not in `kept`.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision '{precision}' is not one of {', '.join(PRECISIONS)}")
    items = spec.layout({name: np.shape(a) for name, a in arrays.items()}, metadata).tensors
    singles = {item.name: _finite(item.name, arrays[item.name]) for item in items}
    added = [t.name for t in items if t.int8.table]
    peak = max((float(np.abs(singles[name]).max(initial=0)) for name in added), default=0.0)
    small = {k: m for k, m in (kept or {}).items() if k in added and m.q.dtype == np.int8}
    if tables is I16 and len(small) == len(added):
        kept = {**(kept or {}), **widen_columns(small)} if small else kept
    from_integers = any(m.input is None for m in (kept or {}).values())
    tensors: dict[str, Tensor] = {}
    for item in items:
        mine = (kept or {}).get(item.name)
        element = tables if item.type_for(precision) is I16 else item.type_for(precision)
        if element is I8 and item.int8.optional and mine is None and kept:
            element = floats
        if element is I8 and item.int8.calibrated and mine is None:
            raise UnsupportedError(
                f"{spec.architecture} at int8 needs calibration, which a conversion cannot give: "
                "convert to f32, then use `pyvoc quantize`"
            )
        if from_integers and precision == "int8" and element is BF16:
            # The float layers of a quantised source stay as its training saw them.
            element = BF16 if _is_bf16(singles[item.name]) else F32
        _encode_tensor(tensors, item, singles[item.name], element, mine, peak)
    values = (spec.architecture, 64, FORMAT_VERSION, spec.revision, precision)
    entries: dict[str, Scalar] = dict(zip(_WRITTEN, values, strict=True))
    return Container({**entries, **metadata}, tensors)


def _finite(name: str, array: AnyArray) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        single = np.asarray(array, "<f4")
    if not np.isfinite(single).all():
        raise ModelError(f"tensor '{name}' has values that are NaN, infinite or too large")
    return single


def _is_bf16(array: NDArray[np.float32]) -> bool:
    """Whether nothing is lost of it as bfloat16."""
    return bool(np.array_equal(from_bf16(to_bf16(array)), array))


def _encode_tensor(
    tensors: dict[str, Tensor],
    spec: TensorSpec,
    array: NDArray[np.float32],
    element: ElementType,
    kept: Quantized | None,
    peak: float,
) -> None:
    matrix = array
    if spec.blocks and spec.diagonal is not None:
        matrix = array.copy()
        at = np.arange(matrix.shape[0])
        matrix[at, at % matrix.shape[1]] = 0
    block = choose_block(matrix, spec.blocks_for(element)) if spec.blocks else None
    if block is None and kept is not None and spec.diagonal is not None and element is I8:
        # A dense int8 matrix would have to take up a diagonal that is apart.
        block = None if _is(kept, array) else spec.blocks[0]
    if block is None:
        matrix = array
    quantized = _quantize(spec, matrix, element, kept, peak)
    stored = _store(matrix, element, quantized)
    if block is not None:
        stored, index = cut_blocks(stored, block, used_blocks(matrix, block))
        tensors[spec.name] = Tensor(element, stored)
        tensors[f"{spec.name}.block_index"] = Tensor(I32, index)
        if spec.diagonal is not None:
            tensors[spec.diagonal] = Tensor(F32, square_diagonals(array).astype("<f4"))
    else:
        tensors[spec.name] = Tensor(element, stored)
    if quantized is not None:
        tensors[f"{spec.name}.scale"] = Tensor(F32, quantized.scale)
        if quantized.input is not None:
            tensors[f"{spec.name}.input"] = Tensor(F32, quantized.input)


def _quantize(
    spec: TensorSpec,
    matrix: NDArray[np.float32],
    element: ElementType,
    kept: Quantized | None,
    peak: float,
) -> Quantized | None:
    if spec.int8.table and element in (I8, I16):
        if kept is not None and kept.q.dtype == element.dtype and _is(kept, matrix):
            return kept
        return quantize_table(matrix, peak) if element is I16 else quantize_columns(matrix, peak)
    if element is I8:
        if spec.int8.calibrated:
            return kept
        # What came from these integers, and was not changed since, was rounded to float32.
        if kept is not None and keeps_rules(kept.q) and _is(kept, matrix):
            return kept
        return quantize_rows(matrix)
    return None


def _is(kept: Quantized, matrix: NDArray[np.float32]) -> bool:
    """Whether a matrix still has the values of these integers."""
    return np.array_equal(kept.to_float().astype("<f4"), matrix)


def _store(
    array: NDArray[np.float32], element: ElementType, quantized: Quantized | None
) -> AnyArray:
    if quantized is not None:
        return np.ascontiguousarray(quantized.q, element.dtype)
    stored = to_bf16(array) if element is BF16 else array
    return np.ascontiguousarray(stored, element.dtype)


def carried(metadata: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """What stays of metadata when a model is encoded again: all that `encode` does not write."""
    return {key: value for key, value in metadata.items() if key not in _WRITTEN}


def decode(spec: ModelSpec, container: Container) -> dict[str, NDArray[np.float64]]:
    """The real values of a valid container: every tensor of the spec, dense, diagonals in place.

    Parameters
    ----------
    spec
        The model's layout; the container was checked against it.
    container
        A model of any precision.

    Returns
    -------
    dict
        float64 arrays by name, in the spec's dense shapes.
    """
    kept = integers(spec, container)
    layout = spec.layout_of(container)
    arrays = {}
    for item in layout.tensors:
        data = container.tensors[item.name].data
        if item.name in kept:
            values = kept[item.name].to_float()
        else:
            bf16 = container.tensors[item.name].type is BF16
            values = _dense(item, container, layout, from_bf16(data) if bf16 else data)
            values = values.astype(np.float64)
        sparse = item.blocks and data.ndim == 3
        if sparse and item.diagonal is not None and item.diagonal in container.tensors:
            at = np.arange(values.shape[0])
            values[at, at % values.shape[1]] += container.tensors[item.diagonal].data
        arrays[item.name] = values
    return arrays


def integers(spec: ModelSpec, container: Container) -> dict[str, Quantized]:
    """The int8 matrices and the integer tables of a valid container, as they are.

    Returns
    -------
    dict
        By name, in the spec's dense shapes; zero where a diagonal is apart.
    """
    layout = spec.layout_of(container)
    found = {}
    for item in layout.tensors:
        tensor = container.tensors[item.name]
        if tensor.type in (I8, I16):
            q = _dense(item, container, layout, tensor.data)
            scale = container.tensors[f"{item.name}.scale"].data
            entry = container.tensors.get(f"{item.name}.input")
            used = None if entry is None else entry.data
            found[item.name] = Quantized(q, scale, item.int8.outputs, used)
    return found


def _dense(item: TensorSpec, container: Container, layout: Layout, data: AnyArray) -> AnyArray:
    """A tensor's data with its blocks in their places."""
    if not (item.blocks and data.ndim == 3):
        return data
    rows, columns = (int(n or 0) for n in item.resolve(layout.dims))
    index = container.tensors[f"{item.name}.block_index"].data
    return expand_blocks(data, index, (rows, columns))
