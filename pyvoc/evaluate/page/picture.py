"""Small spectrograms as PNG files, from numpy and zlib alone.

What is compared by eye shares its axes: the pictures of one clip have the same seconds, the same
frequencies and the same decibels.
"""

from __future__ import annotations

import itertools
import struct
import zlib

import numpy as np
import numpy.typing as npt

__all__ = ["COLUMNS", "RANGE_DB", "ROWS", "draw", "spectrum"]

Uint8 = npt.NDArray[np.uint8]
Float64 = npt.NDArray[np.float64]

COLUMNS, ROWS = 600, 128
RANGE_DB = 72.0
"""Below the loudest point of a clip; what is softer looks like silence."""
_CORNER_HZ = 1000.0
"""Speech falls by 6 dB an octave above some 1 kHz: pictures raise it again, so that all is seen."""
_WINDOW_MS = 32
_SILENCE_DB = -200.0
_SHADES = 64  # 1.1 dB each: steps that nobody sees, and a third less to write than with 256
_STOPS = ((8, 9, 26), (46, 22, 100), (137, 37, 118), (222, 78, 76), (252, 168, 77), (253, 246, 203))
"""Colours from silence to loud, evenly spaced; lightness rises throughout."""


def spectrum(
    samples: npt.NDArray[np.floating], rate: int, *, seconds: float, top: float
) -> Float64:
    """Power in dB at the points of a picture, the high frequencies raised.

    Parameters
    ----------
    samples
        [samples] in -1..1.
    rate
        Hz.
    seconds
        What the picture's width stands for; silence beyond the signal.
    top
        What its height stands for, Hz; silence above half of `rate`.

    Returns
    -------
    float64 [ROWS, COLUMNS]
        The lowest frequency in the last row, as pictures are written.
    """
    length = rate * _WINDOW_MS // 1000
    size = 2 << length.bit_length()  # zeros at the end: several bins in every row
    centres = ((np.arange(COLUMNS) + 0.5) * (seconds * rate / COLUMNS)).astype(np.int64)
    heard = centres < len(samples)
    padded = np.pad(samples.astype(np.float64), (length // 2, length))
    window = np.hanning(length + 1)[:-1]
    cut = np.lib.stride_tricks.sliding_window_view(padded, length)[centres[heard]] * window
    power = np.abs(np.fft.rfft(cut, size, axis=1) / window.sum()) ** 2
    found = np.full((ROWS, COLUMNS), _SILENCE_DB)
    edges = np.rint(np.arange(ROWS + 1) * (top / ROWS * size / rate)).astype(np.int64)
    for row, (low, high) in enumerate(itertools.pairwise(edges)):
        if high <= size // 2 + 1:
            mean = power[:, low:high].mean(axis=1)
            found[row, heard] = 10 * np.log10(mean + 10 ** (_SILENCE_DB / 10))
    hertz = (np.arange(ROWS) + 0.5) * (top / ROWS)
    found += 10 * np.log10(1 + (hertz / _CORNER_HZ) ** 2)[:, None]
    return found[::-1]


def draw(spectrum_db: Float64, loudest_db: float) -> bytes:
    """A PNG of a spectrum in dB [rows, columns]; `loudest_db` has the brightest colour."""
    share = (spectrum_db - loudest_db) / RANGE_DB + 1
    return _png(np.rint(np.clip(share, 0, 1) * (_SHADES - 1)).astype(np.uint8), _palette())


def _palette() -> Uint8:
    """Colours [_SHADES, 3] of the shades."""
    at = np.linspace(0, len(_STOPS) - 1, _SHADES)
    stops = np.array(_STOPS, np.float64)
    channels = [np.interp(at, np.arange(len(_STOPS)), stops[:, i]) for i in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def _png(shades: Uint8, palette: Uint8) -> bytes:
    """Shades [rows, columns] as a PNG of 8 bits with a palette (ISO/IEC 15948)."""
    rows, columns = shades.shape
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    lines = np.pad(shades, ((0, 0), (1, 0)))  # before each line its filter: 0, none
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
