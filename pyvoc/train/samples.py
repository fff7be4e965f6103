"""Speech from a checkpoint, on disk: a wav and, with matplotlib, a spectrogram of each sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyvoc.files.atomic import atomic_open
from pyvoc.files.audio import write_wav
from pyvoc.files.outputs import create_folder
from pyvoc.train.task import Sample

__all__ = ["spectrogram", "write_samples"]

_WINDOW = 512
_FLOOR_DB = -90.0


def spectrogram(audio: npt.NDArray[np.float32], *, hop: int = 128) -> npt.NDArray[np.float64]:
    """Power in dB below full scale, Hann window of 512: [257 bins, frames]."""
    padded = np.pad(audio.astype(np.float64), (0, max(0, _WINDOW - len(audio))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::hop]
    window = np.hanning(_WINDOW + 1)[:-1]
    spectrum = np.abs(np.fft.rfft(frames * window)) / (window.sum() / 2)
    decibels = 20 * np.log10(np.maximum(spectrum, 10 ** (_FLOOR_DB / 20)))
    return np.asarray(decibels.T, dtype=np.float64)


def write_samples(folder: Path, samples: Sequence[Sample]) -> list[Path]:
    """Write ``<name>.wav`` and, where matplotlib is installed, ``<name>.png``.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    Error
        A sample is not finite, or the operating system refused.
    """
    create_folder(folder)
    files = []
    for sample in samples:
        files.append(folder / f"{Path(sample.name).name}.wav")
        write_wav(files[-1], sample.audio, sample.rate)
        picture = files[-1].with_suffix(".png")
        if _draw(sample, picture):
            files.append(picture)
    return files


def _draw(sample: Sample, path: Path) -> bool:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    seconds, nyquist = len(sample.audio) / sample.rate, sample.rate / 2000
    image = axes.imshow(
        spectrogram(sample.audio),
        origin="lower",
        aspect="auto",
        extent=(0, max(seconds, 1e-3), 0, nyquist),
        vmin=_FLOOR_DB,
        vmax=0,
    )
    axes.set(xlabel="s", ylabel="kHz", title=sample.name)
    figure.colorbar(image, label="dB")
    with atomic_open(path) as file:
        figure.savefig(file, format="png", dpi=80)
    return True
