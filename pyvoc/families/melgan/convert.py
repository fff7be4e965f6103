"""MelGAN's generator from seungwonpark's, descript's and MindSpore's checkpoints.

The three are one network under different names (`melgan_names`); they differ in padding, in what is
done to the mel spectrogram inside, and in how that is computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyvoc.container.base import raise_problems
from pyvoc.container.layout import Layout, TensorSpec
from pyvoc.container.mel import DESCRIPT, NVIDIA
from pyvoc.container.tensors import AnyArray
from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.layers import Layers, layer_of, squeezed
from pyvoc.convert.settings import NO_SETTINGS, Settings
from pyvoc.convert.tensors import NamedTensors
from pyvoc.convert.tree import levels
from pyvoc.families.melgan.names import Named, find_generator
from pyvoc.families.melgan.spec import MELGAN, MelganSettings, ratios, size_problems

SCALE, SHIFT = 0.2, 1.0
"""seungwonpark: the generator computes (mel + 5) / 5 itself; MindSpore's callers do."""


def pick_melgan(tree: Any) -> tuple[dict[str, Any], Named] | None:
    """Find a generator in a checkpoint's contents, be it a state dict or hold several.

    Returns
    -------
    tuple or None
        The generator's tensors and names; None when there is no generator.
    """
    for level in levels(tree):
        named = find_generator(level.names())
        if named is not None:
            return {short: level.table[full] for short, full in named.names.items()}, named
    return None


def convert_melgan(
    arrays: Mapping[str, AnyArray],
    named: Named,
    *,
    path: Path,
    container: str,
    settings: Settings = NO_SETTINGS,
) -> Checkpoint:
    """Bring a generator to the terms of our spec.

    Parameters
    ----------
    arrays, named
        What `pick_melgan` found, the tensors read.
    path
        Of the checkpoint.
    container
        Name of the file's format, for ``pyvoc.source.format``.
    settings
        What is said of the model besides.

    Raises
    ------
    ModelError
        Tensors are missing, unexpected, misshapen or not finite, or the settings contradict them;
        one error lists all.
    """
    naming = named.naming
    layers = Layers(squeezed(arrays) if naming.upstream == "mindspore" else arrays, named.prefix)
    stages, blocks = naming.count(layer for name in arrays if (layer := layer_of(name)) is not None)
    theirs = naming.layers(stages, blocks)
    found: dict[str, AnyArray] = {}
    for ours, layer in theirs.items():
        for leaf, array in (("weight", layers.weight(layer, 3)), ("bias", layers.bias(layer))):
            if array is not None:
                found[f"{ours}.{leaf}"] = array
    layers.finish()
    layout = MELGAN.layout({name: a.shape for name, a in found.items()}, {})
    problems = layers.problems
    _check_shapes(layers, found, layout, theirs)
    problems += size_problems(layout.dims)
    if problems:
        raise_problems(str(path), problems)
    notes: list[str] = []
    if named.others:
        notes.append(f"{named.others} tensors that are not the generator's were left out")
    model, rate_from = _settings(naming.upstream, layout, settings, notes, problems)
    if problems:
        raise_problems(str(path), problems)
    return Checkpoint(
        MELGAN,
        found,
        model.metadata(),
        f"{naming.upstream}.{container}",
        notes=tuple(notes),
        rate_from=rate_from,
    )


def _check_shapes(
    layers: Layers, found: Mapping[str, AnyArray], layout: Layout, theirs: Mapping[str, str]
) -> None:
    specs: dict[str, TensorSpec] = {spec.name: spec for spec in layout.tensors}
    for name, array in found.items():
        expected = specs[name].resolve(layout.dims) if name in specs else None
        layer, leaf = name.rsplit(".", 1)
        if expected is None or len(expected) != array.ndim:
            continue
        if any(e is not None and e != n for e, n in zip(expected, array.shape, strict=True)):
            layers.misshapen(f"{theirs[layer]}.{leaf}", array.shape, expected)


def _settings(
    upstream: str, layout: Layout, settings: Settings, notes: list[str], problems: list[str]
) -> tuple[MelganSettings, str]:
    """What the tensors do not say, and who says the sample rate."""
    descript = upstream == "descript"
    stages = layout.dims["stages"]
    recipe, rate_from = settings.recipe(
        DESCRIPT if descript else NVIDIA,
        bands=layout.dims["mels"],
        hop=math.prod(r or 1 for r in ratios(layout.dims)),
        notes=notes,
        problems=problems,
        sizes={"n_residual_layers": layout.dims["blocks"], "ngf": layout.dims["C0"] >> stages}
        if descript
        else None,
    )
    if upstream == "mindspore":
        notes.append(
            "the model takes raw mel spectrograms (natural logarithm) and normalises them "
            "itself; MindSpore's generator expects (mel + 5) / 5 from its caller"
        )
    padding = "zero" if upstream == "mindspore" else "reflect"
    model = MelganSettings(recipe) if descript else MelganSettings(recipe, padding, SCALE, SHIFT)
    problems += [f"the mel recipe: {problem}" for problem in recipe.problems()]
    return model, rate_from


TENSORS = NamedTensors(pick_melgan, convert_melgan)
