"""DNSMOS: the opinion of listeners on a recording, predicted by networks; package speechmos.

Reddy, Gopal and Cutler, "DNSMOS: A Non-Intrusive Perceptual Objective Speech Quality Metric to
Evaluate Noise Suppressors" (ICASSP 2021) and "DNSMOS P.835" (ICASSP 2022). Made to judge noise
suppressors, and the weights come in its wheel.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["FIGURES", "PACKAGE", "RECIPE", "load"]

Float32 = npt.NDArray[np.float32]

PACKAGE = "speechmos"
FIGURES = ("dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak", "dnsmos_p808")
RECIPE = (
    "DNSMOS: package speechmos {version}, opinion predicted without reference, 1..5: OVRL "
    "(P.835; SIG and BAK are in --json) and P.808; each whole file at 16 kHz (soxr VHQ) and at its "
    "own level, mean over windows of 9.01 s, 1 s apart; shorter files are repeated"
)


def load() -> Callable[[Float32], dict[str, float]]:
    """The networks, ready to score float32 [samples] in -1..1 at 16 kHz.

    Raises
    ------
    ImportError
        The package or one that it needs is missing.
    """
    from speechmos import dnsmos

    def score(samples: Float32) -> dict[str, float]:
        found = dnsmos.run(samples, sr=16000)
        return {name: float(found[name.removeprefix("dnsmos_") + "_mos"]) for name in FIGURES}

    return score
