"""The check itself: shape, scale, floor, band edges, time; each with its evidence.

A decision list. The target's own reading of the values is the null hypothesis; another one has to
be likelier by a margin (`DECISIVE`, `SIGMAS`) to count against it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.container.mel import RECIPES, MelRecipe
from pyvoc.errors import FeatureError
from pyvoc.files import audio, features, mels
from pyvoc.melcheck.bands import EdgeTest, centres, compare_edges
from pyvoc.melcheck.report import Finding, Report
from pyvoc.melcheck.resolution import Resolution, resolution_of
from pyvoc.melcheck.scales import Floor, Scale, Score, find_floor, rank, scale_of
from pyvoc.melcheck.statistics import standardized
from pyvoc.melcheck.timing import hops_for, timing
from pyvoc.melcheck.variants import Match, centre, match

__all__ = ["DECISIVE", "SIGMAS", "check_array", "check_file", "check_rows"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

DECISIVE = 2.0
"""Log-likelihood by which another scale must be likelier than the model's."""
SIGMAS = 3.0
"""Standard errors by which other band edges must fit better."""
_EDGE_GAIN = 0.008  # and by how much correlation
_UNLIKELY = -12.0  # the best reading of something that is no mel of speech
_AUDIO_ERROR = 1e-3  # of the model's own range
_EPSILONS = (0.0, 1e-9, 1e-6)  # in use
_FRAMING = {"pad", "padding", "epsilon"}  # what no value of a mel tells
_LN10 = float(np.log(10.0))


def check_file(
    path: str | os.PathLike[str],
    recipe: MelRecipe,
    *,
    recording: str | os.PathLike[str] | None = None,
) -> Report:
    """Check a mel file against a recipe.

    Parameters
    ----------
    path
        ``.npy``, or a torch tensor; see :func:`pyvoc.mels.read_array`.
    recipe
        The model's (:func:`pyvoc.mels.recipe_of`) or a preset.
    recording
        The audio that the mel is of: then hop and values are compared, not guessed.

    Returns
    -------
    Report

    Raises
    ------
    FeatureError
        No readable array, NaN or infinite values, no frames, a square array.
    Error
        The operating system refused a file; the recording is no audio.
    """
    name = os.fspath(path)
    pcm = None
    if recording is not None:
        pcm, _ = audio.read(recording, rate=recipe.sample_rate, band=recipe.fmax)
    return check_array(mels.read_array(path), recipe, pcm=pcm, name=name)


def check_array(
    array: mels.Array, recipe: MelRecipe, *, pcm: npt.ArrayLike | None = None, name: str = "mel"
) -> Report:
    """Check an array as it was stored; see :func:`check_file`. `pcm` is at the recipe's rate."""
    shape = array.data.shape
    if recipe.bands not in shape:
        return _wrong_bands(shape, recipe, name)
    rows = mels.oriented(array, recipe.bands, name=f"'{name}'")
    square = shape == (recipe.bands, recipe.bands)
    turned = shape[1] != recipe.bands or (square and not np.array_equal(rows, array.data))
    findings: list[Finding] = []
    notes: list[str] = []
    if turned and (array.single or array.tensor):
        notes.append("stored as [bands, frames], as upstream does; pyvoc turns it")
    elif turned:
        findings.append(
            Finding(
                "transposed",
                f"[bands, frames] {shape}",
                f"[frames, bands] {shape[::-1]}",
                "neighbouring rows differ more than neighbouring columns, as bands do"
                if square
                else f"the first axis has the model's {recipe.bands} bands",
                True,
            )
        )
    return check_rows(
        rows,
        recipe,
        pcm=pcm,
        name=name,
        resolution=resolution_of(array.data),
        findings=findings,
        notes=notes,
    )


def check_rows(
    rows: npt.NDArray[np.floating[Any]],
    recipe: MelRecipe,
    *,
    pcm: npt.ArrayLike | None = None,
    name: str = "mel",
    resolution: Resolution | None = None,
    findings: Sequence[Finding] = (),
    notes: Sequence[str] = (),
) -> Report:
    """Check frames [frames, bands]; see :func:`check_file`.

    Parameters
    ----------
    rows
        The mel.
    recipe
        What it is held against.
    pcm
        Of the recording, at the recipe's rate.
    name
        For messages.
    resolution
        Of the values as they were stored; None looks at them.
    findings, notes
        What is known already, of how the mel was stored.
    """
    findings, notes = list(findings), list(notes)
    values = rows.astype(np.float64)
    resolution = resolution or resolution_of(rows)
    if resolution.name and np.ptp(values) > 0.0:
        notes.append(f"the values are rounded to {resolution.name}")
    floor = find_floor(values, resolution)
    scores = rank(values, recipe, resolution)
    target = scale_of(recipe)
    silent = bool(np.ptp(values) == 0.0 and _is_floor(floor, target, recipe))
    if silent:
        notes.append("silence: every value is the clamp, which leaves nothing to tell")
    chosen = target if silent else _choose(scores, target)
    signal = None if pcm is None else np.asarray(pcm)
    proof = None
    if signal is not None and not silent:
        proof = match(values, [score.scale for score in scores], signal, recipe)
        chosen = chosen if proof is None else proof.scale
    statistics = standardized(values)
    if statistics is not None and not silent and proof is None:
        chosen = None
    if np.ptp(values) == 0.0 and not silent:
        chosen = None
    if chosen is None:
        findings.append(statistics or _no_speech(values, scores))
        chosen = target
    else:
        rivals = _rivals(scores, chosen) if chosen.name != target.name else [chosen]
        decided = len(rivals) == 1 or proof is not None
        if not decided:
            notes.append(
                "it may be one of "
                + ", ".join(scale.normalized for scale in rivals)
                + ": they differ by a gain, which nothing in the file decides; give the recording "
                "(--audio)"
            )
        findings += _scale_findings(chosen, target, scores, decided=decided)
        findings += _floor_findings(floor, chosen, recipe, notes)
    logs = chosen.to_amplitude(values)
    edges = compare_edges(logs, recipe)
    findings += _edge_findings(edges, recipe, notes)
    read_as = edges.best if edges is not None else (recipe.fmin, recipe.fmax)
    time = timing(logs, centres(read_as, recipe.bands))
    fixed = _convert(values, chosen, recipe, findings, notes)
    if signal is not None:
        found = _audio_findings(fixed, len(values), signal, recipe, proof)
        findings += found
        fixed = fixed if all(finding.exact for finding in findings) else None
    else:
        _hop_notes(time.hop_over_window, time.error, recipe, notes)
        if fixed is not None:
            _framing_notes(recipe, notes)
    evidence = _evidence(values, floor, edges)
    evidence["neighbour_correlation"] = round(time.correlation, 4)
    evidence["hop_over_window"] = round(time.hop_over_window, 4)
    return Report(
        path=name,
        recipe=recipe.name,
        fits=not findings,
        findings=tuple(findings),
        notes=tuple(notes),
        evidence=evidence,
        scales=tuple(_described(score) for score in scores[:4]),
        fixed=fixed,
    )


def _wrong_bands(shape: tuple[int, ...], recipe: MelRecipe, name: str) -> Report:
    found = Finding(
        "bands",
        f"shape {shape}",
        f"{recipe.bands} bands along one axis",
        "neither axis has the model's number of bands",
        False,
    )
    return Report(name, recipe.name, False, (found,), (), {"shape": list(shape)}, (), None)


def _described(score: Score) -> dict[str, Any]:
    return {
        "scale": score.scale.name,
        "log_likelihood": round(score.value, 2),
        "reasons": list(score.reasons),
    }


def _is_floor(floor: Floor, target: Scale, recipe: MelRecipe) -> bool:
    logs = float(target.to_ln(np.array([floor.value]))[0])
    lowest = max(np.log(recipe.floor), float(target.to_ln(np.array([max(target.low, -1e9)]))[0]))
    return bool(abs(logs - lowest) < 1e-3)


def _choose(scores: list[Score], target: Scale) -> Scale | None:
    """The scale that the values are on: the target's unless another is likelier by a margin."""
    best = scores[0]
    if best.value < _UNLIKELY:
        return None
    doubtful = [score.scale for score in scores if best.value - score.value < DECISIVE]
    return min(doubtful, key=lambda scale: _distance(scale, target))


def _distance(scale: Scale, target: Scale) -> int:
    """In how many ways two scales differ; min() takes the likeliest of the nearest."""
    pairs = ((scale.log, target.log), (scale.normalized, target.normalized))
    return sum(a != b for a, b in pairs) + 2 * (scale.power != target.power)


def _no_speech(values: Float64, scores: list[Score]) -> Finding:
    return Finding(
        "values",
        f"{values.min():.4g} to {values.max():.4g}, median {np.median(values):.4g}",
        "a mel of speech",
        "on no known scale would they be: nearest is " + scores[0].scale.name,
        False,
    )


def _rivals(scores: list[Score], chosen: Scale) -> list[Scale]:
    """Readings that differ from the chosen one by their reference level alone, it among them."""
    if not chosen.form:
        return [chosen]
    return [
        score.scale
        for score in scores
        if (score.scale.log, score.scale.power, score.scale.form)
        == (chosen.log, chosen.power, chosen.form)
        and score.value > _UNLIKELY
    ]


def _scale_findings(
    chosen: Scale, target: Scale, scores: list[Score], *, decided: bool
) -> list[Finding]:
    if chosen.name == target.name:
        return []
    mine, own = (
        next(score for score in scores if score.scale.name == scale.name)
        for scale in (chosen, target)
    )
    evidence = (
        f"as {chosen.name}: {', '.join(mine.reasons)} ({mine.value:+.1f}); "
        f"as {target.name}: {', '.join(own.reasons)} ({own.value:+.1f})"
    )
    found = []
    if chosen.log != target.log:
        found.append(Finding("log", chosen.log, target.log, evidence, chosen.power == target.power))
    if chosen.power != target.power:
        names = {1: "amplitude", 2: "power"}
        found.append(Finding("power", names[chosen.power], names[target.power], evidence, False))
    if chosen.normalized != target.normalized:
        plain = "not normalised"
        found.append(
            Finding(
                "normalized",
                chosen.normalized or plain,
                target.normalized or plain,
                evidence,
                chosen.power == target.power and decided,
            )
        )
    return found


def _floor_findings(
    floor: Floor, chosen: Scale, recipe: MelRecipe, notes: list[str]
) -> list[Finding]:
    """The clamp, read on the chosen scale, against the recipe's."""
    ends = np.array([floor.value - floor.rounding, floor.value, floor.value + floor.rounding])
    least, amount, most = map(float, np.exp(np.clip(chosen.to_ln(ends), -200.0, 50.0)))
    if chosen.log == "none" and floor.value <= 0.0:
        amount = 0.0
    if chosen.power != recipe.power:
        return []
    evidence = (
        f"the smallest value {floor.value:.6g} is {amount:.3g} before the logarithm and occurs "
        f"{floor.count} times ({100 * floor.share:.2g} % of all)"
    )
    if most < recipe.floor * (1.0 - 1e-3):
        what = f"{amount:.3g}" if floor.is_clamp else f"none, or below {amount:.3g}"
        return [Finding("floor", what, f"{recipe.floor:.3g}", evidence, True)]
    if floor.is_clamp and least > recipe.floor * (1.0 + 1e-3):
        return [Finding("floor", f"{amount:.3g}", f"{recipe.floor:.3g}", evidence, False)]
    if not floor.is_clamp and amount > 10.0 * recipe.floor:
        notes.append(
            f"nothing comes near the clamp of {recipe.floor:.3g}: a lower one would look the same"
        )
    return []


def _edge_findings(test: EdgeTest | None, recipe: MelRecipe, notes: list[str]) -> list[Finding]:
    if test is None:
        notes.append("fmin and fmax could not be told: too few frames, or too wide bands")
        return []
    if test.sigmas < SIGMAS or test.fit_best - test.fit_target < _EDGE_GAIN:
        if max(test.fit_best, test.fit_target) < 0.4:
            notes.append("fmin and fmax could not be told: no clear harmonics")
        return []
    evidence = (
        f"harmonics lie on one comb with {test.best[0]:g} to {test.best[1]:g} Hz (correlation "
        f"{test.fit_best:.3f}), less so with {test.target[0]:g} to {test.target[1]:g} Hz "
        f"({test.fit_target:.3f}, {test.sigmas:.1f} standard errors)"
    )
    return [
        Finding(setting, f"about {best:g} Hz", f"{wanted:g} Hz", evidence, False)
        for setting, best, wanted in zip(("fmin", "fmax"), test.best, test.target, strict=True)
        if best != wanted
    ]


def _hop_notes(ratio: float, error: float, recipe: MelRecipe, notes: list[str]) -> None:
    expected = recipe.hop_length / recipe.window_length
    text = "the hop cannot be told from a mel alone: give the recording (--audio)"
    if ratio and abs(ratio - expected) > SIGMAS * error:
        text = (
            f"the hop may be another one: neighbouring frames look like {ratio:.2f} hops per window"
            f" (+-{error:.2f}), the model has {expected:.2f}; give the recording (--audio) to know"
        )
    notes.append(text)


def _framing_notes(recipe: MelRecipe, notes: list[str]) -> None:
    """Presets that differ from the recipe in what only the recording tells."""
    for other in RECIPES.values():
        differing = set(recipe.differences(other))
        if "pad" in differing and differing <= _FRAMING:
            notes.append(
                f"it could as well be {other.name}: there frame t is centred at sample "
                f"{centre(other)}, here at {centre(recipe)}, which a mel alone does not tell; give "
                "the recording (--audio)"
            )


def _audio_findings(
    fixed: Float32 | None,
    frames: int,
    pcm: npt.NDArray[Any],
    recipe: MelRecipe,
    proof: Match | None,
) -> list[Finding]:
    """What the recording proves: the number of frames, and every value."""
    own = features.extract(pcm, recipe=recipe)
    counted = f"{len(pcm)} samples give {len(own)} frames; the mel has {frames}"
    if proof is not None and (proof.variant.setting or len(own) != frames):
        made = proof.variant
        evidence = f"so made of the recording, it differs by {proof.error:.2g} ln in the median"
        if len(own) != frames:
            evidence = f"{evidence}; {counted}"
        if made.setting:
            return [Finding(made.setting, made.found, made.expected, evidence, False)]
        return [Finding("frames", f"the first {frames}", f"{len(own)}", evidence, False)]
    if len(own) != frames:
        hops = hops_for(frames, len(pcm), recipe)
        what = f"hop about {hops[0]}..{hops[-1]}" if hops else "no hop fits"
        if hops and abs(hops[len(hops) // 2] - recipe.hop_length) <= 1:
            what = "the same hop, padded or cut otherwise"
        return [Finding("hop_length", what, f"{recipe.hop_length}", counted, False)]
    if fixed is None:
        return []
    error = np.abs(own.astype(np.float64) - fixed)
    limit = _AUDIO_ERROR * float(np.ptp(own)) + 1e-6
    if error.max() <= limit:
        return []
    evidence = f"largest difference {error.max():.3g}, median {np.median(error):.3g}"
    for epsilon in _EPSILONS:
        other = features.extract(pcm, recipe=replace(recipe, epsilon=epsilon))
        if np.abs(other.astype(np.float64) - fixed).max() <= limit:
            return [Finding("epsilon", f"{epsilon:g}", f"{recipe.epsilon:g}", evidence, False)]
    return [Finding("audio", "another mel", "the recording's", evidence, False)]


def _convert(
    values: Float64,
    chosen: Scale,
    recipe: MelRecipe,
    findings: list[Finding],
    notes: list[str],
) -> Float32 | None:
    """The model's mel, where nothing was lost."""
    if not all(finding.exact for finding in findings):
        return None
    if not findings:
        return values.astype(np.float32)
    clipped = int((values >= chosen.high - 1e-7).sum())
    if clipped and chosen.name != scale_of(recipe).name:
        notes.append(f"{clipped} values are clipped at {chosen.high:g}: what they were is lost")
        return None
    logs = np.maximum(chosen.to_ln(values), np.log(recipe.floor))
    if recipe.log == "ln":
        return logs.astype(np.float32)
    if recipe.log == "log10":
        return np.asarray(logs / _LN10, dtype=np.float32)
    decibels = logs * (20.0 / recipe.power / _LN10)
    if recipe.normalized:
        decibels = np.clip((decibels - recipe.ref_db - recipe.min_db) / -recipe.min_db, 0.0, 1.0)
    return np.asarray(decibels, dtype=np.float32)


def _evidence(values: Float64, floor: Floor, test: EdgeTest | None) -> dict[str, Any]:
    quantiles = (0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0)
    found: dict[str, Any] = {
        "frames": len(values),
        "bands": values.shape[1],
        "quantiles": {f"{q:g}": round(float(np.quantile(values, q)), 5) for q in quantiles},
        "floor": {"value": floor.value, "count": floor.count, "share": round(floor.share, 6)},
        "band_mean": [round(float(x), 3) for x in values.mean(axis=0)],
        "band_deviation": [round(float(x), 3) for x in values.std(axis=0)],
    }
    if test is not None:
        found["edges"] = {
            "target": list(test.target),
            "best": list(test.best),
            "fit_target": round(test.fit_target, 4),
            "fit_best": round(test.fit_best, 4),
            "standard_errors": round(test.sigmas, 2),
        }
    return found


def recipe_for(model: str | None, recipe: str | None) -> MelRecipe:
    """What the command line asks to check against.

    Raises
    ------
    FeatureError
        Neither or both were given, or the model reads no mels.
    """
    if (model is None) == (recipe is None):
        raise FeatureError("give a model or a recipe")
    return mels.recipe_of(model) if model is not None else mels.find_recipe(str(recipe))
