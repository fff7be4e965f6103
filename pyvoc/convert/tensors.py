"""Checkpoints that are named tensors: which model family they are of, and how each is converted.

The containers (PyTorch's, ``.safetensors``, MindSpore's, those of single families' programs) give
the same thing, a tree of dicts with lazy tensors; the families tell themselves by names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyvoc import families
from pyvoc.convert.checkpoint import PLAIN, UNTOLD, Checkpoint, Told
from pyvoc.convert.mindspore import is_mindspore, load_mindspore
from pyvoc.convert.safetensors import is_safetensors, load_safetensors
from pyvoc.convert.settings import Settings
from pyvoc.convert.tree import averaged, instead, levels
from pyvoc.errors import ModelError
from pyvoc.families.strangers import whose
from pyvoc.pickles import Inert, is_torch, load_torch
from pyvoc.pickles.tensors import LazyTensor, NumpyArray


@dataclass(frozen=True)
class NamedTensors:
    """How a family's checkpoints of named tensors are read.

    Parameters
    ----------
    pick
        Finds the family's model in a tree: the part of the tree that holds its tensors, then
        whatever `convert` needs besides; or None.
    convert
        From what was picked, its tensors read, to a `Checkpoint`; also given ``path``,
        ``container``, ``settings`` (`pyvoc.convert.settings.Settings`), and the family's options of
        ``convert`` by name.
    """

    pick: Callable[[Any], tuple[Any, ...] | None]
    convert: Callable[..., Checkpoint]


Container = tuple[str, Callable[[bytes, int], bool], Callable[..., Any]]
"""Its name, whether a file that begins so and is so long is one, and how it is read."""
LOADERS: tuple[Container, ...] = (
    ("torch", lambda head, size: is_torch(head), load_torch),
    ("safetensors", is_safetensors, load_safetensors),
    ("ckpt", is_mindspore, load_mindspore),
)


def find_loader(head: bytes, size: int) -> tuple[str, Callable[..., Any]] | None:
    """Name of the container and how to read it, by the file's first `pyvoc.pickles.HEAD` bytes."""
    own = (f.resolve(f.container) for f in families.everyone() if f.container is not None)
    for name, fits, load in (*LOADERS, *own):
        if fits(head, size):
            return name, load
    return None


class UnknownNetwork(ModelError):
    """A sound file of tensors that no family reads.

    Parameters
    ----------
    path, expected
        The file, and which families were looked for.
    contents
        What is in it instead: ``it is HiFi-GAN``.
    """

    def __init__(self, path: Any, expected: str, contents: str) -> None:
        super().__init__(f"{path}: holds no {expected} model that is known: {contents}")
        self.contents = contents


def read_tensors(
    path: str | os.PathLike[str],
    *,
    container: str,
    load: Callable[..., Any],
    arch: str = "auto",
    options: Mapping[str, Any] | None = None,
    told: Told = UNTOLD,
) -> Checkpoint:
    """Read a checkpoint of named tensors.

    Parameters
    ----------
    path
        The file.
    container, load
        What `find_loader` gave.
    arch
        ``auto``, or the only family to look for.
    options
        Of the family, for ``convert``.
    told
        What the user says besides.

    Raises
    ------
    ModelError
        The file is damaged, of no known family, not a valid model of it, or has no such weights.
    OptionError
        An option is not one of the family's.
    Error
        An option's value is not one that it takes.
    """
    known: dict[str, NamedTensors] = {
        family.name: family.resolve(family.tensors)
        for family in families.everyone()
        if family.tensors is not None and arch in ("auto", family.name)
    }
    chosen: list[tuple[_Picked, Settings]] = []

    def select(tree: Any) -> Any:
        picked = _choose(known, tree, told.weights, path)
        settings = Settings.of(tree, Path(path), rate=told.rate, recipe=told.recipe)
        chosen.append((picked, settings))
        return picked.arrays

    arrays = load(path, select=select)
    picked, settings = chosen[0]
    name = picked.family
    checked = families.options_of(name, options or {}, what=str(path), command="convert")
    checkpoint = known[name].convert(
        arrays, *picked.more, path=Path(path), container=container, settings=settings, **checked
    )
    return replace(checkpoint, weights=picked.weights, notes=(*checkpoint.notes, *picked.notes))


@dataclass(frozen=True)
class _Picked:
    """One set of weights of a family's model within a tree."""

    family: str
    arrays: Any
    more: tuple[Any, ...]
    weights: str = PLAIN
    notes: tuple[str, ...] = ()


def _choose(
    known: Mapping[str, NamedTensors], tree: Any, weights: str | None, path: Any
) -> _Picked:
    """The weights that the user wants, or the plain ones; says which others there are."""
    plain = _pick(known, tree)
    averages = {
        name: found
        for name, part in averaged(tree).items()
        if (found := _pick(known, instead(tree, part))) is not None
    }
    if plain is None and not averages:
        expected = " or ".join(known)
        stranger = next((s for level in levels(tree) if (s := whose(level.names()))), None)
        contents = f"it is {stranger}" if stranger else _contents(tree)
        raise UnknownNetwork(path, expected, contents)
    names = ", ".join(f"'{name}'" for name in averages)
    if weights in (None, PLAIN) and plain is not None:
        if weights is None and averages:
            note = f"it also holds weights averaged over training ({names}): --weights ema"
            return replace(plain, notes=(note,))
        return plain
    name = weights if weights in averages else next(iter(averages), "")
    several = weights == "ema" and len(averages) > 1
    if several or (weights is not None and name != weights and weights != "ema") or not averages:
        there = " and ".join(f"{what}" for what in ("plain ones" if plain else "", names) if what)
        raise ModelError(f"{path}: asked for the weights '{weights}', but it holds {there}")
    note = f"its weights averaged over training ('{name}') were taken"
    only = "" if plain else ": it has no others"
    return replace(averages[name], weights=name, notes=(note + only,))


def _pick(known: Mapping[str, NamedTensors], tree: Any) -> _Picked | None:
    for name, tensors in known.items():
        picked = tensors.pick(tree)
        if picked is not None:
            return _Picked(name, picked[0], picked[1:])
    return None


def _contents(tree: Any) -> str:
    """What there is instead, in a few words."""
    if isinstance(tree, LazyTensor):
        return f"it is one tensor {list(tree.shape)}"
    if isinstance(tree, NumpyArray):
        return f"it is one NumPy array {list(tree.array().shape)}"
    if isinstance(tree, Inert):
        return f"it is an instance of {tree.kind[:100]}"
    if not isinstance(tree, Mapping):
        return f"it is a {type(tree).__name__}"
    names = [str(name)[:60] for name in list(tree)[:5]]
    more = f" and {len(tree) - 5} more" if len(tree) > 5 else ""
    return f"it has the entries {', '.join(map(repr, names))}{more}" if names else "it is empty"
