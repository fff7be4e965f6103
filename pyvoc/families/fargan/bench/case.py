"""The benchmark of FARGAN's synthesis."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.bench.streams import StreamCase
from pyvoc.families.fargan.bench import seeded


class Fargan(StreamCase):
    """Synthesis, beside fargan_demo."""

    name = "fargan"
    seeded = seeded.SEEDED
    work = "pyvoc.families.fargan.bench.work:fargan_work"
    layer = "gru1.input"
    peer_name = "xiph/opus"
    peer_mode = "-fargan-synthesis"

    def features(self, model: Any | None, seconds: float) -> npt.NDArray[np.float32]:
        """Random ones: the work is the same for all."""
        return seeded.features(round(100 * seconds))
