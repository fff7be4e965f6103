"""Which bundled voice speaks an input, where nobody named one: the one that reads it.

What a voice reads is in its file: the layout of its features or its mel recipe; no voice is known
by its name here. Audio any voice reads, so it says nothing, and :data:`pyvoc.voices.DEFAULT` speaks
it. Of several voices that could, the first of :func:`pyvoc.voices.bundled` does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pyvoc import voices
from pyvoc.container.mel import MelRecipe
from pyvoc.container.reader import read_metadata
from pyvoc.errors import Error, FeatureError
from pyvoc.files import features, mels
from pyvoc.files.audio import AUDIO_SUFFIXES
from pyvoc.files.doubts import doubt
from pyvoc.files.failures import is_pipe
from pyvoc.files.layouts import LAYOUTS, Layout, find_layout, in_hundredths

if TYPE_CHECKING:
    from pyvoc.melcheck import Report

__all__ = ["Reader", "choose", "readers"]

Float32 = npt.NDArray[np.float32]

_WIDTHS = {layout.dims for layout in LAYOUTS.values()}


@dataclass(frozen=True)
class Reader:
    """A bundled voice, and what it reads.

    Parameters
    ----------
    name
        Of the voice.
    layout
        Of its features, by name; ``mel`` for mel frames.
    recipe
        Of its mels; None for other features.
    """

    name: str
    layout: str
    recipe: MelRecipe | None

    def reads(self, layout: Layout) -> bool:
        """Whether it reads features of a layout: of its own, or brought to that exactly."""
        mine = LAYOUTS.get(self.layout)
        return mine is not None and mine.octaves == layout.octaves


def readers() -> list[Reader]:
    """The bundled voices, best first, but damaged ones; nothing but their headers is read."""
    found = []
    for name in voices.bundled():
        path = voices.resolve(name)
        try:
            metadata = read_metadata(path)
            recipe = mels.recipe_in(metadata, source=path)
        except Error:
            continue  # `pyvoc voices` says what is wrong with it
        found.append(Reader(name, mels.layout_in(metadata), recipe))
    return found


def choose(inputs: Sequence[str | os.PathLike[str]], *, layout: str | None = None) -> str:
    """The bundled voice that speaks these inputs.

    The first input that says anything decides; what the others are is held against that voice when
    they are read. A voice that is not the default one, or was chosen on an assumption, is told as a
    remark (:mod:`pyvoc.files.doubts`).

    Parameters
    ----------
    inputs
        Feature files, mel files, audio files; ``-`` and other pipes can be read once, and say
        nothing.
    layout
        Of the feature files, where it is known: it decides.

    Returns
    -------
    str
        A name; `pyvoc.voices.DEFAULT` where no input says anything.

    Raises
    ------
    FeatureError
        No bundled voice reads the features or the mel: the message has what was found, and what
        they read. Or a file could be of several layouts.
    """
    everyone = readers()
    if layout is not None:
        return _of_layout(everyone, find_layout(layout), f"--layout {layout}")
    problem: FeatureError | None = None
    for source in inputs:
        name = os.fspath(source)
        if Path(name).suffix.lower() in AUDIO_SUFFIXES or is_pipe(name):
            continue
        try:
            return _of_file(name, everyone)
        except FeatureError as error:
            problem = problem or error
        except Error:
            continue  # it cannot be read, which whoever reads it says
    if problem is not None:
        raise problem
    return voices.DEFAULT


def _of_file(name: str, everyone: list[Reader]) -> str:
    """The voice that speaks one file of features or of a mel."""
    if Path(name).suffix.lower() in {*mels.TENSOR_SUFFIXES, mels.BIN_SUFFIX}:
        return _of_mel(name, everyone)
    try:
        rows = features.load(name)
    except FeatureError as error:
        return _of_mel(name, everyone, instead=error)
    if rows.min() >= 0.0:  # no cepstrum; a raw mel of 0 to 1 passes for features
        fitting = _fitting(_reports(name, everyone))
        if fitting:
            return _told_mel(name, fitting, everyone)
    return _of_features(name, rows, everyone)


def _of_features(name: str, rows: Float32, everyone: list[Reader]) -> str:
    found = features.layout_of(rows)
    alike = [layout for layout in LAYOUTS.values() if layout.dims == found.dims]
    if len(alike) == 1 or in_hundredths(rows[:, found.pitch]):
        return _of_layout(everyone, found, f"'{name}' holds {found.name} features")
    for reader in everyone:
        layout = next((layout for layout in alike if reader.reads(layout)), None)
        if layout is not None:
            others = " or ".join(other.name for other in alike if other is not layout)
            doubt(
                "layout",
                f"'{name}' is taken for {layout.name}, which '{reader.name}' reads; it could be "
                f"{others}, whose pitch has another unit: --layout NAME says which",
                grave=False,
            )
            return reader.name
    return _of_layout(everyone, found, f"'{name}' holds {found.dims} floats per frame")


def _of_layout(everyone: list[Reader], layout: Layout, what: str) -> str:
    chosen = next((reader.name for reader in everyone if reader.reads(layout)), None)
    if chosen is None:
        raise FeatureError(
            f"{what}, which no bundled voice reads; they read {_they_read(everyone)}"
        )
    if chosen != voices.DEFAULT:
        doubt("voice", f"{what}: '{chosen}' speaks, which reads them; -m NAME chooses", grave=False)
    return chosen


def _of_mel(name: str, everyone: list[Reader], *, instead: FeatureError | None = None) -> str:
    """The voice that speaks a mel file; `instead` is why it holds no features, where it might."""
    suffix = Path(name).suffix.lower()
    shape = None
    if suffix == ".npy" or suffix in mels.TENSOR_SUFFIXES:
        shape = mels.read_array(name).data.shape
    reports = _reports(name, everyone, shape)
    fitting = _fitting(reports)
    if fitting:
        return _told_mel(name, fitting, everyone)
    if instead is not None and (shape is None or shape[1] in _WIDTHS):
        raise instead
    what = f"'{name}'" if shape is None else f"'{name}', of shape {shape},"
    if not reports:
        raise FeatureError(
            f"{what} is nothing that a bundled voice reads; they read {_they_read(everyone)}"
        )
    why = "; ".join(
        f"as {recipe.name} ({_who(everyone, recipe)}), {_objections(report)}"
        for recipe, report in reports
    )
    bands = " or ".join(str(bands) for bands in sorted({recipe.bands for recipe, _ in reports}))
    raise FeatureError(
        f"{what} has {bands} bands but is no mel that a bundled voice reads: {why}; -m NAME has it "
        "spoken all the same, pyvoc check-mel says more"
    )


def _reports(
    name: str, everyone: list[Reader], shape: tuple[int, ...] | None = None
) -> list[tuple[MelRecipe, Report]]:
    """A mel held against every recipe of its number of bands, the best voice's first.

    `shape` is that of the stored array; None for a raw file, which only has a length.
    """
    from pyvoc.melcheck import check_rows

    found: list[tuple[MelRecipe, Report]] = []
    for recipe in dict.fromkeys(reader.recipe for reader in everyone):
        if recipe is None or (shape is not None and recipe.bands not in shape):
            continue
        try:
            rows = mels.load(name, bands=recipe.bands)
        except FeatureError:
            if shape is None:
                continue  # no whole number of frames
            raise
        found.append((recipe, check_rows(rows, recipe, name=name)))
    return found


def _fitting(reports: list[tuple[MelRecipe, Report]]) -> list[MelRecipe]:
    """The recipes that a mel could be of; a network that predicts mels may go below the clamp."""
    return [
        recipe
        for recipe, report in reports
        if all(finding.setting == "floor" and finding.exact for finding in report.findings)
    ]


def _told_mel(name: str, fitting: list[MelRecipe], everyone: list[Reader]) -> str:
    """The first voice that reads one of these recipes, told as a remark."""
    reading = [(r.name, r.recipe) for r in everyone if r.recipe is not None and r.recipe in fitting]
    (chosen, recipe), *others = reading
    could = ", ".join(f"'{other}' reads ({its.name})" for other, its in others)
    doubt(
        "voice",
        f"'{name}' has {recipe.bands} bands and is taken for a mel of the recipe {recipe.name}: "
        f"'{chosen}' speaks"
        + (f"; it could as well be one that {could}" if could else "")
        + "; -m NAME chooses",
        grave=False,
    )
    return chosen


def _objections(report: Report) -> str:
    return ", ".join(f"{f.setting}: {f.found}, expected {f.expected}" for f in report.findings)


def _who(everyone: list[Reader], recipe: MelRecipe) -> str:
    return ", ".join(f"'{reader.name}'" for reader in everyone if reader.recipe == recipe)


def _they_read(everyone: list[Reader]) -> str:
    """What the bundled voices read, and who reads it."""
    who: dict[str, list[str]] = {}
    for reader in everyone:
        what = reader.layout
        if reader.recipe is not None:
            what = f"mels of {reader.recipe.bands} bands as {reader.recipe.name}"
        who.setdefault(what, []).append(f"'{reader.name}'")
    return "; ".join(f"{what} ({', '.join(names)})" for what, names in who.items())
