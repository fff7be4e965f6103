"""The restricted reader on files made to hurt: a sentence, nothing run, little memory."""

from __future__ import annotations

import os
import pickle
import struct
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hostile import BAIT, refused
from torch_files import (
    PROTO,
    STOP,
    Raw,
    build,
    call,
    encode,
    glob,
    legacy_bytes,
    pickled,
    pid,
    save_zip,
)

from pyvoc.pickles import Inert, load_torch, machine


class Runs:
    """What pickle would execute."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.pair = (function, arguments)

    def __reduce__(self) -> Any:
        return self.pair


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


PROGRAMS = {
    "os.system": (pickle.dumps(Runs(os.system, f"touch {BAIT}"), 2), r"'\w+\.system', which is"),
    "eval": (pickle.dumps(Runs(eval, f"open('{BAIT}', 'w')"), 2), r"builtin\w*\.eval'"),
    "exec, protocol 4": (pickle.dumps(Runs(exec, f"open('{BAIT}', 'w')"), 4), r"builtins\.exec"),
    "import": (pickle.dumps(Runs(__import__, "this"), 2), r"__import__'"),
    "text protocol": (pickle.dumps(Runs(os.system, f"touch {BAIT}"), 0), "refused"),
    "dotted module": (pickled(glob("collections.abc.os", "system")), "refused"),
    "stack global": (
        PROTO + encode("os") + encode("system") + b"\x93" + encode(("id",)) + b"R" + STOP,
        r"'os\.system'",
    ),
    "stack global of numbers": (PROTO + encode(1) + encode(2) + b"\x93" + STOP, "is not text"),
    "long name": (
        PROTO + encode("a" * 600) + encode("b" * 600) + b"\x93" + STOP,
        "a global's name is longer than 1024",
    ),
    "through another module": (
        PROTO + encode("torch") + encode("serialization.os.system") + b"\x93" + STOP,
        r"'torch\.serialization\.os\.system', which is refused",
    ),
    "endless name": (PROTO + b"c" + b"a" * 5000 + STOP, "name does not end"),
    "reduce chain": (
        pickled(call(call(glob("collections", "OrderedDict")), 1)),
        "calls a value of type dict",
    ),
    "call of a tensor type": (pickled(call(glob("torch", "FloatStorage"), 9)), "FloatStorage"),
    "call of text": (pickled(call(Raw(encode("os.system")), "id")), "calls a value of type str"),
    "call without a tuple": (
        PROTO + glob("collections", "OrderedDict").code + b"]R" + STOP,
        "no tuple of arguments",
    ),
    "instance": (PROTO + glob("collections", "OrderedDict").code + b")\x81" + STOP, "an instance"),
    "instance of ndarray": (PROTO + glob("numpy", "ndarray").code + b")\x81" + STOP, "an instance"),
    "state of a list": (PROTO + b"]}b" + STOP, "sets the state of a value of type list"),
    "state of text": (pickled(build(Raw(encode("x")), {"__class__": 1})), "type str"),
    "defaultdict of a function": (
        pickled(call(glob("collections", "defaultdict"), "x")),
        "unexpected arguments",
    ),
    "encode with a codec": (
        pickled(call(glob("_codecs", "encode"), "x", "zlib_codec")),
        "unexpected way",
    ),
    "EXT1": (PROTO + b"\x82\x01" + STOP, "opcode EXT1 is refused"),
    "EXT4": (PROTO + b"\x84\x01\x00\x00\x00" + STOP, "opcode EXT4 is refused"),
    "INST": (PROTO + b"(ios\nsystem\n" + STOP, "opcode INST is refused"),
    "OBJ": (PROTO + b"(" + glob("torch", "Size").code + b"o" + STOP, "opcode OBJ is refused"),
    "NEWOBJ_EX": (PROTO + b"NNN\x92" + STOP, "where a dict should be"),
    "PERSID": (PROTO + b"Pstorage\n" + STOP, "opcode PERSID is refused"),
    "NEXT_BUFFER": (PROTO + b"\x97" + STOP, "opcode NEXT_BUFFER is refused"),
    "no opcode": (PROTO + b"\xff" + STOP, "byte 0xff is refused"),
    "protocol 9": (b"\x80\x09N.", "protocol 9"),
    "huge text": (PROTO + b"X\xff\xff\xff\xff" + STOP, "asks for 4294967295 bytes"),
    "huger text": (PROTO + b"\x8d" + b"\xff" * 8 + STOP, "asks for 18446744073709551615 bytes"),
    "huge bytes": (PROTO + b"\x96" + struct.pack("<Q", 1 << 60) + STOP, "truncated"),
    "negative text": (PROTO + b"T\xff\xff\xff\xff" + STOP, "negative length"),
    "huge frame": (PROTO + b"\x95" + struct.pack("<Q", 1 << 50) + STOP, "frame of"),
    "huge integer": (
        PROTO + b"\x8b" + struct.pack("<i", 9999) + bytes(9999),
        "an integer",
    ),
    "negative integer length": (PROTO + b"\x8b\xff\xff\xff\xff" + STOP, "an integer of -1 bytes"),
    "text that is not UTF-8": (PROTO + b"X\x01\x00\x00\x00\xff" + STOP, "not UTF-8"),
    "nested marks": (PROTO + b"(" * 100_000, "nested deeper"),
    "nested lists": (PROTO + b"]" * 20_000 + b"a" * 19_999 + STOP, "nested deeper"),
    "nested tuples": (PROTO + b")" + b"\x85" * 50_000 + STOP, "nested deeper"),
    "nested dicts": (PROTO + b"}N" * 20_000 + b"N" + b"s" * 20_000 + STOP, "nested deeper"),
    "unknown memo": (PROTO + b"h\x07" + STOP, "never memorised"),
    "empty stack": (PROTO + STOP, "missing on its stack"),
    "pop below a mark": (PROTO + b"N(a" + STOP, "missing on its stack"),
    "no mark": (PROTO + b"Nt" + STOP, "missing on its stack"),
    "put of nothing": (PROTO + b"q\x00" + STOP, "missing on its stack"),
    "odd items": (PROTO + b"}(NNNu" + STOP, "key has no value"),
    "list as a key": (PROTO + b"}]Ns" + STOP, "is a dictionary's key"),
    "endless copies of attributes": (  # 1,000 instances get the same 10,000 attributes
        PROTO
        + pickled(dict.fromkeys(range(10_000)))[2:-1]
        + b"q\x000"
        + glob("a", "B").code
        + b"q\x010"
        + b"h\x01)\x81h\x00b0" * 1_000
        + b"N"
        + STOP,
        "more than 1000000 steps",
    ),
    "endless copies of a list": (
        PROTO
        + pickled([None] * 10_000)[2:-1]
        + b"\x85q\x000"
        + glob("builtins", "list").code
        + b"q\x010"
        + b"h\x01h\x00R" * 1_000
        + STOP,
        "more than 1000000 steps",
    ),
    "endless copies of a text": (
        PROTO
        + encode(("x" * 500_000, "latin1"))
        + b"q\x000"
        + glob("_codecs", "encode").code
        + b"q\x010"
        + b"h\x01h\x00R" * 1_000
        + STOP,
        "more than 1000000 steps",
    ),
    "append to a tuple": (PROTO + b")Na" + STOP, "where a list should be"),
    "items of a list": (PROTO + b"]NNs" + STOP, "where a dict should be"),
    "no end": (PROTO + b"N", "truncated"),
    "nothing": (b"", "truncated"),
    "a function as data": (pickled(pid("storage")), "does not describe a storage"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(tmp_path: Path, name: str) -> None:
    code, match = PROGRAMS[name]
    refused(save_zip(tmp_path / "x.pt", code), match)
    if code[:2] == PROTO:  # the same after the older format's greeting
        head = legacy_bytes(None)[: -len(pickled(None) + pickled([]))]
        (tmp_path / "old.pt").write_bytes(head + code + pickled([]))
        refused(tmp_path / "old.pt", match)


INERT = {
    "getattr": (pickle.dumps(Runs(getattr, 1, "real"), 2), "getattr"),
    "chain": (
        pickled(call(call(glob("builtins", "getattr"), glob("shutil", "rmtree"), "x"), BAIT)),
        "builtins.getattr",
    ),
    "a function of numpy's that runs text": (
        pickled(
            call(glob("numpy.testing._private.utils", "runstring"), f"open('{BAIT}', 'w')", {})
        ),
        "numpy.testing._private.utils.runstring",
    ),
    "a great array": (pickled(call(glob("numpy", "ones"), 1 << 40)), "numpy.ones"),
    "torch.load": (pickled(call(glob("torch.serialization", "load"), "x")), "serialization.load"),
    "a method": (pickled(call(glob("collections", "OrderedDict.fromkeys"), [1])), ".fromkeys"),
    "a table of names": (pickled(glob("builtins", "__dict__")), "builtins.__dict__"),
    "names in a row": (pickled(glob("a" * 300, "b" * 200)), "..."),
    "a class with names": (
        PROTO + glob("pathlib", "Path").code + encode(("x",)) + encode({"y": 1}) + b"\x92" + STOP,
        "pathlib.Path",
    ),
}


@pytest.mark.parametrize("name", INERT)
def test_what_is_not_known_is_not_called(tmp_path: Path, name: str) -> None:
    code, ending = INERT[name]
    before = set(sys.modules)
    found = load_torch(save_zip(tmp_path / "x.pt", code))
    text = found.kind if isinstance(found, Inert) else found
    assert text.endswith(ending) and len(text) <= 100
    assert set(sys.modules) == before and not Path(BAIT).exists()


def test_keys_that_could_collide_cost_nothing(tmp_path: Path) -> None:
    """Integers that all have the hash 1, alone and in tuples."""
    same = [1 + k * ((1 << 61) - 1) for k in range(20_000)]
    for keys in (same, [(key,) for key in same], [float(key) for key in same]):
        items = b"".join(encode(key) + b"N" for key in keys)
        path = save_zip(tmp_path / "x.pt", PROTO + b"}(" + items + b"u" + STOP)
        begin = time.monotonic()
        assert len(load_torch(path)) == 20_000
        assert time.monotonic() - begin < 5


def test_steps_and_memo_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.MAX_STEPS <= 1_000_000 and machine.MAX_MEMO <= 300_000
    monkeypatch.setattr(machine, "MAX_STEPS", 1000)
    monkeypatch.setattr(machine, "MAX_MEMO", 100)
    refused(save_zip(tmp_path / "x.pt", PROTO + b"N0" * 500 + STOP), "more than 1000 steps")
    puts = b"".join(b"r" + struct.pack("<I", i) for i in range(101))
    refused(save_zip(tmp_path / "x.pt", PROTO + b"N" + puts + STOP), "memorises more than 100")


def test_shared_references_do_not_multiply(tmp_path: Path) -> None:
    """A list of ten times a list of ten times ...: 10**60 leaves in a few hundred bytes."""
    code = PROTO + b"]q\x00"
    for level in range(60):
        code += b"]q" + bytes([level + 1]) + b"(" + (b"h" + bytes([level])) * 10 + b"e"
    path = save_zip(tmp_path / "x.pt", code + STOP)
    found = load_torch(path)
    assert found[0] is found[9]


def test_cycles_are_kept(tmp_path: Path) -> None:
    found = load_torch(save_zip(tmp_path / "x.pt", PROTO + b"]q\x00h\x00a" + STOP))
    assert found[0] is found


def numpy_array(state: Any, dtype: str = "f4", order: str = "<") -> Raw:
    kind = build(
        call(glob("numpy", "dtype"), dtype, False, True), (3, order, None, None, None, -1, -1, 0)
    )
    core = "numpy.core.multiarray"
    empty = call(glob(core, "_reconstruct"), glob("numpy", "ndarray"), (0,), "b")
    return build(empty, tuple(kind if part == "KIND" else part for part in state))


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (numpy_array((1, (1 << 38, 1 << 38), "KIND", False, "")), "shape"),
        (numpy_array((1, (1 << 30,), "KIND", False, "xxxx")), "more or fewer bytes"),
        (numpy_array((1, (-1,), "KIND", False, "xxxx")), "shape that no array has"),
        (numpy_array((1, (1,), "O8", False, ["x"])), "unexpected state"),
        (numpy_array((1, (1,), "KIND", False, ["x"]), dtype="O8"), "not plain numbers"),
        (numpy_array((1, (1,), "KIND", False, "xxxx"), order=">"), "not little-endian"),
        (
            call(glob("numpy.core.multiarray", "_reconstruct"), glob("numpy", "ndarray"), (0,), 1),
            "no contents",
        ),
        (call(glob("numpy.core.multiarray", "scalar"), 1, "x"), "unexpected arguments"),
    ],
)
def test_numpy(tmp_path: Path, array: Raw, match: str) -> None:
    refused(save_zip(tmp_path / "x.pt", [array]), match)
