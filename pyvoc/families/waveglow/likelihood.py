"""Likelihood of speech under a WaveGlow: the density that its flows give the samples."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyvoc.errors import AudioError
from pyvoc.evaluate.nll_report import Measured, Scorer
from pyvoc.files import features
from pyvoc.runtime.likelihood import TRAINED_SIGMA

if TYPE_CHECKING:
    from pyvoc.runtime.model import Model

__all__ = ["SCORER", "measure"]

LEVELS = 32768
"""16-bit steps per unit."""

RECIPE = {
    "nll": "-log p(samples | mel) per sample: wav at the model's rate, mono 16 bit, divided by "
    f"32768 -> the model's mel -> Model.forward, noise of standard deviation {TRAINED_SIGMA:g}; "
    "the density of 16-bit steps (+ log 32768), to be compared with a probability of 16-bit "
    "labels; whole steps of the flows",
    "loss": "as upstream's training loss: the density of samples in -1..1, without log sigma and "
    "log(2 pi) / 2",
}


def measure(model: Model, pcm: npt.NDArray[np.int16]) -> Measured:
    """Score one signal; see :data:`RECIPE`.

    Parameters
    ----------
    model
        A WaveGlow.
    pcm
        Mono int16 [samples] at the model's rate, a whole step and a mel frame at least.

    Raises
    ------
    AudioError
        Too short.
    UnsupportedError
        A determinant of the model is not positive.
    """
    groups = sum(model.info.noise_channels)
    samples = len(pcm) // groups * groups
    if not samples:
        raise AudioError(f"{len(pcm)} samples are too short: a step of the flows is {groups}")
    found = model.forward(features.extract(pcm, model=model), pcm[:samples])
    return Measured(samples, found.nats() + log(LEVELS), {"loss": found.loss()})


SCORER = Scorer(measure, RECIPE)
