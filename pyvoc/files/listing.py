"""Audio files that a folder or a list stands for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pyvoc.errors import AudioError, Error
from pyvoc.files.audio import AUDIO_SUFFIXES

__all__ = ["expand", "in_folder", "in_list"]


def expand(names: Iterable[str]) -> list[str]:
    """Arguments of a command with folders and lists (``.txt``) replaced by their files.

    Raises
    ------
    Error
        As :func:`in_folder` and :func:`in_list`.
    """
    files: list[str] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            files += [str(p) for p in in_folder(path)]
        elif path.suffix.lower() == ".txt":
            files += [str(p) for p in in_list(path)]
        else:
            files.append(name)
    return files


def in_folder(folder: Path, *, recursive: bool = False) -> list[Path]:
    """The audio files of a folder, by suffix, sorted.

    Raises
    ------
    AudioError
        There is none.
    """
    paths = folder.rglob("*") if recursive else folder.iterdir()
    found = sorted(p for p in paths if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
    if not found:
        suffixes = " ".join(sorted(AUDIO_SUFFIXES))
        raise AudioError(f"'{folder}' is a directory without audio files ({suffixes})")
    return found


def in_list(path: Path) -> list[Path]:
    """The files named in a text file, relative to it; ``#`` starts a comment line.

    Raises
    ------
    Error
        The operating system refused to read the list.
    AudioError
        It is no text, or names no file.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise Error(f"cannot read '{path}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AudioError(f"'{path}' is no list of files: it is not UTF-8 text") from error
    entries = [line.strip() for line in lines]
    files = [path.parent / entry for entry in entries if entry and not entry.startswith("#")]
    if not files:
        raise AudioError(f"'{path}' lists no files")
    return files
