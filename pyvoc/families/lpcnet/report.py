"""What a precision costs an LPCNet: codes that its float form draws from bundled features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyvoc import voices
from pyvoc.container.tensors import Scalar
from pyvoc.errors import Error
from pyvoc.evaluate.excitation import PREEMPHASIS, quantise
from pyvoc.families.lpcnet.likelihood import predictors
from pyvoc.files import features
from pyvoc.files.layouts import relaid
from pyvoc.quant.likelihood_report import LikelihoodReport, compare_likelihood

FRAMES = slice(60, 100)
"""Of the features that come with the package: speech, most of it voiced."""


def probe(layout: str) -> NDArray[np.float32]:
    """Features ``[frames, dims]`` of a layout, the same twenty numbers for all.

    Raises
    ------
    Error
        The layout is unknown.
    """
    found = relaid(features.load(voices.demo_features(), layout="lpcnet20")[FRAMES], layout)
    if found is None:
        raise Error(f"feature layout '{layout}' is unknown, expected one of LPCNet's")
    return found


def compare(
    exact: Any,
    model: Any,
    *,
    metadata: Mapping[str, Scalar],
    mel: NDArray[np.float32] | None = None,
) -> LikelihoodReport:
    """Compare what both models expect of the codes that the float form draws.

    Parameters
    ----------
    exact
        The float form.
    model
        The model to judge.
    metadata
        Of the model: layout of the features.
    mel
        None: its features are no mel spectrogram.

    Raises
    ------
    Error
        A model's output is not a distribution.
    """
    rows = probe(str(metadata["pyvoc.features.layout"]))
    return compare_likelihood(
        exact,
        model,
        rows,
        probe="bundled",
        classes=256,
        drawn=lambda audio: codes_of(audio, predictors(exact, rows)),
        distributions=lambda outputs: outputs.astype(np.float64),
    )


def codes_of(audio: NDArray[np.float32], lpc: NDArray[np.float32]) -> NDArray[np.int64]:
    """The excitation's mu-law codes that synthesised audio ``[frames * hop]`` was made of."""
    wide = 32768.0 * audio.astype(np.float64)
    signal = np.append(wide[:1], wide[1:] - PREEMPHASIS * wide[:-1])
    return quantise(signal, lpc).codes.astype(np.int64)
