"""``.safetensors`` and MindSpore's ``.ckpt``: honest files, and damaged ones."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from melgan_checkpoints import field, mindspore_bytes, value, write_safetensors
from melgan_files import GOLDEN

from pyvoc.convert.mindspore import is_mindspore, load_mindspore
from pyvoc.convert.safetensors import is_safetensors, load_safetensors
from pyvoc.errors import ModelError

FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def sample() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    return {
        "a.weight": rng.standard_normal((3, 4, 5)).astype("<f4"),
        "half": np.array([0.5, -2], "<f2"),
        "b": rng.standard_normal(7).astype("<f4"),
        "one": np.array(2.5, "<f4"),
    }


def check(found: dict[str, Any]) -> None:
    assert list(found) == list(sample())
    for name, expected in sample().items():
        assert found[name].shape == expected.shape
        np.testing.assert_array_equal(found[name], expected, name)


def recognised(path: Path, test: Any) -> bool:
    return bool(test(path.read_bytes()[:32], path.stat().st_size))


def test_safetensors(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "x", sample())
    assert recognised(path, is_safetensors) and not recognised(path, is_mindspore)
    check(load_safetensors(path))
    np.testing.assert_array_equal(load_safetensors(path, select=lambda t: t["b"]), sample()["b"])


def test_safetensors_of_the_package(tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors.numpy")
    package.save_file(sample(), tmp_path / "x")
    found = load_safetensors(tmp_path / "x")
    assert found.keys() == sample().keys()
    for name, expected in sample().items():
        np.testing.assert_array_equal(found[name], expected)


def header(path: Path, table: Any, data: bytes = bytes(64)) -> Path:
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(dtype: Any = "F32", shape: Any = (4,), offsets: Any = (0, 16)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ({"a": entry(), "b": entry(offsets=(8, 24))}, "'a' and 'b' overlap"),
        ({"a": entry(offsets=(64, 80))}, "'a' lies beyond the file's end"),
        ({"a": entry(offsets=(0, 20))}, "does not fill the bytes"),
        ({"a": entry(shape=(1 << 39, 1 << 39))}, "does not fill the bytes"),
        ({"a": entry(shape=(10**4000,))}, "no counts"),
        ({"a": entry(shape=(-1,))}, "no counts"),
        ({"a": entry(shape=(True,))}, "no counts"),
        ({"a": entry(shape=(4.0,))}, "no counts"),
        ({"a": entry(shape="4")}, "no counts"),
        ({"a": entry(shape=(1,) * 30)}, "no counts"),
        ({"a": entry(offsets=(0,))}, "no counts"),
        ({"a": entry(offsets=(-16, 0))}, "no counts"),
        ({"a": entry(dtype="F8_E4M3")}, "type 'F8_E4M3', which is not read"),
        ({"a": entry(dtype=["F32"])}, "which is not read"),
        ({"a": {}}, "not described by"),
        ({"a": 3}, "not described by"),
        ([], "not a table"),
        (b'{"a": {}, "a": {}}', "not JSON"),
        (b"{" * 100_000, "not JSON"),
        (b'{"a": \xff}', "not JSON"),
        (b"{" + b'"x":[' * 50_000, "not JSON"),
    ],
)
def test_safetensors_hostile(tmp_path: Path, table: Any, match: str) -> None:
    path = header(tmp_path / "x", table)
    with pytest.raises(ModelError, match=match) as caught:
        load_safetensors(path)
    assert str(caught.value).startswith(f"{path}: ") and len(str(caught.value)) < 500


def test_safetensors_lengths(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for size, match in ((1 << 63, "at most"), (1000, "truncated"), (1 << 23, "truncated")):
        path.write_bytes(struct.pack("<Q", size) + b"{}")
        with pytest.raises(ModelError, match=match):
            load_safetensors(path)
    path.write_bytes(b"abc")
    with pytest.raises(ModelError, match="truncated"):
        load_safetensors(path)


@pytest.mark.parametrize("crc", [False, True])
@pytest.mark.parametrize("split", [0, 20])
@pytest.mark.parametrize("packed", [False, True])
def test_mindspore(tmp_path: Path, split: int, crc: bool, packed: bool) -> None:
    path = tmp_path / "x"
    path.write_bytes(mindspore_bytes(sample(), split=split, crc=crc, packed=packed))
    assert recognised(path, is_mindspore) and not recognised(path, is_safetensors)
    check(load_mindspore(path))


def test_mindspore_ignores_what_it_need_not_know(tmp_path: Path) -> None:
    path = tmp_path / "x"
    text = value("text", (3,), "str", b"abc")
    table = field(1, field(1, b"table") + field(3, b"\x08\x01"))
    more = b"\x10\x05" + b"\x1d\0\0\0\0" + b"\x21" + bytes(8)  # integers and fixed fields
    path.write_bytes(mindspore_bytes(sample()) + text + table + more)
    found = load_mindspore(path, select=lambda t: {k: v for k, v in t.items() if k != "text"})
    check(found)
    with pytest.raises(ModelError, match="'text' has elements of type 'str', which is not read"):
        load_mindspore(path)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (value("a", (4,), "Float32", bytes(12)), r"'a' \[4\] of Float32 has 12 bytes"),
        (value("a", (1 << 62, 1 << 62), "Float32", bytes(16)), "has 16 bytes"),
        (value("a", (), "Float32", bytes(8)), "has 8 bytes"),
        (value("a", (2,), "Float32", bytes(8)) + value("a", (1,), "Float32", b""), "differ"),
        (value("a", (1,) * 40, "Float32", bytes(4)), "more than 16 dimensions"),
        (field(1, field(2, b"")), "has no name"),
        (field(1, field(1, b"\xff\xfe")), "damaged or encrypted"),
        (field(1, field(1, b"x" * 600)), "a name of 600 bytes"),
        (b"\x0a\xff\xff\xff\xff\x7f", "leaves its message"),
        (b"\x0a\x05\x0a\x50", "leaves its message"),
        (b"\xff" * 20, "does not end|begins no field"),
        (b"\x0b\x00", "begins no field"),
        (mindspore_bytes(sample())[:-9], "leaves its message"),
        (mindspore_bytes(sample(), crc=True)[:-1] + b"\x01", "does not match its checksum"),
    ],
)
def test_mindspore_hostile(tmp_path: Path, data: bytes, match: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=match) as caught:
        load_mindspore(path)
    assert str(caught.value).startswith(f"{path}: ") and len(str(caught.value)) < 500


@pytest.mark.parametrize("kind", ["safetensors", "mindspore"])
@FUZZ
@given(data=st.data())
def test_damaged_files(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    path = tmp_path / "x"
    if kind == "safetensors":
        whole, load = bytearray(write_safetensors(path, sample()).read_bytes()), load_safetensors
    else:
        whole, load = bytearray(mindspore_bytes(sample(), crc=False, split=30)), load_mindspore
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    for _ in range(data.draw(st.integers(0, 4))):
        if whole:
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    begin = time.monotonic()
    tracemalloc.start()
    try:
        load(path)
    except ModelError as error:
        assert str(error).startswith(f"{path}: ")
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 50 << 20 and time.monotonic() - begin < 10


def test_upstream_mindspore() -> None:
    files = sorted(GOLDEN.glob("melgan_mindspore/*.ckpt"))
    if not files:
        pytest.skip("no golden data")
    index = np.load(GOLDEN / "melgan_mindspore" / "melgan_generator_param_index.npz")
    found = load_mindspore(files[0])
    assert set(found) == {str(n) for n in index["names"]}
    for name, shape, total in zip(index["names"], index["shapes"], index["sums"], strict=True):
        assert str(found[str(name)].shape) == str(shape)
        assert found[str(name)].sum(dtype=np.float64) == pytest.approx(total, abs=1e-4)
