"""FARGAN from the arrays that upstream exports to C: float layers, and int8 ones with scales; and,
where they are there, those of the network that tells the pitch in its features.

An export names no sizes. Those of a layer are told by the lengths of its arrays, outputs by its
scales or biases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pyvoc.container.base import raise_problems
from pyvoc.container.tensors import AnyArray
from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.families.fargan.names import (
    LAYERS,
    LEAVES,
    PITCH_ARRAYS,
    PITCH_CONVOLUTIONS,
    PITCH_LAYERS,
    PREFIXES,
    Layer,
    reordered,
)
from pyvoc.families.fargan.shapes import check_shapes
from pyvoc.families.fargan.spec import FARGAN, PERIODS, FarganSettings
from pyvoc.quant import Quantized

_TILE = (8, 4)
"""Outputs and inputs that lie together in an int8 array."""
_UNIT = np.float32(127)
"""An exported scale is that of the sums of weights and activations in steps of 1/127."""
NO_PITCH = (
    "there is no network for the pitch (Opus's dnn/pitchdnn_data.c): features of audio get theirs "
    "from LPCNet's estimator, which is worse"
)
"""A note of a checkpoint."""


def read_arrays(
    arrays: Mapping[str, AnyArray], *, source: str, format: str, file: Path | None = None
) -> Checkpoint:
    """Bring exported arrays to the terms of our spec.

    Parameters
    ----------
    arrays
        Float32 or int8 [n] by upstream's names; those of other networks are passed over.
    source
        For errors.
    format
        For ``pyvoc.source.format``.
    file
        For the checkpoint's.

    Returns
    -------
    Checkpoint
        int8 matrices also as they are, in ``kept``.

    Raises
    ------
    ModelError
        Arrays are missing, unexpected, of another size, or not finite; one error lists all.
    """
    reader = _Reader(arrays)
    found: dict[str, AnyArray] = {}
    pitch = not PITCH_ARRAYS.isdisjoint(arrays)
    for layer in (*LAYERS, *PITCH_LAYERS) if pitch else LAYERS:
        matrix = reader.matrix(layer)
        if matrix is not None:
            found[layer.ours] = matrix
        if layer.bias is not None and (bias := reader.bias(layer)) is not None:
            found[layer.bias] = bias
    for ours, name in PITCH_CONVOLUTIONS.items() if pitch else ():
        found |= reader.convolution(ours, name)
    known = {f"{layer.exported}_{leaf}" for layer in LAYERS for leaf in LEAVES}
    reader.problems += [
        f"array '{name}' is unexpected"
        for name in arrays
        if name.startswith(PREFIXES) and name not in known
    ]
    problems = reader.problems + check_shapes(found)
    if problems:
        raise_problems(source, problems)
    return Checkpoint(
        FARGAN,
        found,
        FarganSettings().metadata(),
        f"{format}.{'int8' if reader.kept else 'float'}",
        kept=reader.kept,
        notes=() if pitch else (NO_PITCH,),
        file=file,
        rate_from="the network",
    )


class _Reader:
    def __init__(self, arrays: Mapping[str, AnyArray]) -> None:
        self._arrays = arrays
        self.problems: list[str] = []
        self.kept: dict[str, Quantized] = {}

    def matrix(self, layer: Layer) -> AnyArray | None:
        """A layer's weights [outputs, inputs] as floats, gates in our order."""
        if layer.bias is None:
            self._check_zero(f"{layer.exported}_bias")
        name = f"{layer.exported}_weights_int8"
        if name in self._arrays and f"{layer.exported}_weights_float" not in self._arrays:
            return self._int8(layer, name)
        flat = self.floats(f"{layer.exported}_weights_float")
        if flat is None:
            return None
        if layer.ours == "embed_pitch.weight":
            return self._split(f"{layer.exported}_weights_float", flat, PERIODS)
        outputs = self._outputs(layer, flat)
        if outputs is None:
            return None
        inputs_first = self._split(f"{layer.exported}_weights_float", flat.ravel(), -outputs)
        if inputs_first is None:
            return None
        return self._ordered(layer, inputs_first.T)[: layer.outputs]

    def bias(self, layer: Layer) -> AnyArray | None:
        """A layer's bias [outputs], gates in our order."""
        flat = self.floats(f"{layer.exported}_bias")
        return None if flat is None else self._ordered(layer, flat)[: layer.outputs]

    def convolution(self, ours: str, name: str) -> dict[str, AnyArray]:
        """Weights [outputs, inputs, 3, 3] and bias of a convolution over frames and lags."""
        weight, bias = self.floats(f"{name}_weight_float"), self.floats(f"{name}_bias")
        if weight is None or bias is None:
            return {}
        rows = self._split(f"{name}_weight_float", weight, 9 * max(len(bias), 1))
        if rows is None:
            return {}
        return {f"{ours}.weight": weight.reshape(len(bias), -1, 3, 3), f"{ours}.bias": bias}

    def _outputs(self, layer: Layer, flat: AnyArray) -> int | None:
        """How many outputs a float layer has, from its bias or scale; a GRU's, from its size."""
        for leaf in ("bias", "scale", "subias"):
            if (array := self._arrays.get(f"{layer.exported}_{leaf}")) is not None and len(array):
                return len(array)
        if layer.gates:
            net = layer.exported.rpartition("_")[0]
            recurrent = self._arrays.get(f"{net}_recurrent_weights_float")
            size = math.isqrt(0 if recurrent is None else len(recurrent) // 3)
            if recurrent is not None and size and 3 * size * size == len(recurrent):
                return 3 * size
        self.problems.append(
            f"array '{layer.exported}_bias' is missing, which would tell the outputs of "
            f"{len(flat)} weights"
        )
        return None

    def _int8(self, layer: Layer, name: str) -> AnyArray | None:
        q = self._arrays[name]
        scale = self.floats(f"{layer.exported}_scale")
        if q.dtype != np.int8:
            self.problems.append(f"array '{name}' holds {q.dtype}, expected int8")
            return None
        if scale is None:
            return None
        if not (scale > 0).all():
            self.problems.append(f"array '{layer.exported}_scale' has scales that are not positive")
            return None
        rows = len(scale)
        if not rows or rows % _TILE[0] or len(q) % (rows * _TILE[1]) or not len(q):
            self.problems.append(
                f"array '{name}' has {len(q)} values for {rows} outputs, expected tiles of "
                f"{_TILE[0]} outputs and {_TILE[1]} inputs"
            )
            return None
        columns = len(q) // rows
        tiles = q.reshape(rows // _TILE[0], columns // _TILE[1], *_TILE)
        matrix = tiles.transpose(0, 2, 1, 3).reshape(rows, columns)
        kept = Quantized(
            self._ordered(layer, matrix)[: layer.outputs],
            self._ordered(layer, scale * _UNIT)[: layer.outputs],
        )
        self.kept[layer.ours] = kept
        real: AnyArray = kept.to_float()
        return real

    @staticmethod
    def _ordered(layer: Layer, array: AnyArray) -> AnyArray:
        return reordered(array) if layer.gates and len(array) % 3 == 0 else array

    def _split(self, name: str, flat: AnyArray, rows: int) -> AnyArray | None:
        """An array in so many rows, or, if negative, so many columns."""
        if not len(flat) or len(flat) % abs(rows):
            self.problems.append(
                f"array '{name}' has {len(flat)} values, expected a multiple of {abs(rows)}"
            )
            return None
        return flat.reshape((rows, -1) if rows > 0 else (-1, -rows))

    def _check_zero(self, name: str) -> None:
        if name in self._arrays and (bias := self.floats(name)) is not None and bias.any():
            self.problems.append(
                f"array '{name}' is not zero, expected a network without this bias"
            )

    def floats(self, name: str) -> AnyArray | None:
        """A finite float array; None and a problem."""
        array = self._arrays.get(name)
        if array is None:
            self.problems.append(f"array '{name}' is missing")
            return None
        if array.dtype.kind != "f":
            self.problems.append(f"array '{name}' holds {array.dtype}, expected floats")
            return None
        if not np.isfinite(array).all():
            self.problems.append(f"array '{name}' has values that are NaN or infinite")
            return None
        return array
