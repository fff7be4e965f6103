"""LPCNet from upstream's Keras HDF5 checkpoints (today's, 2019's and end-to-end).

The training layout (CuDNNGRU: flat bias, transposed gates) and the plain layout (GRU with
``reset_after``: bias of two rows) are told apart by the rank of the bias.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.base import raise_problems
from pyvoc.container.tensors import AnyArray
from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.errors import ModelError, UnsupportedError
from pyvoc.families.lpcnet.gates import embedding_products, reorder_gates
from pyvoc.families.lpcnet.spec import (
    LEVELS,
    LPCNET,
    MAX_COND,
    MAX_GRU,
    LpcnetSettings,
    derived_dimensions,
    size_problems,
)

MAX_ELEMENTS = (3 * MAX_COND + MAX_COND) * 3 * MAX_GRU
Shape = tuple[str | int | None, ...]

# Layer, variable, shape. Symbols are the spec's, E is the width of the signal embedding; None is
# checked apart.
_DATASETS: tuple[tuple[str, str, Shape], ...] = (
    ("embed_pitch", "embeddings:0", (LEVELS, "P")),
    ("feature_conv1", "kernel:0", ("K1", "F+P", "C")),
    ("feature_conv1", "bias:0", ("C",)),
    ("feature_conv2", "kernel:0", ("K2", "C", "C")),
    ("feature_conv2", "bias:0", ("C",)),
    ("feature_dense1", "kernel:0", ("C", "C")),
    ("feature_dense1", "bias:0", ("C",)),
    ("feature_dense2", "kernel:0", ("C", "C")),
    ("feature_dense2", "bias:0", ("C",)),
    ("gru_a", "kernel:0", ("3E+C", "3N")),
    ("gru_a", "recurrent_kernel:0", ("N", "3N")),
    ("gru_a", "bias:0", (None,)),
    ("gru_b", "kernel:0", ("N+C", "3M")),
    ("gru_b", "recurrent_kernel:0", ("M", "3M")),
    ("gru_b", "bias:0", (None,)),
    ("dual_fc", "kernel:0", (LEVELS, "M", 2)),
    ("dual_fc", "bias:0", (LEVELS, 2)),
    ("dual_fc", "factor:0", (LEVELS, 2)),
)
_EMBED_SIG = ("Variable:0", "embeddings:0")  # today's and 2019's name
_SETTINGS = "top_level_model_weights"
_WEIGHTS_GROUP = "model_weights"


def read_lpcnet_h5(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a Keras checkpoint of LPCNet.

    Parameters
    ----------
    path
        File that ``model.save`` wrote; ``save_weights`` files are understood too.

    Returns
    -------
    Checkpoint
        In the terms of `pyvoc.container.LPCNET`.

    Raises
    ------
    ModelError
        The file is damaged, or layers are missing, unexpected in shape or not finite; one error
        lists all.
    UnsupportedError
        The `h5py` package is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise UnsupportedError(
            "reading Keras checkpoints needs the h5py package: pip install pyvoc-vocoder[convert]"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            found = _collect(file, h5py)
    except ModelError:
        raise
    except OSError as error:
        raise ModelError(f"{path}: not a readable HDF5 file: {error}") from error
    except (RuntimeError, KeyError, ValueError, TypeError, MemoryError, OverflowError) as error:
        raise ModelError(f"{path}: damaged HDF5 file: {error}") from error
    if found.layers and not found.arrays:
        layers = ", ".join(repr(layer[:60]) for layer in sorted(found.layers)[:5])
        raise ModelError(
            f"{path}: is of another network, with {layers}; expected an LPCNet's layers"
        )
    return _convert(found, str(path))


@dataclass
class _Found:
    """What was read from the file, before it is understood."""

    arrays: dict[str, AnyArray] = field(default_factory=dict)
    settings: dict[str, float] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    layers: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


def _collect(file: Any, h5py: Any) -> _Found:
    found = _Found()
    root = _local(file, _WEIGHTS_GROUP, h5py)
    root = file if root is None else root
    if not isinstance(root, h5py.Group):
        found.problems.append(f"'{_WEIGHTS_GROUP}' is not a group")
        return found
    found.layers = set(root)
    for layer, variable, _ in _DATASETS:
        _take(root, layer, (variable,), found, h5py)
    _take(root, "embed_sig", _EMBED_SIG, found, h5py)
    for name in ("lpc_gamma", "lookahead", "flag_e2e"):
        item = _local(root, f"{_SETTINGS}/{name}:0", h5py)
        if item is None:
            continue
        if not isinstance(item, h5py.Dataset) or item.shape != () or item.dtype.kind not in "fiub":
            found.problems.append(f"'{_SETTINGS}/{name}:0' is not a number")
            continue
        found.settings[name] = float(item[()])
    config = file.attrs.get("model_config")
    if config is not None:
        try:
            parsed = json.loads(config)
        except (ValueError, TypeError, RecursionError):
            found.problems.append("the attribute 'model_config' is not JSON")
        else:
            found.config = parsed if isinstance(parsed, dict) else {}
    return found


def _local(group: Any, path: str, h5py: Any) -> Any:
    """An object below a group; None when it is absent or reached through a link that may leave."""
    item = group
    for part in path.split("/"):
        if not isinstance(item, h5py.Group):
            return None
        if not isinstance(item.get(part, getlink=True), h5py.HardLink):
            return None
        item = item.get(part)
    return item


def _take(root: Any, layer: str, variables: tuple[str, ...], found: _Found, h5py: Any) -> None:
    """Read one dataset, the first of the alternatives that is there; checks its type and size."""
    paths = [f"{layer}/{layer}/{v}" for v in variables]
    items = [item for path in paths if (item := _local(root, path, h5py)) is not None]
    name = f"{layer}/{variables[0]}"
    if not items:
        found.problems.append(f"layer variable '{' or '.join(variables)}' of '{layer}' is missing")
        return
    item = items[0]
    if not isinstance(item, h5py.Dataset) or item.dtype.kind != "f":
        found.problems.append(f"'{name}' is not an array of floats")
        return
    if item.external or item.is_virtual:
        found.problems.append(f"'{name}' has its data in another file")
        return
    if item.size is None or not 0 < item.size <= MAX_ELEMENTS:
        found.problems.append(f"'{name}' has shape {item.shape}, which no LPCNet has")
        return
    array = np.asarray(item[()])
    if not np.isfinite(array).all():
        found.problems.append(f"'{name}' has values that are NaN or infinite")
    found.arrays[name] = array


def _convert(found: _Found, source: str) -> Checkpoint:
    problems = found.problems
    settings, notes = _settings(found)
    dims = _dimensions(found.arrays)
    problems += size_problems(dims)
    features = dims.get("F")
    if features is not None and features not in (20, 38):
        problems.append(
            f"'feature_conv1/kernel:0' has {features + dims['P']} inputs: {features} features "
            f"beside the pitch embedding's {dims['P']}, expected 20 or 38"
        )
    _check_shapes(found.arrays, dims, problems)
    if settings is None or problems:
        raise_problems(source, problems)
        raise AssertionError("not reached")
    a = found.arrays
    kernel_a, recurrent_a, bias_a = _gru(a, "gru_a")
    kernel_b, recurrent_b, bias_b = _gru(a, "gru_b")
    embedding = a["embed_sig/Variable:0"]
    in_a, in_b = 3 * embedding.shape[1], dims["N"]
    arrays = {
        "embed_pitch.weight": a["embed_pitch/embeddings:0"],
        "conv1.weight": a["feature_conv1/kernel:0"].transpose(2, 1, 0),
        "conv1.bias": a["feature_conv1/bias:0"],
        "conv2.weight": a["feature_conv2/kernel:0"].transpose(2, 1, 0),
        "conv2.bias": a["feature_conv2/bias:0"],
        "dense1.weight": a["feature_dense1/kernel:0"].T,
        "dense1.bias": a["feature_dense1/bias:0"],
        "dense2.weight": a["feature_dense2/kernel:0"].T,
        "dense2.bias": a["feature_dense2/bias:0"],
        **embedding_products(embedding, kernel_a),
        "gru_a.cond.weight": reorder_gates(kernel_a[in_a:].T),
        "gru_a.bias_ih": reorder_gates(bias_a[0]),
        "gru_a.weight_hh": reorder_gates(recurrent_a.T),
        "gru_a.bias_hh": reorder_gates(bias_a[1]),
        "gru_b.weight_ih": reorder_gates(kernel_b[:in_b].T),
        "gru_b.bias_ih": reorder_gates(bias_b[0]),
        "gru_b.cond.weight": reorder_gates(kernel_b[in_b:].T),
        "gru_b.weight_hh": reorder_gates(recurrent_b.T),
        "gru_b.bias_hh": reorder_gates(bias_b[1]),
        "dual_fc.weight": a["dual_fc/kernel:0"].transpose(2, 0, 1),
        "dual_fc.bias": a["dual_fc/bias:0"].T,
        "dual_fc.factor": a["dual_fc/factor:0"].T,
    }
    return Checkpoint(LPCNET, arrays, settings.metadata(), "keras.h5", notes=tuple(notes))


def _dimensions(arrays: dict[str, AnyArray]) -> dict[str, int]:
    """The sizes of the model, from one array each; leaves out what cannot be told."""
    dims: dict[str, int] = {}

    def take(symbol: str, name: str, ndim: int, axis: int) -> None:
        array = arrays.get(name)
        if array is not None and array.ndim == ndim:
            dims[symbol] = int(array.shape[axis])

    take("P", "embed_pitch/embeddings:0", 2, 1)
    take("C", "feature_dense2/bias:0", 1, 0)
    take("K1", "feature_conv1/kernel:0", 3, 0)
    take("K2", "feature_conv2/kernel:0", 3, 0)
    take("N", "gru_a/recurrent_kernel:0", 2, 0)
    take("M", "gru_b/recurrent_kernel:0", 2, 0)
    take("E", "embed_sig/Variable:0", 2, 1)
    conv1 = arrays.get("feature_conv1/kernel:0")
    if conv1 is not None and conv1.ndim == 3 and "P" in dims:
        dims["F"] = int(conv1.shape[1]) - dims["P"]
    dims = derived_dimensions(dims)
    if "E" in dims and "C" in dims:
        dims["3E+C"] = 3 * dims["E"] + dims["C"]
    if "N" in dims and "C" in dims:
        dims["N+C"] = dims["N"] + dims["C"]
    return dims


def _check_shapes(arrays: dict[str, AnyArray], dims: dict[str, int], problems: list[str]) -> None:
    rows: tuple[tuple[str, str, Shape], ...] = (
        *_DATASETS,
        ("embed_sig", _EMBED_SIG[0], (LEVELS, "E")),
    )
    for layer, variable, shape in rows:
        name = f"{layer}/{variable}"
        array = arrays.get(name)
        if array is None:
            continue
        if variable == "bias:0" and layer in ("gru_a", "gru_b"):
            n = dims.get("N" if layer == "gru_a" else "M")
            if n is not None and array.shape not in ((6 * n,), (2, 3 * n)):
                kind = ": a GRU without reset_after" if array.shape == (3 * n,) else ""
                problems.append(
                    f"'{name}' has shape {list(array.shape)}, "
                    f"expected {[6 * n]} or {[2, 3 * n]}{kind}"
                )
            continue
        expected = [dims.get(s) if isinstance(s, str) else s for s in shape]
        if len(expected) != array.ndim or any(
            e is not None and e != n for e, n in zip(expected, array.shape, strict=False)
        ):
            text = ", ".join("?" if e is None else str(e) for e in expected)
            problems.append(f"'{name}' has shape {list(array.shape)}, expected [{text}]")


def _gru(
    arrays: dict[str, AnyArray], layer: str
) -> tuple[AnyArray, AnyArray, NDArray[np.floating[Any]]]:
    """Kernel [in, 3n], recurrent kernel [n, 3n], bias [2, 3n]: plain layout, gates z, r, h."""
    kernel, recurrent = arrays[f"{layer}/kernel:0"], arrays[f"{layer}/recurrent_kernel:0"]
    bias = arrays[f"{layer}/bias:0"]
    if bias.ndim == 2:
        return kernel, recurrent, bias
    n = recurrent.shape[0]
    gates_in = [kernel[:, k * n : (k + 1) * n] for k in range(3)]
    gates_hidden = [recurrent[:, k * n : (k + 1) * n] for k in range(3)]
    # cuDNN keeps each gate's matrix transposed, in the memory of a [in, n] variable.
    plain = [g.reshape(n, -1).T for g in gates_in]
    return (
        np.concatenate(plain, axis=1),
        np.concatenate([g.T for g in gates_hidden], axis=1),
        bias.reshape(2, 3 * n),
    )


def _settings(found: _Found) -> tuple[LpcnetSettings | None, list[str]]:
    """What the tensors do not say; None (and problems) when a value is out of range."""
    conv1, pitch = (
        found.arrays.get(n) for n in ("feature_conv1/kernel:0", "embed_pitch/embeddings:0")
    )
    features = 20
    if conv1 is not None and pitch is not None and conv1.ndim == 3 and pitch.ndim == 2:
        features = int(conv1.shape[1] - pitch.shape[1])
    notes = []
    activation = _dual_fc_activation(found.config)
    if activation in ("sigmoid", "softmax"):
        sampling = "tree" if activation == "sigmoid" else "softmax"
    else:
        sampling = "softmax" if features == 38 else "tree"
        notes.append(
            f"the checkpoint does not say how it samples: {sampling} is assumed, from the number "
            "of features"
        )
    lookahead = found.settings.get("lookahead", 2.0)
    gamma = found.settings.get("lpc_gamma", 1.0)
    ok = True
    if lookahead != int(lookahead if np.isfinite(lookahead) else 0) or not 0 <= lookahead <= 8:
        found.problems.append(f"'lookahead' is {lookahead}, expected 0 to 8 frames")
        ok = False
    if not 0.5 <= gamma <= 1.0:
        found.problems.append(f"'lpc_gamma' is {gamma}, expected 0.5 to 1")
        ok = False
    if not ok:
        return None, notes
    end_to_end = "rc2lpc" in found.layers or bool(found.settings.get("flag_e2e", 0.0))
    return LpcnetSettings(sampling, features, int(lookahead), gamma, end_to_end), notes


def _dual_fc_activation(config: dict[str, Any]) -> str | None:
    """The activation of the output layer, if the saved configuration has it."""
    inner = config.get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else None
    for layer in layers if isinstance(layers, list) else ():
        if isinstance(layer, dict) and layer.get("name") == "dual_fc":
            settings = layer.get("config")
            activation = settings.get("activation") if isinstance(settings, dict) else None
            return activation if isinstance(activation, str) else None
    return None
