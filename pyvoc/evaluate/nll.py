"""How likely recordings are under a model: the negative log-likelihood, in nats per sample.

What that means is a family's own: :mod:`pyvoc.evaluate.nll_lpcnet`, ``nll_wavernn`` and
``nll_waveglow`` say it in their recipes. Figures of different families, or of labels of different
bits, are of different things.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyvoc import audio
from pyvoc.errors import AudioError, UnsupportedError
from pyvoc.evaluate import nll_lpcnet, nll_waveglow, nll_wavernn
from pyvoc.evaluate.nll_report import Family, FileScore, Measured, NllReport, report

if TYPE_CHECKING:
    from pyvoc.model import Model

__all__ = ["FAMILIES", "FileScore", "NllReport", "evaluate_nll", "score"]

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "lpcnet": nll_lpcnet.FAMILY,
        "waveglow": nll_waveglow.FAMILY,
        "wavernn": nll_wavernn.FAMILY,
    }
)
"""By architecture."""


def _family(model: Model) -> Family:
    info = model.info
    if info.architecture not in FAMILIES:
        raise UnsupportedError(
            f"{info.path} is a {info.architecture} model, which gives speech no likelihood; "
            f"{', '.join(FAMILIES)} do"
        )
    return FAMILIES[info.architecture]


def score(model: Model, pcm: npt.NDArray[np.int16]) -> Measured:
    """Score one signal.

    Parameters
    ----------
    model
        Of a family of :data:`FAMILIES`.
    pcm
        Mono int16 [samples] at the model's rate.

    Raises
    ------
    AudioError
        Too short.
    UnsupportedError
        The model gives no likelihood.
    """
    return _family(model).measure(model, pcm)


def _read(path: str | os.PathLike[str], rate: int) -> npt.NDArray[np.int16]:
    _, own = audio.read(path)
    if own < rate:
        raise AudioError(
            f"'{path}' is at {own} Hz, the model speaks at {rate} Hz: it would hear nothing above "
            f"{own // 2} Hz and find that unlikely"
        )
    pcm = audio.read_int16(path, rate=rate)
    if not pcm.any():
        raise AudioError(f"'{path}' is silent: every sample is zero at 16 bits")
    return pcm


def evaluate_nll(
    model: Model,
    paths: Sequence[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> NllReport:
    """Score files.

    Parameters
    ----------
    model
        Of a family of :data:`FAMILIES`.
    paths
        Audio files; higher rates than the model's are resampled, which needs the soxr extra.
    progress
        Called with the files done and in all.

    Raises
    ------
    AudioError
        No files, or one that is no audio, of a lower rate, too short, or silent from end to end.
    UnsupportedError
        The model gives no likelihood, or resampling is not installed.
    """
    family = _family(model)
    if not paths:
        raise AudioError("there are no audio files to score")
    found: list[Measured] = []
    for path in paths:
        pcm = _read(path, model.info.sample_rate)
        try:
            found.append(family.measure(model, pcm))
        except AudioError as error:
            raise AudioError(f"'{path}': {error}") from error
        if progress is not None:
            progress(len(found), len(paths))
    return report(model, family, [str(path) for path in paths], found)
