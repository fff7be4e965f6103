"""Voices by name: those that come with the package, and those that the user has.

A voice is ``<name>.gguf`` with its model card ``<name>.md`` beside it, in this package or in the
user's folder (:func:`folder`): dropping a file in is all it takes; :func:`pyvoc.voices.build.get`
builds some from public files. Wherever a model is asked for (:func:`pyvoc.load`, ``-m``), the bare
name of a voice means that voice, and anything else is a path; ``./default`` is a file called
default. A bundled voice comes before one of the user's.

``order.json`` is the order of the bundled voices, best first: so they are listed, and where several
could speak something (:mod:`pyvoc.voices.choice`), the first does.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from pyvoc.errors import Error

__all__ = [
    "DEFAULT",
    "bundled",
    "card",
    "demo_features",
    "demo_speech",
    "folder",
    "names",
    "resolve",
]

DEFAULT = "default"
"""The voice of every command that is given no model, unless its input is another voice's."""
_FOLDER = Path(__file__).parent
_ORDER = _FOLDER / "order.json"


def folder() -> Path:
    """The user's folder of voices; it need not be there."""
    import platformdirs

    return Path(platformdirs.user_data_path("pyvoc", appauthor=False), "voices")


def _names_in(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.gguf")}


def bundled() -> tuple[str, ...]:
    """Names of the voices that come with the package, best first, the default one before all.

    Those that ``order.json`` does not name come last, by name.
    """
    order = {name: place for place, name in enumerate((DEFAULT, *_order()))}
    return tuple(sorted(_names_in(_FOLDER), key=lambda name: (order.get(name, len(order)), name)))


def _order() -> list[str]:
    if not _ORDER.is_file():
        raise Error(f"'{_ORDER}' is missing: install pyvoc again")
    found: list[str] = json.loads(_ORDER.read_text(encoding="utf-8"))
    return found


def names() -> tuple[str, ...]:
    """Names of all voices: the bundled ones, then the user's."""
    first = bundled()
    return (*first, *sorted(_names_in(folder()) - set(first)))


def resolve(model: str | os.PathLike[str]) -> str:
    """The file that a model's name stands for.

    Parameters
    ----------
    model
        The name of a voice, or a path. A ``pathlib.Path`` is always a path.

    Returns
    -------
    str
        A path; of an existing file where `model` is the name of a voice.

    Raises
    ------
    Error
        A bare word (no folder, no suffix) that is neither a voice nor a file; the message lists
        the voices, and says how to get it where that is known. `DEFAULT`, and the package is
        incomplete.
    """
    path = os.fspath(model)
    if not isinstance(model, str):
        return path
    if model in bundled():
        return str(_FOLDER / f"{model}.gguf")
    bare = model and os.path.basename(model) == model and not os.path.splitext(model)[1]
    if not bare or "\0" in model:
        return path
    if model != DEFAULT:
        mine = folder() / f"{model}.gguf"
        if os.path.isfile(mine):  # False for names that no file can have
            return str(mine)
        if os.path.exists(model):
            return path
    raise Error(f"'{model}' is no voice and no file; {_advice(model)}")


def _advice(name: str) -> str:
    """What there is, and how a voice that is not there is got."""
    from pyvoc.voices.table import recipes

    if name in recipes():
        return f"`pyvoc voices get {name}` builds it"
    if not bundled():
        return f"none in '{_FOLDER}': install pyvoc again"
    return f"voices: {', '.join(names())} (`pyvoc voices` lists them)"


def card(name: str = DEFAULT) -> str:
    """Path of a voice's model card: origin and licence, recipe, measured quality.

    Raises
    ------
    Error
        There is no voice of that name, or it has no card.
    """
    if name not in names():
        raise Error(f"'{name}' is no voice; {_advice(name)}")
    if name in bundled():
        return _existing(f"{name}.md")
    path = folder() / f"{name}.md"
    if not path.is_file():
        raise Error(f"'{path}' is missing: the voice '{name}' has no card")
    return str(path)


def demo_features() -> str:
    """Path of a few seconds of features, layout ``lpcnet20``, extracted from synthetic speech.

    Reports on a model's precision speak them, where nothing can resample a recording.

    Raises
    ------
    Error
        The package is incomplete.
    """
    return _existing("demo.f32")


def demo_speech() -> str:
    """Path of a recorded sentence, 22.05 kHz, which `make demo` speaks; ``demo.md`` is beside it.

    Raises
    ------
    Error
        The package is incomplete.
    """
    return _existing("demo.flac")


def _existing(name: str) -> str:
    path = _FOLDER / name
    if not path.is_file():
        raise Error(f"'{path}' is missing: install pyvoc again")
    return str(path)
