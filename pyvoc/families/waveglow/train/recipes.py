"""The settings file of upstream's trainer (NVIDIA/waveglow, config.json) in our terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyvoc.errors import Error

SEGMENT = 16000
"""Samples of a row as upstream has them; here brought to whole frames."""

_RUN = {
    "output_directory": "model_dir",
    "epochs": "epochs",
    "learning_rate": "lr",
    "iters_per_checkpoint": "checkpoint_every",
    "batch_size": "batch_size",
    "seed": "seed",
    "fp16_run": "use_amp",
    "with_tensorboard": "enable_tensorboard",
}
_MEL = {
    "sampling_rate": "sample_rate",
    "filter_length": "fft_length",
    "hop_length": "hop_length",
    "win_length": "window_length",
    "mel_fmin": "fmin",
    "mel_fmax": "fmax",
}
_MODEL = ("n_flows", "n_group", "n_early_every", "n_early_size")
_LAYERS = ("n_layers", "n_channels")
_KNOWN = {
    "train_config": {*_RUN, "sigma", "checkpoint_path"},
    "data_config": {*_MEL, "training_files", "segment_length"},
    "dist_config": {"dist_backend", "dist_url"},
    "waveglow_config": {*_MODEL, "n_mel_channels", "WN_config"},
}


def whole_frames(samples: int, hop: int) -> int:
    """As many samples or more, a whole number of frames."""
    return -(-samples // hop) * hop


def translate(settings: Mapping[str, Any], path: str) -> dict[str, Any] | None:
    """Upstream's ``config.json`` in our terms; None where the file is ours.

    Raises
    ------
    Error
        It has keys that upstream's trainer does not know, or a setting that ours lacks.
    """
    if "waveglow_config" not in settings:
        return None
    strange = [repr(key) for key in settings if key not in _KNOWN]
    parts = {name: _table(settings, name, path) for name in _KNOWN}
    for name, part in parts.items():
        strange += [repr(f"{name}.{key}") for key in part if key not in _KNOWN[name]]
    layers = _table(parts["waveglow_config"], "WN_config", path)
    strange += [repr(f"WN_config.{k}") for k in layers if k not in (*_LAYERS, "kernel_size")]
    if strange:
        raise Error(
            f"{path}: looks like a config.json of WaveGlow, but its trainer knows no "
            f"{', '.join(sorted(strange))}"
        )
    if layers.get("kernel_size", 3) != 3:
        raise Error(f"{path}: 'kernel_size' is {layers['kernel_size']}, only 3 is trained here")
    train, data, network = (
        parts[name] for name in ("train_config", "data_config", "waveglow_config")
    )
    run = {ours: train[key] for key, ours in _RUN.items() if key in train}
    if train.get("checkpoint_path"):
        run["finetune"] = train["checkpoint_path"]
    model = {key: network[key] for key in _MODEL if key in network}
    model |= {key: layers[key] for key in _LAYERS if key in layers}
    if "sigma" in train:
        model["sigma"] = train["sigma"]
    mel = {ours: data[key] for key, ours in _MEL.items() if key in data}
    if "n_mel_channels" in network:
        mel["bands"] = network["n_mel_channels"]
    fft, hop = mel.get("fft_length"), mel.get("hop_length", 256)
    if isinstance(fft, int):
        mel["pad"] = fft // 2
    found: dict[str, Any] = {}
    length = data.get("segment_length", SEGMENT)
    if isinstance(length, int) and isinstance(hop, int) and hop > 0:
        found["segment"] = whole_frames(length, hop)
    if data.get("training_files"):
        found["path"] = data["training_files"]
    return {**run, "schedule": "constant", "model": {**model, "mel": mel}, "data": found}


def _table(settings: Mapping[str, Any], name: str, path: str) -> Mapping[str, Any]:
    found = settings.get(name, {})
    if not isinstance(found, Mapping):
        raise Error(f"{path}: '{name}' is {found!r}, expected settings (key: value)")
    return found
