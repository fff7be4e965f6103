"""Whether a mel spectrogram is of speech at all: what int8 is calibrated on must be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyvoc.container.mel import MelRecipe
from pyvoc.melcheck.scales import scale_of

__all__ = ["lacks_speech"]

_LAG = 0.1
"""Seconds: within a syllable."""
_ACTIVE_DB = 40.0
"""Below the loudest frame what is no pause may lie."""
_LEAST_CHANGE_DB = 1.6
"""Recordings of speech have 5 to 9, with noise 10 dB below them 2.4 and more; noise of any colour,
mains hum, tones and clicks 1.4 at most, whatever their level."""


def lacks_speech(mel: NDArray[np.floating], recipe: MelRecipe) -> str | None:
    """Why a mel spectrogram is not of speech, or None.

    Speech rises and falls with its syllables. What keeps its level from one tenth of a second to
    the next, where it is not a pause, is silence, noise or a tone.

    Parameters
    ----------
    mel
        ``[frames, bands]`` of the recipe.
    recipe
        Its units and hop.

    Returns
    -------
    str or None
        A clause for a message. None too where the mel is too short to tell.
    """
    lag = max(1, round(_LAG * recipe.sample_rate / recipe.hop_length))
    if len(mel) <= 2 * lag:
        return None
    if np.ptp(mel) == 0:
        return "it is silence: every value is the same"
    amplitude = np.exp(scale_of(recipe).to_amplitude(mel.astype(np.float64)))
    level = 20 * np.log10(np.maximum(amplitude.sum(axis=1), 1e-30))
    active = level > level.max() - _ACTIVE_DB
    change = np.abs(level[lag:] - level[:-lag])[active[lag:] & active[:-lag]]
    typical = float(np.median(change)) if len(change) else 0.0
    if typical >= _LEAST_CHANGE_DB:
        return None
    return (
        f"within {_LAG:g} s its level changes by {typical:.1f} dB, where that of speech does by "
        "5 or more: silence, noise or a tone?"
    )
