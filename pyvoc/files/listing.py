"""Audio files that a folder or a list stands for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pyvoc.errors import AudioError, Error
from pyvoc.files.audio import AUDIO_SUFFIXES
from pyvoc.files.doubts import doubt
from pyvoc.files.whole import read_whole

__all__ = ["LIST_SUFFIXES", "Found", "expand", "find", "in_folder", "in_list"]

LIST_SUFFIXES = frozenset({".txt", ".csv"})
"""Of lists of files."""

_COMPANION = "._"
"""What macOS puts before the name of a file that holds another one's attributes."""
_UNREADABLE = frozenset(
    {".m4a", ".m4b", ".aac", ".mp4", ".wma", ".amr", ".webm", ".mka", ".ape", ".wv", ".dsf"}
)
"""Suffixes of audio that libsndfile does not read."""


@dataclass(frozen=True)
class Found:
    """A file to read.

    Attributes
    ----------
    path
        Its name, or ``-``.
    place
        Where it lies below the folder that it was found in, without suffix; the bare stem of a file
        that was named itself.
    """

    path: str
    place: Path


def find(names: Iterable[str]) -> list[Found]:
    """Arguments of a command with folders and lists (``.txt``) replaced by their files.

    Raises
    ------
    Error
        As :func:`in_folder` and :func:`in_list`.
    """
    files: list[Found] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            found = in_folder(path)
            files += [Found(str(p), p.relative_to(path).with_suffix("")) for p in found]
        elif path.suffix.lower() == ".txt":
            files += [Found(str(p), Path(p.stem)) for p in in_list(path)]
        else:
            files.append(Found(name, Path(path.stem)))
    return files


def expand(names: Iterable[str]) -> list[str]:
    """The names alone of what :func:`find` finds.

    Raises
    ------
    Error
        As :func:`find`.
    """
    return [file.path for file in find(names)]


def in_folder(folder: Path) -> list[Path]:
    """The audio files of a folder and all below it, by suffix, sorted.

    Companion files of macOS and audio that cannot be read are passed over, which is a doubt
    (:mod:`pyvoc.files.doubts`); files that are no audio are remarked on; hidden ones are neither.

    Raises
    ------
    AudioError
        There is none.
    Error
        The operating system refused to read a folder.
    """
    taken: list[Path] = []
    companions, unreadable, others = 0, Counter[str](), Counter[str]()
    for path in _walk(folder):
        suffix = path.suffix.lower()
        if path.name.startswith(_COMPANION):
            companions += 1
        elif suffix in AUDIO_SUFFIXES:
            taken.append(path)
        elif suffix in _UNREADABLE:
            unreadable[suffix] += 1
        elif not path.name.startswith("."):
            others[suffix or "without suffix"] += 1
    lost = [f"{n} {suffix} (a format that cannot be read)" for suffix, n in _sorted(unreadable)]
    if companions:
        lost.insert(0, f"{companions} {_COMPANION}* (of macOS: attributes, no audio)")
    if lost:
        doubt("passed over", f"'{folder}': passed over {', '.join(lost)}")
    if others:
        listed = ", ".join(f"{n} {suffix}" for suffix, n in _sorted(others))
        doubt("no audio", f"'{folder}': passed over what is no audio: {listed}", grave=False)
    if not taken:
        suffixes = " ".join(sorted(AUDIO_SUFFIXES))
        raise AudioError(f"'{folder}' is a directory without audio files ({suffixes})")
    return sorted(taken)


def _sorted(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items())


def _walk(folder: Path) -> list[Path]:
    """All files below a folder; links to folders are followed, each folder is walked once."""

    def refused(error: OSError) -> None:
        raise Error(f"cannot read '{error.filename}': {error.strerror}") from error

    files: list[Path] = []
    seen: set[str] = set()
    for where, below, names in os.walk(folder, onerror=refused, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        below[:] = sorted(name for name in below if not name.startswith("."))
        paths = (Path(where) / name for name in names)
        files += [path for path in paths if path.is_file()]
    return files


_MOST_LIST = 1 << 26  # bytes
_BESIDE = ("", "wavs", "wav")
"""Folders beside a list where corpora keep what it names."""


def in_list(path: Path) -> list[Path]:
    """The files named in a text file, relative to it; ``#`` starts a comment line.

    What follows a ``|`` is passed over, as in the lists of speech corpora (``NAME|text``). There a
    name may lack its suffix, and lie in a folder ``wavs`` or ``wav`` beside the list (LJ Speech's
    ``metadata.csv``).

    Raises
    ------
    Error
        The operating system refused to read the list.
    AudioError
        It is no text, or names no file.
    """
    try:
        lines = read_whole(path, most=_MOST_LIST).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise AudioError(f"'{path}' is no list of files: it is not UTF-8 text") from error
    entries = [line.strip() for line in lines]
    named = [entry for entry in entries if entry and not entry.startswith("#")]
    corpus = path.suffix.lower() == ".csv" or any("|" in entry for entry in named)
    files = [_beside(path.parent, e) if corpus else path.parent / e for e in named]
    if not files:
        raise AudioError(f"'{path}' lists no files")
    return files


def _beside(folder: Path, entry: str) -> Path:
    """The file that a corpus's list means; where there is none, the name as it stands."""
    if Path(entry).suffix.lower() in AUDIO_SUFFIXES:  # a name with a bar in it
        return folder / entry
    name = entry.partition("|")[0].strip()
    suffixes = [""] if Path(name).suffix.lower() in AUDIO_SUFFIXES else sorted(AUDIO_SUFFIXES)
    suffixes.sort(key=lambda suffix: suffix != ".wav")
    for below in _BESIDE:
        for suffix in suffixes:
            path = folder / below / f"{name}{suffix}"
            if path.is_file():
                return path
    return folder / name
