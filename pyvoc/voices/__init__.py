"""The voices that come with the package, by name, and a few seconds of features to try them on.

A voice is ``<name>.gguf`` in this package with its model card ``<name>.md``: dropping a file in is
all it takes. Wherever a model is asked for (:func:`pyvoc.load`, ``-m``), a bare name of a bundled
voice means that voice, and anything else is a path; ``./default`` is a file called default.
"""

from __future__ import annotations

import os
from importlib.resources import as_file, files
from pathlib import Path

from pyvoc.errors import Error

__all__ = ["DEFAULT", "card", "demo_features", "names", "resolve"]

DEFAULT = "default"
"""The voice of every command that is given no model."""


def _folder() -> Path:
    with as_file(files(__name__)) as folder:  # a real folder: the compiled module is beside it
        return Path(folder)


def names() -> tuple[str, ...]:
    """Names of the bundled voices, the default one first."""
    found = {path.stem for path in _folder().glob("*.gguf")}
    return tuple(sorted(found, key=lambda name: (name != DEFAULT, name)))


def resolve(model: str | os.PathLike[str]) -> str:
    """The file that a model's name stands for.

    Parameters
    ----------
    model
        The name of a bundled voice, or a path. A ``pathlib.Path`` is always a path.

    Returns
    -------
    str
        A path; of an existing file where `model` is the name of a voice.

    Raises
    ------
    Error
        A bare word (no folder, no suffix) that is neither a voice nor a file; the message lists
        the voices. `DEFAULT`, and the package is incomplete.
    """
    path = os.fspath(model)
    if not isinstance(model, str):
        return path
    have = names()
    if model in have:
        return str(_folder() / f"{model}.gguf")
    bare = model and os.path.basename(model) == model and not os.path.splitext(model)[1]
    if model == DEFAULT or (bare and "\0" not in model and not os.path.exists(model)):
        known = ", ".join(have) if have else f"none in '{_folder()}': install pyvoc again"
        raise Error(f"'{model}' is no bundled voice and no file; bundled voices: {known}")
    return path


def card(name: str = DEFAULT) -> str:
    """Path of a voice's model card: origin and licence of its data, recipe, measured quality.

    Raises
    ------
    Error
        There is no voice of that name, or it has no card.
    """
    if name not in names():
        raise Error(f"'{name}' is no bundled voice; bundled voices: {', '.join(names()) or 'none'}")
    return _existing(f"{name}.md")


def demo_features() -> str:
    """Path of a few seconds of features, layout ``lpcnet20``, extracted from synthetic speech.

    Raises
    ------
    Error
        The package is incomplete.
    """
    return _existing("demo.f32")


def _existing(name: str) -> str:
    path = _folder() / name
    if not path.is_file():
        raise Error(f"'{path}' is missing: install pyvoc again")
    return str(path)
