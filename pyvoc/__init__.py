"""Real-time neural vocoders on a CPU core.

>>> import pyvoc
>>> model = pyvoc.load("default")
>>> samples = model.synthesize(pyvoc.features.load("speech.f32"))
>>> pyvoc.audio.write_wav("speech.wav", samples, model.info.sample_rate)

Names are loaded when they are first used: importing the package does no work.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pyvoc.errors import AudioError, Error, FeatureError, ModelError, UnsupportedError

if TYPE_CHECKING:
    from pyvoc import audio, features, voices
    from pyvoc.batch import synthesize_batch
    from pyvoc.denoise import Denoiser
    from pyvoc.folds import Folds
    from pyvoc.model import Model, ModelInfo, load, system_info
    from pyvoc.stream import Stream

    __version__: str

__all__ = [
    "AudioError",
    "Denoiser",
    "Error",
    "FeatureError",
    "Folds",
    "Model",
    "ModelError",
    "ModelInfo",
    "Stream",
    "UnsupportedError",
    "__version__",
    "audio",
    "features",
    "load",
    "synthesize_batch",
    "system_info",
    "voices",
]

_MODULES = frozenset({"audio", "features", "voices"})
_OF_MODEL = frozenset({"Model", "ModelInfo", "load", "system_info"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value: Any = importlib.import_module(f"pyvoc.{name}")
    elif name in _OF_MODEL:
        value = getattr(importlib.import_module("pyvoc.model"), name)
    elif name == "Stream":
        value = importlib.import_module("pyvoc.stream").Stream
    elif name == "Denoiser":
        value = importlib.import_module("pyvoc.denoise").Denoiser
    elif name == "Folds":
        value = importlib.import_module("pyvoc.folds").Folds
    elif name == "synthesize_batch":
        value = importlib.import_module("pyvoc.batch").synthesize_batch
    elif name == "__version__":
        value = importlib.import_module("pyvoc._pyvoc").version()
    else:
        raise AttributeError(f"module 'pyvoc' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
