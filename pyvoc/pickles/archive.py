"""Zip archives, as far as PyTorch's need it: stored or deflated members, none of them a surprise.

Refused: encryption, other methods, members that overlap or lie outside, duplicate names, names that
lead elsewhere, and contents that inflate out of proportion.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pyvoc.pickles.source import Source

MAX_MEMBERS = 100_000
MAX_INFLATION = 20
"""What deflated members may grow to in all, in sizes of the file, besides `FREE_INFLATION`."""
FREE_INFLATION = 1 << 26
_PIECE = 1 << 20
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")


@dataclass(frozen=True)
class Member:
    """Where a member lies; `packed` bytes at `start` are `size` bytes."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    header: int
    start: int = 0


class Archive:
    """The members of a zip file by name.

    Raises
    ------
    ModelError
        The archive is damaged, or is not what an honest writer makes.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        directory, size, count = self._end()
        data = source.read(directory, size, "the zip directory")
        self.members: dict[str, Member] = {}
        at = 0
        for _ in range(count):
            member, at = self._entry(data, at)
            if member is None:
                continue
            if member.name in self.members:
                source.fail(f"the zip member {_quote(member.name)} occurs twice")
            self.members[member.name] = member
        self._place(directory)

    def read(self, name: str) -> bytes:
        """The contents of a member, checked against its checksum."""
        member = self.members[name]
        what = f"the zip member {_quote(name)}"
        data = self.source.read(member.start, member.packed, what)
        if member.method == _DEFLATED:
            data = self._inflate(data, member.size, what)
        if zlib.crc32(data) != member.crc:
            self.source.fail(f"damaged: {what} does not match its checksum")
        return data

    def head(self, name: str, size: int) -> bytes:
        """The first bytes of a member, at most `size`; not checked against its checksum."""
        found = b""
        for piece in self._pieces(self.members[name], size):
            found += piece
            if len(found) >= size:
                break
        return found[:size]

    def copy(self, name: str, file: BinaryIO) -> None:
        """Write a member's contents to a file piece by piece, checked against its checksum."""
        member, crc = self.members[name], 0
        for piece in self._pieces(member, _PIECE):
            crc = zlib.crc32(piece, crc)
            file.write(piece)
        if crc != member.crc:
            what = f"the zip member {_quote(name)}"
            self.source.fail(f"damaged: {what} does not match its checksum")

    def _pieces(self, member: Member, most: int) -> Iterator[bytes]:
        """A member's contents, at most `most` bytes at a time; never more than it says it has."""
        what = f"the zip member {_quote(member.name)}"
        wrong = f"damaged: {what} does not inflate to its {member.size} bytes"
        inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        for at in range(0, member.packed, most):
            data = self.source.read(member.start + at, min(most, member.packed - at), what)
            if member.method == _STORED:
                yield data
                continue
            more = True
            while more:
                try:
                    plain = inflater.decompress(data, most)
                except zlib.error as error:
                    self.source.fail(f"damaged: {what} does not inflate: {error}")
                size += len(plain)
                if size > member.size:
                    self.source.fail(wrong)
                yield plain
                data = inflater.unconsumed_tail
                more = bool(data) or len(plain) == most
        if member.method == _DEFLATED and (size != member.size or not inflater.eof):
            self.source.fail(wrong)

    def _inflate(self, data: bytes, size: int, what: str) -> bytes:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            plain = inflater.decompress(data, size + 1)
        except zlib.error as error:
            self.source.fail(f"damaged: {what} does not inflate: {error}")
        if len(plain) != size or not inflater.eof:
            self.source.fail(f"damaged: {what} does not inflate to its {size} bytes")
        return plain

    def _end(self) -> tuple[int, int, int]:
        """Offset, size and number of entries of the directory."""
        source = self.source
        span = min(source.size, _END.size + 0xFFFF)
        tail = source.read(source.size - span, span, "the end of the zip file")
        at = len(tail) - _END.size
        while at >= 0:
            at = tail.rfind(b"PK\5\6", 0, at + 4)
            if at < 0 or at + _END.size + struct.unpack_from("<H", tail, at + 20)[0] == len(tail):
                break
            at -= 1
        if at < 0:
            source.fail("damaged or truncated: the zip file has no end record")
        _, disk, first, here, count, size, directory, _ = _END.unpack_from(tail, at)
        end = source.size - span + at
        locator = end - _LOCATOR.size
        head = source.read(locator, _LOCATOR.size, "a zip locator") if locator >= 0 else b""
        if head[:4] == b"PK\6\7":
            _, _, where, _ = _LOCATOR.unpack(head)
            record = source.read(where, _END64.size, "the zip64 end record")
            magic, _, _, _, disk, first, here, count, size, directory = _END64.unpack(record)
            if magic != b"PK\6\6":
                source.fail("damaged: the zip64 end record is not where it should be")
        if disk or first or here != count:
            source.fail("the zip file has several parts, which is not supported")
        if count > MAX_MEMBERS:
            source.fail(f"the zip file has {count} members, at most {MAX_MEMBERS} are read")
        if directory + size > end:
            source.fail("damaged: the zip directory lies outside of the file")
        return directory, size, count

    def _entry(self, data: bytes, at: int) -> tuple[Member | None, int]:
        source = self.source
        if len(data) - at < _ENTRY.size or data[at : at + 4] != b"PK\1\2":
            source.fail("damaged: the zip directory ends early")
        fields = _ENTRY.unpack_from(data, at)
        _, _, _, flags, method, _, _, crc, packed, size, n_name, n_extra, n_comment = fields[:13]
        header = fields[16]
        at += _ENTRY.size
        if len(data) - at < n_name + n_extra + n_comment:
            source.fail("damaged: the zip directory ends early")
        raw = data[at : at + n_name]
        try:
            name = raw.decode("utf-8" if flags & 0x800 else "cp437")
        except UnicodeDecodeError:
            source.fail("a zip member's name is not text")
        extra = data[at + n_name : at + n_name + n_extra]
        size, packed, header = self._wide(extra, size, packed, header)
        at += n_name + n_extra + n_comment
        folder = name.endswith("/")
        parts = name[:-1].split("/") if folder else name.split("/")
        if not name.isprintable() or "\\" in name or any(p in ("", ".", "..") for p in parts):
            source.fail(f"the zip member {_quote(name)} has a name that leads elsewhere")
        if flags & _ENCRYPTED:
            source.fail(f"the zip member {_quote(name)} is encrypted")
        if method not in (_STORED, _DEFLATED):
            source.fail(f"the zip member {_quote(name)} is compressed by method {method}")
        if (method == _STORED or folder) and packed != size:
            source.fail(f"damaged: the zip member {_quote(name)} is {packed} and {size} bytes long")
        return (
            None if folder and not size else Member(name, method, crc, packed, size, header)
        ), at

    def _wide(self, extra: bytes, *values: int) -> tuple[int, int, int]:
        """Sizes and offset, with zip64's where the short fields are full."""
        wide: list[int] = []
        at = 0
        while at + 4 <= len(extra):
            kind, length = struct.unpack_from("<2H", extra, at)
            if kind == 1:
                body = extra[at + 4 : at + 4 + length]
                wide = list(struct.unpack_from(f"<{len(body) // 8}Q", body))
                break
            at += 4 + length
        full = [v == 0xFFFFFFFF for v in values]
        if sum(full) > len(wide):
            self.source.fail("damaged: a zip64 entry lacks its sizes")
        rest = iter(wide)
        size, packed, header = (next(rest) if f else v for f, v in zip(full, values, strict=True))
        return size, packed, header

    def _place(self, directory: int) -> None:
        """Find where each member's bytes begin, and check that no two share any."""
        end, previous, inflated = 0, "", 0
        placed = {}
        for member in sorted(self.members.values(), key=lambda m: m.header):
            name = _quote(member.name)
            head = self.source.read(member.header, _LOCAL.size, f"the zip member {name}")
            fields = _LOCAL.unpack(head)
            start = member.header + _LOCAL.size + fields[9] + fields[10]
            raw = self.source.read(member.header + _LOCAL.size, fields[9], f"the zip member {name}")
            text = raw.decode("utf-8" if fields[2] & 0x800 else "cp437", "replace")
            if fields[0] != b"PK\3\4" or text != member.name:
                self.source.fail(f"damaged: the zip member {name} is not where it should be")
            if member.header < end:
                self.source.fail(f"the zip members {_quote(previous)} and {name} overlap")
            end, previous = start + member.packed, member.name
            if end > directory:
                self.source.fail(f"truncated: the zip member {name} runs into the directory")
            if member.method == _DEFLATED:
                inflated += member.size
            placed[member.name] = Member(
                member.name,
                member.method,
                member.crc,
                member.packed,
                member.size,
                member.header,
                start,
            )
        most = FREE_INFLATION + MAX_INFLATION * self.source.size
        if inflated > most:
            self.source.fail(
                f"the zip file would inflate to {inflated} bytes, at most {most} are read"
            )
        self.members = placed


def _quote(name: str) -> str:
    return ascii(name if len(name) <= 80 else name[:77] + "...")
