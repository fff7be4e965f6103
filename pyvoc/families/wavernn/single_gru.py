"""Networks with a single GRU, embedded exactly in the one with two (geneing/WaveRNN-Pytorch).

With x the sample before, m the upsampled mel and a1, a2 the halves of the residual network's
output, of which the last of a1 is not read::

    i = I [x, m, a1 but the last]        h = rnn1(i)        fc1 sees [i + h, a2]        fc3 relu fc1

In the network with two GRUs (`hoist.py`) a second GRU of zeros stays at zero, and fc2 as the
identity changes nothing after a relu.

Its mels are decibels mapped to -4..4. The model that is written reads 0..1, as every normalised
recipe here: m = 8 m' - 4 is folded into what reads the mel. Frames beyond the ends, which upstream
makes zero (half way up its range), are silence then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from pyvoc.container.mel import FATCHORD
from pyvoc.container.tensors import AnyArray

__all__ = ["RECIPE", "embed", "has_single_gru"]

RECIPE = replace(
    FATCHORD,
    name="custom",
    sample_rate=16000,
    hop_length=200,
    window_length=800,
    fmin=95.0,
    fmax=7600.0,
    padding="zero",
    ref_db=20.0,
)
"""Upstream's mels. Its code pre-emphasises the signal, which the published network's were not
(``test_single_gru.py``)."""
_SCALE, _SHIFT = 8.0, -4.0


def has_single_gru(names: Iterable[str]) -> bool:
    """Whether the entries of a network are those of one GRU and one hidden layer."""
    return not any(name.startswith(("rnn2.", "fc2.")) for name in names)


def embed(arrays: Mapping[str, AnyArray], *, mels: int, aux: int) -> dict[str, AnyArray]:
    """The same network with a second GRU and a second hidden layer that do nothing.

    Parameters
    ----------
    arrays
        Of a network with a single GRU, by the names of the reader in `convert.py`, of shapes that
        fit together.
    mels, aux
        Bands of the mel spectrogram; size of half the residual network's output.

    Returns
    -------
    dict
        Arrays of the network with two GRUs, which reads mels in 0..1.
    """
    found = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
    states, hidden = len(found["input.bias"]), len(found["fc1.bias"])

    for leaf in ("weight", "bias"):  # quarters [a1, nothing, a2, nothing]
        halves = found[f"conv_out.{leaf}"][: 2 * aux].reshape(2, aux, -1)
        quarters = np.zeros((2, 2, aux, halves.shape[2]))
        quarters[:, 0] = halves
        shape = (4 * aux, *found[f"conv_out.{leaf}"].shape[1:])
        found[f"conv_out.{leaf}"] = quarters.reshape(shape)
    found["input.weight"] = np.pad(found["input.weight"], ((0, 0), (0, 1)))
    for leaf, shape in (("weight_ih", (states + aux,)), ("weight_hh", (states,))):
        found[f"rnn2.{leaf}_l0"] = np.zeros((3 * states, *shape))
    found["rnn2.bias_ih_l0"] = found["rnn2.bias_hh_l0"] = np.zeros(3 * states)
    found["fc2.weight"] = np.eye(hidden, hidden + aux)
    found["fc2.bias"] = np.zeros(hidden)

    first = found["conv_in.weight"]
    found["norm_in.running_mean"] = found["norm_in.running_mean"] - _SHIFT * first.sum(axis=(1, 2))
    found["conv_in.weight"] = _SCALE * first
    kernels = [array for name, array in found.items() if name.startswith("stretch.")]
    gain = float(np.prod([kernel.sum() for kernel in kernels]))  # of a mel that does not change
    columns = found["input.weight"][:, 1 : 1 + mels]
    found["input.bias"] = found["input.bias"] + _SHIFT * gain * columns.sum(axis=1)
    found["input.weight"][:, 1 : 1 + mels] = _SCALE * columns
    return found
