"""What can be done once about fatchord's network: batch norm folded, linear inputs hoisted.

All in float64. The network's step, with x the sample before, m the upsampled mel and a1..a4 the
quarters of the residual network's output::

    i = I [x, m, a1]        h1 = rnn1(i)        h2 = rnn2([i + h1, a2])
    fc1 sees [i + h1 + h2, a3]        fc2 sees [relu fc1, a4]

i is linear in x, m and a1, so its products with rnn1's, rnn2's and fc1's matrices are too: each is
a column times x, a matrix times m, a matrix times the aux quarters and a bias. What is left of the
loop are products with h1, h2 and h1 + h2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.tensors import AnyArray

Array = NDArray[np.float64]
EPSILON = 1e-5
"""Of every batch norm."""
NORM = ("weight", "bias", "running_mean", "running_var")
"""Tensors of a batch norm."""


def fold_batch_norm(weight: AnyArray, norm: Mapping[str, AnyArray]) -> tuple[Array, Array]:
    """A convolution without bias, then batch norm, as one convolution.

    Parameters
    ----------
    weight
        ``[outputs, inputs, taps]``.
    norm
        ``weight``, ``bias``, ``running_mean``, ``running_var``, each ``[outputs]``, the variances
        not negative.

    Returns
    -------
    weight, bias
        ``[outputs, inputs, taps]`` and ``[outputs]``.
    """
    wide = {name: np.asarray(a, np.float64) for name, a in norm.items()}
    scale = wide["weight"] / np.sqrt(wide["running_var"] + EPSILON)
    folded: Array = np.asarray(weight, np.float64) * scale[:, None, None]
    return folded, wide["bias"] - wide["running_mean"] * scale


def hoist(arrays: Mapping[str, AnyArray], *, mels: int, aux: int) -> dict[str, Array]:
    """The tensors of the sample loop and of its inputs.

    Parameters
    ----------
    arrays
        ``input``, ``rnn1``, ``rnn2``, ``fc1``, ``fc2``, ``fc3`` with PyTorch's leaves
        (``rnn1.weight_ih_l0``), of shapes that fit together.
    mels, aux
        Bands of the mel spectrogram; size of a quarter of the residual network's output.

    Returns
    -------
    dict
        By the names of our spec.
    """
    w = {name: np.asarray(a, np.float64) for name, a in arrays.items()}
    inner, shift = w["input.weight"], w["input.bias"]
    columns = {
        "sample": inner[:, 0],
        "mel": inner[:, 1 : 1 + mels],
        "aux": inner[:, 1 + mels :],
    }
    found: dict[str, Array] = {}
    for layer, leaf in (("rnn1", "_ih_l0"), ("rnn2", "_ih_l0"), ("fc1", "")):
        matrix, bias = w[f"{layer}.weight{leaf}"], w[f"{layer}.bias{leaf}"]
        own = matrix[:, : len(inner)]
        for kind, column in columns.items():
            found[f"{layer}.input.{kind}"] = own @ column
        if layer != "rnn1":
            found[f"{layer}.input.aux"] = np.concatenate(
                [found[f"{layer}.input.aux"], matrix[:, len(inner) :]], axis=1
            )
        found[f"{layer}.input.bias"] = own @ shift + bias
    size = w["fc2.weight"].shape[1] - aux
    return found | {
        "fc2.input.aux": w["fc2.weight"][:, size:],
        "fc2.input.bias": w["fc2.bias"],
        "rnn1.hidden.weight": w["rnn1.weight_hh_l0"],
        "rnn1.hidden.bias": w["rnn1.bias_hh_l0"],
        "rnn2.input.weight": w["rnn2.weight_ih_l0"][:, : len(inner)],
        "rnn2.hidden.weight": w["rnn2.weight_hh_l0"],
        "rnn2.hidden.bias": w["rnn2.bias_hh_l0"],
        "fc1.weight": w["fc1.weight"][:, : len(inner)],
        "fc2.weight": w["fc2.weight"][:, :size],
        "fc3.weight": w["fc3.weight"],
        "fc3.bias": w["fc3.bias"],
    }


def unhoist(arrays: Mapping[str, AnyArray]) -> dict[str, Array]:
    """A network in which `hoist` gives these arrays: the shared input layer found again.

    Its matrix is the one that gives both rnn2's and fc1's inputs through the matrices that are
    known; its bias is zero, for those of the layers have it all.

    Parameters
    ----------
    arrays
        Every tensor of the spec, of shapes that fit together.

    Returns
    -------
    dict
        By the names that `hoist` takes.

    Raises
    ------
    ValueError
        There is none: weights were changed after their inputs were hoisted.
    """
    w = {name: np.asarray(a, np.float64) for name, a in arrays.items()}

    def seen(layer: str) -> Array:
        kinds = ("sample", "mel", "aux")
        return np.column_stack([w[f"{layer}.input.{kind}"] for kind in kinds])

    first, second, third = (seen(layer) for layer in ("rnn1", "rnn2", "fc1"))
    size = first.shape[1]
    known = np.concatenate([w["rnn2.input.weight"], w["fc1.weight"]])
    wanted = np.concatenate([second[:, :size], third[:, :size]])
    inner = np.linalg.lstsq(known, wanted, rcond=None)[0]
    own = first @ np.linalg.pinv(inner)
    for made, exact in ((known @ inner, wanted), (own @ inner, first)):
        off = float(np.abs(made - exact).max(initial=0.0))
        if off > 1e-4 * float(np.abs(exact).max(initial=0.0)):
            raise ValueError(
                "no first layer gives the inputs of its GRUs and of fc1 "
                f"(off by {off:.2g}): were its weights pruned after training?"
            )
    return {
        "input.weight": inner,
        "input.bias": np.zeros(len(inner)),
        "rnn1.weight_ih_l0": own,
        "rnn1.weight_hh_l0": w["rnn1.hidden.weight"],
        "rnn1.bias_ih_l0": w["rnn1.input.bias"],
        "rnn1.bias_hh_l0": w["rnn1.hidden.bias"],
        "rnn2.weight_ih_l0": np.column_stack([w["rnn2.input.weight"], second[:, size:]]),
        "rnn2.weight_hh_l0": w["rnn2.hidden.weight"],
        "rnn2.bias_ih_l0": w["rnn2.input.bias"],
        "rnn2.bias_hh_l0": w["rnn2.hidden.bias"],
        "fc1.weight": np.column_stack([w["fc1.weight"], third[:, size:]]),
        "fc1.bias": w["fc1.input.bias"],
        "fc2.weight": np.column_stack([w["fc2.weight"], w["fc2.input.aux"]]),
        "fc2.bias": w["fc2.input.bias"],
        "fc3.weight": w["fc3.weight"],
        "fc3.bias": w["fc3.bias"],
    }
