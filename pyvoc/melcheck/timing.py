"""How far apart are the frames: what their likeness says, and what a recording proves.

Neighbouring frames share samples, so fast fluctuations fade from one modulation frequency to the
next as the window over the hop says. In speech that tells the ratio within some 15 %, no better, and
the time scale itself not at all. The recording does: the number of frames gives the hop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pyvoc.specs.mel import MelRecipe

__all__ = ["Timing", "hops_for", "timing"]

Float64 = npt.NDArray[np.float64]

_SEGMENT = 32  # frames
# ln of the ratio in speech at 0.25 and 0.293 hops per window, measured; between them, a line.
_AT_QUARTER, _SLOPE, _ERROR = float(np.log(0.146)), 4.1, 0.07


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


def timing(mel: Float64) -> Timing:
    """Measure a mel [frames, bands] on a logarithmic scale."""
    centred = mel - mel.mean(axis=0)
    energy = (centred**2).sum(axis=0)
    both = (centred[1:] * centred[:-1]).sum(axis=0)
    moving = energy > 0.0
    correlation = float(np.mean(both[moving] / energy[moving])) if moving.any() else 1.0
    if len(mel) < 2 * _SEGMENT:
        return Timing(correlation, 0.0, 0.0)
    upper = mel[:, mel.shape[1] * 9 // 16 :]
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
