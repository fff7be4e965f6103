"""Files that are taken into memory as a whole: at most so many bytes, and no devices without end.

How much one input may take, as a file or decoded, is 8 GiB. The environment variable
``PYVOC_MAX_INPUT`` sets another limit: bytes, or a number with K, M, G or T behind it.
"""

from __future__ import annotations

import os
import re
import stat
from typing import BinaryIO

from pyvoc.errors import Error

__all__ = [
    "VARIABLE",
    "check_expansion",
    "check_size",
    "limit",
    "open_file",
    "read_rest",
    "read_whole",
]

VARIABLE = "PYVOC_MAX_INPUT"
_DEFAULT = 8 << 30
_PIECE = 1 << 20
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def limit() -> int:
    """How many bytes one input may take.

    Raises
    ------
    Error
        ``PYVOC_MAX_INPUT`` is no number of bytes.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if not given:
        return _DEFAULT
    match = re.fullmatch(r"([0-9]{1,15})\s*([KMGT]?)(?:i?B)?", given, re.IGNORECASE)
    if match is None or int(match[1]) == 0:
        raise Error(f"{VARIABLE} is '{given}'; expected bytes, or a number with K, M, G or T")
    return int(match[1]) << _UNITS[match[2].upper()]


def read_whole(
    path: str | os.PathLike[str], *, most: int | None = None, pipes: bool = True
) -> bytes:
    """All that a file holds, or that a pipe brings.

    Parameters
    ----------
    path
        The file.
    most
        Bytes that are too many for what the file should be; None: :func:`limit`.
    pipes
        Whether a pipe is read, and so waited for.

    Raises
    ------
    Error
        The operating system refused the file; it is a device, or larger than is read.
    """
    try:
        with open_file(path, pipes=pipes) as file:
            return read_rest(file, f"'{os.fspath(path)}'", most=most)
    except OSError as error:
        raise Error(f"cannot read '{os.fspath(path)}': {error.strerror or error}") from error
    except MemoryError as error:
        raise Error(f"cannot read '{os.fspath(path)}': there is not enough memory") from error


def read_rest(file: BinaryIO, name: str, *, most: int | None = None) -> bytes:
    """All that is left of an open file or pipe.

    Raises
    ------
    Error
        More than `most`, by default :func:`limit`, of which no more is read than that.
    """
    bound = limit() if most is None else most
    try:
        size = os.fstat(file.fileno()).st_size
    except (OSError, AttributeError, ValueError):  # in memory
        size = 0
    check_size(size, name, most=most)
    data = file.read(size + 1)  # one read, where it is a file that stays as it is
    if len(data) == size:
        return data
    pieces, total = [data], len(data)
    while total <= bound and (more := file.read(_PIECE)):
        pieces.append(more)
        total += len(more)
    if total > bound:
        raise Error(f"{name} has more than {_told(most)}")
    return b"".join(pieces)


def check_size(size: int, name: str, *, most: int | None = None) -> None:
    """Refuse a file for its length alone.

    Raises
    ------
    Error
        More than `most`, by default :func:`limit`.
    """
    if size > (limit() if most is None else most):
        raise Error(f"{name} has {size} bytes, more than {_told(most)}")


def open_file(path: str | os.PathLike[str], *, pipes: bool = False) -> BinaryIO:
    """Open what shall be read; a device, which may have no end, is refused.

    Parameters
    ----------
    path
        The file.
    pipes
        Whether a pipe is opened, and so waited for: not where something is read more than once, or
        from any place.

    Raises
    ------
    Error
        It is a device, or a pipe that is not wanted.
    OSError
        The operating system refused to open it.
    """
    file = open(path, "rb", opener=None if pipes else _open_at_once)  # noqa: SIM115
    try:
        mode = os.fstat(file.fileno()).st_mode
        if not pipes and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            raise Error(f"cannot read '{os.fspath(path)}': it is no ordinary file")
        device = stat.S_ISBLK(mode) or (stat.S_ISCHR(mode) and not os.isatty(file.fileno()))
        # The null device is an empty file to everyone.
        if device and os.path.realpath(path) != os.path.realpath(os.devnull):
            raise Error(f"cannot read '{os.fspath(path)}': it is a device, a file is expected")
    except BaseException:
        file.close()
        raise
    return file


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def check_expansion(n_bytes: int, name: str) -> None:
    """Refuse an input that would take more memory than one may, before it does.

    Parameters
    ----------
    n_bytes
        What it would take, decoded.
    name
        What to call it in the message.

    Raises
    ------
    Error
        More than :func:`limit`.
    """
    if n_bytes > limit():
        raise Error(f"{name} would take {n_bytes} bytes of memory, more than {_told(None)}")


def _told(most: int | None) -> str:
    if most is not None:
        return f"the {_text(most)} that are read"
    return f"the {_text(limit())} that one input may take ({VARIABLE} sets another limit)"


def _text(n: int) -> str:
    for unit, name in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if n >= 1 << unit:
            return f"{n / (1 << unit):.4g} {name}"
    return f"{n} bytes"
