"""What a precision costs a FARGAN: its audio from bundled features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyvoc import voices
from pyvoc.container.tensors import Scalar
from pyvoc.files import features
from pyvoc.files.layouts import octaves_of
from pyvoc.quant.audio_report import BUNDLED, AudioReport, compare_on

FRAMES = slice(0, 150)
"""Of the features that come with the package."""


def probe() -> NDArray[np.float32]:
    """Features ``[frames, 20]`` of speech."""
    rows = features.load(voices.demo_features(), layout="lpcnet20")[FRAMES]
    rows[:, 18] = octaves_of(rows[:, 18])
    return rows


def compare(
    exact: Any,
    model: Any,
    *,
    metadata: Mapping[str, Scalar],
    mel: NDArray[np.float32] | None = None,
) -> AudioReport:
    """Compare the audio of both models.

    The network hears itself, so that small differences grow: the waveforms of any two precisions
    part after a while, and their spectra say more than their signal-to-noise ratio.

    Parameters
    ----------
    exact
        The float form.
    model
        The model to judge.
    metadata
        Of the model.
    mel
        None: its features are no mel spectrogram.

    Raises
    ------
    Error
        A model's output is not audio of the right length.
    """
    return compare_on(probe(), exact, model, metadata=metadata, probe=BUNDLED)
