"""Checkpoints that are named tensors: which model family they are of, and how each is converted.

The three containers (PyTorch's, ``.safetensors``, MindSpore's) give the same thing, a tree of dicts
with lazy tensors; the families tell themselves by names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.melgan import convert_melgan, pick_melgan
from pyvoc.convert.mindspore import is_mindspore, load_mindspore
from pyvoc.convert.safetensors import is_safetensors, load_safetensors
from pyvoc.convert.waveglow import convert_waveglow
from pyvoc.convert.waveglow_names import HALVES, pick_waveglow, wanted_class
from pyvoc.convert.wavernn import MODES, convert_wavernn, pick_wavernn
from pyvoc.errors import Error, ModelError
from pyvoc.pickles import Inert, is_torch, load_torch
from pyvoc.pickles.tensors import LazyTensor


@dataclass(frozen=True)
class Family:
    """A model family that comes as named tensors.

    Parameters
    ----------
    arch
        What ``--arch`` calls it.
    pick
        Finds the family's model in a tree: the part of the tree that holds its tensors, then
        whatever `convert` needs besides; or None.
    convert
        From what was picked, its tensors read, to a `Checkpoint`; also given ``path`` and
        ``container``.
    classes
        Says of a module and a class whether its pickled instances are wanted as
        `pyvoc.pickles.Inert`.
    options
        What a caller may force, and the values that are understood; `convert` takes them by name.
    """

    arch: str
    pick: Callable[[Any], tuple[Any, ...] | None]
    convert: Callable[..., Checkpoint]
    classes: Callable[[str, str], bool] = lambda module, name: False
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


FAMILIES = (
    Family("melgan", pick_melgan, convert_melgan),
    Family("waveglow", pick_waveglow, convert_waveglow, wanted_class, {"halves": HALVES}),
    Family("wavernn", pick_wavernn, convert_wavernn, options={"mode": MODES}),
)
LOADERS: tuple[tuple[str, Callable[[bytes, int], bool], Callable[..., Any]], ...] = (
    ("torch", lambda head, size: is_torch(head), load_torch),
    ("safetensors", is_safetensors, load_safetensors),
    ("ckpt", is_mindspore, load_mindspore),
)


def find_loader(head: bytes, size: int) -> tuple[str, Callable[..., Any]] | None:
    """Name of the container and how to read it, by the file's first `pyvoc.pickles.HEAD` bytes."""
    for name, fits, load in LOADERS:
        if fits(head, size):
            return name, load
    return None


def read_tensors(
    path: str | os.PathLike[str],
    *,
    container: str,
    load: Callable[..., Any],
    arch: str = "auto",
    options: Mapping[str, str] | None = None,
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
        What is forced: `Family.options`.

    Raises
    ------
    ModelError
        The file is damaged, of no known family, or not a valid model of it.
    Error
        An option is not one of the family's.
    """
    families = [f for f in FAMILIES if arch in ("auto", f.arch)]
    chosen: list[tuple[Family, tuple[Any, ...]]] = []

    def select(tree: Any) -> Any:
        for family in families:
            picked = family.pick(tree)
            if picked is not None:
                chosen.append((family, picked[1:]))
                return picked[0]
        expected = " or ".join(f.arch for f in families)
        raise ModelError(f"{path}: holds no {expected} model that is known: {_contents(tree)}")

    if load is load_torch:
        load = partial(load_torch, classes=lambda m, n: any(f.classes(m, n) for f in families))
    tensors = load(path, select=select)
    family, more = chosen[0]
    for name, value in (options or {}).items():
        values = family.options.get(name)
        if values is None:
            raise Error(f"{path}: is a {family.arch} checkpoint, which has no option '{name}'")
        if value not in values:
            raise Error(f"option {name} is '{value}', expected {' or '.join(values)}")
    return family.convert(tensors, *more, path=Path(path), container=container, **(options or {}))


def _contents(tree: Any) -> str:
    """What there is instead, in a few words."""
    if isinstance(tree, LazyTensor):
        return f"it is one tensor {list(tree.shape)}"
    if isinstance(tree, Inert):
        return f"it is an instance of {tree.kind[:100]}"
    if not isinstance(tree, Mapping):
        return f"it is a {type(tree).__name__}"
    names = [str(name)[:60] for name in list(tree)[:5]]
    more = f" and {len(tree) - 5} more" if len(tree) > 5 else ""
    return f"it has the entries {', '.join(map(repr, names))}{more}" if names else "it is empty"
