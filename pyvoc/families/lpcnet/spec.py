"""LPCNet's layout contract (docs/container.md).

Valin & Skoglund, "LPCNet: Improving Neural Speech Synthesis Through Linear Prediction", 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyvoc.container.base import COMB, MetadataSpec, ModelSpec
from pyvoc.container.checks import precision_problems
from pyvoc.container.layout import (
    BF16,
    F32,
    I8,
    I16,
    Dims,
    Int8Rule,
    Layout,
    Shapes,
    TensorSpec,
)
from pyvoc.container.tensors import Container, Scalar

LEVELS = 256
"""Mu-law levels of signal, prediction and excitation."""
LPC_ORDER = 16
MAX_GRU = 4096
MAX_COND = 1024
MAX_KERNEL = 9
BLOCKS = ((8, 4),)
"""Sparse blocks (outputs, inputs) of today's upstream."""
F32_BLOCKS = ((16, 1),)
"""Those of 2019, in float only: an int8 dot product wants several inputs."""

_WEIGHT = (F32, BF16, BF16)
_MATRIX = (F32, BF16, I8)
_TABLE = (F32, BF16, I16)
_COLUMNS = Int8Rule(outputs=1, inputs=None, table=True)

TENSORS = (
    TensorSpec("embed_pitch.weight", (LEVELS, "P"), _WEIGHT),
    TensorSpec("conv1.weight", ("C", "F+P", "K1"), _WEIGHT),
    TensorSpec("conv1.bias", ("C",)),
    TensorSpec("conv2.weight", ("C", "C", "K2"), _WEIGHT),
    TensorSpec("conv2.bias", ("C",)),
    TensorSpec("dense1.weight", ("C", "C"), _WEIGHT),
    TensorSpec("dense1.bias", ("C",)),
    TensorSpec("dense2.weight", ("C", "C"), _WEIGHT),
    TensorSpec("dense2.bias", ("C",)),
    TensorSpec("gru_a.embed_sig", (LEVELS, "3N"), _TABLE, int8=_COLUMNS),
    TensorSpec("gru_a.embed_pred", (LEVELS, "3N"), _TABLE, int8=_COLUMNS),
    TensorSpec("gru_a.embed_exc", (LEVELS, "3N"), _TABLE, int8=_COLUMNS),
    TensorSpec("gru_a.cond.weight", ("3N", "C"), _WEIGHT),
    TensorSpec("gru_a.bias_ih", ("3N",)),
    TensorSpec(
        "gru_a.weight_hh",
        ("3N", "N"),
        _MATRIX,
        blocks=BLOCKS,
        f32_blocks=F32_BLOCKS,
        diagonal="gru_a.diag",
    ),
    TensorSpec("gru_a.bias_hh", ("3N",)),
    TensorSpec("gru_b.weight_ih", ("3M", "N"), _MATRIX, blocks=BLOCKS),
    TensorSpec("gru_b.bias_ih", ("3M",)),
    TensorSpec("gru_b.cond.weight", ("3M", "C"), _WEIGHT),
    TensorSpec("gru_b.weight_hh", ("3M", "M"), _MATRIX),
    TensorSpec("gru_b.bias_hh", ("3M",)),
    TensorSpec("dual_fc.weight", (2, LEVELS, "M"), _WEIGHT),
    TensorSpec("dual_fc.bias", (2, LEVELS)),
    TensorSpec("dual_fc.factor", (2, LEVELS)),
)

_U32 = 2**32 - 1
METADATA = (
    MetadataSpec("pyvoc.features.layout", str, values=("lpcnet36", "lpcnet55")),
    MetadataSpec("pyvoc.features.sample_rate", int, values=(16000,)),
    MetadataSpec("pyvoc.features.hop_length", int, values=(160,)),
    MetadataSpec("pyvoc.features.window_length", int, values=(320,)),
    MetadataSpec("pyvoc.features.bands", int, values=(18,)),
    MetadataSpec("pyvoc.features.lpc_order", int, values=(LPC_ORDER,)),
    MetadataSpec("pyvoc.features.preemphasis", float, least=0.0, most=0.99),
    MetadataSpec("lpcnet.sampling", str, values=("tree", "softmax")),
    MetadataSpec("lpcnet.feature_dims", int, values=(20, 38)),
    MetadataSpec("lpcnet.lookahead", int, least=0, most=8),
    MetadataSpec("lpcnet.lpc_gamma", float, least=0.5, most=1.0),
    MetadataSpec("lpcnet.end_to_end", bool),
    COMB,
)


@dataclass(frozen=True)
class LpcnetSettings:
    """What the tensors do not say about an LPCNet.

    Parameters
    ----------
    sampling
        ``tree`` (today's upstream) or ``softmax`` (2019).
    feature_dims
        What the network sees of a frame: 20 or 38 numbers.
    lookahead
        Trained look-ahead, frames.
    lpc_gamma
        Bandwidth expansion: the LPC a_k is multiplied by ``lpc_gamma ** k``.
    end_to_end
        LPC from reflection coefficients, the first 16 outputs of the condition network.
    """

    sampling: str = "tree"
    feature_dims: int = 20
    lookahead: int = 2
    lpc_gamma: float = 1.0
    end_to_end: bool = False

    def metadata(self) -> dict[str, Scalar]:
        """The model's own metadata and the feature recipe."""
        return {
            "pyvoc.features.layout": "lpcnet36" if self.feature_dims == 20 else "lpcnet55",
            "pyvoc.features.sample_rate": 16000,
            "pyvoc.features.hop_length": 160,
            "pyvoc.features.window_length": 320,
            "pyvoc.features.bands": 18,
            "pyvoc.features.lpc_order": LPC_ORDER,
            "pyvoc.features.preemphasis": 0.85,
            "lpcnet.sampling": self.sampling,
            "lpcnet.feature_dims": self.feature_dims,
            "lpcnet.lookahead": self.lookahead,
            "lpcnet.lpc_gamma": float(self.lpc_gamma),
            "lpcnet.end_to_end": self.end_to_end,
        }


def derived_dimensions(base: Mapping[str, int]) -> dict[str, int]:
    """The dimensions that `TENSORS` uses, from those of N, M, C, P, F, K1, K2 that are known."""
    dims = dict(base)
    for name in ("N", "M"):
        if name in dims:
            dims[f"3{name}"] = 3 * dims[name]
    if "F" in dims and "P" in dims:
        dims["F+P"] = dims["F"] + dims["P"]
    return dims


def _layout(shapes: Shapes, metadata: Mapping[str, Scalar]) -> Layout:
    def size(name: str, axis: int, ndim: int) -> int | None:
        shape = shapes.get(name, ())
        return shape[axis] if len(shape) == ndim else None

    rows_a, rows_b = size("gru_a.bias_hh", 0, 1), size("gru_b.bias_hh", 0, 1)
    features = metadata.get("lpcnet.feature_dims")
    candidates = {
        "N": rows_a // 3 if rows_a is not None and rows_a % 3 == 0 else None,
        "M": rows_b // 3 if rows_b is not None and rows_b % 3 == 0 else None,
        "C": size("dense2.bias", 0, 1),
        "P": size("embed_pitch.weight", 1, 2),
        "F": features if isinstance(features, int) else None,
        "K1": size("conv1.weight", 2, 3),
        "K2": size("conv2.weight", 2, 3),
    }
    known = {k: v for k, v in candidates.items() if v is not None}
    return Layout(TENSORS, derived_dimensions(known))


def size_problems(dims: Dims) -> list[str]:
    """Sentences about sizes that no runtime can take."""
    found = []
    for name, what, step, most in (
        ("N", "GRU A", 8, MAX_GRU),
        ("M", "GRU B", 8, MAX_GRU),
        ("C", "the condition network", 1, MAX_COND),
        ("P", "the pitch embedding", 1, MAX_COND),
    ):
        if name in dims and (dims[name] % step or not 0 < dims[name] <= most):
            of = f"a multiple of {step}" if step > 1 else "at least 1 and"
            found.append(f"{what} has size {dims[name]}, expected {of} up to {most}")
    for name in ("K1", "K2"):
        if name in dims and (dims[name] % 2 == 0 or dims[name] > MAX_KERNEL):
            found.append(
                f"conv{name[1]} has kernel size {dims[name]}, expected odd, up to {MAX_KERNEL}"
            )
    return found


def _extra(container: Container, layout: Layout) -> list[str]:
    dims = layout.dims
    found = size_problems(dims)
    for name in ("gru_a.bias_hh", "gru_b.bias_hh"):
        tensor = container.tensors.get(name)
        if tensor is not None and (tensor.data.ndim != 1 or tensor.shape[0] % 3):
            found.append(f"tensor '{name}' has shape {list(tensor.shape)}, expected three gates")
    if container.metadata.get("lpcnet.end_to_end") is True and dims.get("C", LPC_ORDER) < LPC_ORDER:
        found.append(f"an end-to-end model needs a condition network of at least {LPC_ORDER}")
    return found + precision_problems(container, layout)


LPCNET = ModelSpec(
    architecture="pyvoc.lpcnet",
    revision=1,
    prefix="lpcnet.",
    metadata=METADATA,
    layout=_layout,
    extra=_extra,
)
