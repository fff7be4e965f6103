"""LPC excitation of a signal as an LPCNet hears it: linear prediction, and mu-law codes.

Signals here are pre-emphasised and on the scale of 16-bit samples; the prediction of ``x[t]`` is
``-sum(lpc[k] * x[t - 1 - k])`` (Valin & Skoglund 2019). Feature frame ``n`` is centred on sample
``160 n``, so the samples that belong to it are those of the signal delayed by half a frame.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "CODE_EDGES",
    "CODE_VALUES",
    "FRAME_OFFSET",
    "HOP",
    "ORDER",
    "PREEMPHASIS",
    "Excitation",
    "deemphasise",
    "frame_signal",
    "open_loop",
    "quantise",
    "resynthesise",
]

Float64 = npt.NDArray[np.float64]

HOP = 160
"""Samples per frame."""
ORDER = 16
"""Prediction coefficients per frame."""
PREEMPHASIS = 0.85  # Valin & Skoglund 2019
FRAME_OFFSET = 80
"""Samples by which a signal is delayed so that feature frames are centred on their samples."""
LEVELS = 256
_TAPS = 240  # PREEMPHASIS ** 240 is 1e-17


def _expand(code: npt.ArrayLike) -> Float64:
    """Value on the 16-bit scale of a (real) mu-law code 0..255; 128 is zero."""
    d = np.asarray(code, np.float64) - 128
    return np.asarray(np.sign(d) * (32768 / 255) * np.expm1(np.abs(d) / 128 * np.log(256)))


def _compress(x: Float64) -> Float64:
    """Mu-law code 0..255, not yet rounded, with the runtime's cubic in place of the logarithm."""
    mantissa, exponent = np.frexp(1 + 255 / 32768 * np.abs(x))  # mantissa in 0.5..1
    f = 2 * mantissa - 1.5
    cubic = -0.41445418 + f * (0.95909232 + f * (-0.33951290 + f * 0.16541097))
    return np.asarray(128 + np.sign(x) * 128 * 0.69315 * (exponent + cubic) / np.log(256))


def _edges() -> Float64:
    """Where the runtime's rounded code becomes the next one, by bisection."""
    low, high = np.full(LEVELS - 1, -65536.0), np.full(LEVELS - 1, 65536.0)
    for _ in range(70):
        middle = (low + high) / 2
        reached = _compress(middle) >= np.arange(1, LEVELS) - 0.5
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return high


CODE_VALUES = _expand(np.arange(LEVELS))
"""[256] excitation that each mu-law code stands for."""
CODE_EDGES = _edges()
"""[255] where the code changes."""


@dataclass(frozen=True)
class Excitation:
    """A signal coded in closed loop.

    Attributes
    ----------
    codes
        uint8 [samples]: mu-law codes of the excitation.
    heard
        float64 [samples]: the signal that the codes stand for, which the prediction is made from.
    """

    codes: npt.NDArray[np.uint8]
    heard: Float64


def frame_signal(pcm: npt.NDArray[np.int16], frames: int) -> Float64:
    """The pre-emphasised samples that belong to feature frames.

    Parameters
    ----------
    pcm
        16 kHz mono [samples], at least ``160 * frames - 80``.
    frames
        Rows that :func:`pyvoc.features.extract` gave for it.

    Returns
    -------
    float64 [frames * 160]
    """
    delayed = np.concatenate([np.zeros(FRAME_OFFSET + 1), pcm.astype(np.float64)])
    delayed = delayed[: frames * HOP + 1]
    return np.asarray(delayed[1:] - PREEMPHASIS * delayed[:-1])


def deemphasise(signal: Float64) -> Float64:
    """Undo pre-emphasis: ``y[t] = x[t] + 0.85 y[t - 1]``, [samples]."""
    return np.convolve(signal, PREEMPHASIS ** np.arange(_TAPS))[: len(signal)]


def quantise(signal: Float64, lpc: npt.NDArray[np.floating]) -> Excitation:
    """Code a signal in closed loop, as LPCNet is trained but without its noise.

    The prediction is made from the coded signal, so that the error is that of one excitation
    sample and does not build up.

    Parameters
    ----------
    signal
        Pre-emphasised, 16-bit scale, [frames * 160].
    lpc
        [frames, 16] used by each frame.
    """
    edges, values = CODE_EDGES.tolist(), CODE_VALUES.tolist()
    heard = np.zeros(ORDER + len(signal))
    codes = np.zeros(len(signal), np.uint8)
    backwards = np.ascontiguousarray(lpc[:, ::-1], np.float64)
    samples = signal.tolist()
    for t, x in enumerate(samples):
        prediction = -float(backwards[t // HOP].dot(heard[t : t + ORDER]))
        code = bisect_right(edges, x - prediction)
        codes[t] = code
        heard[t + ORDER] = prediction + values[code]
    return Excitation(codes, heard[ORDER:])


def open_loop(signal: Float64, lpc: npt.NDArray[np.floating]) -> Float64:
    """The residual [frames * 160] of a signal [frames * 160] under LPC [frames, 16]."""
    padded = np.concatenate([np.zeros(ORDER), signal])
    past = np.lib.stride_tricks.sliding_window_view(padded, ORDER)[: len(signal)]
    rows = past.reshape(-1, HOP, ORDER)
    backwards = np.asarray(lpc[:, ::-1], np.float64)
    return np.asarray(signal + np.einsum("nhk,nk->nh", rows, backwards).ravel())


def resynthesise(excitation: Float64, lpc: npt.NDArray[np.floating]) -> Float64:
    """Filter an excitation [frames * 160] with LPC [frames, 16]: the inverse of open_loop."""
    backwards = np.ascontiguousarray(lpc[:, ::-1], np.float64)
    signal = np.zeros(ORDER + len(excitation))
    for t, e in enumerate(excitation.tolist()):
        signal[t + ORDER] = e - backwards[t // HOP].dot(signal[t : t + ORDER])
    return signal[ORDER:]
