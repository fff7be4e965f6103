"""PESQ and STOI, by the packages of the extra ``evaluate``."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.errors import UnsupportedError

__all__ = ["PESQ_RECIPE", "STOI_RECIPE", "installed", "pesq", "require", "stoi"]

Float64 = npt.NDArray[np.float64]

PESQ_RECIPE = "PESQ: package pesq, ITU-T P.862.2 wide band at 16 kHz, P.862 narrow band at 8 kHz"
STOI_RECIPE = "STOI: package pystoi, classic, 0..1"
_PACKAGES = {"pesq": "pesq", "stoi": "pystoi"}


@cache
def _package(name: str) -> Any:
    try:
        return importlib.import_module(_PACKAGES[name])
    except ImportError:
        return None


def installed(name: str) -> bool:
    """Whether ``pesq`` or ``stoi`` can be measured here."""
    return _package(name) is not None


def require(name: str) -> None:
    """Refuse when the package is missing.

    Raises
    ------
    UnsupportedError
        With the command that installs it.
    """
    if not installed(name):
        raise UnsupportedError(
            f"{name} needs the package {_PACKAGES[name]} of the extra evaluate "
            "(pip install pyvoc-vocoder[evaluate])"
        )


def pesq(reference: Float64, output: Float64, rate: int) -> tuple[float | None, str]:
    """PESQ MOS-LQO of aligned signals, or None and why not."""
    if rate not in (8000, 16000):
        return None, f"PESQ is for 8 and 16 kHz, not {rate} Hz"
    package = _package("pesq")
    try:
        return float(package.pesq(rate, reference, output, "wb" if rate == 16000 else "nb")), ""
    except package.PesqError as error:
        reason = error.args[0] if error.args else error
        text = reason.decode() if isinstance(reason, bytes) else str(reason)
        return None, f"PESQ refused: {text}"


def stoi(reference: Float64, output: Float64, rate: int) -> tuple[float | None, str]:
    """STOI of aligned signals, or None and why not."""
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = float(_package("stoi").stoi(reference, output, rate))
    if any("Not enough STFT frames" in str(w.message) for w in caught):
        return None, "STOI needs more speech: 0.4 s without its silences"
    return value, ""
