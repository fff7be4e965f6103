"""What a flow-based model makes of audio: noise, and so how likely the audio is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["TRAINED_SIGMA", "Likelihood"]

Float32 = npt.NDArray[np.float32]

TRAINED_SIGMA = 1.0
"""Standard deviation that upstream trains with."""


@dataclass(frozen=True)
class Likelihood:
    """The noise of some audio and the other terms of its likelihood (Prenger et al. 2018).

    Attributes
    ----------
    z
        float32 ``[channels, steps]`` each, as ``Model.synthesize(draws=)`` takes them times its
        sigma: what the last flow gave, then what left before flows, the last one first.
    log_s
        For each flow, flow 0 first, the sum over channels and steps of the logarithms of the
        scales of the half that it changes.
    log_det
        For each flow, steps times the logarithm of the determinant of its 1x1 convolution.
    """

    z: tuple[Float32, ...]
    log_s: tuple[float, ...]
    log_det: tuple[float, ...]

    @property
    def samples(self) -> int:
        """Samples of the audio."""
        return sum(part.size for part in self.z)

    def loss(self, sigma: float = TRAINED_SIGMA) -> float:
        """Upstream's training loss: negative log-likelihood per sample without its constant.

        Parameters
        ----------
        sigma
            Standard deviation that the noise is held against.
        """
        power = sum(float(np.square(part, dtype=np.float64).sum()) for part in self.z)
        total = power / (2 * sigma**2) - sum(self.log_s) - sum(self.log_det)
        return total / self.samples

    def nats(self, sigma: float = TRAINED_SIGMA) -> float:
        """Negative logarithm of the probability density of samples in -1..1, per sample."""
        return self.loss(sigma) + math.log(sigma) + 0.5 * math.log(2 * math.pi)
