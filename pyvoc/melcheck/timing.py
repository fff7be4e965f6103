"""How far apart are the frames: what their likeness says, and what a recording proves.

Neighbouring frames share samples, so fast fluctuations fade from one modulation frequency to the
next as the window over the hop says. In speech that tells the ratio within a tenth or so, no
better, and the time scale itself not at all. The recording does: the number of frames gives the
hop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pyvoc.container.mel import MelRecipe

__all__ = ["Timing", "hops_for", "timing"]

Float64 = npt.NDArray[np.float64]

_SEGMENT = 32  # frames
_LOW, _HIGH = 2900.0, 7500.0  # Hz: bands of many bins, whose noise the logarithm leaves alone
# Mean ln of the ratio at a hop of 256 per 1024 and its slope up to 300, over clips of speech.
_AT_QUARTER, _SLOPE, _ERROR = -1.95, 4.1, 0.09


@dataclass(frozen=True)
class Timing:
    """How alike neighbouring frames are.

    Attributes
    ----------
    correlation
        Of neighbouring frames, mean over bands.
    hop_over_window
        Estimate, 0 when there are too few frames.
    error
        Its standard error.
    """

    correlation: float
    hop_over_window: float
    error: float


def timing(mel: Float64, hz: Float64) -> Timing:
    """Measure a mel [frames, bands] on a logarithmic scale; hz [bands] are the bands' centres."""
    centred = mel - mel.mean(axis=0)
    energy = (centred**2).sum(axis=0)
    both = (centred[1:] * centred[:-1]).sum(axis=0)
    moving = energy > 0.0
    correlation = float(np.mean(both[moving] / energy[moving])) if moving.any() else 1.0
    if len(mel) < 2 * _SEGMENT:
        return Timing(correlation, 0.0, 0.0)
    upper = mel[:, (hz > _LOW) & (hz < _HIGH)]
    window = np.hanning(_SEGMENT + 1)[:-1, None]
    ratios = []
    for start in range(0, len(upper) - _SEGMENT + 1, _SEGMENT // 2):
        piece = upper[start : start + _SEGMENT]
        spectrum = np.abs(np.fft.rfft((piece - piece.mean(axis=0)) * window, axis=0)) ** 2
        fast, slow = spectrum[14:17].mean(axis=0), spectrum[8:11].mean(axis=0)
        good = (fast > 1e-12) & (slow > 1e-12)
        ratios.append(np.log(fast[good] / slow[good]))
    found = np.concatenate(ratios)
    if found.size < 64:
        return Timing(correlation, 0.0, 0.0)
    ratio = 0.25 + (float(found.mean()) - _AT_QUARTER) / _SLOPE
    return Timing(correlation, float(np.clip(ratio, 0.02, 1.0)), _ERROR / _SLOPE)


def hops_for(frames: int, samples: int, recipe: MelRecipe) -> list[int]:
    """The hops for which a recipe gives so many frames of so many samples."""
    first = max(1, samples // (frames + 2))
    last = min(recipe.window_length, samples // max(1, frames - 2) + 1)
    return [
        hop
        for hop in range(first, last + 1)
        if replace(recipe, hop_length=hop).frames(samples) == frames
    ]
