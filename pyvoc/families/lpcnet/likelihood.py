"""Likelihood of speech under an LPCNet, teacher forced, and what to hold it against.

The recipe (:data:`RECIPE`): features by our extractor, the signal coded in closed loop to mu-law
excitation codes (quantisation error, no noise), and ``-log p(code | past)`` of every code, by the
runtime. Beside it, on the same codes: their marginal entropy, and the per-frame Laplace that
knows each frame's best scale, which is what a vocoder without pitch could reach at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyvoc.evaluate.excitation import (
    CODE_EDGES,
    HOP,
    deemphasise,
    frame_signal,
    quantise,
)
from pyvoc.evaluate.forcing import predictions
from pyvoc.evaluate.nll_report import Measured, Scorer
from pyvoc.files import features

if TYPE_CHECKING:
    from pyvoc.runtime.model import Model

__all__ = ["RECIPE", "SCORER", "Score", "laplace_nats", "measure", "predictors", "score"]

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


def predictors(model: Model, rows: Float32) -> Float32:
    """LPC [frames, 16] that the runtime uses for the samples of each frame."""
    from pyvoc._pyvoc import testing

    ahead = model.info.lookahead_frames
    padded = np.concatenate([rows, np.repeat(rows[-1:], ahead, axis=0)])
    lpc = [
        testing.lpcnet_frames(model._native, padded[start : start + 1000 + ahead])["lpc"][ahead:]
        for start in range(0, len(rows), 1000)
    ]
    return np.concatenate(lpc)[: len(rows)]


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
    """
    rows = features.extract(pcm, model=model)
    excitation = quantise(frame_signal(pcm, len(rows)), predictors(model, rows))
    heard = (deemphasise(excitation.heard) / 32768.0).astype(np.float32)
    nats = np.empty(len(excitation.codes), np.float32)
    impossible = 0
    least = np.finfo(np.float32).tiny
    for first, probabilities in predictions(
        model, rows, heard, frames=CHUNK_FRAMES, warm_up=WARM_UP_FRAMES
    ):
        codes = excitation.codes[first : first + len(probabilities)]
        given = probabilities[np.arange(len(codes)), codes]
        impossible += int((given < least).sum())
        nats[first : first + len(codes)] = -np.log(np.maximum(given, least))
    return Score(nats, excitation.codes, impossible)


def measure(model: Model, pcm: npt.NDArray[np.int16]) -> Measured:
    """The means of :func:`score`, and the oracle Laplace beside them."""
    found = score(model, pcm)
    nats = float(found.nats.mean(dtype=np.float64))
    laplace = float(laplace_nats(found.codes).mean())
    return Measured(
        len(found.codes),
        nats,
        {"laplace": laplace, "gain": laplace - nats},
        np.bincount(found.codes, minlength=256),
        found.impossible,
    )


SCORER = Scorer(measure, RECIPE)
