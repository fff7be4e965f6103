"""The tiny HiFi-GANs as upstream's training saves them, with weight norms and a config beside."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from hifigan_files import arrays, settings
from torch_files import legacy_bytes

Arrays = dict[str, np.ndarray]


def state_dict(name: str = "paired.f32") -> Arrays:
    """Upstream's names; every weight as a direction and a norm."""
    ours = arrays(name)
    chains = 1 + max(int(m[1]) for key in ours if (m := re.search(r"chain\.(\d+)", key)))
    state: Arrays = {}
    for key, value in ours.items():
        if key.startswith("input."):
            continue
        layer, kind = key.rsplit(".", 1)
        theirs = _layer(layer, chains, paired=settings(name).paired)
        value = value.astype("<f4")
        if kind == "bias":
            state[f"{theirs}.bias"] = value
        else:
            norm = np.sqrt(np.square(value, dtype=np.float64).sum(axis=(1, 2), keepdims=True))
            state[f"{theirs}.weight_g"] = norm.astype("<f4")
            state[f"{theirs}.weight_v"] = 3 * value
    return state


def _layer(layer: str, chains: int, *, paired: bool) -> str:
    block = re.fullmatch(r"stage\.(\d+)\.chain\.(\d+)\.block\.(\d+)\.(first|second)", layer)
    if block:
        k, j, i = (int(block[n]) for n in (1, 2, 3))
        which = ("1" if block[4] == "first" else "2") if paired else ""
        return f"resblocks.{k * chains + j}.convs{which}.{i}"
    up = re.fullmatch(r"stage\.(\d+)\.up", layer)
    return f"ups.{up[1]}" if up else {"conv_in": "conv_pre", "conv_out": "conv_post"}[layer]


def config(name: str = "paired.f32") -> dict[str, Any]:
    """The settings that lie beside a checkpoint."""
    made, weights = settings(name), arrays(name)
    recipe = made.recipe
    return {
        "resblock": "1" if made.paired else "2",
        "upsample_rates": [int(n) for n in made.ratios.split()],
        "upsample_initial_channel": int(weights["conv_in.weight"].shape[0]),
        "resblock_dilation_sizes": [
            [int(n) for n in chain.split()] for chain in made.dilations.split(",")
        ],
        "num_mels": recipe.bands,
        "n_fft": recipe.fft_length,
        "hop_size": recipe.hop_length,
        "win_size": recipe.window_length,
        "sampling_rate": recipe.sample_rate,
        "fmin": recipe.fmin,
        "fmax": recipe.fmax,
    }


def checkpoint_bytes(state: Arrays | None = None) -> bytes:
    """A generator in PyTorch's older container, as the published ones are."""
    return legacy_bytes({"generator": state_dict() if state is None else state})


def write_folder(folder: Path, *names: str, state: Arrays | None = None) -> Path:
    """Checkpoints of these names with their config beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(checkpoint_bytes(state))
    (folder / "config.json").write_text(json.dumps(config()))
    return folder
