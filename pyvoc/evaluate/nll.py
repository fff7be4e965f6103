"""How likely recordings are under a model: the negative log-likelihood, in nats per sample.

What that means is a family's own: its ``likelihood`` module says it in its recipe. Figures of
different families, or of labels of different bits, are of different things.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyvoc import families
from pyvoc.errors import AudioError, UnsupportedError
from pyvoc.evaluate.nll_report import FileScore, Measured, NllReport, Scorer, report
from pyvoc.evaluate.shares import in_shares
from pyvoc.files import audio
from pyvoc.files.failures import Failures, look_first

if TYPE_CHECKING:
    from pyvoc.runtime.model import Model

__all__ = ["FileScore", "NllReport", "evaluate_nll", "score"]


def _scorer(model: Model) -> Scorer:
    info = model.info
    reference = families.get(info.architecture).likelihood
    if reference is None:
        able = [f.name for f in families.everyone() if f.likelihood is not None]
        raise UnsupportedError(
            f"{info.path} is a {info.architecture} model, which gives speech no likelihood; "
            f"{', '.join(able)} do"
        )
    scorer: Scorer = families.get(info.architecture).resolve(reference)
    return scorer


def score(model: Model, pcm: npt.NDArray[np.int16]) -> Measured:
    """Score one signal.

    Parameters
    ----------
    model
        Of a family that has a likelihood.
    pcm
        Mono int16 [samples] at the model's rate.

    Raises
    ------
    AudioError
        Too short.
    UnsupportedError
        The model gives no likelihood.
    """
    return _scorer(model).measure(model, pcm)


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
    failures: Failures | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> NllReport:
    """Score files.

    In the processes that torchrun started, each scores its share and has the whole report.

    Parameters
    ----------
    model
        Of a family that has a likelihood.
    paths
        Audio files; higher rates than the model's are resampled, which needs the soxr extra.
    failures
        Takes what fails of them; None: the first failure ends the work. Of several the headers are
        looked at before the work.
    progress
        Called with the files done and in all.

    Raises
    ------
    AudioError
        No files, or none left; one that is no audio, of a lower rate, too short, or silent from end
        to end.
    UnsupportedError
        The model gives no likelihood, or resampling is not installed.
    """
    scorer = _scorer(model)
    if not paths:
        raise AudioError("there are no audio files to score")
    paths = [str(path) for path in paths]
    failures = failures or Failures()
    look_first(paths, audio.look, failures)

    def measure(path: str) -> Measured:
        return scorer.measure(model, _read(path, model.info.sample_rate))

    found = in_shares(paths, measure, failures, progress)
    if not found:
        raise AudioError(f"none of the {len(paths)} audio files could be scored")
    return report(model, scorer, [paths[i] for i in found], list(found.values()))
