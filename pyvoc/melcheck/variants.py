"""Mels of a recording as other programs make them: what a mel is that is nearly the recipe's.

Only beside the recording can pre-emphasis and the scale of the bands be told apart from the
loudness of a voice, and half a hop of padding from nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pyvoc.container.mel import MelRecipe
from pyvoc.melcheck.scales import Scale

__all__ = ["Match", "Variant", "centre", "match"]

Float64 = npt.NDArray[np.float64]

_PREEMPHASIS = (0.97, 0.95, 0.9, 0.85)
_ERROR = 0.02
"""ln, in the median: of the same mel by another program."""
_CLEARLY = 2.0  # times less error: in a steady sound all frames are alike
_LEAST_VALUES = 100
_FLOORED = 3.0  # times the clamp: below, values say little


@dataclass(frozen=True)
class Variant:
    """One way in which a mel of the recording may be made.

    Attributes
    ----------
    setting, found, expected
        As in a finding; empty for the recipe's own.
    mel
        Before clamp and logarithm [frames, bands].
    """

    setting: str
    found: str
    expected: str
    mel: Float64


@dataclass(frozen=True)
class Match:
    """What a mel is of a recording: on which scale, and made how.

    Attributes
    ----------
    scale, variant
        The reading of the values, and the way.
    error
        Median difference of ln of the amplitudes.
    """

    scale: Scale
    variant: Variant
    error: float


def match(
    values: Float64, scales: Sequence[Scale], pcm: npt.ArrayLike, recipe: MelRecipe
) -> Match | None:
    """The scale and the variant with which a mel is that of a recording, or None.

    The mel may end before the recording does.

    Parameters
    ----------
    values
        The mel [frames, bands] as stored.
    scales
        Its possible readings.
    pcm
        The recording, at the recipe's rate.
    recipe
        What the mel is held against.
    """
    found: list[Match] = []
    signal = np.asarray(pcm, dtype=np.float64)
    readings = [(s, s.to_amplitude(values)) for s in scales if s.power == recipe.power == 1]
    if not readings:
        return None
    for variant in _variants(signal, recipe, len(values)):
        mel = variant.mel[: len(values)]
        heard = mel > _FLOORED * recipe.floor
        if heard.sum() < _LEAST_VALUES:
            continue
        truth = np.log(mel[heard])
        found += [
            Match(scale, variant, float(np.median(np.abs(logs[heard] - truth))))
            for scale, logs in readings
        ]
    found = sorted((one for one in found if one.error < _ERROR), key=lambda one: one.error)
    own = next((one for one in found if not one.variant.setting), None)
    if own is not None and own.error < _CLEARLY * found[0].error:
        return own
    return found[0] if found else None


def centre(recipe: MelRecipe) -> str:
    """The sample at which frame t is centred, as a formula."""
    start = recipe.fft_length // 2 - recipe.pad
    hops = f"{recipe.hop_length} t"
    return f"{hops} {'+' if start > 0 else '-'} {abs(start)}" if start else hops


def _variants(signal: Float64, recipe: MelRecipe, frames: int) -> Iterator[Variant]:
    """Those that give at least so many frames, the recipe's own way first."""
    filters = _filters(recipe, htk=False, area=True)
    if recipe.frames(len(signal)) >= frames:
        yield from _same_padding(signal, recipe, filters)
    fft, hop = recipe.fft_length, recipe.hop_length
    for pad in sorted({fft // 2, (fft - hop) // 2, 0} - {recipe.pad}):
        other = replace(recipe, pad=pad)
        if other.frames(len(signal)) >= frames:
            found, expected = (
                f"{r.pad} samples: frame t is centred at sample {centre(r)}"
                for r in (other, recipe)
            )
            yield Variant("pad", found, expected, _magnitudes(signal, other) @ filters.T)


def _same_padding(signal: Float64, recipe: MelRecipe, filters: Float64) -> Iterator[Variant]:
    plain = _magnitudes(signal, recipe)
    yield Variant("", "", "", plain @ filters.T)
    for htk, area in ((True, True), (True, False), (False, False)):
        names = [
            ("HTK's" if h else "Slaney's") + f", filters of {'unit area' if a else 'height 1'}"
            for h, a in ((htk, area), (False, True))
        ]
        mel = plain @ _filters(recipe, htk=htk, area=area).T
        yield Variant("mel_scale", names[0], names[1], mel)
    for k in _PREEMPHASIS:
        emphasised = np.append(signal[:1], signal[1:] - k * signal[:-1])
        mel = _magnitudes(emphasised, recipe) @ filters.T
        yield Variant("preemphasis", f"{k:g}", "none", mel)


def _magnitudes(signal: Float64, recipe: MelRecipe) -> Float64:
    """Of the transform [frames, fft_length // 2 + 1]."""
    mode = "reflect" if recipe.padding == "reflect" else "constant"
    padded = np.pad(signal, recipe.pad, mode=mode)  # type: ignore[call-overload]
    window = np.zeros(recipe.fft_length)
    start = (recipe.fft_length - recipe.window_length) // 2
    turn = 2 * np.pi * np.arange(recipe.window_length) / recipe.window_length
    window[start : start + recipe.window_length] = 0.5 - 0.5 * np.cos(turn)
    windows = np.lib.stride_tricks.sliding_window_view(padded, recipe.fft_length)
    frames = windows[:: recipe.hop_length][: recipe.frames(len(signal))]
    bins = np.abs(np.fft.rfft(frames * window, axis=1))
    return np.sqrt(bins**2 + recipe.epsilon)


def _filters(recipe: MelRecipe, *, htk: bool, area: bool) -> Float64:
    """Triangles [bands, fft_length // 2 + 1] between equal steps of a mel scale.

    HTK's scale is 2595 log10(1 + f / 700); Slaney's (Auditory Toolbox, 1998) is linear up to 1 kHz
    and then logarithmic.
    """
    step = np.log(6.4) / 27.0
    if htk:
        ends = 2595.0 * np.log10(1.0 + np.array([recipe.fmin, recipe.fmax]) / 700.0)
        steps = np.linspace(ends[0], ends[1], recipe.bands + 2)
        edges = 700.0 * (10.0 ** (steps / 2595.0) - 1.0)
    else:
        hz = np.array([recipe.fmin, recipe.fmax])
        above = 15.0 + np.log(np.maximum(hz, 1000.0) / 1000.0) / step
        ends = np.where(hz < 1000.0, 0.015 * hz, above)
        steps = np.linspace(ends[0], ends[1], recipe.bands + 2)
        edges = np.where(steps < 15.0, steps / 0.015, 1000.0 * np.exp(step * (steps - 15.0)))
    bins = np.arange(recipe.fft_length // 2 + 1) * recipe.sample_rate / recipe.fft_length
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    triangles: Float64 = np.maximum(0.0, np.minimum(rising, falling))
    return triangles * 2.0 / (right - left) if area else triangles
