"""LPCNet features: extraction from PCM, feature files and their layouts.

A row is 10 ms at 16 kHz. Layouts (Valin & Skoglund 2019; xiph/LPCNet):

========== ===== ======================================================================
layout     dims  columns
========== ===== ======================================================================
lpcnet36   36    cepstrum 0..17, pitch 18, correlation 19, LPC 20..35
lpcnet20   20    the first 20 of lpcnet36: what the network is fed
lpcnet55   55    cepstrum 0..17, zeros 18..35, pitch 36, correlation 37, residual 38, LPC 39..54
========== ===== ======================================================================

Pitch is ``0.01 * (T1 + T2 - 200)`` with T the period in samples of the two 5 ms halves; the
normalised correlation has 0.5 subtracted; the prediction is ``-sum(lpc[k] * x[t - 1 - k])``.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc, audio
from pyvoc._atomic import atomic_open
from pyvoc.errors import AudioError, Error, FeatureError

__all__ = [
    "HOP_LENGTH",
    "LAYOUTS",
    "SAMPLE_RATE",
    "Extractor",
    "Layout",
    "check",
    "extract",
    "layout_of",
    "load",
    "read_pcm",
    "save",
]

SAMPLE_RATE = 16000
"""Hz."""
HOP_LENGTH = 160
"""Samples per row."""

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
    """

    name: str
    dims: int
    pitch: int
    correlation: int
    lpc: int | None


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("lpcnet36", 36, 18, 19, 20),
        Layout("lpcnet20", 20, 18, 19, None),
        Layout("lpcnet55", 55, 36, 37, 39),
    )
}
_BY_DIMS = {layout.dims: layout for layout in LAYOUTS.values()}

# What extraction can yield, with a margin for features that a network predicted.
_PITCH_RANGE = (-1.6, 3.4)
_CORRELATION_RANGE = (-1.6, 0.8)
_CEPSTRUM_LIMIT = 40.0
_LPC_LIMIT = 1000.0


def _find_layout(name: str) -> Layout:
    if name not in LAYOUTS:
        raise FeatureError(f"unknown feature layout '{name}'; expected one of {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def _as_pcm(pcm: npt.ArrayLike) -> Float32:
    array = np.asarray(pcm)
    if array.ndim != 1:
        raise AudioError(f"expected mono PCM of shape [samples], got shape {array.shape}")
    if array.dtype == np.int16:
        return array.astype(np.float32) / np.float32(32768.0)
    if array.dtype.kind != "f":
        raise AudioError(f"expected PCM as floats in -1..1 or as int16, got {array.dtype}")
    return np.ascontiguousarray(array, dtype=np.float32)


class Extractor:
    """Push-based extraction: PCM in any chunk sizes, frames out.

    Any split of a signal gives the same frames, bit for bit. One thread at a time; another thread's
    call is refused.

    Parameters
    ----------
    layout
        ``lpcnet36``, ``lpcnet20`` or ``lpcnet55``.
    """

    def __init__(self, layout: str = "lpcnet36") -> None:
        self.layout = _find_layout(layout)
        self._native = _pyvoc.Extractor(layout)

    @property
    def dims(self) -> int:
        """Floats per frame."""
        return self.layout.dims

    @property
    def latency_samples(self) -> int:
        """Samples from a frame's centre to the newest sample that it needs."""
        return int(self._native.latency_samples)

    def push(self, pcm: npt.ArrayLike) -> Float32:
        """Take more signal.

        Parameters
        ----------
        pcm
            16 kHz mono [samples], floats in -1..1 or int16.

        Returns
        -------
        float32 [frames, dims]
            The frames that are now complete, possibly none.

        Raises
        ------
        AudioError
            Wrong shape or type, NaN, or far beyond full scale. Nothing was consumed.
        """
        return self._native.push(_as_pcm(pcm))

    def flush(self) -> Float32:
        """End the signal; an incomplete frame (``lpcnet55``: group of four) is dropped."""
        return self._native.flush()

    def reset(self) -> None:
        """Return to the state after construction."""
        self._native.reset()


def extract(pcm: npt.ArrayLike, *, layout: str = "lpcnet36") -> Float32:
    """Extract LPCNet features from a whole signal.

    Parameters
    ----------
    pcm
        16 kHz mono [samples], floats in -1..1 or int16.
    layout
        ``lpcnet36``, ``lpcnet20`` or ``lpcnet55``.

    Returns
    -------
    float32 [samples // 160, dims]
        For ``lpcnet55`` the number of frames is rounded down to a multiple of 4.

    Raises
    ------
    AudioError
        Wrong shape or type, NaN, far beyond full scale, or too short for one frame.
    """
    extractor = Extractor(layout)
    samples = _as_pcm(pcm)
    frames = extractor.push(samples)
    if not len(frames):
        need = HOP_LENGTH * (4 if layout == "lpcnet55" else 1)
        raise AudioError(f"{samples.size} samples are too short: {layout} needs at least {need}")
    return frames


def read_pcm(path: str | os.PathLike[str]) -> npt.NDArray[np.int16]:
    """Read an audio file as LPCNet sees speech: 16 kHz, mono, rounded to 16 bits.

    Returns
    -------
    int16 [samples]

    Raises
    ------
    Error
        As :func:`pyvoc.audio.read_int16`.
    """
    return audio.read_int16(path, rate=SAMPLE_RATE)


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


def _objection(rows: Float32, layout: Layout) -> str | None:
    """Why finite rows cannot be of a layout, or None."""
    cepstrum = np.abs(rows[:, :18]).max()
    if cepstrum > _CEPSTRUM_LIMIT:
        return f"the cepstrum reaches {cepstrum:.4g}, beyond +-{_CEPSTRUM_LIMIT:g}"
    for name, column, (low, high) in (
        ("pitch", layout.pitch, _PITCH_RANGE),
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


def check(features: npt.NDArray[np.floating], *, name: str = "the features") -> Layout:
    """Check values and shape of features [frames, dims].

    Parameters
    ----------
    features
        Array to check.
    name
        What to call it in an error.

    Returns
    -------
    Layout

    Raises
    ------
    FeatureError
        No frames, NaN or Inf, values that no extraction yields, unknown width, transposed.
    """
    layout = layout_of(features)
    if not len(features):
        raise FeatureError(f"{name} hold no frames")
    rows = np.asarray(features, dtype=np.float32)
    if not np.isfinite(rows).all():
        frame = int(np.argmin(np.isfinite(rows).all(axis=1)))
        raise FeatureError(f"{name} hold NaN or infinite values, first in frame {frame}")
    objection = _objection(rows, layout)
    if objection is not None:
        raise FeatureError(f"{name} are no {layout.name} features: {objection}")
    return layout


def load(path: str | os.PathLike[str], *, layout: str | None = None) -> Float32:
    """Load a feature file.

    A ``.f32`` file (any suffix but ``.npy``) is headerless: the layout is recognised by its size and
    values.

    Parameters
    ----------
    path
        ``.npy`` [frames, dims], or raw little-endian float32.
    layout
        Name of the layout, when the file leaves a choice or to insist.

    Returns
    -------
    float32 [frames, dims]
        Its layout is :func:`layout_of` it.

    Raises
    ------
    FeatureError
        Empty, truncated, ambiguous, NaN or absurd: the message says what was found.
    Error
        The operating system refused the file.
    """
    source = Path(path)
    wanted = None if layout is None else _find_layout(layout)
    try:
        data = source.read_bytes()
    except OSError as error:
        raise Error(f"cannot read '{source}': {error.strerror}") from error
    if not data:
        raise FeatureError(f"'{source}' is empty")
    if source.suffix.lower() == ".npy":
        rows = _parse_npy(data, source)
    else:
        rows = _parse_raw(data, source, wanted)
    found = check(rows, name=f"'{source}'")
    if wanted is not None and found != wanted:
        raise FeatureError(f"'{source}' holds {found.name} features; expected {wanted.name}")
    return rows


def _parse_npy(data: bytes, source: Path) -> Float32:
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise FeatureError(f"'{source}' is no readable .npy file: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise FeatureError(f"'{source}' holds no float array; expected float32 [frames, dims]")
    return np.ascontiguousarray(array, dtype=np.float32)


def _parse_raw(data: bytes, source: Path, wanted: Layout | None) -> Float32:
    if data[:4] in (b"RIFF", b"fLaC", b"OggS", b"GGUF") or data[:6] == b"\x93NUMPY":
        kind = data[:4].decode("latin-1").strip("\x93")
        raise FeatureError(f"'{source}' starts like a {kind} file; expected raw float32 features")
    if len(data) % 4:
        raise FeatureError(f"'{source}' has {len(data)} bytes, no whole number of float32 values")
    flat = np.frombuffer(data, dtype="<f4").astype(np.float32)
    if not np.isfinite(flat).all():
        at = int(np.argmin(np.isfinite(flat)))
        raise FeatureError(f"'{source}' holds NaN or infinite values, first at float {at}")
    candidates = [wanted] if wanted is not None else list(LAYOUTS.values())
    fitting = [layout for layout in candidates if flat.size % layout.dims == 0]
    if not fitting:
        widths = " or ".join(str(layout.dims) for layout in candidates)
        raise FeatureError(
            f"'{source}' has {flat.size} floats, no whole number of frames of {widths} floats"
        )
    objections = {layout: _objection(flat.reshape(-1, layout.dims), layout) for layout in fitting}
    good = [layout for layout, objection in objections.items() if objection is None]
    if len(good) == 1:
        return flat.reshape(-1, good[0].dims)
    if good:
        names = " and ".join(layout.name for layout in good)
        raise FeatureError(f"'{source}' ({flat.size} floats) fits {names}: say which layout it is")
    reasons = "; ".join(f"as {layout.name}, {why}" for layout, why in objections.items())
    raise FeatureError(f"'{source}' ({flat.size} floats) holds no LPCNet features: {reasons}")


def save(path: str | os.PathLike[str], features: npt.NDArray[np.floating]) -> None:
    """Save features as ``.npy`` or, with any other suffix, as raw little-endian float32.

    The file appears complete or not at all.

    Raises
    ------
    FeatureError
        The features do not pass :func:`check`.
    Error
        The operating system refused the file.
    """
    check(features)
    rows = np.ascontiguousarray(features, dtype="<f4")
    with atomic_open(path) as stream:
        if Path(path).suffix.lower() == ".npy":
            np.save(stream, rows, allow_pickle=False)
        else:
            stream.write(rows.tobytes())
