"""Mels that a corpus' statistics were taken out of, band by band."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyvoc.melcheck.report import Finding

__all__ = ["standardized"]

Float64 = npt.NDArray[np.float64]

_LEAST_FRAMES = 16
_MEAN, _TILT, _ALIKE = 0.4, 0.35, 0.15
"""Of the bands' means their mean and deviation, and the deviation of the bands' deviations, as
measured on utterances that a corpus' statistics were taken out of; others leave twice that."""
_DEVIATION = (0.7, 1.3)


def standardized(values: Float64) -> Finding | None:
    """A finding where mean and variance of each band were normalised; `values` [frames, bands].

    Speech is weaker the higher the band, in every logarithm: where the bands' means are alike,
    their own were subtracted.
    """
    if len(values) < _LEAST_FRAMES or values.min() > -1.0:
        return None
    means, deviations = values.mean(axis=0), values.std(axis=0)
    level = abs(means.mean()) < _MEAN and means.std() < _TILT
    usual = _DEVIATION[0] < deviations.mean() < _DEVIATION[1] and deviations.std() < _ALIKE
    if not (level and usual):
        return None
    evidence = (
        f"bands have means of {means.mean():.2f} +- {means.std():.2f} and deviations of "
        f"{deviations.mean():.2f} +- {deviations.std():.2f}; it takes the statistics "
        "(stats.npy, stats.h5, cmvn) that it was made with to go back"
    )
    return Finding(
        "normalized", "mean and variance of each band taken out", "not normalised", evidence, False
    )
