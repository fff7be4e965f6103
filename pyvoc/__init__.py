"""Real-time neural vocoders on a CPU core.

>>> import pyvoc
>>> model = pyvoc.load("default")
>>> speech = pyvoc.features.read_pcm("speech.wav")
>>> samples = model.synthesize(pyvoc.features.extract(speech, model=model))
>>> pyvoc.audio.write_wav("copy.wav", samples, model.info.sample_rate)

Names are loaded when they are first used: importing the package does no work.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pyvoc.errors import (
    AudioError,
    DoubtError,
    Error,
    FeatureError,
    InputWarning,
    ModelError,
    OptionError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from pyvoc import live, voices
    from pyvoc.files import audio, doubts, features, mels
    from pyvoc.runtime import denoise
    from pyvoc.runtime.batch import synthesize_batch
    from pyvoc.runtime.denoise import Denoiser
    from pyvoc.runtime.folds import Folds
    from pyvoc.runtime.info import ModelInfo
    from pyvoc.runtime.model import Model, load
    from pyvoc.runtime.stream import Stream
    from pyvoc.runtime.system import system_info

    __version__: str

__all__ = [
    "AudioError",
    "Denoiser",
    "DoubtError",
    "Error",
    "FeatureError",
    "Folds",
    "InputWarning",
    "Model",
    "ModelError",
    "ModelInfo",
    "OptionError",
    "Stream",
    "UnsupportedError",
    "__version__",
    "audio",
    "denoise",
    "doubts",
    "features",
    "live",
    "load",
    "mels",
    "synthesize_batch",
    "system_info",
    "voices",
]

_MODULES = {
    "audio": "pyvoc.files.audio",
    "denoise": "pyvoc.runtime.denoise",
    "doubts": "pyvoc.files.doubts",
    "features": "pyvoc.files.features",
    "live": "pyvoc.live",
    "mels": "pyvoc.files.mels",
    "voices": "pyvoc.voices",
}
_FROM = {
    "Denoiser": "pyvoc.runtime.denoise",
    "Folds": "pyvoc.runtime.folds",
    "Model": "pyvoc.runtime.model",
    "ModelInfo": "pyvoc.runtime.info",
    "Stream": "pyvoc.runtime.stream",
    "load": "pyvoc.runtime.model",
    "synthesize_batch": "pyvoc.runtime.batch",
    "system_info": "pyvoc.runtime.system",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value: Any = importlib.import_module(_MODULES[name])
    elif name in _FROM:
        value = getattr(importlib.import_module(_FROM[name]), name)
    elif name == "__version__":
        value = importlib.import_module("pyvoc._pyvoc").version()
    else:
        raise AttributeError(f"module 'pyvoc' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
