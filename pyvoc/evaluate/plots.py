"""Pictures of a comparison: both spectrograms, both F0 tracks, and their difference."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.errors import UnsupportedError
from pyvoc.evaluate import frames, spectra
from pyvoc.evaluate.compare import Comparison
from pyvoc.files.atomic import atomic_open

__all__ = ["plot"]

_RANGE_DB = 80.0


def plot(comparison: Comparison, path: str | os.PathLike[str]) -> None:
    """Write a PNG; it appears complete or not at all.

    Parameters
    ----------
    comparison
        What :func:`pyvoc.evaluate.compare` returned.
    path
        Target.

    Raises
    ------
    UnsupportedError
        matplotlib is not installed.
    Error
        The operating system refused the file.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UnsupportedError(
            "pictures need matplotlib (pip install pyvoc-vocoder[evaluate])"
        ) from error
    figure = Figure(figsize=(11, 10), layout="constrained")
    FigureCanvasAgg(figure)
    above, below, pitch, difference = figure.subplots(4, 1, sharex=True)
    spectrograms = [spectra.log_spectra(s, comparison.rate) for s in comparison.signals]
    top = float(spectrograms[0].max())
    for axes, power, name in (
        (above, spectrograms[0], f"reference: {comparison.reference}"),
        (below, spectrograms[1], f"output: {comparison.output}"),
    ):
        axes.imshow(
            power.T,
            origin="lower",
            aspect="auto",
            vmin=top - _RANGE_DB,
            vmax=top,
            extent=(0, comparison.seconds, 0, comparison.rate / 2000),
        )
        axes.set_title(name, fontsize=9)
        axes.set_ylabel("kHz")
    _draw_f0(pitch, difference, comparison)
    figure.suptitle(_title(comparison), fontsize=10)
    with atomic_open(path) as stream:
        figure.savefig(stream, format="png", dpi=100)


def _title(comparison: Comparison) -> str:
    values = comparison.values
    parts = [f"MCD {values['mcd_db']:.2f} dB", f"LSD {values['lsd_db']:.2f} dB"]
    if values["lnf0_rmse"] is not None:
        parts.append(f"ln F0 rmse {values['lnf0_rmse']:.3f}")
    parts.append(f"V/UV error {values['vuv_error']:.3f}")
    return ", ".join(parts)


def _draw_f0(pitch: Any, difference: Any, comparison: Comparison) -> None:
    left, right = (_gaps(track.f0) for track in comparison.tracks)
    n = min(len(left), len(right))
    times = np.arange(n) * (frames.hop_length(comparison.rate) / comparison.rate)
    pitch.plot(times, left[:n], label="reference")
    pitch.plot(times, right[:n], label="output", linewidth=1)
    pitch.set_ylabel("F0, Hz")
    pitch.legend(loc="upper right", fontsize=8)
    difference.plot(times, np.log(right[:n] / left[:n]), ".", markersize=3)
    only = np.isnan(left[:n]) != np.isnan(right[:n])
    difference.plot(times[only], np.zeros(only.sum()), "r|", label="voiced in one only")
    difference.axhline(0, color="gray", linewidth=0.5)
    difference.set_ylabel("d ln F0")
    difference.set_xlabel("s")
    difference.legend(loc="upper right", fontsize=8)


def _gaps(track: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """NaN where unvoiced, so that nothing is drawn."""
    return np.where(track > 0, track, np.nan)
