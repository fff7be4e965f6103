"""Teacher-forced negative log-likelihood of speech under a model, and what to hold it against.

The recipe (:data:`RECIPE`): features by our extractor, the signal coded in closed loop to mu-law
excitation codes (quantisation error, no noise), and ``-log p(code | past)`` of every code, by the
runtime. Beside it, on the same codes: their marginal entropy, and the per-frame Laplace that
knows each frame's best scale, which is what a vocoder without pitch could reach at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyvoc import features
from pyvoc.errors import AudioError, UnsupportedError
from pyvoc.evaluate.excitation import (
    CODE_EDGES,
    HOP,
    deemphasise,
    frame_signal,
    quantise,
)

if TYPE_CHECKING:
    from pyvoc.model import Model

__all__ = ["RECIPE", "FileScore", "NllReport", "Score", "evaluate_nll", "laplace_nats", "score"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]

CHUNK_FRAMES = 200
"""Frames whose distributions [samples, 256] are in memory at once: 33 MB."""
WARM_UP_FRAMES = 50
"""Frames that a chunk repeats from the one before, so that the recurrent states have settled."""
CODE_ZERO = 128
_NEVER = 1e4  # nats: exp(-1e4) is no probability
SCALES = np.geomspace(0.05, 5e4, 1400)  # 1 % apart: costs less than 2e-5 nats
"""Laplace scales that are tried, 16-bit scale."""

RECIPE = {
    "nll": "-log p(code | past) of the excitation's mu-law codes, teacher forced: wav -> 16 kHz "
    "mono 16 bit -> pyvoc features -> signal delayed 80 samples (frames are centred), "
    "pre-emphasis 0.85, coded in closed loop with the model's LPC (mu-law error, no noise) -> "
    f"Model.predict; all whole frames, in chunks of {CHUNK_FRAMES} frames after {WARM_UP_FRAMES} "
    "of warm-up",
    "marginal": "entropy of the histogram of all codes",
    "laplace": "per frame of 160 codes, the zero-mean Laplace of the scale that fits them best, "
    "integrated over each code's interval (oracle: the frame's own samples choose the scale)",
    "gain": "laplace - nll",
}


@dataclass(frozen=True)
class Score:
    """A model's likelihood of one signal.

    Attributes
    ----------
    nats
        float32 [samples]: negative log-likelihood of each code.
    codes
        uint8 [samples]: the mu-law codes.
    impossible
        Codes that the model gave no probability at all; they count as the smallest float32.
    """

    nats: Float32
    codes: Codes
    impossible: int


@dataclass(frozen=True)
class FileScore:
    """Means over one file, nats per sample.

    Attributes
    ----------
    path
        The file.
    samples
        Samples scored.
    nats, laplace
        Of the model and of the oracle Laplace.
    """

    path: str
    samples: int
    nats: float
    laplace: float

    @property
    def gain(self) -> float:
        """Nats per sample below the oracle Laplace."""
        return self.laplace - self.nats


@dataclass(frozen=True)
class NllReport:
    """Means over all samples of all files.

    Attributes
    ----------
    model, precision
        What was asked.
    files
        One by one.
    samples
        In all.
    nats, laplace, marginal
        Per sample: the model, the oracle Laplace, the codes' marginal entropy.
    impossible
        See :class:`Score`.
    """

    model: str
    precision: str
    files: tuple[FileScore, ...]
    samples: int
    nats: float
    laplace: float
    marginal: float
    impossible: int

    @property
    def bits(self) -> float:
        """The model's negative log-likelihood in bits per sample."""
        return self.nats / log(2)

    @property
    def gain(self) -> float:
        """Nats per sample below the oracle Laplace."""
        return self.laplace - self.nats

    def to_json(self) -> dict[str, Any]:
        """For machines: every figure, and the recipes."""
        return {
            "model": self.model,
            "precision": self.precision,
            "samples": self.samples,
            "nats_per_sample": self.nats,
            "bits_per_sample": self.bits,
            "marginal_nats": self.marginal,
            "laplace_nats": self.laplace,
            "gain_nats": self.gain,
            "impossible": self.impossible,
            "files": [
                {
                    "path": file.path,
                    "samples": file.samples,
                    "nats_per_sample": file.nats,
                    "bits_per_sample": file.nats / log(2),
                    "laplace_nats": file.laplace,
                    "gain_nats": file.gain,
                }
                for file in self.files
            ],
            "recipes": RECIPE,
        }

    def to_text(self) -> str:
        """For people: a table, and what each figure means."""
        lines = [
            f"model {self.model} ({self.precision}), {len(self.files)} files, "
            f"{self.samples} samples",
            f"{'nats':>8} {'bits':>8} {'laplace':>8} {'gain':>8}  file",
        ]
        for file in self.files:
            lines.append(_row(file.nats, file.laplace, file.path))
        lines.append(_row(self.nats, self.laplace, "all samples"))
        lines.append(f"{self.marginal:8.4f} {self.marginal / log(2):8.4f}{'':20}marginal entropy")
        if self.impossible:
            lines.append(f"{self.impossible} codes had no probability at all")
        lines.extend(f"{name}: {text}" for name, text in RECIPE.items())
        return "\n".join(lines)


def _row(nats: float, laplace: float, name: str) -> str:
    return f"{nats:8.4f} {nats / log(2):8.4f} {laplace:8.4f} {laplace - nats:8.4f}  {name}"


@cache
def _laplace_table() -> Float64:
    """Nats [256 codes, scales] of each code under each scale."""
    upper = np.append(CODE_EDGES, np.inf)[:, None] / SCALES
    lower = np.append(-np.inf, CODE_EDGES)[:, None] / SCALES
    # Mass of an interval on one side of zero is a difference of exponentials of its near edge.
    near = np.minimum(np.abs(lower), np.abs(upper))
    tail = np.log(0.5) - near + np.log(-np.expm1(lower - upper))
    zero = CODE_ZERO
    tail[zero] = np.log(-0.5 * (np.expm1(lower[zero]) + np.expm1(-upper[zero])))
    return np.asarray(-np.maximum(tail, -_NEVER))


def laplace_nats(codes: Codes) -> Float64:
    """Mean nats per sample of each frame under its own best Laplace.

    Parameters
    ----------
    codes
        uint8 [frames * 160].

    Returns
    -------
    float64 [frames]
    """
    frames = codes.reshape(-1, HOP)
    best = np.empty(len(frames))
    for start in range(0, len(frames), 1000):
        part = frames[start : start + 1000]
        counts = np.zeros((len(part), 256))
        np.add.at(counts, (np.arange(len(part))[:, None], part), 1)
        best[start : start + 1000] = (counts @ _laplace_table()).min(axis=1) / HOP
    return best


def marginal_nats(histogram: npt.NDArray[np.int64]) -> float:
    """Entropy in nats of a histogram of codes."""
    share = histogram[histogram > 0] / histogram.sum()
    return float(-(share * np.log(share)).sum())


def _predictors(model: Model, rows: Float32) -> Float32:
    """LPC [frames, 16] that the runtime uses for the samples of each frame."""
    from pyvoc._pyvoc import testing

    ahead = model.info.lookahead_frames
    padded = np.concatenate([rows, np.repeat(rows[-1:], ahead, axis=0)])
    lpc = [
        testing.lpcnet_frames(model._native, padded[start : start + 1000 + ahead])["lpc"][ahead:]
        for start in range(0, len(rows), 1000)
    ]
    return np.concatenate(lpc)[: len(rows)]


def _distributions(model: Model, rows: Float32, pcm: Float32) -> Iterator[tuple[int, Float32]]:
    """Pieces of Model.predict: first sample and probabilities [samples, 256]."""
    ahead = model.info.lookahead_frames
    for first in range(0, len(rows), CHUNK_FRAMES):
        start = max(0, first - WARM_UP_FRAMES)
        stop = min(len(rows), first + CHUNK_FRAMES)
        found = model.predict(
            rows[start : min(len(rows), stop + ahead)], pcm[start * HOP : stop * HOP]
        )
        yield first * HOP, found[(first - start) * HOP :]


def score(model: Model, pcm: npt.NDArray[np.int16]) -> Score:
    """Score one signal; see :data:`RECIPE`.

    Parameters
    ----------
    model
        An LPCNet.
    pcm
        16 kHz mono int16 [samples], a whole frame (2019: four) at least.

    Returns
    -------
    Score
        Over ``samples // 160`` frames (2019: rounded down to a multiple of four).

    Raises
    ------
    AudioError
        Too short.
    UnsupportedError
        The model has no such distribution.
    """
    info = model.info
    if info.architecture != "lpcnet" or info.distribution_size != 256:
        raise UnsupportedError(
            f"{info.path} is a {info.architecture} model: its likelihood cannot be evaluated yet, "
            "only lpcnet's"
        )
    rows = features.extract(pcm, layout=info.feature_layout)
    excitation = quantise(frame_signal(pcm, len(rows)), _predictors(model, rows))
    heard = (deemphasise(excitation.heard) / 32768.0).astype(np.float32)
    nats = np.empty(len(excitation.codes), np.float32)
    impossible = 0
    least = np.finfo(np.float32).tiny
    for first, probabilities in _distributions(model, rows, heard):
        codes = excitation.codes[first : first + len(probabilities)]
        given = probabilities[np.arange(len(codes)), codes]
        impossible += int((given < least).sum())
        nats[first : first + len(codes)] = -np.log(np.maximum(given, least))
    return Score(nats, excitation.codes, impossible)


def evaluate_nll(
    model: Model,
    paths: Sequence[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> NllReport:
    """Score files.

    Parameters
    ----------
    model
        An LPCNet.
    paths
        Audio files; other rates than 16 kHz are resampled, which needs the soxr extra.
    progress
        Called with the files done and in all.

    Raises
    ------
    AudioError
        No files, or one that is no audio, too short, or silent from end to end.
    UnsupportedError
        The model has no such distribution, or resampling is not installed.
    """
    if not paths:
        raise AudioError("there are no audio files to score")
    files: list[FileScore] = []
    histogram = np.zeros(256, np.int64)
    impossible = 0
    for path in paths:
        pcm = features.read_pcm(path)
        if not pcm.any():
            raise AudioError(f"'{path}' is silent: every sample is zero at 16 bits")
        try:
            found = score(model, pcm)
        except AudioError as error:
            raise AudioError(f"'{path}': {error}") from error
        histogram += np.bincount(found.codes, minlength=256)
        impossible += found.impossible
        mean = float(found.nats.mean(dtype=np.float64))
        laplace = float(laplace_nats(found.codes).mean())
        files.append(FileScore(str(path), len(found.codes), mean, laplace))
        if progress is not None:
            progress(len(files), len(paths))
    weights = np.array([file.samples for file in files])
    return NllReport(
        model=model.info.path,
        precision=model.info.precision,
        files=tuple(files),
        samples=int(weights.sum()),
        nats=float(np.average([file.nats for file in files], weights=weights)),
        laplace=float(np.average([file.laplace for file in files], weights=weights)),
        marginal=marginal_nats(histogram),
        impossible=impossible,
    )
