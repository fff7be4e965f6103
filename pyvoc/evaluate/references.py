"""What copy synthesis is held against: the worst and the best that LPC with mu-law codes can do.

Both are made from a recording alone, aligned with it, and go through the same measures as a
vocoder's output.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyvoc.errors import AudioError
from pyvoc.evaluate.compare import Comparison, Sound, compare
from pyvoc.evaluate.excitation import (
    FRAME_OFFSET,
    HOP,
    deemphasise,
    frame_signal,
    open_loop,
    quantise,
    resynthesise,
)
from pyvoc.files import audio, features

__all__ = ["CEILING_RECIPE", "FLOOR_RECIPE", "bounds", "ceiling", "floor"]

Int16 = npt.NDArray[np.int16]
Float32 = npt.NDArray[np.float32]

FLOOR_RECIPE = (
    "floor: white Gaussian noise with the power of the recording's own LPC residual in each 10 ms "
    "frame, through the features' LPC and de-emphasis"
)
CEILING_RECIPE = (
    "ceiling: the recording's own excitation in 8-bit mu-law codes (closed loop), through the "
    "features' LPC and de-emphasis"
)
_LPC = slice(20, 36)  # of lpcnet36


def _aligned(signal: npt.NDArray[np.float64], samples: int) -> Float32:
    """De-emphasised, undelayed, -1..1, as long as the recording."""
    pcm = deemphasise(signal)[FRAME_OFFSET:] / 32768.0
    pcm = np.clip(pcm[:samples], -1, 32767 / 32768)
    return np.pad(pcm, (0, samples - len(pcm))).astype(np.float32)


def floor(pcm: Int16, *, seed: int = 0) -> Float32:
    """Noise-excited LPC with true gain: all but pitch and fine structure is right.

    Parameters
    ----------
    pcm
        16 kHz mono int16 [samples], at least 160.
    seed
        Of the noise.

    Returns
    -------
    float32 [samples]
        In -1..1, aligned with `pcm`; zeros after the last whole frame.

    Raises
    ------
    AudioError
        Too short.
    """
    rows = features.extract(pcm)
    lpc = rows[:, _LPC]
    residual = open_loop(frame_signal(pcm, len(rows)), lpc).reshape(-1, HOP)
    gain = np.sqrt((residual**2).mean(axis=1, keepdims=True))
    noise = np.random.default_rng(seed).standard_normal(residual.shape)
    return _aligned(resynthesise((gain * noise).ravel(), lpc), len(pcm))


def ceiling(pcm: Int16) -> Float32:
    """The true excitation with 8-bit mu-law codes: a network that is always right.

    Parameters and errors as for :func:`floor`.
    """
    rows = features.extract(pcm)
    coded = quantise(frame_signal(pcm, len(rows)), rows[:, _LPC])
    return _aligned(coded.heard, len(pcm))


def bounds(reference: Sound, *, require: tuple[str, ...] = ()) -> tuple[Comparison, Comparison]:
    """Compare the ceiling and the floor of a recording with it.

    Parameters
    ----------
    reference
        At 16 kHz.
    require
        As of :func:`pyvoc.evaluate.compare`.

    Raises
    ------
    AudioError
        Not at 16 kHz, or as :func:`pyvoc.evaluate.compare`.
    """
    if reference.rate != features.SAMPLE_RATE:
        raise AudioError(
            f"'{reference.name}' is at {reference.rate} Hz: floor and ceiling need "
            f"{features.SAMPLE_RATE} Hz"
        )
    pcm = audio.to_int16(reference.samples)
    made = (("ceiling", ceiling(pcm)), ("floor", floor(pcm)))
    best, worst = (
        compare(
            reference,
            Sound(f"{name} of {reference.name}", samples.astype(np.float64), reference.rate),
            delay=0,
            require=require,
        )
        for name, samples in made
    )
    return best, worst
