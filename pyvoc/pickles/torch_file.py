"""The two containers of ``torch.save``: a zip archive, and the older row of pickles."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from pyvoc.errors import ModelError
from pyvoc.pickles.archive import Archive
from pyvoc.pickles.machine import Machine
from pyvoc.pickles.names import lookup
from pyvoc.pickles.source import Source
from pyvoc.pickles.stubs import Class, Name, Refused, Unread
from pyvoc.pickles.tensors import STORAGES, Storage, item_size, materialise

MAX_PICKLE = 1 << 24
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
_LEGACY_NUMBER = b"\x8a\x0a" + LEGACY_MAGIC.to_bytes(10, "little")
HEAD = 32
"""Bytes of a file's beginning that tell what it is."""
_ZIP_HEAD = b"PK\3\4"


def is_torch(head: bytes) -> bool:
    """Whether a file that begins with these `HEAD` bytes is one of PyTorch's, or a zip."""
    return head.startswith(_ZIP_HEAD) or _is_legacy(head)


def _is_legacy(head: bytes) -> bool:
    return head[:1] == b"\x80" and _LEGACY_NUMBER in head[:HEAD]


def load_torch(
    path: str | os.PathLike[str],
    *,
    select: Callable[[Any], Any] | None = None,
) -> Any:
    """Read what ``torch.save`` wrote, without PyTorch.

    Parameters
    ----------
    path
        A zip archive or an older file.
    select
        Picks the wanted part of the contents, in which tensors are `LazyTensor`: values of tensors
        that are not picked are never read. It may raise `ModelError`. None takes everything.

    Returns
    -------
    object
        Dicts, lists, tuples, numbers, text and numpy arrays (half and bf16 as float32). What a
        class or function of the writer's would have made is `Inert`.

    Raises
    ------
    ModelError
        The file is damaged, truncated, or asks for more than data needs; the message names what.
    Error
        The operating system refused to read.
    """
    with Source(path) as source:
        head = source.read(0, min(HEAD, source.size), "the head")
        try:
            if head.startswith(_ZIP_HEAD):
                tree = _load_zip(source)
            elif _is_legacy(head):
                tree = _load_legacy(source)
            else:
                source.fail(f"begins with {head[:8]!r}, expected a file that torch.save wrote")
            return materialise(select(tree) if select is not None else tree)
        except Refused as error:
            raise ModelError(f"{source.name}: {error}") from None
        except (MemoryError, RecursionError, OverflowError) as error:
            raise ModelError(f"{source.name}: damaged: {type(error).__name__}") from None


def _load_zip(source: Source) -> Any:
    archive = Archive(source)
    tops = [name[: -len("data.pkl")] for name in archive.members if name.endswith("/data.pkl")]
    if len(tops) != 1:
        found = "more than one" if tops else "no"
        source.fail(
            f"the zip file has {found} folder with a data.pkl, so torch.save did not write it"
        )
    top = tops[0]
    if f"{top}constants.pkl" in archive.members:
        source.fail("is a TorchScript program, expected a checkpoint (a state_dict)")
    order = archive.members.get(f"{top}byteorder")
    if order is not None and (order.size != 6 or archive.read(order.name) != b"little"):
        source.fail("is not little-endian")
    if archive.members[f"{top}data.pkl"].size > MAX_PICKLE:
        source.fail(f"its data.pkl is larger than {MAX_PICKLE} bytes")
    storages: dict[str, Storage] = {}

    def persistent(identity: Any) -> Storage | Unread:
        if _is_strange(identity):  # complex numbers, quantised ones
            return Unread(f"a tensor has elements of type '{identity[1].text}', which is not read")
        dtype, key, count = _storage_id(identity, 5)
        known = storages.get(key)
        if known is None:
            name = f"{top}data/{key}"
            member = archive.members.get(name)
            if member is None:
                raise Refused(f"the storage {key[:80]!a} is missing in the zip file")
            if member.size != count * item_size(dtype):
                raise Refused(
                    f"the storage {key!a} has {member.size} bytes, expected {count} elements "
                    f"of {item_size(dtype)}"
                )
            known = storages[key] = Storage(key, dtype, count, partial(archive.read, name))
        elif (known.dtype, known.count) != (dtype, count):
            raise Refused(f"the storage {key!a} is described in two ways")
        return known

    data = archive.read(f"{top}data.pkl")
    return Machine(data, source.name, lookup=lookup, persistent=persistent).run()


def _is_strange(identity: Any) -> bool:
    """Whether a persistent id describes a storage of a type that we do not read."""
    return (
        type(identity) is tuple
        and len(identity) == 5
        and identity[0] == "storage"
        and type(identity[1]) is Class
        and identity[1].text.startswith("torch.")
    )


def _storage_id(identity: Any, size: int) -> tuple[str, str, int]:
    """Element type, key and number of elements of a storage's persistent id."""
    if type(identity) is not tuple or len(identity) != size or identity[0] != "storage":
        raise Refused("a persistent id does not describe a storage")
    kind, key, count = identity[1], identity[2], identity[4]
    if type(kind) is not Name or kind.text.removeprefix("torch.") not in STORAGES:
        raise Refused("a persistent id names no type of storage")
    if type(key) is not str or type(count) is not int or not 0 <= count < 1 << 40:
        raise Refused("a persistent id has no key or no size")
    return STORAGES[kind.text.removeprefix("torch.")], key, count


def _load_legacy(source: Source) -> Any:
    data = source.read(0, min(source.size, MAX_PICKLE), "the pickles")
    storages: dict[str, Storage] = {}
    places: dict[str, int] = {}

    def read(key: str, size: int) -> bytes:
        if key not in places:
            raise Refused(f"the storage {key[:80]!a} is missing in the file")
        return source.read(places[key], size, f"the storage {key[:80]!a}")

    def persistent(identity: Any) -> Any:
        if type(identity) is tuple and len(identity) == 4 and identity[0] == "module":
            if type(identity[1]) is not Class:
                raise Refused("a persistent id describes something that is no class")
            kind, text = identity[1], identity[3]
            return Class(kind.text, text) if type(text) is str else kind
        dtype, key, count = _storage_id(identity, 6)
        known = storages.get(key)
        if known is None:
            size = count * item_size(dtype)
            known = storages[key] = Storage(key, dtype, count, partial(read, key, size))
        elif (known.dtype, known.count) != (dtype, count):
            raise Refused(f"the storage {key[:80]!a} is described in two ways")
        return known if identity[5] is None else _view(known, identity[5])

    machine = Machine(data, source.name, lookup=lookup, persistent=persistent)
    if machine.run() != LEGACY_MAGIC:
        source.fail("does not begin with PyTorch's magic number")
    if machine.run() != LEGACY_PROTOCOL:
        source.fail(f"has another version than {LEGACY_PROTOCOL} of PyTorch's older format")
    system = machine.run()
    if type(system) is not dict or system.get("little_endian") is not True:
        source.fail("is not little-endian")
    tree = machine.run()
    keys = machine.run()
    if type(keys) is not list or any(type(k) is not str for k in keys):
        source.fail("damaged: its list of storages is no list of names")
    if sorted(keys) != sorted(storages):
        source.fail("damaged: its list of storages is not that of its tensors")
    at = machine.at
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(source.read(at, 8, "the size of a storage"), "little")
        if count != storage.count:
            source.fail(f"the storage {key[:80]!a} has {count} elements, expected {storage.count}")
        places[key] = at + 8
        at += 8 + count * item_size(storage.dtype)
    if at > source.size:
        source.fail(f"truncated: its storages need {at} bytes, the file has {source.size}")
    return tree


def _view(base: Storage, description: Any) -> Storage:
    """A part of a storage, as old files describe it: key, offset, number of elements."""
    good = type(description) is tuple and len(description) == 3
    if not good or type(description[0]) is not str:
        raise Refused("a persistent id describes a part of a storage in an unexpected way")
    first, count = description[1:]
    if any(type(n) is not int or n < 0 for n in (first, count)) or first + count > base.count:
        raise Refused(f"a part of the storage {base.key[:80]!a} lies outside of it")
    view = Storage(base.key, base.dtype, count, lambda: b"")
    view.array = lambda: base.array()[first : first + count]  # type: ignore[method-assign]
    return view
