"""The restricted reader on files made to hurt: a sentence, nothing run, little memory."""

from __future__ import annotations

import os
import pickle
import struct
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch_files import (
    PROTO,
    STOP,
    Raw,
    Writer,
    build,
    call,
    encode,
    glob,
    legacy_bytes,
    pickled,
    pid,
    save_zip,
)

from pyvoc.errors import ModelError
from pyvoc.pickles import load_torch, machine

MEMORY = 200 << 20
SECONDS = 20.0
BAIT = "pyvoc-was-here"


class Runs:
    """What pickle would execute."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.pair = (function, arguments)

    def __reduce__(self) -> Any:
        return self.pair


def refused(path: Path, match: str) -> None:
    """The file is refused in a sentence that names it, fast and without much memory."""
    tracemalloc.start()
    begin = time.monotonic()
    try:
        with pytest.raises(ModelError, match=match) as caught:
            load_torch(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ") and len(str(caught.value)) < 600
    assert peak < MEMORY and time.monotonic() - begin < SECONDS
    assert not Path(BAIT).exists()


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


PROGRAMS = {
    "os.system": (pickle.dumps(Runs(os.system, f"touch {BAIT}"), 2), r"'\w+\.system', which is"),
    "eval": (pickle.dumps(Runs(eval, f"open('{BAIT}', 'w')"), 2), r"builtin\w*\.eval'"),
    "exec, protocol 4": (pickle.dumps(Runs(exec, f"open('{BAIT}', 'w')"), 4), r"builtins\.exec"),
    "getattr": (pickle.dumps(Runs(getattr, 1, "real"), 2), "getattr', which is refused"),
    "import": (pickle.dumps(Runs(__import__, "this"), 2), r"__import__'"),
    "text protocol": (pickle.dumps(Runs(os.system, f"touch {BAIT}"), 0), "refused"),
    "numpy function": (pickled(call(glob("numpy", "ones"), 1 << 40)), r"'numpy\.ones'"),
    "torch.load": (pickled(call(glob("torch.serialization", "load"), "x")), r"serialization\.load"),
    "dotted": (pickled(call(glob("collections", "OrderedDict.fromkeys"), [1])), "fromkeys"),
    "dotted module": (pickled(glob("collections.abc.os", "system")), "refused"),
    "dunder": (pickled(glob("builtins", "__dict__")), r"builtins\.__dict__"),
    "stack global": (
        PROTO + encode("os") + encode("system") + b"\x93" + encode(("id",)) + b"R" + STOP,
        r"'os\.system'",
    ),
    "stack global of numbers": (PROTO + encode(1) + encode(2) + b"\x93" + STOP, "is not text"),
    "long name": (pickled(glob("a" * 300, "b" * 200)), "refused"),
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
    "NEWOBJ_EX": (PROTO + b"NNN\x92" + STOP, "opcode NEWOBJ_EX is refused"),
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
    "tuple as a key": (PROTO + b"}))s" + STOP, "is a dictionary's key"),
    "great integer as a key": (pickled({1 << 80: 1}), "is a dictionary's key"),
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


FLOAT = glob("torch", "FloatStorage")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"shape": (1 << 35, 1 << 35), "strides": (0, 0)}, "leaves its storage"),
        ({"shape": (100,), "strides": (0,)}, "leaves its storage"),
        ({"shape": (11,)}, "leaves its storage of 10 elements"),
        ({"first": 1}, "leaves its storage"),
        ({"first": -1}, "that no tensor has"),
        ({"shape": (-1,)}, "that no tensor has"),
        ({"strides": (-1,)}, "that no tensor has"),
        ({"strides": (1 << 62,)}, "that no tensor has"),
        ({"shape": (2,), "strides": (10,)}, "leaves its storage"),
        ({"strides": (1, 1)}, "has 2 strides"),
        ({"shape": (1,) * 40, "strides": (1,) * 40}, "40 dimensions"),
        ({"shape": (0, 1 << 39, 1 << 39), "strides": (1, 1, 1)}, "has the shape"),
        ({"shape": [10]}, "are not tuples"),
        ({"shape": (10.0,)}, "that no tensor has"),
        ({"shape": (True,)}, "that no tensor has"),
        ({"count": 1 << 39}, "has 40 bytes, expected 549755813888 elements"),
        ({"count": 9}, "has 40 bytes, expected 9"),
        ({"count": -1}, "no size"),
        ({"storage": pid("storage", FLOAT, "../../etc/passwd", "cpu", 10)}, "is missing"),
        ({"storage": pid("storage", FLOAT, "7", "cpu", 10)}, "storage '7' is missing"),
        ({"storage": pid("storage", FLOAT, 0, "cpu", 10)}, "has no key"),
        ({"storage": pid("storage", "FloatStorage", "0", "cpu", 10)}, "no type of storage"),
        ({"storage": pid("storage", glob("torch", "float32"), "0", "cpu", 10)}, "no type of"),
        ({"storage": pid("module", FLOAT, "0", "cpu", 10)}, "does not describe a storage"),
        ({"storage": pid("storage", FLOAT)}, "does not describe a storage"),
        ({"storage": pid()}, "does not describe a storage"),
        ({"storage": None}, "lies in a value of type NoneType"),
    ],
)
def test_tensors(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    writer = Writer(legacy=False)
    tensor = writer.tensor(np.arange(10, dtype="<f4"), **changes)
    refused(save_zip(tmp_path / "x.pt", [tensor], writer=writer), match)


def test_one_storage_of_two_types(tmp_path: Path) -> None:
    writer = Writer(legacy=False)
    value = [writer.tensor(np.ones(4, "<f4"), key="0"), writer.tensor(np.ones(2), key="0")]
    refused(save_zip(tmp_path / "x.pt", value, writer=writer), "described in two ways|has 16 bytes")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"magic": 1 << 70}, "expected a file that torch.save wrote"),
        ({"version": 1002}, "another version"),
        ({"little": False}, "not little-endian"),
        ({"keys": []}, "is not that of its tensors"),
        ({"keys": ["0", "0"]}, "is not that of its tensors"),
        ({"keys": [0]}, "no list of names"),
        ({"keys": {}}, "no list of names"),
        ({"count": 1 << 40}, "has 1099511627776 elements, expected 4"),
        ({"count": -1}, "elements, expected 4"),
    ],
)
def test_older_files(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(legacy_bytes([np.ones(4, "<f4")], **changes))
    refused(path, match)


def test_older_files_with_classes(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(legacy_bytes([pid("module", glob("glow", "WaveGlow"), "glow.py", "source")]))
    refused(path, r"'glow\.WaveGlow', which is refused")
    path.write_bytes(legacy_bytes([pid("module", "glow", "glow.py", "source")]))
    refused(path, "not asked for")
    view = pid("storage", FLOAT, "0", "cpu", 4, ("v", 3, 2))
    writer = Writer(legacy=True)
    tensor = writer.tensor(np.ones(4, "<f4"), key="0", storage=view)
    path.write_bytes(legacy_bytes([tensor], writer=writer))
    refused(path, "lies outside of it")


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
        (call(glob("numpy", "dtype"), "V16"), "not plain numbers"),
        (
            call(glob("numpy.core.multiarray", "_reconstruct"), glob("numpy", "ndarray"), (0,), 1),
            "no contents",
        ),
        (call(glob("numpy.core.multiarray", "scalar"), 1, "x"), "unexpected arguments"),
    ],
)
def test_numpy(tmp_path: Path, array: Raw, match: str) -> None:
    refused(save_zip(tmp_path / "x.pt", [array]), match)


def test_zip_bomb(tmp_path: Path) -> None:
    bomb = {"archive/data/0": b"0" * (300 << 20)}
    path = save_zip(tmp_path / "x.pt", {}, method=zipfile.ZIP_DEFLATED, members=bomb)
    refused(path, "would inflate to")


def entries(data: bytes) -> list[int]:
    """Offsets of the directory's entries."""
    found, at = [], data.find(b"PK\1\2")
    while at >= 0:
        found.append(at)
        at = data.find(b"PK\1\2", at + 46)
    return found


@pytest.mark.parametrize(
    ("field", "format", "value", "match"),
    [
        (8, "<H", 1, "is encrypted"),
        (10, "<H", 14, "compressed by method 14"),
        (16, "<I", 1, "does not match its checksum"),
        (20, "<I", 5, "bytes long"),
        (24, "<I", 0xFFFFFFFF, "lacks its sizes"),
        (42, "<I", 0, "is not where it should be"),
        (42, "<I", 0xFFFFFFF0, "truncated"),
    ],
)
def test_zip_entries(tmp_path: Path, field: int, format: str, value: int, match: str) -> None:
    path = save_zip(tmp_path / "x.pt", {"w": np.ones(8, "<f4")})
    data = bytearray(path.read_bytes())
    struct.pack_into(format, data, entries(data)[1] + field, value)
    path.write_bytes(data)
    refused(path, match)


def test_overlapping_members(tmp_path: Path) -> None:
    """Two entries whose headers lie in each other's data: how small files become huge ones."""
    inner = b"PK\3\4" + struct.pack("<5H3I2H", 20, 0, 0, 0, 0, 0, 10, 10, 14, 0) + b"archive/data/1"
    path = save_zip(tmp_path / "x.pt", {}, members={"archive/data/0": inner + bytes(30)})
    data = bytearray(path.read_bytes())
    at = entries(data)[1]
    new = bytearray(data[at : at + 46 + 14])
    new[46:] = b"archive/data/1"
    struct.pack_into("<3I", new, 16, zlib.crc32(bytes(10)), 10, 10)
    struct.pack_into("<I", new, 42, data.index(inner))
    end = data.index(b"PK\5\6")
    data[end:end] = new
    end += len(new)
    count, size = struct.unpack_from("<HI", data, end + 10)
    struct.pack_into("<2HI", data, end + 8, count + 1, count + 1, size + len(new))
    path.write_bytes(data)
    refused(path, "'archive/data/0' and 'archive/data/1' overlap")


@pytest.mark.parametrize(
    "name", ["../x", "archive/../../x", "/etc/passwd", "a//b", "archive/./x", "a\\b", "a\x07b"]
)
def test_zip_names(tmp_path: Path, name: str) -> None:
    refused(save_zip(tmp_path / "x.pt", {}, members={name: b"x"}), "a name that leads elsewhere")


def test_zip_members_twice(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = save_zip(tmp_path / "x.pt", {}, members={"archive/data.pkl": pickled({})})
    refused(path, "occurs twice")


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ({"other/data.pkl": b"N."}, "more than one folder"),
        ({"archive/constants.pkl": b"N."}, "TorchScript program"),
        ({"archive/byteorder": b"middle"}, "not little-endian"),
        ({"archive/byteorder": b"x" * 1000}, "not little-endian"),
    ],
)
def test_zip_contents(tmp_path: Path, members: dict[str, bytes], match: str) -> None:
    refused(save_zip(tmp_path / "x.pt", {}, members=members), match)


def test_other_zips(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as file:
        file.writestr("readme.txt", "nothing")
    refused(tmp_path / "x.pt", "no folder with a data.pkl")
    (tmp_path / "y.pt").write_bytes(b"PK\3\4" + bytes(100))
    refused(tmp_path / "y.pt", "no end record")


def test_zip_end_records(tmp_path: Path) -> None:
    whole = save_zip(tmp_path / "x.pt", {"w": np.ones(8, "<f4")}).read_bytes()
    end = whole.index(b"PK\5\6")
    for offset, format, value, match in (
        (4, "<H", 1, "several parts"),
        (8, "<2H", (60000, 60000), "ends early"),
        (12, "<I", 1 << 31, "outside of the file"),
        (16, "<I", 1 << 31, "outside of the file"),
    ):
        data = bytearray(whole)
        struct.pack_into(format, data, end + offset, *(value if type(value) is tuple else (value,)))
        (tmp_path / "y.pt").write_bytes(data)
        refused(tmp_path / "y.pt", match)
    count = 1 << 40
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, 0, end)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
    (tmp_path / "y.pt").write_bytes(whole[:end] + record + locator + whole[end:])
    refused(tmp_path / "y.pt", "at most 100000 are read")


def _sample() -> dict[str, Any]:
    return {
        "model_g": {"a": np.arange(12, dtype="<f4").reshape(3, 4), "b": np.ones(5)},
        "step": 3,
        "text": "some text",
        "list": [1.5, None, (True, 2)],
    }


def _honest(folder: Path, kind: str) -> bytes:
    if kind == "legacy":
        return legacy_bytes(_sample())
    method = zipfile.ZIP_DEFLATED if kind == "deflated" else zipfile.ZIP_STORED
    return save_zip(folder / "honest.pt", _sample(), method=method).read_bytes()


def _attempt(path: Path, data: bytes) -> None:
    """Load whatever it is: a `ModelError` that names the file, or a plain value."""
    path.write_bytes(data)
    begin = time.monotonic()
    tracemalloc.start()
    try:
        load_torch(path)
    except ModelError as error:
        assert str(error).startswith(f"{path}: ")
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEMORY and time.monotonic() - begin < SECONDS


FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("kind", ["stored", "deflated", "legacy"])
@FUZZ
@given(data=st.data())
def test_damaged_files(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    whole = bytearray(_honest(tmp_path, kind))
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
        if not whole:
            return
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    _attempt(tmp_path / "x.pt", bytes(whole))


@FUZZ
@given(data=st.data())
def test_damaged_pickles(tmp_path: Path, data: st.DataObject) -> None:
    """The same inside an intact archive: checksums do not stop these."""
    writer = Writer(legacy=False)
    code = bytearray(pickled(writer.tree(_sample())))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(code) - 1))
        what = data.draw(st.binary(min_size=0, max_size=4))
        code[at : at + data.draw(st.integers(0, 4))] = what
        if not code:
            break
    save_zip(tmp_path / "y.pt", bytes(code), writer=writer)
    _attempt(tmp_path / "x.pt", (tmp_path / "y.pt").read_bytes())


@FUZZ
@given(
    code=st.lists(st.sampled_from(list(b"\x80\x02(01NJKMX]ael)t\x85\x86\x87}dsuhqc\x93R\x81bQ.2")))
)
def test_random_programs(tmp_path: Path, code: list[int]) -> None:
    save_zip(tmp_path / "y.pt", bytes(code))
    _attempt(tmp_path / "x.pt", (tmp_path / "y.pt").read_bytes())
