"""The tiny WaveRNNs, their checkpoints, and those of the golden data."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import numpy as np
from lpcnet_files import ROOT, load_module, make_tiny
from tiny_files import TinyFiles

from pyvoc.families.wavernn.spec import WAVERNN

GOLDEN = Path(os.environ.get("PYVOC_GOLDEN", ROOT.parent / "shared" / "golden")) / "wavernn"
FILES = TinyFiles("wavernn", WAVERNN, "odd.f32")
TINY = FILES.folder
tiny_wavernn, reference = FILES.maker, FILES.reference
arrays, settings, metadata = FILES.arrays, FILES.settings, FILES.metadata


def speech() -> ModuleType:
    """What comes after the network."""
    return load_module(ROOT / "tests" / "reference" / "wavernn_speech.py")


def state_dict(name: str = "odd.f32") -> dict[str, np.ndarray]:
    """The checkpoint that they come from, float32 as fatchord saves it, without bookkeeping."""
    tiny = FILES.tiny(name)
    state = tiny_wavernn().state_dict(tiny, make_tiny().Draws(tiny.seed))
    return {key: value.astype("<f4") for key, value in state.items()}


def upstream(name: str = "odd.f32"):
    """The oracle as upstream has it, of a tiny model's checkpoint."""
    tiny = settings(name)
    return reference().Upstream(
        state_dict(name), mode=tiny.mode, bits=tiny.bits, mu_law=tiny.mu_law
    )


def draws(network, steps: int, rows: int = 1, seed: int = 1) -> tuple[np.ndarray, ...]:
    """Random numbers for the oracle."""
    rng = np.random.default_rng(seed)
    if network.mode == "mol":
        return (
            rng.uniform(1e-5, 1 - 1e-5, (steps, rows, 10)),
            rng.uniform(1e-5, 1 - 1e-5, (steps, rows)),
        )
    return (rng.uniform(0, 1, (steps, rows)),)


def torchaudio(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A state dict of fatchord's as torchaudio names it."""
    resnet, model = "upsample.resnet.", "upsample.resnet.melresnet_model."
    blocks = sum(name.endswith(".conv1.weight") for name in state)
    names = {f"{resnet}conv_in": f"{model}0", f"{resnet}batch_norm": f"{model}1", "I": "fc"}
    names[f"{resnet}conv_out"] = f"{model}{3 + blocks}"
    for k in range(blocks):
        block = f"{model}{3 + k}.resblock_model"
        for theirs, place in (("conv1", 0), ("batch_norm1", 1), ("conv2", 3), ("batch_norm2", 4)):
            names[f"{resnet}layers.{k}.{theirs}"] = f"{block}.{place}"
    found = {}
    for name, array in state.items():
        layer, leaf = name.rsplit(".", 1)
        layer = layer.replace("upsample.up_layers", "upsample.upsample_layers")
        found[f"{names.get(layer, layer)}.{leaf}"] = array
    return found
