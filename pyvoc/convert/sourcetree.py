"""A file of a source tree: in a folder, in an archive of it, or alone."""

from __future__ import annotations

import os
import tarfile
from dataclasses import dataclass
from pathlib import Path

from pyvoc.errors import Error, ModelError

MAX_BYTES = 1 << 26
"""Of the file; the largest with weights in C has 10 MB."""
_MAX_MEMBERS = 50_000
_MAX_ARCHIVE = 1 << 31
_ARCHIVES = (b"\x1f\x8b", b"\xfd7zXZ", b"BZh")


@dataclass(frozen=True)
class Found:
    """What was found.

    Parameters
    ----------
    name
        For messages: the path, and within an archive the member.
    file
        Where to read it; an archive itself.
    data
        Its content.
    """

    name: str
    file: Path
    data: bytes


def find(path: str | os.PathLike[str], inside: str) -> Found | None:
    """The file `inside` (``folder/name``) of a source tree at `path`.

    Parameters
    ----------
    path
        The tree's folder, its ``.tar.gz`` or ``.tar.xz``, or any text, which is taken for the file
        itself.
    inside
        From the tree's top.

    Returns
    -------
    Found or None
        None: there is no such file in the folder or the archive, or it is no text.

    Raises
    ------
    ModelError
        The archive is damaged, or its file larger than any such.
    Error
        The operating system refused to read.
    """
    source = Path(path)
    try:
        if source.is_dir():
            file = source / inside
            return _alone(file) if file.is_file() else None
        with open(source, "rb") as stream:
            head = stream.read(265)
        if head.startswith(_ARCHIVES) or head[257:262] == b"ustar":
            return _member(source, inside)
        return None if b"\0" in head else _alone(source)
    except OSError as error:
        raise Error(f"{path}: cannot be read: {error.strerror or error}") from error


def _alone(file: Path) -> Found:
    if file.stat().st_size > MAX_BYTES:
        raise ModelError(f"{file}: has {file.stat().st_size} bytes, more than any such source")
    return Found(str(file), file, file.read_bytes())


def _member(archive: Path, inside: str) -> Found | None:
    total = 0
    try:
        with tarfile.open(archive) as tar:
            for number, member in enumerate(tar):
                total += member.size
                if number >= _MAX_MEMBERS or total > _MAX_ARCHIVE:
                    raise ModelError(f"{archive}: holds more than any source tree")
                if not member.isfile() or not f"/{member.name}".endswith(f"/{inside}"):
                    continue
                if member.size > MAX_BYTES:
                    raise ModelError(
                        f"{archive}: {member.name} has {member.size} bytes, more than any such "
                        "source"
                    )
                stream = tar.extractfile(member)
                data = b"" if stream is None else stream.read()
                return Found(f"{archive}: {member.name}", archive, data)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise ModelError(f"{archive}: is a damaged archive: {error}") from error
    except OSError as error:  # of gzip, too
        raise ModelError(f"{archive}: is a damaged archive: {error}") from error
    return None
