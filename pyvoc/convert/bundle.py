"""What holds checkpoints: a wheel or another zip archive, a folder; and which of them is meant.

They are told by their content, never by their names. One of an archive is read from a copy in a
temporary folder, with the small files that lie beside it there, which may be its settings.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pyvoc import families
from pyvoc.convert.tensors import find_loader
from pyvoc.errors import Error, ModelError
from pyvoc.pickles.archive import Archive
from pyvoc.pickles.source import Source

__all__ = ["checkpoints_in", "chosen"]

MAX_FILES = 10_000
"""Of a folder that are looked at."""
MAX_BESIDE = 64
MAX_BESIDE_BYTES = 1 << 16
_HEAD = 512
"""Bytes that tell a checkpoint: PyTorch's zip archives name their pickle in the first header."""
_ZIP = b"PK\3\4"
_SHOWN = 20


def checkpoints_in(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The checkpoints that a folder or a zip archive holds.

    Parameters
    ----------
    path
        Anything.

    Returns
    -------
    tuple of str
        Their paths within it, in order; empty for what holds none, is a checkpoint itself, or is
        neither an archive nor a folder.

    Raises
    ------
    ModelError
        A damaged or hostile archive, or a folder of more than `MAX_FILES` files.
    Error
        The operating system refused to read.
    """
    if os.path.isdir(path):
        return () if _is_read_whole(path) else tuple(_in_folder(Path(path)))
    with Source(path) as source:
        if source.read(0, min(4, source.size), "the head") != _ZIP:
            return ()
        archive = Archive(source)
        tops = {name.partition("/")[0] for name in archive.members}
        if len(tops) == 1 and f"{tops.pop()}/data.pkl" in archive.members:
            return ()  # PyTorch's own
        return tuple(
            sorted(
                name
                for name, member in archive.members.items()
                if _begins_like_one(archive.head(name, _HEAD), member.size)
            )
        )


@contextmanager
def chosen(
    source: str | os.PathLike[str], which: str | None = None
) -> Iterator[str | os.PathLike[str]]:
    """The checkpoint that is meant: `source` itself, or one of those that it holds.

    Parameters
    ----------
    source
        A checkpoint, or what holds some.
    which
        Its path within, its name, or a part of its name that no other has. None: the only one.

    Yields
    ------
    path
        Where to read it, while the block lasts. Errors out of the block call it by the archive's
        name and its own.

    Raises
    ------
    ModelError
        There are several and `which` tells none or more than one of them; `which` was given for
        something that holds none; the archive is damaged or hostile.
    Error
        The operating system refused to read or write.
    """
    names = checkpoints_in(source)
    if not names:
        if which is not None:
            raise ModelError(f"{source}: holds no checkpoints of which '{which}' could be one")
        yield source
        return
    name = _pick(source, names, which)
    if os.path.isdir(source):
        yield Path(source, name)
        return
    with tempfile.TemporaryDirectory(prefix="pyvoc-convert-") as scratch:
        path = _unpack(source, name, Path(scratch))
        try:
            yield path
        except Error as error:
            error.args = tuple(
                a.replace(f"{scratch}{os.sep}", f"{source}: ") if isinstance(a, str) else a
                for a in error.args
            )
            raise


def _pick(source: str | os.PathLike[str], names: tuple[str, ...], which: str | None) -> str:
    """The one that is meant."""
    found = list(names)
    if which is not None:
        last = {name: PurePosixPath(name).name for name in names}
        found = (
            [name for name in names if name == which]
            or [name for name in names if last[name] == which]
            or [name for name in names if which in last[name]]
        )
    if len(found) == 1:
        return found[0]
    many = f"{len(names)} checkpoints" if len(names) > 1 else "one checkpoint"
    asked = "" if which is None else f", '{which}' is {'several' if found else 'none'} of them"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    listed = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    raise ModelError(f"{source}: holds {many}{asked}; --which tells one: {listed}{more}")


def _unpack(source: str | os.PathLike[str], name: str, folder: Path) -> Path:
    """Copy one checkpoint of an archive, and the small files around it, below a folder."""
    around = {PurePosixPath(name).parent, PurePosixPath(name).parent.parent}
    with Source(source) as file:
        archive = Archive(file)
        beside = [
            member.name
            for member in archive.members.values()
            if member.size <= MAX_BESIDE_BYTES and PurePosixPath(member.name).parent in around
        ]
        try:
            for member in dict.fromkeys((name, *sorted(beside)[:MAX_BESIDE])):
                target = folder / member
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(target, "xb") as copy:
                    archive.copy(member, copy)
        except OSError as error:
            raise Error(f"{source}: '{member}' cannot be unpacked: {error.strerror}") from error
    return folder / name


def _in_folder(folder: Path) -> Iterator[str]:
    """Checkpoints among the regular files of a folder and those below it."""
    seen = 0
    for place, folders, files in os.walk(folder):
        folders.sort()
        for path in (Path(place, name) for name in sorted(files)):
            seen += 1
            if seen > MAX_FILES:
                raise ModelError(f"{folder}: holds more than {MAX_FILES} files")
            try:
                if not stat.S_ISREG(path.stat().st_mode):
                    continue
                with open(path, "rb") as file:
                    head, size = file.read(_HEAD), os.fstat(file.fileno()).st_size
            except OSError:  # not to be read, so not to be converted
                continue
            if _begins_like_one(head, size):
                yield path.relative_to(folder).as_posix()


def _begins_like_one(head: bytes, size: int) -> bool:
    if head.startswith(_ZIP):
        return b"/data.pkl" in head
    kinds = [kind for family in families.everyone() for kind in family.files if kind.magic]
    return find_loader(head, size) is not None or any(head.startswith(k.magic) for k in kinds)


def _is_read_whole(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is a checkpoint itself to a family."""
    return any(
        family.resolve(kind.holds)(folder)
        for family in families.everyone()
        for kind in family.files
        if not kind.magic and kind.holds is not None
    )
