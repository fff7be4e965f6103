"""What is synthesised from: feature files, audio files, files of draws."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyvoc.errors import Error, FeatureError
from pyvoc.files import audio, features, mels
from pyvoc.files.audio import AUDIO_SUFFIXES
from pyvoc.runtime.info import ModelInfo

__all__ = ["load_draws", "load_input"]

Float32 = npt.NDArray[np.float32]


def load_input(path: str | os.PathLike[str], info: ModelInfo, *, layout: str | None) -> Float32:
    """Features [frames, dims] of a feature file, or of an audio file (copy synthesis).

    Parameters
    ----------
    path
        Audio is told by its suffix; everything else is a feature file.
    info
        Of the model, whose layout audio is extracted in.
    layout
        Of a feature file; None recognises it.

    Raises
    ------
    Error
        As :func:`pyvoc.features.load`, :func:`pyvoc.mels.load` and
        :func:`pyvoc.features.read_pcm`.
    """
    is_audio = Path(path).suffix.lower() in AUDIO_SUFFIXES
    if layout is not None and layout != info.feature_layout and (is_audio or info.mel is not None):
        what = "audio" if is_audio else "a feature file"
        raise FeatureError(f"'{path}' is {what}: the model's layout is {info.feature_layout}")
    if info.mel is not None:
        if not is_audio:
            return mels.load(path, bands=info.layout_dims)
        return features.extract(audio.read(path, rate=info.mel.sample_rate)[0], recipe=info.mel)
    if is_audio:
        return features.extract(features.read_pcm(path), layout=info.feature_layout)
    rows = features.load(path, layout=layout)
    if rows.shape[1] not in (info.feature_dims, info.layout_dims):
        found = features.layout_of(rows).name
        raise FeatureError(
            f"'{path}' holds {found} features ({rows.shape[1]} floats per frame); the model "
            f"{info.path} reads {info.feature_layout} ({info.layout_dims})"
        )
    return rows


def load_draws(path: str | os.PathLike[str]) -> Float32:
    """Draws from raw little-endian float32.

    Raises
    ------
    Error
        The file cannot be read, or is no whole number of float32 values.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise Error(f"cannot read '{path}': {error.strerror}") from error
    if len(data) % 4 or not data:
        raise Error(f"'{path}' has {len(data)} bytes; expected float32 draws")
    return np.frombuffer(data, dtype="<f4").astype(np.float32)
