"""Many utterances at once: in lockstep, so that they share the weights, and on several threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.errors import Error, FeatureError, UnsupportedError
from pyvoc.runtime.folds import Folds, folded
from pyvoc.runtime.info import ModelInfo
from pyvoc.runtime.inputs import as_frames, as_seed
from pyvoc.runtime.lockstep import Part, Progress, run_parts
from pyvoc.runtime.model import Model
from pyvoc.runtime.speed import as_speed, scaled
from pyvoc.runtime.tail import tail_of

__all__ = ["synthesize_batch"]

Float32 = npt.NDArray[np.float32]


def synthesize_batch(
    model: Model,
    features: Sequence[npt.ArrayLike],
    *,
    seeds: Sequence[int] | None = None,
    threads: int | None = None,
    speed: float = 1.0,
    progress: Progress | None = None,
    **options: Any,
) -> list[Float32]:
    """Synthesise many utterances, several in lockstep so that they share the weights.

    Parameters
    ----------
    model
        The model.
    features
        One array [frames, dims] per utterance; lengths may differ.
    seeds
        One per utterance; None for 0 everywhere.
    threads
        Threads among which the utterances are divided; None for the model's.
    speed
        Of all, as for :meth:`Model.synthesize`.
    progress
        Called, on one thread at a time, with the samples done and in all, those of folds.
    options
        Of the model's family, as for :meth:`Model.synthesize`.

    Returns
    -------
    list of float32 [samples]
        Exactly what :meth:`Model.synthesize` returns for each.

    Raises
    ------
    FeatureError
        As :meth:`Model.synthesize`; the message says which utterance.
    Error
        Seeds and features differ in number, or an argument makes no sense.
    """
    threads = model.threads if threads is None else threads
    if threads < 1:
        raise Error(f"threads is {threads}, expected 1 or more")
    if seeds is not None and len(seeds) != len(features):
        raise Error(f"{len(seeds)} seeds for {len(features)} utterances")
    rate = as_speed(speed)
    rows = [
        scaled(_numbered(item, model.info, i), model.info, rate) for i, item in enumerate(features)
    ]
    checked = [0] * len(rows) if seeds is None else [as_seed(seed) for seed in seeds]
    given = model.options(options)
    sigma = given.get("sigma")
    native, hop = model._native, model.info.hop_length
    if not folded(given):
        tail = tail_of(model.info, given)
        whole = [
            Part(np.concatenate([array, tail]) if len(tail) else array, len(array) * hop, one)
            for array, one in zip(rows, checked, strict=True)
        ]
        return run_parts(native, whole, sigma=sigma, threads=threads, progress=progress)
    plans = [_planned(model, len(array), given, i) for i, array in enumerate(rows)]
    parts = [
        plan.parts(array, seed=one, draws=None)
        for plan, array, one in zip(plans, rows, checked, strict=True)
    ]
    flat = [part for group in parts for part in group]
    made = iter(run_parts(native, flat, sigma=sigma, threads=threads, progress=progress))
    return [plan.join([next(made) for _ in range(len(plan))]) for plan in plans]


def _numbered(features: npt.ArrayLike, info: ModelInfo, index: int) -> Float32:
    try:
        rows = as_frames(features, info)
    except FeatureError as error:
        raise FeatureError(f"utterance {index}: {error}") from error
    if not len(rows):
        raise FeatureError(f"utterance {index}: the features hold no frames")
    return rows


def _planned(model: Model, frames: int, options: Mapping[str, Any], index: int) -> Folds:
    try:
        return Folds(model, frames, **options)
    except UnsupportedError:
        raise
    except Error as error:
        raise Error(f"utterance {index}: {error}") from error
