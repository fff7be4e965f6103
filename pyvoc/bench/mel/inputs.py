"""What a benchmark's utterance is made of: a mel spectrogram and, for some models, noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]


def load_inputs(job: Mapping[str, Any]) -> tuple[Float32, Float32 | None]:
    """The mel [frames, bands] and the noise [channels, steps] that a job's paths name."""
    noise = job.get("noise")
    return np.load(job["mel"]), None if noise is None else np.load(noise)


def graph_inputs(
    mel: Float32, noise: Float32 | None, first: int = 0, frames: int | None = None
) -> dict[str, Float32]:
    """Inputs of an exported graph, for some frames or, without a number, all from the first one.

    Parameters
    ----------
    mel
        ``[frames, bands]``.
    noise
        ``[channels, steps]``, as many steps for every frame.
    """
    piece = mel[first : None if frames is None else first + frames]
    found = {"mel": np.ascontiguousarray(piece.T[None])}
    if noise is not None:
        steps = noise.shape[1] // len(mel)
        z = noise[:, first * steps : (first + len(piece)) * steps]
        found["z"] = np.ascontiguousarray(z[None])
    return found
