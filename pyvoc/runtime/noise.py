"""The noise that a flow-based model starts from, given from outside.

A draw is standard normal noise ``[channels, steps]``, a step being some samples. The runtime takes
all draws of an utterance as one array, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyvoc.errors import Error
from pyvoc.runtime.inputs import as_draws

if TYPE_CHECKING:
    from pyvoc.runtime.info import ModelInfo

__all__ = ["as_given", "in_parts"]

Float32 = npt.NDArray[np.float32]

MOST_DRAW = 100.0
"""Standard deviations; the runtime refuses what lies beyond."""


def in_parts(noise: Float32, parts: Sequence[int]) -> tuple[Float32, ...]:
    """Noise as the runtime has it, flat, part after part: ``[channels, steps]`` each."""
    steps = noise.size // sum(parts)
    ends = np.cumsum(parts)[:-1] * steps
    return tuple(part.reshape(-1, steps) for part in np.split(noise, ends))


def as_given(
    draws: npt.ArrayLike | Sequence[npt.ArrayLike], info: ModelInfo, *, samples: int | None
) -> Float32:
    """Draws of the kind that a model takes, for so many samples (None: any number); flat.

    Raises
    ------
    Error
        They are not of that kind.
    """
    if info.noise_channels:
        return _as_noise(draws, info.noise_channels, samples=samples)
    return as_draws(draws, least=(samples or 0) * info.draws_per_sample)


def _as_noise(
    draws: npt.ArrayLike | Sequence[npt.ArrayLike],
    parts: Sequence[int],
    *,
    samples: int | None = None,
) -> Float32:
    """Draws as the runtime takes them, float32 [samples].

    Parameters
    ----------
    draws
        For every part ``[channels, steps]`` or, as upstream has it, ``[1, channels, steps]``; or
        one flat array of these, part after part.
    parts
        Channels of each, see :func:`parts_of`.
    samples
        For which there must be noise; None if that does not matter.

    Raises
    ------
    Error
        Other shapes or types, or values that are no noise.
    """
    groups = sum(parts)
    steps = None if samples is None else samples // groups
    if isinstance(draws, np.ndarray) and draws.ndim == 1 and draws.dtype != object:
        flat = [_real(draws, "draws")]
        if samples is not None and draws.size != samples:
            raise Error(f"{draws.size} draws were given; these features need {samples}")
        if draws.size % groups:
            raise Error(f"{draws.size} draws are no whole steps of {groups} samples")
    else:
        given = list(draws)  # type: ignore[arg-type]
        if len(given) != len(parts):
            raise Error(f"{len(given)} draws were given; the model needs {len(parts)}")
        flat = []
        for i, (item, channels) in enumerate(zip(given, parts, strict=True)):
            array = _real(item, f"draw {i}")
            shape = array.shape[1:] if array.ndim == 3 and array.shape[0] == 1 else array.shape
            steps = shape[-1] if steps is None and shape else steps
            if shape != (channels, steps):
                raise Error(f"draw {i} has shape {array.shape}, expected {(channels, steps)}")
            flat.append(array.reshape(-1))
    noise = np.concatenate(flat).astype(np.float32)
    bad = ~(np.abs(noise) <= MOST_DRAW)
    if bad.any():
        raise Error(f"the draws hold {noise[np.argmax(bad)]:g}, which is no standard normal noise")
    return noise


def _real(item: object, what: str) -> npt.NDArray[Any]:
    try:
        array = np.asarray(item)
    except ValueError as error:
        raise Error(f"{what}: no array: {error}") from error
    if array.dtype.kind != "f":
        raise Error(f"{what}: expected floats, got {array.dtype} of shape {array.shape}")
    return array
