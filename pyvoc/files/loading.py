"""What is synthesised from: feature files, audio files, files of draws."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyvoc.errors import AudioError, Error, FeatureError
from pyvoc.files import audio, features, mels
from pyvoc.files.audio import AUDIO_SUFFIXES
from pyvoc.files.layouts import find_layout, suspect_pitch
from pyvoc.files.whole import read_whole

if TYPE_CHECKING:
    from pyvoc.runtime.model import Model

__all__ = ["load_audio", "load_draws", "load_input"]

Float32 = npt.NDArray[np.float32]


def load_input(
    path: str | os.PathLike[str],
    model: Model,
    *,
    layout: str | None,
    pcm_rate: int | None = None,
    pcm_channels: int | None = None,
) -> Float32:
    """Features [frames, dims] of a feature file, or of an audio file (copy synthesis).

    Parameters
    ----------
    path
        Audio is told by its suffix; everything else is a feature file.
    model
        Audio is brought to the features that it reads, by its own extractor.
    layout
        Of a feature file; None: recognised, or the model's where a file does not tell
        (`pyvoc.files.layouts.Layout.octaves`).
    pcm_rate, pcm_channels
        Of raw PCM, as for :func:`pyvoc.audio.read`.

    Raises
    ------
    Error
        As :func:`pyvoc.features.load`, :func:`pyvoc.mels.load` and
        :func:`pyvoc.features.read_pcm`.
    """
    info = model.info
    is_audio = Path(path).suffix.lower() in AUDIO_SUFFIXES
    if layout is not None and layout != info.feature_layout and (is_audio or info.mel is not None):
        what = "audio" if is_audio else "a feature file"
        raise FeatureError(f"'{path}' is {what}: the model's layout is {info.feature_layout}")
    if is_audio:
        return load_audio(path, model, pcm_rate=pcm_rate, pcm_channels=pcm_channels)
    if info.mel is not None:
        return mels.load(path, bands=info.layout_dims)
    mine = features.LAYOUTS.get(info.feature_layout)
    assumed = mine if mine is not None and mine.octaves and layout is None else None
    if assumed is not None:
        layout = assumed.name  # a file's width does not tell
    if mine is not None and layout is not None and find_layout(layout).octaves != mine.octaves:
        raise FeatureError(
            f"'{path}' is said to be {layout}, whose pitch has another unit than that of the "
            f"model's layout, {mine.name}"
        )
    rows = features.load(path, layout=layout)
    if assumed is not None:
        suspect_pitch(f"'{path}'", rows, assumed)
    return rows


def load_audio(
    source: audio.Source,
    model: Model,
    *,
    pcm_rate: int | None = None,
    pcm_channels: int | None = None,
) -> Float32:
    """The features [frames, dims] that a model reads, of an audio file or a pipe.

    Raises
    ------
    Error
        As :func:`pyvoc.audio.read` and :func:`pyvoc.features.extract`.
    """
    mel = model.info.mel
    samples: npt.NDArray[np.int16] | Float32
    if mel is None:
        samples = features.read_pcm(source, pcm_rate=pcm_rate, pcm_channels=pcm_channels)
    else:
        samples, _ = audio.read(
            source,
            rate=mel.sample_rate,
            band=mel.fmax,
            pcm_rate=pcm_rate,
            pcm_channels=pcm_channels,
        )
    try:
        return features.extract(samples, model=model)
    except AudioError as error:
        raise AudioError(f"{audio.name_of(source)}: {error}") from error


def load_draws(path: str | os.PathLike[str]) -> Float32:
    """Draws from raw little-endian float32.

    Raises
    ------
    Error
        The file cannot be read, or is no whole number of float32 values.
    """
    data = read_whole(path)
    if len(data) % 4 or not data:
        raise Error(f"'{path}' has {len(data)} bytes; expected float32 draws")
    return np.frombuffer(data, dtype="<f4").astype(np.float32)
