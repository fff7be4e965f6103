"""A family's weights from whatever holds them: a model file, or a checkpoint that is converted."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from pyvoc.container import ModelSpec
from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.detect import detect
from pyvoc.convert.tensors import find_loader
from pyvoc.errors import Error, ModelError
from pyvoc.files.whole import open_file
from pyvoc.pickles import HEAD

__all__ = ["pick_tensors", "read_weights"]


def read_weights(spec: ModelSpec, path: str) -> Checkpoint:
    """A model file or an upstream checkpoint in the terms of the spec.

    Parameters
    ----------
    spec
        Of the family that it must be of.
    path
        A GGUF, or a checkpoint that `pyvoc.convert` knows.

    Raises
    ------
    ModelError
        It is damaged, or of another family.
    Error
        The operating system refused to read.
    """
    checkpoint = detect(path)(path)
    if checkpoint.spec is not spec:
        found = checkpoint.spec.architecture
        raise ModelError(f"{path}: holds a {found} model, expected {spec.architecture}")
    return checkpoint


def pick_tensors(path: str, select: Callable[[Any], Any]) -> Any:
    """What `select` picks of a checkpoint of named tensors; {} of any other file.

    Parameters
    ----------
    path
        The file.
    select
        (what the file holds) -> what is wanted of it, the only tensors that are read.

    Raises
    ------
    ModelError
        It is damaged.
    Error
        The operating system refused to read.
    """
    try:
        with open_file(path) as file:
            head = file.read(HEAD)
        size = os.stat(path).st_size
    except OSError as error:
        raise Error(f"{path}: cannot be read: {error.strerror}") from error
    loader = find_loader(head, size)
    return {} if loader is None else loader[1](path, select=select)
