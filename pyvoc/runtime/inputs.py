"""What a caller hands to a model: checked, and brought to the one form that the runtime takes."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyvoc.errors import AudioError, Error, FeatureError
from pyvoc.files.layouts import LAYOUTS, relaid

if TYPE_CHECKING:
    from pyvoc.runtime.info import ModelInfo

__all__ = ["as_draws", "as_frames", "as_lookahead", "as_pcm", "as_seed"]

Float32 = npt.NDArray[np.float32]

LIMIT, MEL_LIMIT = 100.0, 1000.0
"""No feature of any sound comes near, mels in decibels neither; the runtime refuses what lies
beyond."""
MOST_LOOKAHEAD = 65535
"""Frames; beyond what any model has, and refused by the runtime."""
NORMALIZED = (-0.5, 1.5)
"""A normalised mel is 0 to 1, and networks that predict it go a little beyond."""


def as_frames(features: npt.ArrayLike, info: ModelInfo, *, first: int = 0) -> Float32:
    """Features as float32 [frames, dims], C-contiguous, of a width that the model reads.

    Parameters
    ----------
    features
        Real numbers [frames, dims]; `dims` is that of the model's layout, or the first columns
        that the model reads alone. LPCNet's other layouts are brought to the model's, exactly
        (:func:`pyvoc.files.layouts.relaid`).
    info
        The model's.
    first
        Number of the first frame, for messages.

    Raises
    ------
    FeatureError
        Another type, shape, or layout; NaN, infinite or absurd values.
    """
    array = _real(features)
    if array.ndim != 2:
        raise FeatureError(f"expected features [frames, dims], got shape {array.shape}")
    wanted = (info.feature_dims, info.layout_dims)
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(array, dtype=np.float32)
    if array.shape[1] not in wanted:
        other = relaid(rows, info.feature_layout) if info.mel is None else None
        if other is None:
            raise FeatureError(_wrong_width(array.shape, info))
        rows = other
    used = rows[:, : info.feature_dims]
    what = "beyond what any sound gives"
    low, high = (-LIMIT, LIMIT) if info.mel is None else (-MEL_LIMIT, MEL_LIMIT)
    if info.mel is not None and info.mel.normalized:
        low, high = NORMALIZED
        what = "the model reads mels from 0 to 1, is this one of another recipe (pyvoc check-mel)?"
    good = (used >= low) & (used <= high)  # False for NaN
    if not good.all():
        frame, column = np.argwhere(~good)[0]
        value = float(used[frame, column])
        what = what if np.isfinite(value) else "not finite"
        raise FeatureError(f"feature {column} of frame {first + frame} is {value:g}: {what}")
    return rows


def _real(features: npt.ArrayLike) -> npt.NDArray[Any]:
    try:
        array = np.asarray(features)
    except ValueError as error:
        raise FeatureError(f"the features are no array: {error}") from error
    if array.dtype.kind not in "fiu":
        raise FeatureError(f"expected features as float32, got {array.dtype}")
    return array


def _wrong_width(shape: tuple[int, ...], info: ModelInfo) -> str:
    wanted = f"{info.layout_dims} floats per frame ({info.feature_layout})"
    if info.mel is not None:
        wanted = f"{info.layout_dims} mel bands"
    if info.feature_dims != info.layout_dims:
        wanted += f" or the first {info.feature_dims} of them"
    if shape[0] in (info.feature_dims, info.layout_dims):
        return f"features of shape {shape} look transposed; expected [frames, dims], {wanted}"
    known = next((layout.name for layout in LAYOUTS.values() if layout.dims == shape[1]), None)
    found = f"{shape[1]} floats per frame" + (f" ({known})" if known else "")
    return f"the features have {found}; the model reads {wanted}"


def as_pcm(pcm: npt.ArrayLike) -> Float32:
    """Mono samples as float32 [samples], full scale -1..1; int16 is divided by 32768.

    Raises
    ------
    AudioError
        Another shape or type. (Values are the runtime's to check.)
    """
    array = np.asarray(pcm)
    if array.ndim != 1:
        raise AudioError(f"expected mono samples of shape [samples], got shape {array.shape}")
    if array.dtype == np.int16:
        return np.asarray(array.astype(np.float32) / np.float32(32768.0))
    if array.dtype.kind != "f":
        raise AudioError(f"expected samples as floats in -1..1 or as int16, got {array.dtype}")
    return np.ascontiguousarray(array, dtype=np.float32)


def as_draws(draws: object, *, least: int = 0) -> Float32:
    """Uniform draws as float32 [n]; values that rounding brings to 1 stay.

    Raises
    ------
    Error
        Another type or shape, values outside 0..1, or fewer than `least`.
    """
    array = np.asarray(draws)
    if array.ndim != 1 or array.dtype.kind != "f":
        raise Error(f"expected draws as floats [n], got {array.dtype} of shape {array.shape}")
    outside = ~((array >= 0) & (array <= 1))
    if outside.any():
        at = int(np.argmax(outside))
        raise Error(f"draw {at} is {array[at]:g}, outside 0..1")
    if array.size < least:
        raise Error(f"{array.size} draws were given; these features need {least}")
    return np.ascontiguousarray(array, dtype=np.float32)


def as_lookahead(frames: int | None) -> int | None:
    """Frames of look-ahead, or None for the model's own.

    Raises
    ------
    Error
        It is no whole number in 0..65535.
    """
    if frames is None:
        return None
    try:
        number = operator.index(frames)
    except TypeError as error:
        raise Error(f"expected the look-ahead as a whole number, got {frames!r}") from error
    if not 0 <= number <= MOST_LOOKAHEAD:
        raise Error(f"the look-ahead is {number} frames, expected 0 to {MOST_LOOKAHEAD}")
    return number


def as_seed(seed: int) -> int:
    """A seed that fits 64 bits.

    Raises
    ------
    Error
        It is no whole number in 0..2**64 - 1.
    """
    try:
        number = operator.index(seed)
    except TypeError as error:
        raise Error(f"expected the seed as a whole number, got {seed!r}") from error
    if not 0 <= number < 1 << 64:
        raise Error(f"seed {number} is outside 0..2**64 - 1")
    return number
