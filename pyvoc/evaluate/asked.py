"""Figures that are measured only when asked for, by the packages of the extra ``mos``.

They take seconds for each file and import large packages, so nothing here is loaded before a
figure is wanted. ``mos`` and ``dnsmos`` predict the opinion of listeners from one signal alone;
``visqol`` compares two.
"""

from __future__ import annotations

from functools import cache
from importlib import metadata
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyvoc.errors import UnsupportedError
from pyvoc.evaluate import distillmos, dnsmos, visqol
from pyvoc.files.resampling import resample

if TYPE_CHECKING:
    from pyvoc.evaluate.compare import Sound

__all__ = ["ASKED", "LEAST_SECONDS", "PREDICTED", "against", "alone", "recipe", "require"]

Float64 = npt.NDArray[np.float64]

RATE = 16000
LEAST_SECONDS = 1.0
"""Of sound. What is shorter is mostly padding, and its own length is what would be judged."""
PREDICTED: dict[str, ModuleType] = {"mos": distillmos, "dnsmos": dnsmos}
ASKED: dict[str, ModuleType] = {**PREDICTED, "visqol": visqol}
_DELTA = "; delta: less what the original is given in the same way"


@cache
def _scorer(name: str) -> Any:
    return ASKED[name].load()


def require(name: str) -> None:
    """Load what measures ``mos``, ``dnsmos`` or ``visqol``.

    Raises
    ------
    UnsupportedError
        A package is missing; with the command that installs it.
    """
    try:
        _scorer(name)
    except ImportError as error:
        raise UnsupportedError(
            f"{name} needs the package {ASKED[name].PACKAGE} of the extra mos "
            f"(pip install pyvoc-vocoder[mos]): {error}"
        ) from error


def recipe(name: str, *, original: bool) -> str:
    """What a figure is, and by which version.

    Parameters
    ----------
    name
        ``mos``, ``dnsmos`` or ``visqol``.
    original
        Whether there is an original to give the difference to.
    """
    module = ASKED[name]
    text = str(module.RECIPE.format(version=metadata.version(module.PACKAGE)))
    return text + _DELTA if original and name in PREDICTED else text


def alone(name: str, sound: Sound) -> tuple[dict[str, float | None], list[str]]:
    """The opinion predicted of one signal, by figure, and notes: why there is none.

    Parameters
    ----------
    name
        ``mos`` or ``dnsmos``, which was required.
    sound
        Mono; what is beyond -1..1 is clipped, and said.
    """
    figures = PREDICTED[name].FIGURES
    seconds = len(sound.samples) / sound.rate
    if seconds < LEAST_SECONDS:
        return dict.fromkeys(figures), [
            f"{name} judges nothing shorter than {LEAST_SECONDS:g} s; '{sound.name}' has "
            f"{seconds:.2f} s"
        ]
    loud = np.abs(sound.samples).max() > 1  # a resampler's ripple beyond is not worth a word
    heard = resample(sound.samples, sound.rate, RATE, f"'{sound.name}'").astype(np.float32)
    notes = [f"{name} was given '{sound.name}' clipped at full scale"] if loud else []
    return _scorer(name)(np.clip(heard, -1, 1)), notes


def against(reference: Float64, output: Float64, rate: int) -> tuple[float | None, str]:
    """ViSQOL of aligned signals [samples], or None and why not; it was required before."""
    left, right = (resample(x, rate, RATE, "the signal") for x in (reference, output))
    value = _scorer("visqol")(left, right)
    return value, "" if value is not None else "ViSQOL finds no 0.6 s of speech in the reference"
