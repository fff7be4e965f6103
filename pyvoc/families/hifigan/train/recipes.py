"""The settings file of upstream's trainer (jik876/hifi-gan) in our terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyvoc.errors import Error

_MODEL = {
    **{
        key: key
        for key in (
            "upsample_rates",
            "upsample_kernel_sizes",
            "upsample_initial_channel",
            "resblock_kernel_sizes",
            "resblock_dilation_sizes",
            "adam_b1",
            "adam_b2",
        )
    },
    "discriminator_periods": "periods",
    "fmax_for_loss": "loss_fmax",
}
_RUN = {"batch_size": "batch_size", "learning_rate": "lr", "lr_decay": "lr_gamma", "seed": "seed"}
_MEL = {
    "num_mels": "bands",
    "n_fft": "fft_length",
    "hop_size": "hop_length",
    "win_size": "window_length",
    "sampling_rate": "sample_rate",
    "fmin": "fmin",
    "fmax": "fmax",
}
_IDLE = ("num_gpus", "num_freq", "num_workers", "dist_config")
"""What upstream's trainer reads and ours has no use for."""


def translate(settings: Mapping[str, Any], path: str) -> dict[str, Any] | None:
    """Upstream's ``config.json`` in our terms; None where the file is ours.

    Raises
    ------
    Error
        It has keys that upstream's trainer does not know.
    """
    if "upsample_rates" not in settings:
        return None
    known = {*_MODEL, *_RUN, *_MEL, *_IDLE, "resblock", "segment_size"}
    strange = sorted(key for key in settings if key not in known)
    if strange:
        raise Error(
            f"{path}: looks like a config.json of HiFi-GAN, but its trainer knows no "
            f"{', '.join(map(repr, strange))}"
        )
    model: dict[str, Any] = {ours: settings[k] for k, ours in _MODEL.items() if k in settings}
    if "resblock" in settings:  # what is not "1" is the other kind
        model["resblock"] = "1" if str(settings["resblock"]) == "1" else "2"
    mel = {ours: settings[key] for key, ours in _MEL.items() if key in settings}
    fft, hop = mel.get("fft_length", 1024), mel.get("hop_length", 256)
    if isinstance(fft, int) and isinstance(hop, int):
        mel["pad"] = max(0, (fft - hop) // 2)
    if mel.get("fmax", 0) is None:
        mel["fmax"] = mel.get("sample_rate", 22050) / 2
    run = {ours: settings[key] for key, ours in _RUN.items() if key in settings}
    data = {"segment": settings["segment_size"]} if "segment_size" in settings else {}
    return {**run, "schedule": "epochs", "model": {**model, "mel": mel}, "data": data}
