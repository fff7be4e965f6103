"""The language of specs: which tensors and metadata a model has.

A `ModelSpec` is data. `ModelSpec.validate` compares a container with it and reports everything that
is missing, unexpected or misshapen in one error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pyvoc.errors import ModelError
from pyvoc.specs.blocks import expand_blocks, square_diagonals
from pyvoc.specs.tensors import AnyArray, Container, ElementType, Scalar, Tensor

FORMAT_VERSION = 1
PRECISIONS = ("f32", "bf16", "int8")
MAX_PAIR = 129
"""Bound of |q[2i] + q[2i+1]| in int8 matrices: 254 * 129 fits in 16 bits."""
MAX_TABLE = 10922
"""Bound of int16 tables: three rows add up in 16 bits."""
MAX_MATRIX = 1 << 27
"""Elements of the largest matrix that a block-sparse tensor may stand for."""

Dims = Mapping[str, int]
F32 = ElementType.F32
I8 = ElementType.I8
I16 = ElementType.I16
I32 = ElementType.I32
BF16 = ElementType.BF16


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of a model.

    Parameters
    ----------
    name
        Name in the file.
    shape
        Dense shape, outermost first; a string is looked up in the model's dimensions.
    types
        Element type for each of `PRECISIONS`.
    blocks
        Sparse block shapes ``(rows, cols)`` that may replace the dense matrix.
    f32_blocks
        The same, for F32 only.
    diagonal
        Name of the tensor that holds the diagonals of the square parts when the matrix is sparse.
    """

    name: str
    shape: tuple[str | int, ...]
    types: tuple[ElementType, ElementType, ElementType] = (F32, F32, F32)
    blocks: tuple[tuple[int, int], ...] = ()
    f32_blocks: tuple[tuple[int, int], ...] = ()
    diagonal: str | None = None

    def type_for(self, precision: str) -> ElementType:
        """The element type that `precision` stores."""
        return self.types[PRECISIONS.index(precision)]

    def blocks_for(self, element: ElementType) -> tuple[tuple[int, int], ...]:
        """The sparse block shapes that an element type may be stored in."""
        return self.blocks + (self.f32_blocks if element is F32 else ())

    def resolve(self, dims: Dims) -> tuple[int | None, ...]:
        """The shape in numbers; None where a dimension is not known."""
        return tuple(n if isinstance(n, int) else dims.get(n) for n in self.shape)


@dataclass(frozen=True)
class MetadataSpec:
    """One metadata entry: its Python type and, if given, the values that are accepted."""

    key: str
    kind: type
    values: tuple[Scalar, ...] = ()
    least: float | None = None
    most: float | None = None

    def problem(self, metadata: Mapping[str, Scalar]) -> str | None:
        """A sentence, or None when the entry is as it should be."""
        if self.key not in metadata:
            return f"metadata '{self.key}' ({self.kind.__name__}) is missing"
        value = metadata[self.key]
        if type(value) is not self.kind:
            return f"metadata '{self.key}' is {type(value).__name__}, expected {self.kind.__name__}"
        if self.values and value not in self.values:
            expected = " or ".join(repr(v) for v in self.values)
            return f"metadata '{self.key}' is {value!r}, expected {expected}"
        if isinstance(value, int | float) and not isinstance(value, bool):
            low = self.least is not None and not value >= self.least
            high = self.most is not None and not value <= self.most
            if low or high or not np.isfinite(value):
                return f"metadata '{self.key}' is {value!r}, expected {self.least} to {self.most}"
        return None


COMMON_METADATA = (
    MetadataSpec("general.name", str),
    MetadataSpec("general.alignment", int, values=(64,)),
    MetadataSpec("pyvoc.format_version", int, least=1, most=FORMAT_VERSION),
    MetadataSpec("pyvoc.precision", str, values=PRECISIONS),
    MetadataSpec("pyvoc.source.format", str),
    MetadataSpec("pyvoc.source.sha256", str),
)


@dataclass(frozen=True)
class ModelSpec:
    """Layout contract of one model architecture.

    Parameters
    ----------
    architecture
        Value of ``general.architecture``.
    revision
        Greatest ``pyvoc.spec_revision`` that is understood.
    prefix
        Prefix of the model's own metadata keys, with the dot.
    metadata
        Required entries, besides those of every model.
    tensors
        Every tensor of the model.
    dimensions
        Finds the symbolic dimensions in a container; leaves out what cannot be told.
    extra
        Model-specific checks, given the container and the dimensions; returns sentences.
    """

    architecture: str
    revision: int
    prefix: str
    metadata: tuple[MetadataSpec, ...]
    tensors: tuple[TensorSpec, ...]
    dimensions: Callable[[Container], dict[str, int]]
    extra: Callable[[Container, Dims], list[str]] = field(default=lambda container, dims: [])

    def validate(self, container: Container, source: str) -> None:
        """Check a container against the spec.

        Raises
        ------
        ModelError
            One error that lists every problem; `source` names the file.
        """
        found = self.problems(container)
        if found:
            raise_problems(source, found)

    def problems(self, container: Container) -> list[str]:
        """Everything that is wrong with a container, as sentences."""
        found: list[str] = []
        if container.architecture != self.architecture:
            found.append(
                f"architecture is '{container.architecture}', expected '{self.architecture}'"
            )
        revision = MetadataSpec("pyvoc.spec_revision", int, least=1, most=self.revision)
        entries = (*COMMON_METADATA, revision, *self.metadata)
        found += [p for entry in entries if (p := entry.problem(container.metadata))]
        known = {entry.key for entry in entries}
        for key in container.metadata:
            if key.startswith(self.prefix) and key not in known:
                found.append(f"metadata '{key}' is unexpected")
        dims = self.dimensions(container)
        expected: set[str] = set()
        for spec in self.tensors:
            found += _tensor_problems(spec, container.tensors, dims, expected)
        for name in container.tensors:
            if name not in expected:
                found.append(f"tensor '{name}' is unexpected")
        found += _table_problems(self.tensors, container.tensors)
        return found + self.extra(container, dims)


def raise_problems(source: str, problems: Sequence[str]) -> None:
    """Raise one `ModelError` that names the source and lists all problems."""
    if len(problems) == 1:
        raise ModelError(f"{source}: {problems[0]}")
    lines = "".join(f"\n  - {p}" for p in problems)
    raise ModelError(f"{source}: {len(problems)} problems:{lines}")


def _shape_text(shape: Sequence[int | str | None]) -> str:
    return "[" + ", ".join("?" if n is None else str(n) for n in shape) + "]"


def _matches(shape: Sequence[int], expected: Sequence[int | None]) -> bool:
    return len(shape) == len(expected) and all(
        e is None or n == e for n, e in zip(shape, expected, strict=True)
    )


def _tensor_problems(
    spec: TensorSpec, tensors: Mapping[str, Tensor], dims: Dims, expected: set[str]
) -> list[str]:
    """Check one tensor and its companions; adds the names that belong there to `expected`."""
    expected.add(spec.name)
    shape = spec.resolve(dims)
    if spec.name not in tensors:
        return [f"tensor '{spec.name}' {_shape_text(spec.shape)} is missing"]
    tensor = tensors[spec.name]
    found: list[str] = []
    if tensor.type not in spec.types:
        names = ", ".join(sorted({t.name for t in spec.types}))
        found.append(f"tensor '{spec.name}' is {tensor.type.name}, expected {names}")
    sparse = bool(spec.blocks) and tensor.data.ndim == 3
    if sparse:
        if spec.diagonal is not None and spec.diagonal in tensors:
            expected.add(spec.diagonal)
            rows = TensorSpec(spec.diagonal, (spec.shape[0],))
            found += _tensor_problems(rows, tensors, dims, expected)
        found += _block_problems(spec, tensors, shape, expected)
    elif not _matches(tensor.shape, shape):
        alternatives = "".join(f" or [n, {r}, {c}]" for r, c in spec.blocks_for(tensor.type))
        found.append(
            f"tensor '{spec.name}' has shape {_shape_text(tensor.shape)}, "
            f"expected {_shape_text(shape)}{alternatives}"
        )
    if tensor.type is F32 and not np.isfinite(tensor.data).all():
        found.append(f"tensor '{spec.name}' has values that are NaN or infinite")
    if tensor.type is BF16 and ((tensor.data & 0x7F80) == 0x7F80).any():
        found.append(f"tensor '{spec.name}' has values that are NaN or infinite")
    if tensor.type in (I8, I16):
        rows_or_one: str | int = spec.shape[0] if tensor.type is I8 else 1
        scale = TensorSpec(f"{spec.name}.scale", (rows_or_one,))
        scale_problems = _tensor_problems(scale, tensors, dims, expected)
        if not scale_problems:
            bits = tensors[scale.name].data.view("<u4")
            if (tensors[scale.name].data <= 0).any() or (bits & 0xFFFF).any():
                scale_problems = [
                    f"tensor '{scale.name}' has scales that are not positive bf16 numbers"
                ]
        found += scale_problems
    if tensor.type is I8 and not found and None not in shape:
        found += _int8_problems(spec, tensors, shape)
    return found


def _block_problems(
    spec: TensorSpec,
    tensors: Mapping[str, Tensor],
    shape: Sequence[int | None],
    expected: set[str],
) -> list[str]:
    """Check the block shape and the index of a block-sparse matrix."""
    tensor = tensors[spec.name]
    name = f"{spec.name}.block_index"
    expected.add(name)
    block = tensor.shape[1:]
    allowed = spec.blocks_for(tensor.type)
    if block not in allowed:
        expected_blocks = " or ".join(_shape_text(b) for b in allowed)
        kind = f"{tensor.type.name} in blocks of {_shape_text(block)}"
        return [f"tensor '{spec.name}' is {kind}, expected {expected_blocks}"]
    if name not in tensors:
        return [f"tensor '{name}' [n, 2] is missing"]
    index = tensors[name]
    if index.type is not I32 or index.shape != (tensor.shape[0], 2):
        return [
            f"tensor '{name}' is {index.type.name} {_shape_text(index.shape)}, "
            f"expected I32 {_shape_text((tensor.shape[0], 2))}"
        ]
    if None in shape:
        return []
    dense = (int(shape[0] or 0), int(shape[1] or 0))
    if dense[0] * dense[1] > MAX_MATRIX or any(
        n < b or n % b for n, b in zip(dense, block, strict=True)
    ):
        return [f"tensor '{spec.name}' would be {_shape_text(dense)}, which its blocks do not fit"]
    limits = [n // b for n, b in zip(dense, block, strict=True)]
    at = index.data.astype(np.int64)
    if (at < 0).any() or (at >= np.array(limits)).any():
        return [
            f"tensor '{name}' has blocks outside of the matrix's {limits[0]} x {limits[1]} blocks"
        ]
    flat = at[:, 0] * limits[1] + at[:, 1]
    if (np.diff(flat) <= 0).any():
        return [f"tensor '{name}' is not sorted by row then column, without duplicates"]
    apart = spec.diagonal in tensors
    if apart and square_diagonals(expand_blocks(tensor.data, index.data, dense)).any():
        return [f"tensor '{spec.name}' is not zero where '{spec.diagonal}' has its diagonal"]
    return []


def _table_problems(specs: Sequence[TensorSpec], tensors: Mapping[str, Tensor]) -> list[str]:
    """Check that the int16 tables can be added: their range, and one scale for all."""
    found, scales = [], set()
    for spec in specs:
        table = tensors.get(spec.name)
        if table is None or table.type is not I16:
            continue
        worst = int(np.abs(table.data.astype(np.int32)).max(initial=0))
        if worst > MAX_TABLE:
            found.append(f"tensor '{spec.name}' has the value {worst}, at most {MAX_TABLE} may be")
        scale = tensors.get(f"{spec.name}.scale")
        if scale is not None:
            scales.add(scale.data.tobytes())
    if len(scales) > 1:
        found.append("the int16 tables have different scales, expected one for all")
    return found


def _int8_problems(
    spec: TensorSpec, tensors: Mapping[str, Tensor], shape: Sequence[int | None]
) -> list[str]:
    """Check the range of an int8 matrix and its neighbour sums."""
    q: AnyArray = tensors[spec.name].data
    if q.ndim == 3 and spec.blocks:
        index = tensors[f"{spec.name}.block_index"].data
        q = expand_blocks(q, index, (int(shape[0] or 0), int(shape[1] or 0)))
    if (q == -128).any():
        return [f"tensor '{spec.name}' has the int8 value -128, expected -127 to 127"]
    pairs = q[..., 0::2].astype(np.int16) + q[..., 1::2]
    worst = int(np.abs(pairs).max(initial=0))
    if worst > MAX_PAIR:
        return [f"tensor '{spec.name}' has neighbours that add to {worst}, at most {MAX_PAIR} may"]
    return []
