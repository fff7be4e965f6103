"""ViSQOL: how similar two spectrograms are, as an opinion; package visqol-python.

Chinen et al., "ViSQOL v3: An Open Source Production Ready Objective Speech and Audio Metric"
(QoMEX 2020). The package is a port of the authors' program.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["FIGURES", "PACKAGE", "RECIPE", "load"]

Float64 = npt.NDArray[np.float64]

PACKAGE = "visqol-python"
FIGURES = ("visqol",)
RECIPE = (
    "ViSQOL: package visqol-python {version}, MOS-LQO 1..5 in speech mode, by the exponential "
    "mapping of the mean similarity (use_lattice_model=False); aligned signals at 16 kHz (soxr "
    "VHQ), then its own alignment"
)


def load() -> Callable[[Float64, Float64], float | None]:
    """What compares a reference with an output, float64 [samples] at 16 kHz; None: no speech.

    Raises
    ------
    ImportError
        The package or one that it needs is missing.
    """
    from visqol import VisqolApi

    # Not the lattice network that the authors' program takes by default: it places 8-bit coded
    # speech above the original itself. This mapping rises with the similarity.
    judge = VisqolApi()
    judge.create(mode="speech", use_lattice_model=False)

    def score(reference: Float64, output: Float64) -> float | None:
        try:
            return float(judge.measure_from_arrays(reference, output, 16000).moslqo)
        except IndexError:  # what it does when it finds no patch of speech
            return None

    return score
