"""Signals at another rate, by the soxr extra."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyvoc.errors import UnsupportedError
from pyvoc.files.whole import check_expansion

__all__ = ["resample"]

Float64 = npt.NDArray[np.float64]


def resample(samples: Float64, found: int, rate: int, name: str) -> Float64:
    """Bring a signal to another rate, with soxr's best quality.

    Parameters
    ----------
    samples
        [samples].
    found, rate
        Its rate and the one that is needed, in Hz.
    name
        Of the signal, for the message.

    Raises
    ------
    UnsupportedError
        The rates differ and soxr is not installed.
    Error
        It would take more memory than one input may (`pyvoc.files.whole`).
    """
    if rate == found:
        return samples
    try:
        import soxr
    except ImportError as error:
        raise UnsupportedError(
            f"{name} is at {found} Hz and {rate} Hz is needed: resampling needs the soxr "
            "extra (pip install pyvoc-vocoder[soxr])"
        ) from error
    check_expansion(8 * len(samples) * rate // found, f"{name}, at {rate} Hz,")
    return np.asarray(soxr.resample(samples, found, rate, quality="VHQ"), dtype=np.float64)
