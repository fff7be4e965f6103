"""Checkpoints that are named tensors: which model family they are of, and how each is converted.

The three containers (PyTorch's, ``.safetensors``, MindSpore's) give the same thing, a tree of dicts
with lazy tensors; the families tell themselves by names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.melgan import convert_melgan, pick_melgan
from pyvoc.convert.mindspore import is_mindspore, load_mindspore
from pyvoc.convert.safetensors import is_safetensors, load_safetensors
from pyvoc.convert.wavernn import MODES, convert_wavernn, pick_wavernn
from pyvoc.errors import Error, ModelError
from pyvoc.pickles import is_torch, load_torch
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
    modes
        What the user may say about a model that its tensors do not, handed to `convert` as
        ``mode``.
    """

    arch: str
    pick: Callable[[Any], tuple[Any, ...] | None]
    convert: Callable[..., Checkpoint]
    classes: Callable[[str, str], bool] = lambda module, name: False
    modes: tuple[str, ...] = ()


FAMILIES = (
    Family("melgan", pick_melgan, convert_melgan),
    Family("wavernn", pick_wavernn, convert_wavernn, modes=MODES),
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
    mode: str | None = None,
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
    mode
        One of a family's `Family.modes`; then no other families are looked for.

    Raises
    ------
    ModelError
        The file is damaged, of no known family, or not a valid model of it.
    """
    families = [f for f in FAMILIES if arch in ("auto", f.arch) and (not mode or mode in f.modes)]
    if not families:
        raise Error(f"mode '{mode}' is none that {arch} has")
    more_arguments = {"mode": mode} if mode else {}
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
    return family.convert(tensors, *more, path=Path(path), container=container, **more_arguments)


def _contents(tree: Any) -> str:
    """What there is instead, in a few words."""
    if isinstance(tree, LazyTensor):
        return f"it is one tensor {list(tree.shape)}"
    if not isinstance(tree, Mapping):
        return f"it is a {type(tree).__name__}"
    names = [str(name)[:60] for name in list(tree)[:5]]
    more = f" and {len(tree) - 5} more" if len(tree) > 5 else ""
    return f"it has the entries {', '.join(map(repr, names))}{more}" if names else "it is empty"
