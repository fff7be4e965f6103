"""Teacher forcing of long signals in pieces, so that memory does not grow with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pyvoc.runtime.model import Model

__all__ = ["predictions"]

Float32 = npt.NDArray[np.float32]


def predictions(
    model: Model, rows: Float32, pcm: Float32, *, frames: int, warm_up: int
) -> Iterator[tuple[int, Float32]]:
    """Pieces of :meth:`pyvoc.Model.predict`.

    Parameters
    ----------
    model
        An autoregressive model.
    rows
        Its features [frames, dims].
    pcm
        What is fed back, float32 [samples] within these frames.
    frames
        Of a piece.
    warm_up
        Frames that a piece repeats from the one before, so that recurrent states have settled.

    Yields
    ------
    tuple
        Number of the first sample, and what is predicted of the samples from there on, float32
        [samples, distribution_size].
    """
    hop, ahead = model.info.hop_length, model.info.lookahead_frames
    total = -(-len(pcm) // hop)
    for first in range(0, total, frames):
        start = max(0, first - warm_up)
        stop = min(total, first + frames)
        found = model.predict(
            rows[start : min(len(rows), stop + ahead)], pcm[start * hop : stop * hop]
        )
        yield first * hop, found[(first - start) * hop :]
