"""Mel spectrograms: recipes, files, orientation.

A mel is float32 [frames, bands] everywhere in pyvoc. Upstream programs save [bands, frames], as
``.npy`` or as torch tensors; the readers here tell the orientation by the number of bands, and turn
it. What the numbers mean is the recipe's (:class:`pyvoc.container.mel.MelRecipe`); whether a file
could be a recipe's is :mod:`pyvoc.melcheck`'s question.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyvoc import voices
from pyvoc.container.base import MetadataSpec
from pyvoc.container.mel import LAYOUT, METADATA, RECIPES, MelRecipe
from pyvoc.container.reader import read_metadata
from pyvoc.container.tensors import Scalar
from pyvoc.errors import FeatureError
from pyvoc.files.atomic import atomic_open
from pyvoc.files.kinds import instead_of, kind_of
from pyvoc.files.npy import parse_npy
from pyvoc.files.whole import read_whole

if TYPE_CHECKING:
    from pyvoc.runtime.model import Model

__all__ = [
    "BIN_SUFFIX",
    "LIMIT",
    "TENSOR_SUFFIXES",
    "Array",
    "find_recipe",
    "layout_in",
    "load",
    "of_amplitudes",
    "oriented",
    "read_array",
    "recipe_in",
    "recipe_of",
    "save",
]

Float32 = npt.NDArray[np.float32]

TENSOR_SUFFIXES = frozenset({".pt", ".mel", ".pth"})
"""Suffixes of torch-saved mels [bands, frames]."""
BIN_SUFFIX = ".bin"
"""Suffix of raw float32 mels [1, bands, frames], the input of an exported graph."""
LIMIT = 1000.0
"""No recipe gives values beyond."""
_TELLING = 0.1
"""ln of a ratio from which it tells; in no window of 80 frames that was looked at was it on the
wrong side."""


def find_recipe(recipe: str | MelRecipe) -> MelRecipe:
    """A recipe, or the preset of that name (``nvidia``, ``mel-nvidia``).

    Raises
    ------
    FeatureError
        There is no such preset, or the recipe's numbers are impossible.
    """
    if isinstance(recipe, MelRecipe):
        problems = recipe.problems()
        if problems:
            raise FeatureError("impossible mel recipe: " + "; ".join(problems))
        return recipe
    found = RECIPES.get(recipe.removeprefix("mel-"))
    if found is None:
        raise FeatureError(f"unknown mel recipe '{recipe}'; expected one of {', '.join(RECIPES)}")
    return found


def recipe_in(metadata: Mapping[str, Any], *, source: str) -> MelRecipe | None:
    """The mel recipe in a model's metadata; None when the model's features are no mels.

    Parameters
    ----------
    metadata
        From a file or from :meth:`pyvoc.Model.describe`, where JSON made whole floats integers.
    source
        Names the file in errors.

    Raises
    ------
    ModelError
        The recipe is damaged.
    """
    if metadata.get("pyvoc.features.layout") != LAYOUT:
        return None
    entries: dict[str, Scalar] = {
        entry.key: _as_kind(metadata[entry.key], entry)
        for entry in METADATA
        if entry.key in metadata
    }
    return MelRecipe.from_metadata(entries, source=source)


def _as_kind(value: Any, entry: MetadataSpec) -> Any:
    return float(value) if entry.kind is float and type(value) is int else value


def layout_in(metadata: Mapping[str, Any]) -> str:
    """Name of the feature layout in a model's metadata, "" when there is none."""
    return str(metadata.get("pyvoc.features.layout", ""))


def recipe_of(model: Model | str | os.PathLike[str]) -> MelRecipe:
    """The mel recipe of a model, loaded or not; a file's tensors are not read.

    Raises
    ------
    FeatureError
        The model's features are no mels.
    ModelError
        The file is damaged, or no model.
    """
    if isinstance(model, str | os.PathLike):
        source = voices.resolve(model)
        metadata: Mapping[str, Any] = read_metadata(source)
    else:
        source, metadata = model.info.path, model.describe()["metadata"]
    found = recipe_in(metadata, source=source)
    if found is None:
        layout = layout_in(metadata) or "unknown"
        raise FeatureError(f"the model {source} reads {layout} features, no mels")
    return found


@dataclass(frozen=True)
class Array:
    """What a mel file holds, as it is stored.

    Attributes
    ----------
    data
        Real numbers, two-dimensional.
    single
        It was stored as a batch of one, [1, bands, frames] upstream.
    tensor
        It is a torch tensor.
    """

    data: npt.NDArray[Any]
    single: bool = False
    tensor: bool = False


def read_array(path: str | os.PathLike[str]) -> Array:
    """Read a mel file without asking what it means.

    Raises
    ------
    FeatureError
        No readable array of real numbers with two axes (or three, the first of size 1).
    Error
        The operating system refused the file.
    """
    from pyvoc.files.torch_mel import is_torch, read_tensor

    source = Path(path)
    data = read_whole(source)
    if not data:
        raise FeatureError(f"'{source}' is empty")
    tensor = is_torch(data[:16])
    if tensor:
        kind = kind_of(data)
        if kind is not None and not kind.checkpoint:
            raise FeatureError(f"'{source}' {instead_of('a mel tensor or a .npy file', data)}")
        try:
            array = read_tensor(source)
        except FeatureError as error:
            raise FeatureError(f"'{source}': {error}") from None
    else:
        array = parse_npy(data, source)
    if array.dtype.kind not in "f" or array.dtype.itemsize > 8:
        raise FeatureError(f"'{source}' holds {array.dtype}; expected a mel of floats")
    single = array.ndim == 3 and array.shape[0] == 1
    if single:
        array = array[0]
    if array.ndim != 2:
        raise FeatureError(
            f"'{source}' has shape {array.shape}; expected one mel [frames, bands], "
            f"[bands, frames] or [1, bands, frames]"
        )
    return Array(array, single=single, tensor=tensor)


def oriented(array: Array, bands: int, *, name: str) -> Float32:
    """Turn a mel to float32 [frames, bands], told by the number of bands.

    Where both axes fit, a batch of one and a torch tensor are [bands, frames], as every upstream
    saves them; a plain array could be either, and is told by its values: neighbouring frames share
    most of their samples, neighbouring bands do not.

    Parameters
    ----------
    array
        As stored.
    bands
        That the model reads.
    name
        What to call it in errors.

    Raises
    ------
    FeatureError
        No frames, another number of bands, an orientation that cannot be told, values that are NaN,
        infinite or beyond what any recipe gives.
    """
    data = array.data
    shape = data.shape
    if 0 in shape:
        raise FeatureError(f"{name} holds no frames (shape {shape})")
    if bands not in shape:
        raise FeatureError(f"{name} has shape {shape}; expected {bands} bands along one axis")
    turn: bool | None = shape[1] != bands
    if shape == (bands, bands):
        turn = True if array.single or array.tensor else bands_first(data)
    if turn is None:
        raise FeatureError(
            f"{name} is square, {shape}: it could be [frames, bands] or [bands, frames], and its "
            f"values do not tell; save it as [1, {bands}, {bands}] for the latter, or as .f32 for "
            "the former"
        )
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(data.T if turn else data, dtype=np.float32)
    check(rows, name=name)
    return rows


def bands_first(data: npt.NDArray[Any]) -> bool | None:
    """Whether a square mel is [bands, frames]; None where its values do not tell.

    Frames overlap by three quarters, so that a mel of speech trembles less along time than along
    the bands: by 28 % in the median of windows of 80 frames, and in 99 of 100.
    """
    values = np.asarray(data, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        along = [float(np.median(np.abs(np.diff(values, 2, axis=axis)))) for axis in (0, 1)]
    if not (np.isfinite(along).all() and min(along) > 0.0):
        return None
    ratio = math.log(along[0] / along[1])
    return None if abs(ratio) < _TELLING else ratio > 0.0


def of_amplitudes(amplitudes: npt.NDArray[np.float64], recipe: MelRecipe) -> Float32:
    """Amplitudes in a recipe's power, logarithm and range; zeros become digital silence.

    Parameters
    ----------
    amplitudes
        [frames, bands], linear, 0 or more.
    recipe
        Of the mel.

    Returns
    -------
    float32 [frames, bands]
    """
    mel = np.maximum(amplitudes**recipe.power, recipe.floor)
    if recipe.log == "ln":
        values = np.log(mel)
    else:
        values = np.log10(mel)
        if recipe.log == "db":
            values *= 20 / recipe.power
    if recipe.normalized:
        values = np.clip((values - recipe.ref_db - recipe.min_db) / -recipe.min_db, 0.0, 1.0)
    return values.astype(np.float32)


def check(rows: Float32, *, name: str) -> None:
    """Check the values of frames [frames, bands].

    Raises
    ------
    FeatureError
        NaN, infinite, or beyond what any recipe gives; says where.
    """
    good = np.abs(rows) <= LIMIT  # False for NaN
    if not good.all():
        frame, band = np.argwhere(~good)[0]
        value = float(rows[frame, band])
        what = "beyond what any mel recipe gives" if np.isfinite(value) else "no number of a mel"
        raise FeatureError(f"{name}: band {band} of frame {frame} is {value:g}, {what}")


def load(path: str | os.PathLike[str], *, bands: int) -> Float32:
    """Load a mel file for a model that reads so many bands.

    Parameters
    ----------
    path
        ``.npy`` [frames, bands], [bands, frames] or [1, bands, frames]; a torch tensor (``.pt``,
        ``.mel``) [bands, frames] or [1, bands, frames]; ``.bin`` raw little-endian float32
        [1, bands, frames], as other runtimes take it; any other suffix: raw [frames, bands].
    bands
        Expected.

    Returns
    -------
    float32 [frames, bands]

    Raises
    ------
    FeatureError
        As :func:`read_array` and :func:`oriented`; a raw file that is no whole number of frames.
    Error
        The operating system refused the file.
    """
    source = Path(path)
    if source.suffix.lower() == ".npy" or source.suffix.lower() in TENSOR_SUFFIXES:
        return oriented(read_array(source), bands, name=f"'{source}'")
    data = read_whole(source)
    if not data:
        raise FeatureError(f"'{source}' is empty")
    instead = instead_of("raw float32 mel frames", data)
    if instead is not None:
        raise FeatureError(f"'{source}' {instead}")
    if len(data) % (4 * bands):
        raise FeatureError(
            f"'{source}' has {len(data)} bytes, no whole number of frames of {bands} floats"
        )
    flat = np.frombuffer(data, dtype="<f4").astype(np.float32)
    turned = source.suffix.lower() == BIN_SUFFIX
    rows = np.ascontiguousarray(flat.reshape(bands, -1).T) if turned else flat.reshape(-1, bands)
    check(rows, name=f"'{source}'")
    return rows


def save(path: str | os.PathLike[str], mel: npt.NDArray[np.floating[Any]]) -> None:
    """Save a mel [frames, bands] as ``.npy`` or as raw float32, turned for ``.bin`` (:func:`load`).

    The file appears complete or not at all.

    Raises
    ------
    FeatureError
        Not two-dimensional, no frames, or values that no recipe gives.
    Error
        The operating system refused the file.
    """
    if mel.ndim != 2 or 0 in mel.shape:
        raise FeatureError(f"expected a mel [frames, bands], got shape {mel.shape}")
    rows = np.ascontiguousarray(mel, dtype="<f4")
    check(rows, name="the mel")
    with atomic_open(path) as stream:
        if Path(path).suffix.lower() == ".npy":
            np.save(stream, rows, allow_pickle=False)
        else:
            turned = Path(path).suffix.lower() == BIN_SUFFIX
            stream.write((rows.T if turned else rows).tobytes())
