"""Feature layouts: where each keeps what, and how to tell and check them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyvoc.errors import FeatureError
from pyvoc.files.doubts import doubt

__all__ = [
    "LAYOUTS",
    "Layout",
    "check",
    "find_layout",
    "in_hundredths",
    "layout_of",
    "objection",
    "relaid",
    "suspect_pitch",
]

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Layout:
    """Where a layout keeps what.

    Attributes
    ----------
    name, dims
        Name and floats per row.
    pitch, correlation
        Columns.
    lpc
        First of the 16 LPC columns, or None.
    octaves
        The pitch of a period of T samples is log2(256 / T) - 1.5, otherwise (T - 100) / 50. Width
        and range do not tell one from the other: a layout of octaves is recognised by its name
        only; see :func:`in_hundredths`.
    """

    name: str
    dims: int
    pitch: int
    correlation: int
    lpc: int | None
    octaves: bool = False


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("lpcnet36", 36, 18, 19, 20),
        Layout("lpcnet20", 20, 18, 19, None),
        Layout("lpcnet55", 55, 36, 37, 39),
        Layout("opus20", 20, 18, 19, None, octaves=True),
    )
}
RECOGNISED = tuple(layout for layout in LAYOUTS.values() if not layout.octaves)
"""Those that a file's width and values tell."""
_BY_DIMS = {layout.dims: layout for layout in RECOGNISED}

# What extraction can yield, with a margin for features that a network predicted.
_PITCH_RANGE = (-1.6, 3.4)
_OCTAVE_RANGE = (-1.6, 1.6)
_CORRELATION_RANGE = (-1.6, 0.8)
_CEPSTRUM_LIMIT = 40.0
_LPC_LIMIT = 1000.0
_STEP = 0.01  # of the pitch that LPCNet's estimator gives: half a sample of the period
_ON_STEP = 1e-3  # steps; single precision needs a hundredth of it
_LEAST_STEPS = 8


def find_layout(name: str) -> Layout:
    """Look a layout up by name.

    Raises
    ------
    FeatureError
        There is none of that name; the message lists them.
    """
    if name not in LAYOUTS:
        raise FeatureError(f"unknown feature layout '{name}'; expected one of {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def layout_of(features: npt.NDArray[np.floating]) -> Layout:
    """Tell the layout of an array [frames, dims] by its width.

    Raises
    ------
    FeatureError
        The array is not two-dimensional, transposed, or of no known width.
    """
    if features.ndim != 2:
        raise FeatureError(f"expected features [frames, dims], got shape {features.shape}")
    layout = _BY_DIMS.get(features.shape[1])
    if layout is not None:
        return layout
    if features.shape[0] in _BY_DIMS:
        raise FeatureError(
            f"features of shape {features.shape} look transposed; expected [frames, dims]"
        )
    widths = ", ".join(str(width) for width in sorted(_BY_DIMS))
    raise FeatureError(f"features have {features.shape[1]} floats per frame; expected {widths}")


def relaid(rows: npt.NDArray[np.floating], layout: str) -> Float32 | None:
    """Features of one layout in another one, where that is exact for what a network reads.

    Every layout has the same twenty numbers: cepstrum, pitch and correlation. Synthesis computes
    the LPC from the cepstrum, so what else a layout holds is not heard.

    Parameters
    ----------
    rows
        [frames, dims] of any layout, told by the width.
    layout
        Name of the wanted one.

    Returns
    -------
    float32 [frames, dims] or None
        All columns but the twenty are zero, the LPC too. None: one of the two is no layout of
        LPCNet, or its pitch has another unit.
    """
    source, target = _BY_DIMS.get(rows.shape[1]), LAYOUTS.get(layout)
    if source is None or target is None or source.octaves != target.octaves:
        return None
    out = np.zeros((len(rows), target.dims), dtype=np.float32)
    out[:, :18] = rows[:, :18]
    out[:, target.pitch] = rows[:, source.pitch]
    out[:, target.correlation] = rows[:, source.correlation]
    return out


def octaves_of(pitch: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The pitch of a layout of octaves, from that of the same periods in LPCNet's layouts."""
    periods = 50 * (np.asarray(pitch, np.float64) + 2)
    return np.clip(np.log2(256 / np.maximum(periods, 1)) - 1.5, -1.5, 1.5)


def in_hundredths(pitch: npt.NDArray[np.floating]) -> bool:
    """Whether a pitch is of an estimator that counts in whole samples, as LPCNet's does.

    It gives periods in half samples, so all its pitches are whole hundredths. Those in octaves are
    so in fewer than two frames of a hundred, and what a network predicted is no more often: True
    proves that a pitch is not in octaves, False proves nothing.

    Parameters
    ----------
    pitch
        [frames].
    """
    steps = np.asarray(pitch, np.float64) / _STEP
    whole = np.round(steps)
    told = np.abs(steps - whole) < _ON_STEP
    different = np.count_nonzero(np.diff(np.sort(whole[told]), prepend=np.nan))
    return bool(told.mean() > 0.9 and different >= _LEAST_STEPS)


def suspect_pitch(name: str, rows: Float32, layout: Layout) -> None:
    """Doubt features that are read as a layout of octaves although their pitch is none of those."""
    if layout.octaves and in_hundredths(rows[:, layout.pitch]):
        doubt(
            "another pitch",
            f"{name} is read as {layout.name}, but its pitch is in whole hundredths, as "
            f"lpcnet20's is: take a voice that reads that, or say --layout {layout.name}",
        )


def objection(rows: Float32, layout: Layout) -> str | None:
    """Why finite rows cannot be of a layout, or None."""
    cepstrum = np.abs(rows[:, :18]).max()
    if cepstrum > _CEPSTRUM_LIMIT:
        return f"the cepstrum reaches {cepstrum:.4g}, beyond +-{_CEPSTRUM_LIMIT:g}"
    for name, column, (low, high) in (
        ("pitch", layout.pitch, _OCTAVE_RANGE if layout.octaves else _PITCH_RANGE),
        ("correlation", layout.correlation, _CORRELATION_RANGE),
    ):
        values = rows[:, column]
        if values.min() < low or values.max() > high:
            return (
                f"{name} (column {column}) spans {values.min():.4g}..{values.max():.4g}, "
                f"outside {low:g}..{high:g}"
            )
    if layout.name == "lpcnet55" and np.any(rows[:, 18:36]):
        return "columns 18..35 are not zero"
    if layout.lpc is not None:
        largest = np.abs(rows[:, layout.lpc : layout.lpc + 16]).max()
        if largest > _LPC_LIMIT:
            return f"the LPC reach {largest:.4g}, beyond +-{_LPC_LIMIT:g}"
    return None


def check(
    features: npt.NDArray[np.floating],
    *,
    name: str = "the features",
    wanted: Layout | None = None,
) -> Layout:
    """Check values and shape of features [frames, dims].

    Parameters
    ----------
    features
        Array to check.
    name
        What to call it in an error.
    wanted
        The layout that it is said to be, where that is of its width; otherwise the width tells.

    Returns
    -------
    Layout

    Raises
    ------
    FeatureError
        No frames, NaN or Inf, values that no extraction yields, unknown width, transposed.
    """
    said = wanted is not None and features.ndim == 2 and features.shape[1] == wanted.dims
    layout = wanted if said and wanted is not None else layout_of(features)
    if not len(features):
        raise FeatureError(f"{name} hold no frames")
    rows = np.asarray(features, dtype=np.float32)
    if not np.isfinite(rows).all():
        frame = int(np.argmin(np.isfinite(rows).all(axis=1)))
        raise FeatureError(f"{name} hold NaN or infinite values, first in frame {frame}")
    reason = objection(rows, layout)
    if reason is not None:
        raise FeatureError(f"{name} are no {layout.name} features: {reason}")
    return layout
