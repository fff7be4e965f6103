"""Containers and tensors that are damaged or made to hurt; fuzzing of the restricted reader."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import MEMORY, SECONDS, refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch_files import (
    Writer,
    glob,
    legacy_bytes,
    pickled,
    pid,
    save_zip,
)

from pyvoc.errors import ModelError
from pyvoc.pickles import load_torch

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
    assert load_torch(path) == ["glow.WaveGlow"]
    path.write_bytes(legacy_bytes([pid("module", "glow", "glow.py", "source")]))
    refused(path, "something that is no class")
    view = pid("storage", FLOAT, "0", "cpu", 4, ("v", 3, 2))
    writer = Writer(legacy=True)
    tensor = writer.tensor(np.ones(4, "<f4"), key="0", storage=view)
    path.write_bytes(legacy_bytes([tensor], writer=writer))
    refused(path, "lies outside of it")


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
