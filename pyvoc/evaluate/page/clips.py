"""What was compared, as clips of a page: the original first, then each system in time with it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyvoc.evaluate import asked
from pyvoc.evaluate.compare import MEASURES, Comparison
from pyvoc.evaluate.page.writer import Clip, Rendition, write_page
from pyvoc.evaluate.references import CEILING_RECIPE, FLOOR_RECIPE
from pyvoc.evaluate.report import recipes
from pyvoc.evaluate.systems import Compared
from pyvoc.files import audio
from pyvoc.files.doubts import collect

__all__ = ["clip_of", "write_compared"]

_RECIPES = {"ceiling": CEILING_RECIPE, "floor": FLOOR_RECIPE}


def write_compared(
    path: str | os.PathLike[str],
    compared: Iterable[Compared],
    *,
    root: str,
    labels: Sequence[str],
    require: Sequence[str] = (),
) -> list[str]:
    """Write the page of comparisons.

    Parameters
    ----------
    path
        Target, ``.html``.
    compared
        From :func:`pyvoc.evaluate.systems.compare_systems`; taken one at a time.
    root
        The originals' directory, below which a clip's place is its name; or the original itself.
    labels
        Of the systems.
    require
        What was measured because it was asked for; its recipes are on the page.

    Returns
    -------
    list of str
        As of :func:`pyvoc.evaluate.page.write_page`.

    Raises
    ------
    Error
        As :func:`pyvoc.evaluate.page.write_page`; a file cannot be read any more.
    """
    wanted = [asked.recipe(name, original=True) for name in require if name in asked.ASKED]
    return write_page(
        path,
        (clip_of(one, root) for one in compared),
        title=f"{os.path.basename(os.path.abspath(root))}, compared",
        lead=f"Each clip as it was recorded, and as it comes from {_listed(labels)}.",
        notes=[*recipes().values(), *wanted],
    )


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def clip_of(compared: Compared, root: str) -> Clip:
    """The sounds of a comparison at the rates of their files; `root` as for `write_compared`."""
    with collect():  # what is doubtful was said when they were compared
        sounds = [Rendition("original", *audio.read(compared.original))]
        for label, found in compared.comparisons.items():
            samples, rate = audio.read(compared.outputs[label])
            delay = round(found.alignment.delay * rate / found.rate)
            sounds.append(
                Rendition(label, in_time(samples, delay), rate, _shown(found.values), _note(found))
            )
    for name, found in compared.bounds.items():
        made, note = found.signals[1], f"The {_RECIPES[name]}."
        sounds.append(Rendition(name, made, found.rate, _shown(found.values), note, yardstick=True))
    original = Path(compared.original)
    place = original.relative_to(root) if Path(root).is_dir() else Path(original.name)
    return Clip(place.with_suffix("").as_posix(), sounds)


def _shown(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Without what only JSON has."""
    left_out = {measure.key for measure in MEASURES if not measure.in_table}
    return {key: value for key, value in values.items() if key not in left_out}


def in_time(samples: npt.NDArray[np.float32], delay: int) -> npt.NDArray[np.float32]:
    """Samples without a delay, or, where it is negative, with silence before them."""
    return samples[delay:] if delay >= 0 else np.pad(samples, (-delay, 0))


def _note(found: Comparison) -> str:
    delay, method = found.alignment.delay, found.alignment.method
    moved = f"{delay:+d} samples of delay taken off ({method})." if delay else ""
    measured = f"On its figures: {'; '.join(found.notes)}." if found.notes else ""
    return f"{moved} {measured}".strip()
