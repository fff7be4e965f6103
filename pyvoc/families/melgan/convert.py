"""MelGAN's generator from seungwonpark's, descript's and MindSpore's checkpoints.

The three are one network under different names (`melgan_names`); they differ in padding, in what is
done to the mel spectrogram inside, and in how that is computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyvoc.container.base import raise_problems
from pyvoc.container.layout import Layout, TensorSpec
from pyvoc.container.mel import DESCRIPT, NVIDIA, MelRecipe
from pyvoc.container.tensors import AnyArray
from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.layers import Layers, layer_of
from pyvoc.convert.settings_text import number, read_beside, scalars, whole
from pyvoc.convert.tensors import NamedTensors
from pyvoc.convert.tree import levels
from pyvoc.families.melgan.names import Named, find_generator
from pyvoc.families.melgan.spec import MELGAN, MelganSettings, ratios, size_problems

SCALE, SHIFT = 0.2, 1.0
"""seungwonpark: the generator computes (mel + 5) / 5 itself; MindSpore's callers do."""


def pick_melgan(tree: Any) -> tuple[dict[str, Any], Named, str] | None:
    """Find a generator in a checkpoint's contents, be it a state dict or hold several.

    Returns
    -------
    tuple or None
        The generator's tensors, names, and settings as text; None when there is no generator.
    """
    for level in levels(tree):
        named = find_generator(level.names())
        if named is not None:
            text = tree.get("hp_str") if type(tree) is dict else None
            arrays = {short: level.table[full] for short, full in named.names.items()}
            return arrays, named, text if type(text) is str else ""
    return None


def convert_melgan(
    arrays: Mapping[str, AnyArray], named: Named, settings: str, *, path: Path, container: str
) -> Checkpoint:
    """Bring a generator to the terms of our spec.

    Parameters
    ----------
    arrays, named, settings
        What `pick_melgan` found, the tensors read.
    path
        Of the checkpoint; ``args.yml`` is looked for beside descript's.
    container
        Name of the file's format, for ``pyvoc.source.format``.

    Raises
    ------
    ModelError
        Tensors are missing, unexpected, misshapen or not finite, or the settings contradict them;
        one error lists all.
    """
    naming = named.naming
    layers = Layers(_squeezed(arrays) if naming.upstream == "mindspore" else arrays, named.prefix)
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
    model = _settings(naming.upstream, layout, settings, path, notes, problems)
    if problems:
        raise_problems(str(path), problems)
    return Checkpoint(
        MELGAN, found, model.metadata(), f"{naming.upstream}.{container}", notes=tuple(notes)
    )


def _squeezed(arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """MindSpore's weights ``[a, b, 1, k]`` as ``[a, b, k]``."""
    return {
        name: a[:, :, 0] if a.ndim == 4 and a.shape[2] == 1 else a for name, a in arrays.items()
    }


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
    upstream: str, layout: Layout, text: str, path: Path, notes: list[str], problems: list[str]
) -> MelganSettings:
    """What the tensors do not say."""
    bands = layout.dims["mels"]
    hop = math.prod(r or 1 for r in ratios(layout.dims))
    if upstream == "descript":
        recipe = replace(DESCRIPT, bands=bands)
        if hop != DESCRIPT.hop_length:
            pad = (DESCRIPT.fft_length - hop) // 2
            recipe = replace(recipe, hop_length=hop, pad=max(pad, 0))
            notes.append(f"the hop is {hop} samples: the mel recipe of descript with it is assumed")
        _compare_arguments(path, layout, notes)
        model = MelganSettings(_named(recipe, DESCRIPT))
    else:
        recipe = replace(NVIDIA, bands=bands)
        if upstream == "seungwonpark" and text:
            recipe = _from_text(recipe, scalars(text))
            if recipe.hop_length != hop or recipe.bands != bands:
                problems.append(
                    f"its settings say {recipe.bands} bands and a hop of {recipe.hop_length}, but "
                    f"its tensors {bands} and {hop}"
                )
        elif hop != recipe.hop_length:
            recipe = replace(recipe, hop_length=hop)
            notes.append(f"the hop is {hop} samples: the mel recipe of nvidia with it is assumed")
        if upstream == "mindspore":
            notes.append(
                "the model takes raw mel spectrograms (natural logarithm) and normalises them "
                "itself; MindSpore's generator expects (mel + 5) / 5 from its caller"
            )
        padding = "zero" if upstream == "mindspore" else "reflect"
        model = MelganSettings(_named(recipe, NVIDIA), padding, SCALE, SHIFT)
    problems += [f"the mel recipe: {problem}" for problem in model.recipe.problems()]
    return model


def _named(recipe: MelRecipe, preset: MelRecipe) -> MelRecipe:
    """The recipe, called custom where it is not the preset."""
    return recipe if recipe.same_numbers(preset) else replace(recipe, name="custom")


def _from_text(recipe: MelRecipe, text: Mapping[str, str]) -> MelRecipe:
    """A recipe with the numbers of seungwonpark's settings."""
    changes: dict[str, Any] = {}
    for field, name in (
        ("bands", "n_mel_channels"),
        ("fft_length", "filter_length"),
        ("hop_length", "hop_length"),
        ("window_length", "win_length"),
        ("sample_rate", "sampling_rate"),
    ):
        value = whole(text, name)
        if value is not None:
            changes[field] = value
    for field, name in (("fmin", "mel_fmin"), ("fmax", "mel_fmax")):
        edge = number(text, name)
        if edge is not None:
            changes[field] = edge
    rate = changes.get("sample_rate", recipe.sample_rate)
    if text.get("mel_fmax") in ("null", "None", "~"):
        changes["fmax"] = rate / 2
    if "fft_length" in changes:
        changes["pad"] = changes["fft_length"] // 2
    return replace(recipe, **changes)


def _compare_arguments(path: Path, layout: Layout, notes: list[str]) -> None:
    """Compare descript's ``args.yml``, if it lies beside the checkpoint, with the tensors."""
    places = [path.with_name("args.yml")]
    for ending in ("best_netG.pt", "netG.pt"):
        if path.name.endswith(ending):
            places.append(path.with_name(path.name[: -len(ending)] + "args.yml"))
    arguments = next((a for p in places if (a := read_beside(p)) is not None), None)
    if arguments is None:
        return
    stages = layout.dims["stages"]
    first = layout.dims["C0"]
    for name, value in (
        ("n_mel_channels", layout.dims["mels"]),
        ("n_residual_layers", layout.dims["blocks"]),
        ("ngf", first >> stages),
    ):
        said = whole(arguments, name)
        if said is not None and said != value:
            notes.append(
                f"args.yml says {name} {said}, the tensors {value}: it belongs to another model"
            )


TENSORS = NamedTensors(pick_melgan, convert_melgan)
