"""Which frequencies do the bands stand for: harmonics tell.

The harmonics of a voice are equally spaced in Hz. On the mel axis they are so below 1 kHz only;
above, the spacing shrinks as the scale's logarithm says. Only with the right band edges do the
peaks of a frame fall on one comb from the first harmonics to the last that the bands resolve. Level
and scale do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyvoc.container.mel import MelRecipe

__all__ = ["EdgeTest", "Edges", "centres", "compare_edges"]

Float64 = npt.NDArray[np.float64]

_LOW, _HIGH = 150.0, 2800.0  # Hz: bands that resolve harmonics
_F0 = np.exp(np.arange(np.log(90.0), np.log(400.0), 0.004))
_SMOOTH = 7  # bands
_FRAMES = 2000  # enough; long files are sampled evenly
_CORRELATED = 4.0  # frames that overlap say the same
MIN_FRAMES = 40
"""Fewer say nothing."""

Edges = tuple[float, float]
"""fmin and fmax in Hz."""


@dataclass(frozen=True)
class EdgeTest:
    """What the harmonics say.

    Attributes
    ----------
    target, best
        Edges that the model reads, and those that fit best.
    fit_target, fit_best
        Mean correlation of frames with their best comb.
    sigmas
        By how many standard errors `best` fits better.
    """

    target: Edges
    best: Edges
    fit_target: float
    fit_best: float
    sigmas: float


def _mel(hz: npt.ArrayLike) -> Float64:
    f = np.asarray(hz, dtype=np.float64)
    high = 15.0 + 27.0 * np.log(np.maximum(f, 1000.0) / 1000.0) / np.log(6.4)
    return np.where(f < 1000.0, 0.015 * f, high)


def _hz(mel: Float64) -> Float64:
    return np.where(mel < 15.0, mel / 0.015, 1000.0 * 6.4 ** ((mel - 15.0) / 27.0))


def centres(edges: Edges, bands: int) -> Float64:
    """Centre frequencies in Hz of Slaney mel filters between two edges."""
    ends = _mel(list(edges))
    return _hz(np.linspace(ends[0], ends[1], bands + 2))[1:-1]


def _fits(residual: Float64, edges: Edges) -> Float64:
    """Correlation of each frame's fine structure with its best comb [frames]."""
    hz = centres(edges, residual.shape[1])
    used = (hz > _LOW) & (hz < _HIGH)
    if used.sum() < 8:
        return np.zeros(len(residual))
    r = residual[:, used]
    norm = np.sqrt((r**2).sum(axis=1, keepdims=True))
    combs = np.cos(2.0 * np.pi * hz[used][:, None] / _F0)
    combs -= combs.mean(axis=0)
    combs /= np.sqrt((combs**2).sum(axis=0))
    best: Float64 = ((r / np.maximum(norm, 1e-9)) @ combs).max(axis=1)
    return best


def _fine_structure(mel: Float64) -> Float64:
    """The louder half of the frames without their envelope [frames, bands]."""
    level = mel.mean(axis=1)
    loud = mel[level > np.median(level)]
    loud = loud[:: max(1, len(loud) // _FRAMES)]
    half = _SMOOTH // 2
    padded = np.pad(loud, ((0, 0), (half, half)), mode="edge")
    sums = np.cumsum(np.pad(padded, ((0, 0), (1, 0))), axis=1)
    return np.asarray(loud - (sums[:, _SMOOTH:] - sums[:, :-_SMOOTH]) / _SMOOTH)


def _known_edges(target: MelRecipe) -> list[Edges]:
    nyquist = target.sample_rate / 2.0
    tops = {target.fmax, 7600.0, 8000.0, 11025.0, nyquist}
    lows = {target.fmin, 0.0, 40.0, 80.0}
    return [(low, top) for top in sorted(tops) for low in sorted(lows) if low < top <= nyquist]


def compare_edges(mel: Float64, target: MelRecipe) -> EdgeTest | None:
    """Compare the target's edges with others that are in use.

    Parameters
    ----------
    mel
        [frames, bands], any logarithmic scale.
    target
        The model's recipe.

    Returns
    -------
    EdgeTest or None
        None: too few frames, or bands too wide for harmonics.
    """
    residual = _fine_structure(mel)
    if len(residual) < MIN_FRAMES:
        return None
    wanted: Edges = (target.fmin, target.fmax)
    own = _fits(residual, wanted)
    if not own.any():
        return None
    fits = {edges: _fits(residual, edges) for edges in _known_edges(target)}
    best = max(fits, key=lambda edges: float(fits[edges].mean()))
    gain = fits[best] - own
    error = float(gain.std()) / np.sqrt(len(gain) / _CORRELATED)
    sigmas = 0.0 if best == wanted else float(gain.mean()) / max(error, 1e-9)
    return EdgeTest(wanted, best, float(own.mean()), float(fits[best].mean()), sigmas)
