"""Which files are evaluated: directories, lists, and pairs by stem."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pyvoc.errors import AudioError, Error
from pyvoc.files.failures import Failures
from pyvoc.files.listing import in_folder

__all__ = ["expand", "pair"]

_Path = str | os.PathLike[str]
_SHOWN = 5


def expand(paths: Sequence[_Path]) -> list[str]:
    """Audio files from files and directories, and all below these.

    Raises
    ------
    AudioError
        A directory holds none.
    """
    files: list[str] = []
    for name in paths:
        path = Path(name)
        files += [str(p) for p in in_folder(path)] if path.is_dir() else [str(path)]
    return files


def _by_stem(folder: Path) -> dict[str, Path]:
    """Files by their place below a folder, suffixes aside."""
    stems: dict[str, Path] = {}
    for path in in_folder(folder):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in stems:
            raise AudioError(f"'{stems[stem]}' and '{path}' have the same stem")
        stems[stem] = path
    return stems


def _listed(stems: set[str]) -> str:
    names = sorted(stems)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def pair(
    reference: _Path, output: _Path, *, failures: Failures | None = None
) -> list[tuple[str, str]]:
    """Pairs of reference and output: two files, or two directories matched by place and stem.

    Parameters
    ----------
    reference, output
        Files or directories.
    failures
        Takes files without partner, where these are left out.

    Raises
    ------
    AudioError
        A directory without audio, or two files of one stem; a file without partner, where none is
        left out.
    Error
        One is a directory and the other a file.
    """
    first, second = Path(reference), Path(output)
    if not first.is_dir() and not second.is_dir():
        return [(str(first), str(second))]
    if not (first.is_dir() and second.is_dir()):
        folder, file = (first, second) if first.is_dir() else (second, first)
        raise Error(f"'{folder}' is a directory and '{file}' is not: give two of a kind")
    left, right = _by_stem(first), _by_stem(second)
    lonely = [
        f"'{folder}' lacks {_listed(missing)}"
        for folder, missing in (
            (second, left.keys() - right.keys()),
            (first, right.keys() - left.keys()),
        )
        if missing
    ]
    if failures is not None and failures.keep_going:
        for folder, mine, others in ((second, left, right), (first, right, left)):
            for stem in sorted(mine.keys() - others.keys()):
                failures.take(str(mine[stem]), AudioError(f"there is no partner in '{folder}'"))
        return [(str(path), str(right[stem])) for stem, path in left.items() if stem in right]
    if lonely:
        raise AudioError("files are matched by stem and some have no partner: " + "; ".join(lonely))
    return [(str(path), str(right[stem])) for stem, path in left.items()]
