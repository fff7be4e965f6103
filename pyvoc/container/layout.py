"""The tensors of a model as data: names, shapes in symbols, element types, quantisation rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyvoc.container.tensors import ElementType

PRECISIONS = ("f32", "bf16", "int8")
MAX_PAIR = 129
"""Bound of |q[2i] + q[2i+1]| in int8 matrices: 254 * 129 fits in 16 bits."""
MAX_TABLE = 10922
"""Bound of int16 tables: three rows add up in 16 bits."""
MAX_SHIFT = 6
"""Columns of int8 tables have steps of 1, 2, 4 .. 2**6 times the least: in 16 bits they add up."""
MAX_SCALE = 2.0**100
"""Of integers: their values are finite floats."""
MAX_U8 = 254
"""Greatest quantised activation."""

Dims = Mapping[str, int]
Shapes = Mapping[str, tuple[int, ...]]
F32 = ElementType.F32
I8 = ElementType.I8
I16 = ElementType.I16
I32 = ElementType.I32
BF16 = ElementType.BF16


def read_dims(shapes: Shapes, wanted: Mapping[str, tuple[str, int, int]]) -> dict[str, int]:
    """Sizes that shapes tell, by their symbols.

    Parameters
    ----------
    shapes
        Of the tensors that are there, by name.
    wanted
        Symbol -> name of a tensor, the axis that has the size, and how many axes there must be;
        where there is no such tensor, the symbol is left out.
    """
    return {
        symbol: int(shapes[name][axis])
        for symbol, (name, axis, ndim) in wanted.items()
        if len(shapes.get(name, ())) == ndim
    }


@dataclass(frozen=True)
class Int8Rule:
    """How an int8 tensor is quantised.

    Parameters
    ----------
    outputs
        Axis that has a scale for each index.
    inputs
        Axis whose neighbours' sums are bounded by `MAX_PAIR`; None: they are not.
    bf16_scale
        Scales are bf16 numbers.
    calibrated
        The layer's input was measured: ``NAME.input`` holds its scale and its zero.
    optional
        A model of precision int8 may have it as F32 or BF16: a layer that reads floats.
    adds_to
        The layer beside it in the same block whose accumulator its product goes to as well: their
        scales are the same numbers.
    reads
        Several layers read the same bytes: the name under which the runtime tells what they get.
    table
        Not a matrix but rows that are looked up and added: I16 with one scale for all tables, or
        I8 with scales that are powers of two times the least (`MAX_SHIFT`).
    """

    outputs: int = 0
    inputs: int | None = -1
    bf16_scale: bool = True
    calibrated: bool = False
    optional: bool = False
    adds_to: str | None = None
    reads: str | None = None
    table: bool = False


ROWS = Int8Rule()
"""A matrix ``[outputs, inputs]`` whose input has a range known beforehand."""


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
    int8
        What holds of it as I8.
    was_f32
        Older files have it as F32 at every precision.
    """

    name: str
    shape: tuple[str | int, ...]
    types: tuple[ElementType, ElementType, ElementType] = (F32, F32, F32)
    blocks: tuple[tuple[int, int], ...] = ()
    f32_blocks: tuple[tuple[int, int], ...] = ()
    diagonal: str | None = None
    int8: Int8Rule = ROWS
    was_f32: bool = False

    def type_for(self, precision: str) -> ElementType:
        """The element type that `precision` stores."""
        return self.types[PRECISIONS.index(precision)]

    @property
    def allowed(self) -> tuple[ElementType, ...]:
        """All element types that a file may have it as."""
        return (*self.types, I8) if self.int8.table else self.types

    def blocks_for(self, element: ElementType) -> tuple[tuple[int, int], ...]:
        """The sparse block shapes that an element type may be stored in."""
        return self.blocks + (self.f32_blocks if element is F32 else ())

    @property
    def layer(self) -> str:
        """The layer's name: the tensor's without its last word."""
        return self.name.rpartition(".")[0]

    @property
    def partner(self) -> str | None:
        """The weight whose accumulator the product of this one goes to as well."""
        block, adds_to = self.layer.rpartition(".")[0], self.int8.adds_to
        return None if adds_to is None else f"{block}.{adds_to}.weight"

    def resolve(self, dims: Dims) -> tuple[int | None, ...]:
        """The shape in numbers; None where a dimension is not known."""
        return tuple(n if isinstance(n, int) else dims.get(n) for n in self.shape)


@dataclass(frozen=True)
class Layout:
    """The tensors of one model, and what the symbols of their shapes stand for.

    Parameters
    ----------
    tensors
        Every tensor of the model.
    dims
        The symbolic dimensions; those that cannot be told are left out.
    """

    tensors: tuple[TensorSpec, ...]
    dims: Dims


def shapes_of(tensors: Iterable[TensorSpec], dims: Dims) -> dict[str, tuple[int, ...]]:
    """Dense shapes in numbers by name, where all dimensions are known."""
    return {
        tensor.name: tuple(n if isinstance(n, int) else dims[n] for n in tensor.shape)
        for tensor in tensors
    }
