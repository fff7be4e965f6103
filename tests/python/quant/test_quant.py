"""Quantisation keeps the container's rules for any finite matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pyvoc.container.blocks import expand_blocks, square_diagonals
from pyvoc.quant.bf16 import ceil_bf16, from_bf16, to_bf16
from pyvoc.quant.integers import (
    keeps_rules,
    quantize_columns,
    quantize_rows,
    quantize_table,
)
from pyvoc.quant.sparse import choose_block, cut_blocks, used_blocks

FLOATS = st.floats(-(2.0**100), 2.0**100, width=32)
SMALL = st.floats(-2, 2, width=32)


def matrices(elements):
    shapes = st.tuples(st.integers(1, 6), st.integers(1, 8).map(lambda n: 2 * n))
    return shapes.flatmap(lambda s: hnp.arrays(np.float32, s, elements=elements))


@settings(max_examples=300, deadline=None)
@given(st.one_of(matrices(FLOATS), matrices(SMALL), matrices(st.sampled_from([0, 1, -1, 0.5]))))
def test_int8_rules(matrix) -> None:
    result = quantize_rows(matrix)
    assert keeps_rules(result.q)
    scale = result.scale
    assert scale.dtype == np.float32 and (scale > 0).all()
    assert not (scale.view(np.uint32) & 0xFFFF).any()
    # Half a step of rounding; one and a half where a neighbour's sum had to be mended.
    error = np.abs(result.to_float() - matrix)
    assert (error <= 1.5 * scale[:, None].astype(np.float64) + 1e-30).all()


@pytest.mark.parametrize("rows", [3, 96])
def test_int8_error_is_half_a_step_for_ordinary_weights(rows: int) -> None:
    matrix = np.random.default_rng(0).normal(0, 0.2, (rows, 64))
    result = quantize_rows(matrix)
    error = np.abs(result.to_float() - matrix) / result.scale[:, None]
    assert np.mean(error > 0.5 + 1e-9) < 0.001
    # No scale is wasted: each row reaches one of its bounds, up to bf16's rounding.
    wide = result.q.astype(int)
    reach = np.maximum(np.abs(wide).max(1) / 127, np.abs(wide[:, ::2] + wide[:, 1::2]).max(1) / 129)
    assert (reach > 0.98).all()


def test_pair_that_rounds_over_the_bound_is_mended() -> None:
    # Both round up: 64.5 + 64.5 would give 65 + 65 (or 64 + 66) beyond 129.
    matrix = np.array([[64.6, 64.4 + 0.0, 0, 0], [-64.6, -64.4, 0, 0]]) * 2.0**-7
    assert keeps_rules(quantize_rows(matrix).q)
    found = [quantize_rows(np.random.default_rng(s).normal(0, 1, (64, 2))) for s in range(50)]
    assert all(keeps_rules(f.q) for f in found)
    assert max(np.abs(f.q.astype(int).sum(1)).max() for f in found) == 129


def test_rows_of_zeros() -> None:
    result = quantize_rows(np.zeros((2, 4)))
    assert not result.q.any()
    assert (result.scale == 1).all()


def test_odd_inputs_have_a_last_one_without_a_neighbour() -> None:
    matrix = np.random.default_rng(9).normal(0, 1, (40, 7))
    result = quantize_rows(matrix)
    assert result.q.shape == matrix.shape and keeps_rules(result.q)
    even = quantize_rows(np.pad(matrix, ((0, 0), (0, 1))))
    np.testing.assert_array_equal(result.q, even.q[:, :7])
    np.testing.assert_array_equal(result.scale, even.scale)


@settings(max_examples=100, deadline=None)
@given(matrices(SMALL), st.sampled_from([1, 3]))
def test_int16_tables(table, share: int) -> None:
    peak = float(np.abs(table).max()) * share
    result = quantize_table(table, peak)
    assert result.q.dtype == np.int16 and result.scale.shape == (1,)
    assert np.abs(result.q.astype(int)).max() <= 10922
    assert not (result.scale.view(np.uint32) & 0xFFFF).any()
    bound = 0.5000001 * float(result.scale[0])
    assert (np.abs(result.to_float() - table) <= bound).all()


@settings(max_examples=100, deadline=None)
@given(matrices(SMALL), st.sampled_from([1, 3]))
def test_int8_tables(table, share: int) -> None:
    peak = float(np.abs(table).max()) * share
    result = quantize_columns(table, peak)
    assert result.q.dtype == np.int8 and result.scale.shape == (table.shape[1],)
    assert np.abs(result.q.astype(int)).max() <= 127
    assert not (result.scale.view(np.uint32) & 0xFFFF).any()
    assert np.isin(np.log2(result.scale / result.scale.min()), range(7)).all()
    assert (np.abs(result.to_float() - table) <= 0.5000001 * result.scale).all()
    # No column has a step that is twice as long as it must be, unless it is the shortest.
    least = quantize_columns(np.zeros_like(table), peak).scale[0]
    largest = np.abs(table).max(axis=0)
    assert ((result.scale == least) | (largest > 127 * result.scale / 2)).all()


@settings(max_examples=300, deadline=None)
@given(hnp.arrays(np.float32, 8, elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_bf16_rounds_to_nearest_even(values) -> None:
    bits = to_bf16(values)
    exact = from_bf16(bits).astype(np.float64)
    below, above = from_bf16(bits - np.uint16(1)), from_bf16(bits + np.uint16(1))
    distance = np.abs(exact - values)
    for other in (below, above):
        gap = np.abs(other.astype(np.float64) - values)
        same_sign = np.isfinite(other) & (np.signbit(other) == np.signbit(from_bf16(bits)))
        assert (distance[same_sign] <= gap[same_sign]).all()
        tie = same_sign & (distance == gap) & (distance > 0)
        assert not (bits[tie] & 1).any()
    np.testing.assert_array_equal(to_bf16(from_bf16(bits)), bits)


@given(st.floats(2.0**-100, 2.0**100, width=32))
def test_ceil_bf16(value: float) -> None:
    up = float(ceil_bf16(np.array([value], np.float32))[0])
    assert value <= up <= value * (1 + 2.0**-7)
    assert float(from_bf16(to_bf16(np.array([up], np.float32)))[0]) == up


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 5))),
    st.sampled_from([(8, 4), (16, 1)]),
)
def test_blocks_round_trip(keep, block) -> None:
    rng = np.random.default_rng(int(keep.sum()))
    matrix = np.kron(keep, np.ones(block)) * rng.uniform(0.5, 1, (np.array(keep.shape) * block))
    used = used_blocks(matrix, block)
    np.testing.assert_array_equal(used, keep)
    blocks, index = cut_blocks(matrix, block, used)
    assert len(blocks) == max(1, keep.sum())
    np.testing.assert_array_equal(expand_blocks(blocks, index, matrix.shape), matrix)


def test_block_choice() -> None:
    def sparse(block, density):
        keep = np.random.default_rng(1).random((96 // block[0], 32 // block[1])) < density
        return np.kron(keep, np.ones(block))

    candidates = ((8, 4), (16, 1))
    assert choose_block(sparse((8, 4), 0.2), candidates) == (8, 4)
    assert choose_block(sparse((16, 1), 0.2), candidates) == (16, 1)
    assert choose_block(np.ones((96, 32)), candidates) is None
    assert choose_block(np.zeros((12, 6)), candidates) is None  # no block fits the sizes
    np.testing.assert_array_equal(square_diagonals(np.arange(8).reshape(4, 2)), [0, 3, 4, 7])
