"""A family's weights from whatever holds them: a model file, or a checkpoint that is converted."""

from __future__ import annotations

from pyvoc.container import ModelSpec, read_container
from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.detect import detect
from pyvoc.errors import Error, ModelError
from pyvoc.quant import decode

__all__ = ["read_weights"]


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
    try:
        with open(path, "rb") as file:
            is_gguf = file.read(4) == b"GGUF"
    except OSError as error:
        raise Error(f"{path}: cannot be read: {error.strerror}") from error
    if not is_gguf:
        checkpoint = detect(path)(path)
        if checkpoint.spec is not spec:
            found = checkpoint.spec.architecture
            raise ModelError(f"{path}: holds a {found} model, expected {spec.architecture}")
        return checkpoint
    container = read_container(path)
    spec.validate(container, path)
    return Checkpoint(spec, decode(spec, container), container.metadata, "gguf")
