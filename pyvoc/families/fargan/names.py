"""Upstream's layers and ours.

Upstream's checkpoint (PyTorch) names a layer ``sig_net.gru1_glu.gate``, its exported arrays
``sig_net_gru1_glu_gate``. Biases that stand in an export and are none in the network are zeros.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyvoc.container.tensors import AnyArray
from pyvoc.families.fargan.spec import CLASSES


@dataclass(frozen=True)
class Layer:
    """One matrix of upstream's.

    Parameters
    ----------
    ours
        Of the spec.
    torch
        Entry of a checkpoint, without ``.weight`` where the layer has other leaves; empty where
        checkpoints of FARGAN have none.
    exported
        What its exported arrays' names begin with.
    gates
        Three gates, which an export has in the order z, r, h.
    bias
        The spec's, where the layer has one.
    outputs
        How many are read, from the first; None: all.
    """

    ours: str
    torch: str
    exported: str
    gates: bool = False
    bias: str | None = None
    outputs: int | None = None


def _layer(ours: str, torch: str, bias: str | None = None) -> Layer:
    return Layer(f"{ours}.weight", torch, torch.replace(".", "_"), bias=bias)


def _gru(k: int) -> tuple[Layer, ...]:
    net = f"sig_net.gru{k}"
    return (
        Layer(f"gru{k}.weight_ih", f"{net}.weight_ih", f"sig_net_gru{k}_input", gates=True),
        Layer(f"gru{k}.weight_hh", f"{net}.weight_hh", f"sig_net_gru{k}_recurrent", gates=True),
        _layer(f"gru{k}.gate", f"{net}_glu.gate"),
    )


LAYERS = (
    _layer("embed_pitch", "cond_net.pembed"),
    _layer("cond.dense1", "cond_net.fdense1"),
    _layer("cond.conv", "cond_net.fconv1"),
    _layer("cond.dense2", "cond_net.fdense2"),
    _layer("gain", "sig_net.cond_gain_dense", "gain.bias"),
    _layer("pitch_gates", "sig_net.gain_dense_out", "pitch_gates.bias"),
    _layer("fwc", "sig_net.fwc0.conv"),
    _layer("fwc.gate", "sig_net.fwc0.glu.gate"),
    *_gru(1),
    *_gru(2),
    *_gru(3),
    _layer("skip", "sig_net.skip_dense"),
    _layer("skip.gate", "sig_net.skip_glu.gate"),
    _layer("out", "sig_net.sig_dense_out"),
)
PREFIXES = ("cond_net_", "sig_net_")
"""Of the exported arrays."""


def _pitch(ours: str, exported: str, outputs: int | None = None) -> Layer:
    name = f"pitch.{ours}"
    return Layer(f"{name}.weight", "", exported, bias=f"{name}.bias", outputs=outputs)


PITCH_LAYERS = (
    _pitch("phases1", "dense_if_upsampler_1"),
    _pitch("phases2", "dense_if_upsampler_2"),
    _pitch("down", "dense_downsampler"),
    Layer("pitch.gru.weight_ih", "", "gru_1_input", gates=True, bias="pitch.gru.bias_ih"),
    Layer("pitch.gru.weight_hh", "", "gru_1_recurrent", gates=True, bias="pitch.gru.bias_hh"),
    _pitch("out", "dense_final_upsampler", CLASSES),
)
"""Of the network for the pitch (PitchDNN), a network of its own."""
PITCH_CONVOLUTIONS = {"pitch.conv1": "conv2d_1", "pitch.conv2": "conv2d_2"}
"""Its layers of ``weight_float`` [outputs, inputs, frames, lags]."""
LEAVES = ("weights_float", "weights_int8", "scale", "subias", "bias")
PITCH_ARRAYS = frozenset(
    [f"{layer.exported}_{leaf}" for layer in PITCH_LAYERS for leaf in LEAVES]
    + [f"{name}_weight_float" for name in PITCH_CONVOLUTIONS.values()]
    + [f"{name}_bias" for name in PITCH_CONVOLUTIONS.values()]
)
"""Exported arrays that may belong to it."""


def wanted(name: str) -> bool:
    """Whether an exported array is FARGAN's or that network's."""
    return name.startswith(PREFIXES) or name in PITCH_ARRAYS


MARK = re.compile(r"(?P<prefix>(?:.*\.)?)sig_net\.fwc0\.conv\..+")
"""What only this network has in a checkpoint."""


def reordered(array: AnyArray) -> AnyArray:
    """From an export's gate order z, r, h to ours r, z, n along the first axis."""
    z, r, h = np.split(array, 3)
    found: AnyArray = np.concatenate([r, z, h])
    return found


def find_prefix(names: Sequence[str]) -> str | None:
    """What precedes the network's names in a checkpoint, or None where there is no FARGAN."""
    found = [match["prefix"] for name in names if (match := MARK.fullmatch(name))]
    return min(found, key=len, default=None)
