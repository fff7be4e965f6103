"""A model file as a checkpoint: to be written at another precision, or trained on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pyvoc import families
from pyvoc.container import read_container
from pyvoc.container.layout import I8
from pyvoc.convert.checkpoint import UNTOLD, Checkpoint, Told
from pyvoc.errors import ModelError, OptionError
from pyvoc.quant import carried, decode, integers

__all__ = ["MAGIC", "OF_WRITING", "read_model"]

MAGIC = b"GGUF"
OF_WRITING = ("sparsity", "tables", "comb")
"""Options of ``convert`` that say what is written, and not how a checkpoint is to be understood."""


def read_model(
    path: str | os.PathLike[str],
    *,
    arch: str = "auto",
    options: Mapping[str, Any] | None = None,
    told: Told = UNTOLD,
) -> Checkpoint:
    """Read a model file.

    Parameters
    ----------
    path
        The file, of any family and precision.
    arch
        ``auto``, or the family that it must be of.
    options
        Of the family, for ``convert``: those in `OF_WRITING`.
    told
        Nothing: a model file says it all.

    Raises
    ------
    ModelError
        It is damaged, or of another family.
    OptionError
        It was told what it says itself.
    Error
        The operating system refused to read.
    """
    name = str(path)
    container = read_container(path)
    spec = families.spec_of(container, name)
    family = families.get(spec.architecture)
    if arch not in ("auto", family.name):
        raise ModelError(f"{name}: is a model file of {family.title}, expected a {arch} checkpoint")
    checked = families.options_of(family.name, options or {}, what=name, command="convert")
    if told != UNTOLD or not checked.keys() <= set(OF_WRITING):
        raise OptionError(
            f"{name}: is a model file, which says its rate, its features and all else by itself"
        )
    spec.validate(container, name)
    tensors = spec.layout_of(container).tensors
    small = any(t.int8.table and container.tensors[t.name].type is I8 for t in tensors)
    return Checkpoint(
        spec,
        decode(spec, container),
        carried(container.metadata),
        "gguf",
        kept=integers(spec, container),
        rate_from="the model file",
        **{"tables": "int8" if small else "int16", **checked},
    )
