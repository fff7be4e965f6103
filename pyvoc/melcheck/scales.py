"""On which scale are these values: logarithm, power, normalisation.

Each candidate scale maps values back to the natural logarithm of an amplitude mel. There, speech
looks alike: the loudest hundredth lies near 0, the median some five below, nothing above what a
full-scale sound gives; from frame to frame the values tremble by an amount that the window decides,
not the speaker; and a clamp shows as the smallest value occurring again and again, at a round
number such as 1e-5. How well that fits is a log-likelihood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyvoc.container.mel import MelRecipe
from pyvoc.melcheck.resolution import SINGLE, Resolution

__all__ = ["Floor", "Scale", "Score", "candidates", "find_floor", "rank", "scale_of"]

Float64 = npt.NDArray[np.float64]

_LN10 = float(np.log(10.0))
POWER_OFFSET = 3.32
"""ln(power mel) - 2 ln(amplitude mel): the filters' areas; measured on speech, sd 0.2 per value."""

# Of speech, in ln of amplitude: mean and spread. Wide, for other voices, levels and rooms.
_LEVEL = (-0.2, 1.3)  # 99.5 % quantile
_SPREAD = (5.1, 1.0)  # from it down to the median
_UPPER_SPREAD = (2.4, 0.5)  # down to the 90 % quantile, when the median is clamped
# ln of the median |second difference in time|: 0.05 apart among recordings, smaller in mels that a
# network predicted.
_TREMBLE, _ROUGHER, _SMOOTHER = -0.9, 0.2, 0.45
_LEAST_FRAMES = 16
_LOUDEST = 4.0  # a full-scale sine gives 2.6
_IMPOSSIBLE, _WORST = -60.0, -20.0
_ROUND, _NOT_ROUND = 6.0, -8.0  # a clamp at a power of ten, and elsewhere
PRIOR_TARGET = 1.5
"""Log odds given to what the model reads: a doubtful case fits."""


@dataclass(frozen=True)
class Scale:
    """One way of writing a mel value.

    Attributes
    ----------
    log
        ``ln``, ``log10``, ``db`` or ``none``.
    power
        1: of amplitudes; 2: of powers.
    normalized
        "" or what was done to the logarithm, in words.
    to_ln
        Values to ln of the mel (amplitude or power).
    low, high
        Range that the values cannot leave.
    form
        Of a normalisation, without its reference level: scales of one form differ by a gain only,
        of which a mel says nothing.
    """

    log: str
    power: int
    normalized: str
    to_ln: Callable[[Float64], Float64]
    low: float = -np.inf
    high: float = np.inf
    form: str = ""

    @property
    def name(self) -> str:
        """For people."""
        unit = {"none": "no logarithm", "db": "dB"}.get(self.log, self.log)
        extra = f", {self.normalized}" if self.normalized else ""
        return f"{unit} of {'power' if self.power == 2 else 'amplitude'}{extra}"

    def to_amplitude(self, values: Float64) -> Float64:
        """Values to (about, from powers) ln of an amplitude mel."""
        logs = self.to_ln(values)
        return logs if self.power == 1 else (logs - POWER_OFFSET) / 2.0


def scale_of(recipe: MelRecipe) -> Scale:
    """The scale that a recipe's values are on."""
    if recipe.log == "ln":
        return Scale("ln", recipe.power, "", lambda x: x)
    if recipe.log == "log10":
        return Scale("log10", recipe.power, "", lambda x: _LN10 * x)
    per_db = _LN10 * recipe.power / 20.0
    if not recipe.normalized:
        return Scale("db", recipe.power, "", lambda x: per_db * x)
    ref, least = recipe.ref_db, recipe.min_db
    return Scale(
        "db",
        recipe.power,
        _normalization(ref, least, 1.0, 0.0),
        lambda x: per_db * (ref + least - least * x),
        0.0,
        1.0,
        _form(least, 1.0, 0.0),
    )


REFERENCES = (0.0, 16.0, 20.0)
"""dB: ``ref_level_db`` of programs in use; 20 is keithito's and those that came of it."""
_RANGES = ((1.0, 0.0), (8.0, -4.0), (2.0, -1.0))
"""Span and lowest value of normalised mels in use, with ``min_level_db`` -100."""


def _form(least: float, span: float, low: float) -> str:
    return f"min_level_db {least:g}, {low:g} to {low + span:g}"


def _normalization(ref: float, least: float, span: float, low: float) -> str:
    """In words: the formula, and what it is called where it is in use."""
    factor = "" if span == 1.0 else f"{span:g} "
    shift = "" if low == 0.0 else f" - {-low:g}"
    formula = f"{factor}(dB {-ref - least:+g}) / {-least:g}{shift}"
    return formula if ref == 0.0 else f"{formula} (ref_level_db {ref:g})"


def candidates(target: MelRecipe) -> list[Scale]:
    """Scales to choose from: the target's first, then what is in use."""
    found = [scale_of(target)]
    for power in (1, 2):
        per_db = _LN10 * power / 20.0
        shapes: list[tuple[str, str, Callable[[Float64], Float64], float, float]] = [
            ("ln", "", lambda x: x, -np.inf, np.inf),
            ("log10", "", lambda x: _LN10 * x, -np.inf, np.inf),
            ("db", "", lambda x, d=per_db: d * x, -np.inf, np.inf),  # type: ignore[misc]
            ("ln", "(ln + 5) / 5", lambda x: 5.0 * x - 5.0, -np.inf, np.inf),
            ("none", "", lambda x: np.log(np.maximum(x, 1e-30)), 0.0, np.inf),
        ]
        for log, normalized, to_ln, low, high in shapes:
            scale = Scale(log, power, normalized, to_ln, low, high)
            if all(scale.name != other.name for other in found):
                found.append(scale)
        for scale in _normalized(power, per_db):
            if all(scale.name != other.name for other in found):
                found.append(scale)
    return found


def _normalized(power: int, per_db: float) -> list[Scale]:
    """Decibels that were mapped to a range."""
    least = -100.0
    return [
        Scale(
            "db",
            power,
            _normalization(ref, least, span, low),
            lambda x, r=ref, s=span, w=low: per_db * (r + least - least * (x - w) / s),  # type: ignore[misc]
            low,
            low + span,
            _form(least, span, low),
        )
        for span, low in _RANGES
        for ref in REFERENCES
    ]


@dataclass(frozen=True)
class Floor:
    """The smallest value, and whether it is a clamp.

    Attributes
    ----------
    value
        As in the file.
    count, share
        How often it occurs; of all values.
    rounding
        Largest error that storing it made.
    """

    value: float
    count: int
    share: float
    rounding: float = 0.0

    @property
    def is_clamp(self) -> bool:
        """No continuous quantity takes its smallest value three times."""
        return self.count >= 3


def find_floor(values: Float64, resolution: Resolution = SINGLE) -> Floor:
    """The smallest value and how often it occurs (within rounding)."""
    least = float(values.min())
    close = values <= least + 1e-6 * max(1.0, abs(least))
    rounding = resolution.relative * abs(least)
    return Floor(least, int(close.sum()), float(close.mean()), rounding)


@dataclass(frozen=True)
class Score:
    """A scale and its log-likelihood; `reasons` say what spoke for and against it."""

    scale: Scale
    value: float
    reasons: tuple[str, ...]


def _normal(value: float, about: tuple[float, float]) -> float:
    return -0.5 * ((value - about[0]) / about[1]) ** 2


def is_round(amount: float, rounding: float = 0.0) -> bool:
    """Whether a clamp is a power of ten, within single precision of its logarithm.

    `rounding` is what storing it did to the natural logarithm.
    """
    if not amount > 0.0:
        return False
    exponent = float(np.log10(amount))
    return abs(exponent - round(exponent)) < 2e-5 * max(1.0, abs(exponent)) + rounding / _LN10


def _tremble(values: Float64, floor: Floor, scale: Scale) -> float | None:
    """ln of the median second difference in time, on a scale; None where there is too little."""
    if len(values) < _LEAST_FRAMES:
        return None
    free = values > floor.value
    inside = free[:-2] & free[1:-1] & free[2:]
    if inside.sum() < 100:
        return None
    logs = scale.to_amplitude(values)
    size = float(np.median(np.abs(logs[:-2] - 2.0 * logs[1:-1] + logs[2:])[inside]))
    return float(np.log(max(size, 1e-6)))


def _score(values: Float64, floor: Floor, scale: Scale, target: MelRecipe) -> Score:
    slack = 1e-4
    if values.min() < scale.low - slack or values.max() > scale.high + slack:
        return Score(scale, _IMPOSSIBLE, (f"values leave {scale.low:g}..{scale.high:g}",))
    # Quantiles commute with a rising map.
    quantiles = np.quantile(values, (0.995, 0.9, 0.5, 1.0))
    loud, upper, middle, top = map(float, scale.to_amplitude(quantiles))
    if top > _LOUDEST:
        return Score(scale, _IMPOSSIBLE, (f"louder than any sound: {top:+.1f} ln",))
    reasons = [f"level {loud:+.1f} ln"]
    total = _normal(loud, _LEVEL)
    if floor.share < 0.4:
        total += _normal(loud - middle, _SPREAD)
        reasons.append(f"spread {loud - middle:.1f} ln")
    else:
        total += _normal(loud - upper, _UPPER_SPREAD)
        reasons.append(f"upper spread {loud - upper:.1f} ln")
    tremble = _tremble(values, floor, scale)
    if tremble is not None:
        error = _ROUGHER if tremble > _TREMBLE else _SMOOTHER
        total += max(_normal(tremble, (_TREMBLE, error)), _WORST)
        reasons.append(f"tremble {np.exp(tremble):.2f} ln")
    ends = scale.to_ln(np.array([floor.value, floor.value + floor.rounding]))
    clamp, rounding = float(np.exp(ends[0])), float(ends[1] - ends[0])
    if scale.log == "none" and floor.value == 0.0:
        reasons.append("zeros, no clamp")
    elif floor.is_clamp or is_round(clamp, rounding):
        near = 1e-3 + rounding
        expected = abs(np.log(clamp) - np.log(target.floor)) < near if clamp > 0.0 else False
        good = is_round(clamp, rounding) or expected
        total += _ROUND if good else _NOT_ROUND
        reasons.append(f"clamp {clamp:.3g}" + ("" if good else ", no round number"))
    return Score(scale, total, tuple(reasons))


def rank(values: Float64, target: MelRecipe, resolution: Resolution = SINGLE) -> list[Score]:
    """The candidate scales, most likely first; the target's has its prior."""
    floor = find_floor(values, resolution)
    scores = [_score(values, floor, scale, target) for scale in candidates(target)]
    first = scores[0]
    scores[0] = Score(first.scale, first.value + PRIOR_TARGET, first.reasons)
    return sorted(scores, key=lambda score: -score.value)
