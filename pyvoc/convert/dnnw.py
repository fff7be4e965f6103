"""Upstream's weight blobs: records of a 64-byte header and padded data.

Header: "DNNw", int32 version, type, size and block size (the size rounded up to 64), name [44].
Type 0 is float32, 1 int32, 2 a quantised matrix (int8, or float32 in float builds: the file does
not say which), 3 int8. Every field is checked here; nothing is believed about the contents.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from pyvoc.errors import ModelError
from pyvoc.files.whole import read_whole

MAGIC = b"DNNw"
HEADER = struct.Struct("<4siiii44s")
TYPE_NAMES = {0: "float", 1: "int32", 2: "quantised", 3: "int8"}
MAX_RECORDS = 4096
MAX_BYTES = 1 << 28  # the largest of upstream's have 4 MB


@dataclass(frozen=True)
class Record:
    """One array of a blob.

    Parameters
    ----------
    kind
        A key of `TYPE_NAMES`.
    data
        Its bytes, without the padding.
    """

    kind: int
    data: bytes


def read_blob(path: str | os.PathLike[str]) -> dict[str, Record]:
    """The arrays of a blob in a file.

    Raises
    ------
    ModelError
        As :func:`parse_blob`.
    Error
        The operating system refused to read, or it is larger than any blob.
    """
    return parse_blob(read_whole(path, most=MAX_BYTES), str(path))


def parse_blob(data: bytes, source: str) -> dict[str, Record]:
    """Split a blob into its arrays.

    Parameters
    ----------
    data
        The whole file.
    source
        Its name, for errors.

    Returns
    -------
    dict
        Records by name, in file order; at least one.

    Raises
    ------
    ModelError
        A header is damaged or does not fit the file, or a name occurs twice.
    """
    records: dict[str, Record] = {}
    at = 0
    if not data:
        raise ModelError(f"{source}: the file is empty")
    while at < len(data):
        where = f"{source}: record {len(records)} at byte {at}"
        if len(records) == MAX_RECORDS:
            raise ModelError(f"{source}: more than {MAX_RECORDS} records")
        if len(data) - at < HEADER.size:
            raise ModelError(
                f"{where}: truncated, {len(data) - at} of a header's {HEADER.size} bytes are left"
            )
        magic, version, kind, size, block, raw_name = HEADER.unpack_from(data, at)
        if magic != MAGIC:
            raise ModelError(f"{where}: begins with {magic!r}, expected {MAGIC!r}")
        if version != 0:
            raise ModelError(f"{where}: version {version}, expected 0")
        if kind not in TYPE_NAMES:
            raise ModelError(f"{where}: type {kind}, expected 0 to 3")
        if size < 0 or block < size or block > len(data) - at - HEADER.size:
            raise ModelError(
                f"{where}: {size} bytes in a block of {block}, with "
                f"{len(data) - at - HEADER.size} bytes left in the file: truncated or damaged"
            )
        name_bytes, end, _ = raw_name.partition(b"\0")
        if not name_bytes or not end or not name_bytes.isascii():
            raise ModelError(f"{where}: its name is not a text that ends within 44 bytes")
        name = name_bytes.decode("ascii")
        if not name.isprintable():
            raise ModelError(f"{where}: its name is not printable")
        if name in records:
            raise ModelError(f"{source}: array '{name}' occurs twice")
        at += HEADER.size
        records[name] = Record(kind, data[at : at + size])
        at += block
    return records
