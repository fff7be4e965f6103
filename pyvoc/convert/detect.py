"""Recognise a checkpoint by its content, never by its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pyvoc import families
from pyvoc.convert.checkpoint import UNTOLD, Checkpoint, Told
from pyvoc.convert.gguf import MAGIC, OF_WRITING, read_model
from pyvoc.convert.tensors import find_loader, read_tensors
from pyvoc.errors import Error, ModelError, OptionError
from pyvoc.families import Family, FileFormat, options_of
from pyvoc.files.kinds import instead_of, kind_of
from pyvoc.files.whole import check_size
from pyvoc.pickles import HEAD

Reader = Callable[[str | os.PathLike[str]], Checkpoint]


def detect(
    path: str | os.PathLike[str],
    arch: str = "auto",
    *,
    options: Mapping[str, Any] | None = None,
    told: Told = UNTOLD,
) -> Reader:
    """The reader for a checkpoint.

    Parameters
    ----------
    path
        The file.
    arch
        ``auto``, or the family that it must be of.
    options
        What the reader is told beyond what the file says: the family's options of ``convert``.
    told
        The same for every family whose checkpoints are named tensors.

    Raises
    ------
    ModelError
        The content is of no known format, or of none that `arch` comes in.
    OptionError
        The format has no such option, or has its rate and its weights by definition.
    Error
        The operating system refused to read.
    """
    folder = os.path.isdir(path)
    head, size = (b"", 0) if folder else _head(path)
    formats = [(family, kind) for family in families.everyone() for kind in family.files]
    whats = ", ".join(dict.fromkeys(kind.what for _, kind in formats))
    expected = f"{whats}, or a checkpoint of PyTorch, safetensors or MindSpore"
    if head.startswith(MAGIC):
        return partial(read_model, arch=arch, options=options, told=told)
    found = find_loader(head, size)
    format_found = _find_format(formats, head, path)
    if format_found is None and folder:
        raise ModelError(f"{path}: is a folder, expected {expected}")
    known = format_found is not None and format_found[1].holds is not None
    if not known and (found is None or found[0] == "torch"):
        other = kind_of(path)
        if other is not None and not other.checkpoint:
            raise ModelError(f"{path}: {instead_of(f'{expected}, or a model file', path)}")
    if format_found is not None:
        family, kind = format_found
        if arch not in ("auto", family.name):
            raise ModelError(
                f"{path}: is {kind.what} of {family.title}, expected a {arch} checkpoint"
            )
        checked = options_of(family.name, options or {}, what=str(path), command="convert")
        if told != UNTOLD or not checked.keys() <= set(OF_WRITING):
            raise OptionError(
                f"{path}: is {kind.what} of {family.title}, whose rate, features and weights "
                "leave no choice"
            )
        return partial(_read, family.resolve(kind.reader), checked)
    if found is None:
        raise ModelError(f"{path}: begins with {head[:8]!r}, expected {expected}")
    container, load = found
    if arch != "auto" and families.get(arch).tensors is None:
        expected = " or ".join(kind.what for kind in families.get(arch).files)
        raise ModelError(f"{path}: is a {container} file, expected {expected}")
    return partial(
        read_tensors, container=container, load=load, arch=arch, options=options, told=told
    )


def _read(reader: Reader, options: Mapping[str, Any], path: str | os.PathLike[str]) -> Checkpoint:
    """A checkpoint in a format of its own, which leaves open only how it is written."""
    return replace(reader(path), **options)


def _head(path: str | os.PathLike[str]) -> tuple[bytes, int]:
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            check_size(size, f"'{path}'")
            return file.read(HEAD), size
    except OSError as error:
        raise Error(f"{path}: cannot be read: {error.strerror}") from error


def _find_format(
    formats: Sequence[tuple[Family, FileFormat]], head: bytes, path: str | os.PathLike[str]
) -> tuple[Family, FileFormat] | None:
    """Whose file it is: where several begin alike, theirs that knows it, then anyone's."""
    alike = [(family, kind) for family, kind in formats if head.startswith(kind.magic)]
    for family, kind in alike:
        if kind.holds is not None and family.resolve(kind.holds)(path):
            return family, kind
    return next(((family, kind) for family, kind in alike if kind.holds is None), None)
