"""Output files that appear complete or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pyvoc.errors import Error

try:
    import fcntl
except ImportError:  # not on this system
    fcntl = None  # type: ignore[assignment]

__all__ = ["atomic_open", "atomic_path", "sweep"]

_NAME = 28  # characters of the target's name that a temporary file's name has: 143 bytes at most
_MARK = ".tmp-pyvoc-"  # and 12 hexadecimal digits; csrc/base/atomic_file.cc has the same
_OURS = re.compile(rf".{{0,{_NAME}}}{re.escape(_MARK)}[0-9a-f]{{12}}", re.DOTALL)
_OLD = 3600.0  # seconds
_PROBE = bytes(1 << 20)
_swept: set[str] = set()


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file beside ``path`` to write, which takes its name when the block ends well.

    The bytes are on the disk before the name is. On an exception the file is removed, and what was
    there before stays as it was. A symbolic link stays one: what it points to is replaced. The new
    file has the mode of the one that was there, or what the umask leaves. What processes that were
    killed here left behind is removed once per process and folder, see :func:`sweep`.

    Parameters
    ----------
    path
        Target, an ordinary file.

    Yields
    ------
    Path
        An empty file in the same folder.

    Raises
    ------
    Error
        The operating system refused: no such directory, no permission, no space left.
    """
    name = Path(path)
    target, mode = _resolve(name)
    temporary = target.parent / f"{target.name[:_NAME]}{_MARK}{os.urandom(6).hex()}"
    folder = os.fspath(target.parent)
    if folder not in _swept:
        _swept.add(folder)
        sweep(folder)
    handle = None
    try:
        handle = _create(temporary, name, mode)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise Error(f"cannot write '{name}': {_reason(error, temporary)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


@contextmanager
def atomic_open(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open ``path`` for writing; it is replaced when the block ends without an exception.

    Parameters
    ----------
    path
        Target. A device or pipe (``/dev/stdout``) is written directly.

    Raises
    ------
    Error
        As :func:`atomic_path`.
    """
    target = Path(path)
    try:
        direct = target.exists() and not target.is_dir() and not _can_be_replaced(target)
    except OSError as error:
        raise Error(f"cannot create '{target}': {error.strerror}") from error
    if not direct:
        with atomic_path(target) as temporary, open(temporary, "wb") as stream:
            yield stream
        return
    try:
        with open(target, "wb") as stream:
            yield stream
    except OSError as error:
        raise Error(f"cannot write '{target}': {_reason(error, target)}") from error


def sweep(folder: str | os.PathLike[str], *, older: float = _OLD) -> None:
    """Remove what was being written in a folder when its process was killed.

    Only files of this user that have the name of such a temporary file, were not written to for
    ``older`` seconds, and that no living process holds. What cannot be removed stays.

    Parameters
    ----------
    folder
        Where outputs go; not what lies below.
    older
        Seconds; 0 where nobody else can be writing.
    """
    if fcntl is None:
        return
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _OURS.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _remove_abandoned(entry, time.time() - older)


def _remove_abandoned(entry: os.DirEntry[str], before: float) -> None:
    found = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mtime > before:
        return
    handle = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its writer lives
        os.unlink(entry.path)
    finally:
        os.close(handle)


def _resolve(name: Path) -> tuple[Path, int | None]:
    """The file itself that a name stands for, and its mode where it is there already."""
    try:
        target = Path(os.path.realpath(name))
        found = target.stat() if os.path.lexists(target) else None  # a circle of links is an error
    except OSError as error:
        raise Error(f"cannot create '{name}': {error.strerror}") from error
    if found is None:
        return target, None
    if stat.S_ISDIR(found.st_mode):
        raise Error(f"cannot write '{name}': it is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise Error(f"cannot write '{name}': it is no ordinary file")
    return target, stat.S_IMODE(found.st_mode)


def _can_be_replaced(target: Path) -> bool:
    """Whether it is an ordinary file, and no name of an open one (``/dev/stdout``)."""
    name = os.fspath(target)
    by_handle = name.startswith(("/dev/", "/proc/")) and not name.startswith("/dev/shm/")
    return target.is_file() and not by_handle


def _create(temporary: Path, name: Path, mode: int | None) -> int:
    """Create the file and hold it, so that nobody takes it for one that was left behind."""
    allowed = 0o666 if mode is None else mode & 0o666 | 0o600
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, allowed)
    except OSError as error:
        raise Error(f"cannot create '{name}': {error.strerror}") from error
    if fcntl is not None:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle


def _reason(error: OSError, path: Path) -> str:
    """Why a file could not be written, in the operating system's words.

    numpy writes arrays through C and says of a short write only that it was short: the system is
    asked again.
    """
    if error.errno is None:
        try:
            with open(path, "ab") as file:
                file.write(_PROBE)
                file.flush()
                os.fsync(file.fileno())
        except OSError as again:
            error = again
    return error.strerror or str(error)


def _sync_folder(folder: Path) -> None:
    """Make the new name durable where folders can be synchronised."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
