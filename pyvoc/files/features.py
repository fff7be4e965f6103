"""Features: extraction from PCM, feature files and their layouts.

Mel frames come from a recipe (:mod:`pyvoc.container.mel`): a preset, a model's own, or any numbers;
files of them are :mod:`pyvoc.mels`'s. LPCNet's rows are 10 ms at 16 kHz. Their layouts (Valin &
Skoglund 2019; xiph/LPCNet):

========== ===== ======================================================================
layout     dims  columns
========== ===== ======================================================================
lpcnet36   36    cepstrum 0..17, pitch 18, correlation 19, LPC 20..35
lpcnet20   20    the first 20 of lpcnet36: what the network is fed
opus20     20    the same in Opus, but the pitch is log2(256 / T) - 1.5; told by its name only
lpcnet55   55    cepstrum 0..17, zeros 18..35, pitch 36, correlation 37, residual 38, LPC 39..54
========== ===== ======================================================================

Pitch is ``0.01 * (T1 + T2 - 200)`` with T the period in samples of the two 5 ms halves; the
normalised correlation has 0.5 subtracted; the prediction is ``-sum(lpc[k] * x[t - 1 - k])``.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc
from pyvoc.container.mel import MelRecipe
from pyvoc.errors import AudioError, FeatureError
from pyvoc.files import audio, mels
from pyvoc.files.atomic import atomic_open
from pyvoc.files.kinds import instead_of
from pyvoc.files.layouts import (
    LAYOUTS,
    RECOGNISED,
    Layout,
    check,
    find_layout,
    layout_of,
    objection,
)
from pyvoc.files.npy import parse_npy
from pyvoc.files.whole import read_whole

if TYPE_CHECKING:
    from pyvoc.runtime.model import Model

__all__ = [
    "HOP_LENGTH",
    "LAYOUTS",
    "SAMPLE_RATE",
    "Extractor",
    "Layout",
    "add_lpc",
    "check",
    "extract",
    "layout_of",
    "load",
    "read_pcm",
    "save",
    "too_short",
]

SAMPLE_RATE = 16000
"""Hz."""
HOP_LENGTH = 160
"""Samples per row."""
_LPC_AGREEMENT = 0.05  # rounding and compilers account for 0.01

Float32 = npt.NDArray[np.float32]


def _as_pcm(pcm: npt.ArrayLike) -> Float32:
    array = np.asarray(pcm)
    if array.ndim != 1:
        raise AudioError(f"expected mono PCM of shape [samples], got shape {array.shape}")
    if array.dtype == np.int16:
        return np.asarray(array.astype(np.float32) / np.float32(32768.0))
    if array.dtype.kind != "f":
        raise AudioError(f"expected PCM as floats in -1..1 or as int16, got {array.dtype}")
    samples: Float32 = np.ascontiguousarray(array, dtype=np.float32)
    return samples


class Extractor:
    """Push-based extraction: PCM in any chunk sizes, frames out.

    Any split of a signal gives the same frames, bit for bit. One thread at a time; another thread's
    call is refused.

    Parameters
    ----------
    layout
        ``lpcnet36`` (the default), ``lpcnet20``, ``lpcnet55``, or ``opus20`` with the pitch that
        LPCNet's estimator finds.
    recipe
        Mel frames instead: a recipe, or the name of a preset (``nvidia``, ``descript``,
        ``fatchord``).
    model
        A loaded model: the features that it reads, the pitch by its own network where it brings
        one (`ModelInfo.pitch_network`).

    Raises
    ------
    FeatureError
        An unknown name, an impossible recipe, or more than one of the three.
    """

    def __init__(
        self,
        layout: str | None = None,
        *,
        recipe: MelRecipe | str | None = None,
        model: Model | None = None,
    ) -> None:
        if sum(choice is not None for choice in (layout, recipe, model)) > 1:
            raise FeatureError("give one of layout, recipe and model")
        if model is not None:
            recipe = model.info.mel
            layout = None if recipe is not None else model.info.feature_layout
        self._recipe = None if recipe is None else mels.find_recipe(recipe)
        self._layout = None if self._recipe is not None else find_layout(layout or "lpcnet36")
        if model is not None:
            self._native = _pyvoc.Extractor.for_model(model._native)
        elif self._recipe is not None:
            numbers = {k: v for k, v in asdict(self._recipe).items() if k != "name"}
            self._native = _pyvoc.Extractor.for_mel(**numbers)
        else:
            self._native = _pyvoc.Extractor(self.layout.name)

    @property
    def layout(self) -> Layout:
        """The LPCNet layout.

        Raises
        ------
        FeatureError
            These are mel frames.
        """
        if self._layout is None:
            raise FeatureError("mel frames have a recipe, no layout")
        return self._layout

    @property
    def recipe(self) -> MelRecipe | None:
        """The mel recipe, None for LPCNet features."""
        return self._recipe

    @property
    def name(self) -> str:
        """Name of the layout, or ``mel-`` and the name of the recipe."""
        return self.layout.name if self._recipe is None else f"mel-{self._recipe.name}"

    @property
    def sample_rate(self) -> int:
        """Rate in Hz that the PCM must have."""
        return int(self._native.sample_rate)

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return int(self._native.hop_length)

    @property
    def dims(self) -> int:
        """Floats per frame."""
        return int(self._native.dims)

    @property
    def latency_samples(self) -> int:
        """Samples from a frame's centre to the newest sample that it needs."""
        return int(self._native.latency_samples)

    def push(self, pcm: npt.ArrayLike) -> Float32:
        """Take more signal.

        Parameters
        ----------
        pcm
            Mono [samples] at :attr:`sample_rate`, floats in -1..1 or int16.

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
        """End the signal: the frames that were held back.

        Mel frames reach into the padding beyond the end. LPCNet's layouts drop an incomplete frame
        (``lpcnet55``: group of four).
        """
        return self._native.flush()

    def reset(self) -> None:
        """Return to the state after construction."""
        self._native.reset()


def extract(
    pcm: npt.ArrayLike,
    *,
    layout: str | None = None,
    recipe: MelRecipe | str | None = None,
    model: Model | None = None,
) -> Float32:
    """Extract features from a whole signal.

    Parameters
    ----------
    pcm
        Mono [samples], floats in -1..1 or int16, at 16 kHz for LPCNet and at the recipe's rate for
        mel frames.
    layout, recipe, model
        As :class:`Extractor`; at most one. ``lpcnet36`` without any.

    Returns
    -------
    float32 [frames, dims]
        LPCNet: ``samples // 160`` frames, for ``lpcnet55`` rounded down to a multiple of 4. Mel: as
        many as :meth:`pyvoc.container.mel.MelRecipe.frames` says.

    Raises
    ------
    AudioError
        Wrong shape or type, NaN, far beyond full scale, or too short for one frame.
    FeatureError
        As :class:`Extractor`.
    """
    extractor = Extractor(layout, recipe=recipe, model=model)
    samples = _as_pcm(pcm)
    frames = np.concatenate([extractor.push(samples), extractor.flush()])
    if not len(frames):
        raise too_short("", samples.size, extractor)
    return frames


def too_short(what: str, samples: int, extractor: Extractor) -> AudioError:
    """The error for a signal that gives no frame; `what` names it, with a colon, or is empty."""
    need = HOP_LENGTH * (4 if extractor.name == "lpcnet55" else 1)
    if extractor.recipe is not None:
        need = max(1, extractor.recipe.fft_length - 2 * extractor.recipe.pad)
    return AudioError(
        f"{what}{samples} samples are too short: {extractor.name} needs at least {need}"
    )


def add_lpc(features: npt.NDArray[np.floating]) -> Float32:
    """Complete ``lpcnet20`` features, such as a network predicts, to ``lpcnet36``.

    Parameters
    ----------
    features
        [frames, 20]; only the cepstrum decides about the LPC.

    Returns
    -------
    float32 [frames, 36]

    Raises
    ------
    FeatureError
        The features are of another layout, or do not pass :func:`check`.
    """
    layout = check(features)
    if layout.name != "lpcnet20":
        raise FeatureError(f"the features are {layout.name}; expected lpcnet20")
    rows = np.ascontiguousarray(features, dtype=np.float32)
    return np.concatenate([rows, _predictors(rows)], axis=1)


def _predictors(rows: Float32) -> Float32:
    """LPC [frames, 16] that follow from the cepstra."""
    return _pyvoc.lpc_from_cepstrum(np.ascontiguousarray(rows[:, :18]))


def _lpc_agree(rows: Float32, layout: Layout) -> bool:
    """Whether the LPC columns are what the cepstra say, as in every extracted file."""
    if layout.lpc is None:
        return False
    error = np.abs(rows[:, layout.lpc : layout.lpc + 16] - _predictors(rows)).max(axis=1)
    return bool(np.mean(error < _LPC_AGREEMENT) > 0.9)


def read_pcm(
    source: audio.Source, *, pcm_rate: int | None = None, pcm_channels: int | None = None
) -> npt.NDArray[np.int16]:
    """Read audio as LPCNet sees speech: 16 kHz, mono, rounded to 16 bits.

    Parameters
    ----------
    source, pcm_rate, pcm_channels
        As :func:`pyvoc.audio.read`.

    Returns
    -------
    int16 [samples]

    Raises
    ------
    Error
        As :func:`pyvoc.audio.read_int16`.
    """
    return audio.read_int16(source, rate=SAMPLE_RATE, pcm_rate=pcm_rate, pcm_channels=pcm_channels)


def load(path: str | os.PathLike[str], *, layout: str | None = None) -> Float32:
    """Load a feature file.

    A ``.f32`` file (any suffix but ``.npy``) is headerless: the layout is recognised by its size,
    its values, and whether LPC columns follow from the cepstra.

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
    wanted = None if layout is None else find_layout(layout)
    data = read_whole(source)
    if not data:
        raise FeatureError(f"'{source}' is empty")
    if source.suffix.lower() == ".npy":
        rows = _parse_npy(data, source)
    else:
        rows = _parse_raw(data, source, wanted)
    found = check(rows, name=f"'{source}'", wanted=wanted)
    if wanted is not None and found != wanted:
        raise FeatureError(f"'{source}' holds {found.name} features; expected {wanted.name}")
    return rows


def _parse_npy(data: bytes, source: Path) -> Float32:
    array = parse_npy(data, source)
    if array.dtype.kind != "f":
        raise FeatureError(f"'{source}' holds no float array; expected float32 [frames, dims]")
    return np.ascontiguousarray(array, dtype=np.float32)


def _parse_raw(data: bytes, source: Path, wanted: Layout | None) -> Float32:
    instead = instead_of("raw float32 features", data)
    if instead is not None:
        raise FeatureError(f"'{source}' {instead}")
    if len(data) % 4:
        raise FeatureError(f"'{source}' has {len(data)} bytes, no whole number of float32 values")
    flat = np.frombuffer(data, dtype="<f4").astype(np.float32)
    if not np.isfinite(flat).all():
        at = int(np.argmin(np.isfinite(flat)))
        raise FeatureError(f"'{source}' holds NaN or infinite values, first at float {at}")
    candidates = RECOGNISED if wanted is None else (wanted,)
    fitting = [layout for layout in candidates if flat.size % layout.dims == 0]
    if not fitting:
        widths = " or ".join(str(layout.dims) for layout in candidates)
        raise FeatureError(
            f"'{source}' has {flat.size} floats, no whole number of frames of {widths} floats"
        )
    objections = {layout: objection(flat.reshape(-1, layout.dims), layout) for layout in fitting}
    good = [layout for layout, objection in objections.items() if objection is None]
    if len(good) > 1:
        agreeing = [lay for lay in good if _lpc_agree(flat.reshape(-1, lay.dims), lay)]
        good = agreeing if len(agreeing) == 1 else good
    if len(good) == 1:
        return flat.reshape(-1, good[0].dims)
    if good:
        names = " and ".join(layout.name for layout in good)
        raise FeatureError(
            f"'{source}' ({flat.size} floats) fits {names}: say which layout "
            f"it is (--layout {good[0].name})"
        )
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
