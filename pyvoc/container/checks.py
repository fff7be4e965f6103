"""What is wrong with a container's tensors, given the layout that they should have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pyvoc.container.blocks import expand_blocks, square_diagonals
from pyvoc.container.layout import (
    BF16,
    F32,
    I8,
    I16,
    I32,
    MAX_PAIR,
    MAX_SCALE,
    MAX_SHIFT,
    MAX_TABLE,
    MAX_U8,
    PRECISIONS,
    Dims,
    Layout,
    TensorSpec,
)
from pyvoc.container.tensors import AnyArray, Container, Tensor

MAX_MATRIX = 1 << 27
"""Elements of the largest matrix that a block-sparse tensor may stand for."""


def layout_problems(layout: Layout, container: Container) -> list[str]:
    """Sentences about tensors that are missing, unexpected, misshapen or out of range."""
    found: list[str] = []
    expected: set[str] = set()
    for spec in layout.tensors:
        found += tensor_problems(spec, container.tensors, layout.dims, expected)
    for name in container.tensors:
        if name not in expected:
            found.append(f"tensor '{name}' is unexpected")
    return found + _table_problems(layout.tensors, container.tensors)


def precision_problems(container: Container, layout: Layout) -> list[str]:
    """Sentences about tensors that are of another precision than the file says."""
    precision = container.metadata.get("pyvoc.precision")
    if precision not in PRECISIONS:
        return []
    found = []
    for spec in layout.tensors:
        tensor, expected = container.tensors.get(spec.name), spec.type_for(str(precision))
        if expected is I8 and spec.int8.optional:
            continue
        if tensor is not None and (
            (spec.int8.table and (expected, tensor.type) == (I16, I8))
            or ((expected, tensor.type) == (BF16, F32) and (precision == "int8" or spec.was_f32))
        ):
            continue
        if tensor is not None and tensor.type in spec.allowed and tensor.type is not expected:
            found.append(
                f"tensor '{spec.name}' is {tensor.type.name}, expected {expected.name} at "
                f"precision {precision}"
            )
    return found


def sharing_problems(container: Container, layout: Layout) -> list[str]:
    """Sentences about int8 layers that share bytes or an accumulator, but not their scales."""
    return _input_sharing(container, layout) + _sum_sharing(container, layout)


def _input_sharing(container: Container, layout: Layout) -> list[str]:
    found, first = [], dict[str, tuple[str, AnyArray]]()
    for spec in layout.tensors:
        name = f"{spec.name}.input"
        if spec.int8.reads is None or name not in container.tensors:
            continue
        data = container.tensors[name].data
        other, expected = first.setdefault(spec.int8.reads, (name, data))
        if data.shape == expected.shape and not np.array_equal(data, expected):
            found.append(
                f"tensor '{name}' is another than '{other}', expected the same: both layers read "
                "the same bytes"
            )
    return found


def _sum_sharing(container: Container, layout: Layout) -> list[str]:
    found = []
    for spec in layout.tensors:
        if spec.partner is None:
            continue
        pair = [container.tensors.get(name) for name in (spec.partner, spec.name)]
        block, _, mine = spec.layer.rpartition(".")
        both = (
            f"'{block}': the {{}} of '{spec.int8.adds_to}' and '{mine}' differ, expected the same"
        )
        if None not in pair and len({tensor.type for tensor in pair if tensor is not None}) > 1:
            found.append(both.format("types") + ": both products share an accumulator")
            continue
        scales = [container.tensors.get(f"{name}.scale") for name in (spec.partner, spec.name)]
        data = [scale.data for scale in scales if scale is not None]
        if len(data) == 2 and not np.array_equal(data[0], data[1]):
            found.append(both.format("scales") + ": both products share an accumulator")
    return found


def shape_text(shape: Sequence[int | str | None]) -> str:
    return "[" + ", ".join("?" if n is None else str(n) for n in shape) + "]"


def _matches(shape: Sequence[int], expected: Sequence[int | None]) -> bool:
    return len(shape) == len(expected) and all(
        e is None or n == e for n, e in zip(shape, expected, strict=True)
    )


def tensor_problems(
    spec: TensorSpec, tensors: Mapping[str, Tensor], dims: Dims, expected: set[str]
) -> list[str]:
    """Check one tensor and its companions; adds the names that belong there to `expected`."""
    expected.add(spec.name)
    shape = spec.resolve(dims)
    if spec.name not in tensors:
        return [f"tensor '{spec.name}' {shape_text(spec.shape)} is missing"]
    tensor = tensors[spec.name]
    found: list[str] = []
    if tensor.type not in spec.allowed:
        names = ", ".join(sorted({t.name for t in spec.allowed}))
        found.append(f"tensor '{spec.name}' is {tensor.type.name}, expected {names}")
    sparse = bool(spec.blocks) and tensor.data.ndim == 3
    if sparse:
        if spec.diagonal is not None and spec.diagonal in tensors:
            expected.add(spec.diagonal)
            rows = TensorSpec(spec.diagonal, (spec.shape[0],))
            found += tensor_problems(rows, tensors, dims, expected)
        found += _block_problems(spec, tensors, shape, expected)
    elif not _matches(tensor.shape, shape):
        alternatives = "".join(f" or [n, {r}, {c}]" for r, c in spec.blocks_for(tensor.type))
        found.append(
            f"tensor '{spec.name}' has shape {shape_text(tensor.shape)}, "
            f"expected {shape_text(shape)}{alternatives}"
        )
    if tensor.type is F32 and not np.isfinite(tensor.data).all():
        found.append(f"tensor '{spec.name}' has values that are NaN or infinite")
    if tensor.type is BF16 and ((tensor.data & 0x7F80) == 0x7F80).any():
        found.append(f"tensor '{spec.name}' has values that are NaN or infinite")
    if tensor.type in (I8, I16):
        found += _scale_problems(spec, tensors, dims, expected)
    if tensor.type is I8 and spec.int8.calibrated:
        found += _input_problems(spec, tensors, dims, expected)
    if tensor.type is I8 and not found and None not in shape:
        found += _int8_problems(spec, tensors, shape)
    return found


def _scale_problems(
    spec: TensorSpec, tensors: Mapping[str, Tensor], dims: Dims, expected: set[str]
) -> list[str]:
    """Check the scales of an int8 matrix or an int16 table."""
    wide = tensors[spec.name].type is I8
    size = spec.shape[spec.int8.outputs] if wide else 1
    scale = TensorSpec(f"{spec.name}.scale", (size,))
    found = tensor_problems(scale, tensors, dims, expected)
    if found:
        return found
    values = tensors[scale.name].data
    bf16 = spec.int8.bf16_scale or not wide
    sound = (values > 0) & (values <= MAX_SCALE)
    if not sound.all() or (bf16 and (values.view("<u4") & 0xFFFF).any()):
        kind = f"positive{' bf16' if bf16 else ''} numbers up to 2^100"
        found = [f"tensor '{scale.name}' has scales that are not {kind}"]
    return found


def _input_problems(
    spec: TensorSpec, tensors: Mapping[str, Tensor], dims: Dims, expected: set[str]
) -> list[str]:
    """Check how a calibrated layer's input is quantised."""
    name = f"{spec.name}.input"
    shape = (2, spec.shape[1 - spec.int8.outputs])
    found = tensor_problems(TensorSpec(name, shape), tensors, dims, expected)
    if found:
        return found
    for scale, zero in tensors[name].data.T:
        if scale <= 0 or zero != np.rint(zero) or not 0 <= zero <= MAX_U8:
            return [
                f"tensor '{name}' has a channel with [{scale:g}, {zero:g}], expected a positive "
                f"scale and a zero among 0, 1 .. {MAX_U8}"
            ]
    return []


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
        expected_blocks = " or ".join(shape_text(b) for b in allowed)
        kind = f"{tensor.type.name} in blocks of {shape_text(block)}"
        return [f"tensor '{spec.name}' is {kind}, expected {expected_blocks}"]
    if name not in tensors:
        return [f"tensor '{name}' [n, 2] is missing"]
    index = tensors[name]
    if index.type is not I32 or index.shape != (tensor.shape[0], 2):
        return [
            f"tensor '{name}' is {index.type.name} {shape_text(index.shape)}, "
            f"expected I32 {shape_text((tensor.shape[0], 2))}"
        ]
    if None in shape:
        return []
    dense = (int(shape[0] or 0), int(shape[1] or 0))
    if dense[0] * dense[1] > MAX_MATRIX or any(
        n < b or n % b for n, b in zip(dense, block, strict=True)
    ):
        return [f"tensor '{spec.name}' would be {shape_text(dense)}, which its blocks do not fit"]
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
    """Check that the integer tables can be added: one type, their range, their steps."""
    found, steps, types = [], [], set()
    for spec in specs:
        table = tensors.get(spec.name)
        if table is None or not spec.int8.table or table.type not in (I8, I16):
            continue
        types.add(table.type)
        worst = int(np.abs(table.data.astype(np.int32)).max(initial=0))
        if table.type is I16 and worst > MAX_TABLE:
            found.append(f"tensor '{spec.name}' has the value {worst}, at most {MAX_TABLE} may be")
        scale = tensors.get(f"{spec.name}.scale")
        if scale is not None and scale.type is F32:
            steps.append(scale.data.ravel())
    if len(types) > 1:
        return [*found, "some of the tables are int16 and some int8, expected all of one type"]
    if not steps:
        return found
    used = np.unique(np.concatenate(steps))
    with np.errstate(all="ignore"):
        multiples = used[0] * np.float32(2) ** np.arange(MAX_SHIFT + 1, dtype=np.float32)
    if types == {I16} and len(used) > 1:
        found.append("the int16 tables have different scales, expected one for all")
    if types == {I8} and not np.isin(used, multiples).all():
        found.append(
            "the int8 tables have other scales than the least times 1, 2, 4 .. "
            f"{1 << MAX_SHIFT}, so that they do not add up as integers"
        )
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
    if spec.int8.inputs is None:
        return []
    lanes = np.moveaxis(q, spec.int8.inputs, -1).astype(np.int16)
    even = lanes.shape[-1] // 2 * 2  # the last of an odd number has no neighbour
    worst = int(np.abs(lanes[..., 0:even:2] + lanes[..., 1:even:2]).max(initial=0))
    if worst > MAX_PAIR:
        return [f"tensor '{spec.name}' has neighbours that add to {worst}, at most {MAX_PAIR} may"]
    return []
