"""Files as geneing's C++ program reads them, of a state dict of a WaveRNN with a single GRU."""

from __future__ import annotations

import struct

import numpy as np
from wavernn_files import state_dict

GROUP = 4


def single(name: str = "odd.f32") -> dict[str, np.ndarray]:
    """A tiny model's checkpoint with one GRU, one hidden layer and two parts of aux."""
    state = state_dict(name)
    aux = len(state["upsample.resnet.conv_out.bias"]) // 4
    for leaf in ("weight", "bias"):
        array = state[f"upsample.resnet.conv_out.{leaf}"]
        state[f"upsample.resnet.conv_out.{leaf}"] = array[: 2 * aux]
    state["I.weight"] = state["I.weight"][:, :-1]
    state["upsample.up_layers.1.weight"] *= np.float32(1.25)  # an upsampling with a gain
    return {key: array for key, array in state.items() if not key.startswith(("rnn2", "fc2"))}


def matrix_bytes(matrix: np.ndarray, group: int = GROUP) -> bytes:
    """A sparse matrix; where its rows are no whole number of groups, of groups of one."""
    rows, columns = matrix.shape
    group = group if columns % group == 0 else 1
    groups = matrix.astype("<f4").reshape(rows, -1, group)
    kept = groups.any(axis=2)
    index = b"".join(np.flatnonzero(row).astype("u1").tobytes() + b"\xff" for row in kept) + b"\xff"
    weights = groups[kept].tobytes()
    return struct.pack("<i", len(weights) // 4) + weights + struct.pack("<i", len(index)) + index


def model_bytes(state: dict[str, np.ndarray], pad: int = 2) -> bytes:
    """The whole file."""
    stretches = sorted(name for name in state if "up_layers" in name)
    blocks = sum(name.endswith(".conv1.weight") for name in state)
    kernels = [state[name].shape[3] for name in stretches]
    hop = int(np.prod([taps // 2 for taps in kernels]))
    out = [struct.pack("<4i", blocks, len(stretches), hop, pad)]

    def layer(kind: int, text: str, *sizes: int) -> None:
        out.append(struct.pack("<i64s", kind, text.encode()))
        out.append(struct.pack(f"<{len(sizes)}i", *sizes))

    def values(name: str) -> None:
        out.append(state[name].astype("<f4").tobytes())

    def conv(name: str) -> None:
        outputs, inputs, taps = state[f"{name}.weight"].shape
        biased = f"{name}.bias" in state
        layer(1, f"Conv1d({inputs}, {outputs})", 4, int(biased), inputs, outputs, taps)
        values(f"{name}.weight")
        if biased:
            values(f"{name}.bias")

    def norm(name: str) -> None:
        channels = len(state[f"{name}.weight"])
        layer(3, "BatchNorm1d", 4, channels, 0)
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            values(f"{name}.{leaf}")

    net = "upsample.resnet"
    conv(f"{net}.conv_in")
    norm(f"{net}.batch_norm")
    for k in range(blocks):
        for half in "12":
            conv(f"{net}.layers.{k}.conv{half}")
            norm(f"{net}.layers.{k}.batch_norm{half}")
    conv(f"{net}.conv_out")
    layer(6, "Stretch2d", hop, 1)
    for name, taps in zip(stretches, kernels, strict=True):
        layer(6, "Stretch2d", taps // 2, 1)
        layer(2, "Conv2d", 4, taps)
        values(name)
    for name in ("I", "rnn1", "fc1", "fc3"):
        if name == "rnn1":
            states = len(state["rnn1.bias_ih_l0"]) // 3
            layer(5, "GRU", 4, states, state["rnn1.weight_ih_l0"].shape[1])
            for side in ("ih", "hh"):
                for gate in np.split(state[f"rnn1.weight_{side}_l0"], 3):
                    out.append(matrix_bytes(gate))
            values("rnn1.bias_ih_l0")
            values("rnn1.bias_hh_l0")
        else:
            layer(4, "Linear", 4, *state[f"{name}.weight"].shape)
            out.append(matrix_bytes(state[f"{name}.weight"]))
            values(f"{name}.bias")
    return b"".join(out)
