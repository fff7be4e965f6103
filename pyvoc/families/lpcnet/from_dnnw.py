"""LPCNet from upstream's weight blobs, float and int8 builds.

A blob holds the arrays of today's LPCNet (tree sampling, 20 features). Look-ahead, bandwidth
expansion and the end-to-end flag are compiled into upstream's programs: they are taken at their
defaults.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np

from pyvoc.container.base import raise_problems
from pyvoc.container.blocks import expand_blocks
from pyvoc.container.tensors import AnyArray
from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.dnnw import TYPE_NAMES, Record, read_blob
from pyvoc.families.lpcnet.gates import INPUTS, reorder_gates
from pyvoc.families.lpcnet.spec import (
    LEVELS,
    LPCNET,
    LpcnetSettings,
    derived_dimensions,
    size_problems,
)
from pyvoc.quant import Quantized

FEATURES = 20
QSCALE = np.float32(1 / 128)
"""Upstream's one int8 scale."""
_FLOAT, _INT32, _QUANTISED, _INT8 = 0, 1, 2, 3
_BLOCK = (8, 4)
_GRU_A = "sparse_gru_a_recurrent_weights"
_GRU_B_IN = "gru_b_weights"
_GRU_B_REC = "gru_b_recurrent_weights"

# Float arrays and their shapes in the spec's symbols, as they lie in the file.
_FLOATS: dict[str, tuple[str | int, ...]] = {
    "embed_pitch_weights": (LEVELS, "P"),
    "feature_conv1_weights": ("K1", "F+P", "C"),
    "feature_conv1_bias": ("C",),
    "feature_conv2_weights": ("K2", "C", "C"),
    "feature_conv2_bias": ("C",),
    "feature_dense1_weights": ("C", "C"),
    "feature_dense1_bias": ("C",),
    "feature_dense2_weights": ("C", "C"),
    "feature_dense2_bias": ("C",),
    "gru_a_embed_sig_weights": (LEVELS, "3N"),
    "gru_a_embed_pred_weights": (LEVELS, "3N"),
    "gru_a_embed_exc_weights": (LEVELS, "3N"),
    "gru_a_dense_feature_weights": ("C", "3N"),
    "sparse_gru_a_bias": (2, "3N"),
    f"{_GRU_A}_diag": ("3N",),
    "gru_b_dense_feature_weights": ("C", "3M"),
    "gru_b_bias": (2, "3M"),
    "dual_fc_weights": (LEVELS, 2, "M"),
    "dual_fc_bias": (2, LEVELS),
    "dual_fc_factor": (2, LEVELS),
}
# Redundant: biases that are repeated elsewhere (or zero), the offset of unsigned activations, and
# the embedding before it is multiplied. Also what other upstream models put into the same file.
_IGNORED = {
    "gru_a_dense_feature_bias",
    "gru_b_dense_feature_bias",
    "sparse_gru_a_subias",
    "gru_b_subias",
    "embed_sig_weights",
}
_IGNORED_PREFIXES = ("plc_", "dred_", "enc_", "dec_", "rdovae")


def read_lpcnet_dnnw(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a weight blob of LPCNet.

    Parameters
    ----------
    path
        File that upstream's ``write_lpcnet_weights`` made, in a float or an int8 build.

    Returns
    -------
    Checkpoint
        In the terms of `pyvoc.container.LPCNET`; int8 matrices also as they are, in ``kept``.

    Raises
    ------
    ModelError
        The file is damaged, or arrays are missing, unexpected, or of another type, size or range;
        one error lists all.
    Error
        The operating system refused to read.
    """
    reader = _Reader(read_blob(path))
    return reader.read(str(path))


@dataclass
class _Reader:
    records: dict[str, Record]
    problems: list[str] = field(default_factory=list)
    kept: dict[str, Quantized] = field(default_factory=dict)
    dims: dict[str, int] = field(default_factory=dict)

    def read(self, source: str) -> Checkpoint:
        self.find_dimensions()
        self.problems += size_problems(self.dims)
        for name in self.records:
            known = name in _FLOATS or name in _IGNORED or name.startswith(_IGNORED_PREFIXES)
            matrix = name.removesuffix("_idx") in (_GRU_A, _GRU_B_IN) or name == _GRU_B_REC
            if not known and not matrix:
                self.problems.append(f"array '{name}' is unexpected")
        floats = {name: self.float_array(name, shape) for name, shape in _FLOATS.items()}
        if self.problems:
            # Sizes may be wrong: indices can be judged against none.
            self.presence(_GRU_A, _GRU_B_IN, _GRU_B_REC)
            raise_problems(source, self.problems)
        n, m = self.dims["N"], self.dims["M"]
        recurrent_a = self.sparse_matrix(_GRU_A, "gru_a.weight_hh", (3 * n, n))
        input_b = self.sparse_matrix(_GRU_B_IN, "gru_b.weight_ih", (3 * m, n))
        recurrent_b = self.recurrent_b((3 * m, m))
        if self.problems:
            raise_problems(source, self.problems)
        at = np.arange(3 * n)
        if recurrent_a[at, at % n].any():
            raise_problems(source, [f"'{_GRU_A}' is not zero on the diagonal, which is apart"])
        recurrent_a[at, at % n] = floats[f"{_GRU_A}_diag"]
        bias_a, bias_b = floats["sparse_gru_a_bias"], floats["gru_b_bias"]
        arrays = {
            "embed_pitch.weight": floats["embed_pitch_weights"],
            "conv1.weight": floats["feature_conv1_weights"].transpose(2, 1, 0),
            "conv1.bias": floats["feature_conv1_bias"],
            "conv2.weight": floats["feature_conv2_weights"].transpose(2, 1, 0),
            "conv2.bias": floats["feature_conv2_bias"],
            "dense1.weight": floats["feature_dense1_weights"].T,
            "dense1.bias": floats["feature_dense1_bias"],
            "dense2.weight": floats["feature_dense2_weights"].T,
            "dense2.bias": floats["feature_dense2_bias"],
            **{
                f"gru_a.embed_{k}": reorder_gates(floats[f"gru_a_embed_{k}_weights"], axis=1)
                for k in INPUTS
            },
            "gru_a.cond.weight": reorder_gates(floats["gru_a_dense_feature_weights"].T),
            "gru_a.bias_ih": reorder_gates(bias_a[0]),
            "gru_a.weight_hh": reorder_gates(recurrent_a),
            "gru_a.bias_hh": reorder_gates(bias_a[1]),
            "gru_b.weight_ih": reorder_gates(input_b),
            "gru_b.bias_ih": reorder_gates(bias_b[0]),
            "gru_b.cond.weight": reorder_gates(floats["gru_b_dense_feature_weights"].T),
            "gru_b.weight_hh": reorder_gates(recurrent_b),
            "gru_b.bias_hh": reorder_gates(bias_b[1]),
            "dual_fc.weight": floats["dual_fc_weights"].transpose(1, 0, 2),
            "dual_fc.bias": floats["dual_fc_bias"],
            "dual_fc.factor": floats["dual_fc_factor"],
        }
        notes = (
            "a blob lacks look-ahead, LPC gamma and end-to-end: assumed are 2 frames, 1 and no",
        )
        return Checkpoint(
            LPCNET,
            arrays,
            LpcnetSettings().metadata(),
            "dnnw.int8" if self.kept else "dnnw.float",
            kept=self.kept,
            notes=notes,
        )

    def count(self, name: str) -> int | None:
        """How many 4-byte elements an array has; None when it is absent."""
        record = self.records.get(name)
        return None if record is None else len(record.data) // 4

    def find_dimensions(self) -> None:
        counts = {
            "N": (self.count(f"{_GRU_A}_diag"), 3),
            "M": (self.count("gru_b_bias"), 6),
            "C": (self.count("feature_dense2_bias"), 1),
            "P": (self.count("embed_pitch_weights"), LEVELS),
        }
        dims = {k: n // unit for k, (n, unit) in counts.items() if n and n >= unit}
        dims["F"] = FEATURES
        if "C" in dims and "P" in dims:
            for symbol, name, inputs in (
                ("K1", "feature_conv1_weights", FEATURES + dims["P"]),
                ("K2", "feature_conv2_weights", dims["C"]),
            ):
                n = self.count(name)
                if n and n % (inputs * dims["C"]) == 0:
                    dims[symbol] = n // (inputs * dims["C"])
        self.dims = derived_dimensions(dims)

    def presence(self, *names: str) -> None:
        """Report matrices and indices that are absent."""
        for name in names:
            for item in (name,) if name == _GRU_B_REC else (name, f"{name}_idx"):
                if item not in self.records:
                    self.problems.append(f"array '{item}' is missing")

    def bytes_of(self, name: str, kinds: tuple[int, ...]) -> bytes | None:
        """An array's bytes if it is there with one of the types."""
        record = self.records.get(name)
        if record is None:
            self.problems.append(f"array '{name}' is missing")
            return None
        if record.kind not in kinds:
            expected = " or ".join(TYPE_NAMES[k] for k in kinds)
            self.problems.append(
                f"array '{name}' is of type {TYPE_NAMES[record.kind]}, expected {expected}"
            )
            return None
        return record.data

    def float_array(self, name: str, shape: tuple[str | int, ...]) -> AnyArray:
        """A float array in its shape; an empty one when there is a problem."""
        nothing = np.zeros(0, np.float32)
        data = self.bytes_of(name, (_FLOAT,))
        if data is None:
            return nothing
        sizes = [self.dims.get(s) if isinstance(s, str) else s for s in shape]
        text = " x ".join(
            str(s) if n is None else str(n) for s, n in zip(shape, sizes, strict=True)
        )
        if None in sizes or len(data) != 4 * int(np.prod([n or 0 for n in sizes], dtype=np.int64)):
            self.problems.append(f"array '{name}' has {len(data)} bytes, expected {text} floats")
            return nothing
        array = np.frombuffer(data, "<f4").reshape([n or 0 for n in sizes])
        if not np.isfinite(array).all():
            self.problems.append(f"array '{name}' has values that are NaN or infinite")
        return array

    def matrix_values(self, name: str, count: int) -> tuple[AnyArray, bool] | None:
        """A matrix that is float32 or int8 depending on the build: the size tells."""
        data = self.bytes_of(name, (_FLOAT, _QUANTISED, _INT8))
        if data is None:
            return None
        kind = self.records[name].kind
        if len(data) == count and kind != _FLOAT:
            return np.frombuffer(data, np.int8), True
        if len(data) == 4 * count and kind != _INT8:
            values = np.frombuffer(data, "<f4")
            if np.isfinite(values).all():
                return values, False
            self.problems.append(f"array '{name}' has values that are NaN or infinite")
            return None
        self.problems.append(
            f"array '{name}' has {len(data)} bytes of type {TYPE_NAMES[kind]}, expected "
            f"{count} int8 or {count} float values"
        )
        return None

    def index(self, name: str, shape: tuple[int, int]) -> AnyArray | None:
        """Upstream's list (per 8 outputs: count, input offsets) as rows of block coordinates."""
        data = self.bytes_of(name, (_INT32,))
        if data is None:
            return None
        if len(data) % 4:
            self.problems.append(f"array '{name}' has {len(data)} bytes, not a number of int32")
            return None
        values = np.frombuffer(data, "<i4")
        rows, at = [], 0
        for row in range(shape[0] // _BLOCK[0]):
            count = int(values[at]) if at < len(values) else -1
            if count < 0 or count > len(values) - at - 1:
                what = f"has the count {count} at position {at} of {len(values)}"
                if at >= len(values):
                    what = f"ends after {row} of {shape[0] // _BLOCK[0]} rows of blocks"
                self.problems.append(f"array '{name}' {what}")
                return None
            offsets = values[at + 1 : at + 1 + count].astype(np.int64)
            bad = (offsets < 0) | (offsets > shape[1] - _BLOCK[1]) | (offsets % _BLOCK[1] != 0)
            if bad.any():
                self.problems.append(
                    f"array '{name}' has the input offset {offsets[bad][0]} in block row {row}, "
                    f"expected multiples of 4 from 0 to {shape[1] - _BLOCK[1]}"
                )
                return None
            if len(np.unique(offsets)) != count:
                self.problems.append(f"array '{name}' names a block twice in block row {row}")
                return None
            rows.append(np.stack([np.full(count, row), offsets // _BLOCK[1]], axis=1))
            at += 1 + count
        if at != len(values):
            self.problems.append(
                f"array '{name}' has {len(values) - at} values more than its rows of blocks"
            )
            return None
        index: AnyArray = np.concatenate(rows)
        return index

    def sparse_matrix(self, name: str, ours: str, shape: tuple[int, int]) -> AnyArray:
        """A block-sparse matrix, dense and float; remembers its int8 form under our name."""
        index = self.index(f"{name}_idx", shape)
        if index is None:
            if name not in self.records:
                self.problems.append(f"array '{name}' is missing")
            return np.zeros(shape, np.float32)
        found = self.matrix_values(name, len(index) * _BLOCK[0] * _BLOCK[1])
        if found is None:
            return np.zeros(shape, np.float32)
        values, quantised = found
        if quantised:  # [outputs, inputs] within a block; float builds have [inputs, outputs]
            blocks = values.reshape(-1, *_BLOCK)
        else:
            blocks = values.reshape(-1, _BLOCK[1], _BLOCK[0]).transpose(0, 2, 1)
        return self.keep(ours, expand_blocks(blocks, index, shape), quantised)

    def recurrent_b(self, shape: tuple[int, int]) -> AnyArray:
        """GRU B's recurrent matrix: tiles of 8 x 4 in int8 builds, [inputs, outputs] in float."""
        outputs, inputs = shape
        found = self.matrix_values(_GRU_B_REC, outputs * inputs)
        if found is None:
            return np.zeros(shape, np.float32)
        values, quantised = found
        if not quantised:
            plain: AnyArray = values.reshape(inputs, outputs).T
            return plain
        tiles = values.reshape(outputs // _BLOCK[0], inputs // _BLOCK[1], *_BLOCK)
        return self.keep("gru_b.weight_hh", tiles.transpose(0, 2, 1, 3).reshape(shape), True)

    def keep(self, ours: str, matrix: AnyArray, quantised: bool) -> AnyArray:
        if not quantised:
            plain: AnyArray = matrix.copy()
            return plain
        scale = np.full(matrix.shape[0], QSCALE, "<f4")
        self.kept[ours] = Quantized(reorder_gates(matrix), scale)
        real: AnyArray = matrix * QSCALE
        return real
