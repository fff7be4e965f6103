"""The restricted reader on what honest writers make."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import functools
import os
import pathlib
import pickle
import subprocess
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from melgan_files import GOLDEN
from torch_files import Bf16, Raw, Writer, build, call, encode, glob, legacy_bytes, pid, save_zip

from pyvoc.errors import Error, ModelError
from pyvoc.pickles import Inert, LazyTensor, is_torch, load_torch

UPSTREAM = sorted([*GOLDEN.glob("*/*.pt"), *GOLDEN.glob("*/*.pyt")])


def flat(tree: Any, path: str = "") -> dict[str, Any]:
    """Leaves by their path."""
    if isinstance(tree, Inert):
        return {f"{path}!": tree.kind, **flat(tree.state, path)}
    if isinstance(tree, dict):
        pairs = [(str(key), value) for key, value in tree.items()]
    elif isinstance(tree, list | tuple):
        pairs = [(str(key), value) for key, value in enumerate(tree)]
    else:
        return {path: tree}
    return {k: v for key, value in pairs for k, v in flat(value, f"{path}/{key}").items()}


def sample() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {
        "model": {
            "a.weight": rng.standard_normal((3, 4, 5)).astype("<f4"),
            "a.bias": rng.standard_normal(7),
            "half": np.array([0.5, -2, 65504], "<f2"),
            "steps": np.array(1234567890123, "<i8"),
            "mask": np.array([True, False]),
            "none": np.zeros((0, 3), "<f4"),
        },
        "step": 12,
        "large": 1 << 80,
        "rates": [0.5, None, (1, 2, 3), "näme"],
    }


def check(found: Any) -> None:
    expected = flat(sample())
    leaves = flat(found)
    assert leaves.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, np.ndarray):
            assert leaves[key].shape == value.shape
            np.testing.assert_array_equal(leaves[key], value, key)
        else:
            assert leaves[key] == value and type(leaves[key]) is type(value)
    assert leaves["/model/a.bias"].dtype == np.float64
    assert leaves["/model/half"].dtype == np.float32


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("top", ["archive", "some name", "a/b"])
def test_zip(tmp_path: Path, top: str, method: int) -> None:
    path = save_zip(tmp_path / "x.pt", sample(), top=top, method=method)
    assert is_torch(path.read_bytes()[:32])
    check(load_torch(path))


def test_zip_with_what_newer_versions_add(tmp_path: Path) -> None:
    more = {
        "archive/.format_version": b"1",
        "archive/byteorder": b"little",
        "archive/.data/serialization_id": b"0" * 40,
        "archive/data/": b"",
    }
    check(load_torch(save_zip(tmp_path / "x.pt", sample(), members=more)))
    big = {"archive/byteorder": b"big"}
    with pytest.raises(ModelError, match="is not little-endian"):
        load_torch(save_zip(tmp_path / "x.pt", sample(), members=big))


def test_legacy(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(legacy_bytes(sample()))
    assert is_torch(path.read_bytes()[:32])
    check(load_torch(path))


def test_bf16_becomes_float32(tmp_path: Path) -> None:
    value = {"w": Bf16(np.array([0x3F80, 0xC000, 0x3EAB], "<u2"))}
    found = load_torch(save_zip(tmp_path / "x.pt", value))["w"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.float32([1, -2, 0.333984375]))


def test_views_share_a_storage(tmp_path: Path) -> None:
    writer = Writer(legacy=False)
    base = np.arange(24, dtype="<f4")
    value = {
        "transposed": writer.tensor(base, key="0", shape=(6, 4), strides=(1, 6)),
        "part": writer.tensor(base, key="0", shape=(2, 3), strides=(6, 1), first=12),
        "one": writer.tensor(base, key="0", shape=(), strides=(), first=23),
    }
    found = load_torch(save_zip(tmp_path / "x.pt", value, writer=writer))
    np.testing.assert_array_equal(found["transposed"], base.reshape(4, 6).T)
    np.testing.assert_array_equal(found["part"], base[12:].reshape(2, 6)[:, :3])
    assert found["one"] == 23 and found["one"].shape == ()


def test_parts_of_legacy_storages(tmp_path: Path) -> None:
    writer = Writer(legacy=True)
    base = np.arange(10, dtype="<f4")
    storage = pid("storage", glob("torch", "FloatStorage"), "0", "cpu", 10, ("v", 4, 5))
    tensor = writer.tensor(base, key="0", storage=storage, shape=(5,), strides=(1,))
    path = tmp_path / "x.pt"
    path.write_bytes(legacy_bytes([tensor], writer=writer))
    np.testing.assert_array_equal(load_torch(path)[0], base[4:9])


def test_only_what_is_picked_is_read(tmp_path: Path) -> None:
    path = save_zip(tmp_path / "x.pt", {"keep": np.ones(3, "<f4"), "skip": np.zeros(5000, "<f4")})
    data = bytearray(path.read_bytes())
    at = data.index(bytes(20000))
    data[at] = 1  # its checksum is wrong now
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"'archive/data/1' does not match its checksum"):
        load_torch(path)
    seen: list[Any] = []

    def pick(tree: Any) -> Any:
        seen.append(tree)
        return tree["keep"]

    np.testing.assert_array_equal(load_torch(path, select=pick), np.ones(3))
    assert type(seen[0]["skip"]) is LazyTensor and seen[0]["skip"].shape == (5000,)


def test_objects_are_inert(tmp_path: Path) -> None:
    thing = Raw(encode(glob("nets.glow", "Flow")) + b")\x81")
    nested = build(thing, {"_parameters": {"w": 1.5}, "self": None})
    found = load_torch(save_zip(tmp_path / "x.pt", [nested]))[0]
    assert isinstance(found, Inert) and found.kind == "nets.glow.Flow"
    assert found.state == {"_parameters": {"w": 1.5}, "self": None}
    assert "nets" not in sys.modules


class Colour(enum.Enum):
    RED = 1


class Settings(dict):  # type: ignore[type-arg]
    """As Lightning's AttributeDict."""


class Point(NamedTuple):
    x: int


@dataclasses.dataclass
class Slotted:
    a: int
    __slots__ = ("a",)


BYSTANDERS: dict[str, tuple[Any, Any]] = {
    "Counter": (collections.Counter({200000: 1}), "collections.Counter"),
    "path": (pathlib.PurePosixPath("wavs/a"), "pathlib.PurePosixPath"),
    "set": ({1}, [1]),
    "frozenset": (frozenset([1]), [1]),
    "enum": (Colour.RED, f"{__name__}.Colour"),
    "date": (datetime.datetime(2020, 1, 2), "datetime.datetime"),
    "timedelta": (datetime.timedelta(1), "datetime.timedelta"),
    "AttributeDict": (Settings(lr=0.1), f"{__name__}.Settings"),
    "tuple with names": (Point(1), f"{__name__}.Point"),
    "slots": (Slotted(3), f"{__name__}.Slotted"),
    "namespace": (types.SimpleNamespace(a=1), "types.SimpleNamespace"),
    "deque": (collections.deque([1, 2]), "collections.deque"),
    "partial": (functools.partial(max, 1), "functools.partial"),
    "method": ("a".join, "getattr"),
    "class": (Colour, f"{__name__}.Colour"),
    "function": (os.path.join, "posixpath.join"),
    "complex": (1j, "complex"),
    "great integer": (1 << 127, 1 << 127),
    "keys": ({(1, 2): 3, 0.5: 4, Colour.RED: 5, "a": 6}, dict),
    "numpy text": (np.array(["a", "b"]), None),
    "numpy number": (np.float32(0.5), 0.5),
    "numpy date": (np.datetime64("2020-01-01"), "numpy.generic"),
    "random state": (np.random.default_rng(1).bit_generator.state, dict),
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", BYSTANDERS)
def test_bystanders(tmp_path: Path, name: str, protocol: int) -> None:
    """What training programs leave beside the weights is in nobody's way, and is never made."""
    value, expected = BYSTANDERS[name]
    writer = Writer(legacy=False)
    code = pickle.dumps(value, protocol)[2:-1]  # without PROTO and STOP
    code = code[9:] if code[:1] == b"\x95" else code  # and without a frame
    tree = {"model": {"w": writer.tensor(np.ones(3, "<f4"))}, "bystander": Raw(code), "step": 7}
    path = save_zip(tmp_path / "x.pt", tree, writer=writer)
    found = load_torch(path, select=lambda tree: tree["model"])
    np.testing.assert_array_equal(found["w"], np.ones(3))
    if expected is None:
        with pytest.raises(ModelError, match="elements that are not plain numbers"):
            load_torch(path)
        return
    whole = load_torch(path)
    assert whole["step"] == 7
    bystander = whole["bystander"]
    if isinstance(expected, str):
        kind = bystander.kind if isinstance(bystander, Inert) else bystander
        assert kind.removeprefix("builtins.").removeprefix("__builtin__.") == expected
    elif isinstance(expected, type):
        assert isinstance(bystander, expected)
    else:
        assert bystander == expected
    if name == "AttributeDict":
        assert bystander.state == {"lr": 0.1}
    if name == "keys":
        assert bystander["a"] == 6 and sorted(bystander.values()) == [3, 4, 5, 6]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda w: call(glob("torch._utils", "_rebuild_qtensor"), w.tensor(np.ones(2, "<f4"))),
            r"a tensor is made by 'torch\._utils\._rebuild_qtensor', which is not called",
        ),
        (
            lambda w: call(glob("torch._utils", "_rebuild_sparse_tensor"), 1, (2, 3)),
            "_rebuild_sparse_tensor', which is not called",
        ),
        (
            lambda w: call(glob("mine.tensors", "double"), w.tensor(np.ones(2, "<f4"))),
            r"a tensor is made by 'mine\.tensors\.double', which is not called",
        ),
        (
            lambda w: w.tensor(
                np.ones(2, "<f4"),
                storage=pid("storage", glob("torch", "ComplexFloatStorage"), "0", "cpu", 1),
            ),
            r"elements of type 'torch\.ComplexFloatStorage', which is not read",
        ),
    ],
)
def test_tensors_that_need_a_call(
    tmp_path: Path, make: Callable[[Writer], Raw], match: str
) -> None:
    """Beside the model they are inert; of the model they are an error that names the function."""
    writer = Writer(legacy=False)
    tree = {"g": {"w": writer.tensor(np.ones(3, "<f4"))}, "optim": {"w": make(writer)}}
    path = save_zip(tmp_path / "x.pt", tree, writer=writer)
    load_torch(path, select=lambda tree: tree["g"])
    with pytest.raises(ModelError, match=match):
        load_torch(path, select=lambda tree: tree["optim"])


def test_numpy_values(tmp_path: Path) -> None:
    for core in ("numpy.core", "numpy._core"):
        kind = build(
            call(glob("numpy", "dtype"), "f8", False, True), (3, "<", None, None, None, -1, -1, 0)
        )
        values = np.arange(6.0).reshape(2, 3)
        latin = call(glob("_codecs", "encode"), values.tobytes().decode("latin-1"), "latin1")
        empty = call(
            glob(f"{core}.multiarray", "_reconstruct"), glob("numpy", "ndarray"), (0,), b"".decode()
        )
        array = build(empty, (1, (2, 3), kind, False, latin))
        one = call(glob("_codecs", "encode"), np.float64(2.5).tobytes().decode("latin-1"), "latin1")
        number = call(glob(f"{core}.multiarray", "scalar"), kind, one)
        found = load_torch(save_zip(tmp_path / "x.pt", {"a": array, "n": number}))
        np.testing.assert_array_equal(found["a"], values)
        assert found["n"] == 2.5


def test_what_checkpoints_of_python_2_hold(tmp_path: Path) -> None:
    pairs = [["a", 1], ["b", 2]]
    value = {
        "ordered": call(glob("collections", "OrderedDict"), pairs),
        "default": call(glob("collections", "defaultdict"), glob("__builtin__", "dict")),
        "set": call(glob("__builtin__", "set"), ["x"]),
        "text": Raw(b"U\x02\xe9x"),
        "device": call(glob("torch", "device"), "cuda", 0),
        "size": call(glob("torch", "Size"), (2, 3)),
        "type": glob("torch", "float32"),
    }
    found = load_torch(save_zip(tmp_path / "x.pt", value))
    assert found == {
        "ordered": {"a": 1, "b": 2},
        "default": {},
        "set": ["x"],
        "text": "éx",
        "device": "cuda:0",
        "size": (2, 3),
        "type": "torch.float32",
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("legacy", [False, True])
def test_against_torch(tmp_path: Path, protocol: int, legacy: bool) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(3, 4, 5))
    optimiser = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 3, 8)).sum().backward()
    optimiser.step()
    value = {
        "state": layer.state_dict(),
        "optimiser": optimiser.state_dict(),
        "parameter": torch.nn.Parameter(torch.arange(6.0).reshape(2, 3).T),
        "bf16": torch.arange(5).bfloat16(),
        "rng": torch.get_rng_state(),
        "text": "x" * 300,
    }
    torch.save(
        value,
        tmp_path / "x.pt",
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=not legacy,
    )
    found, expected = flat(load_torch(tmp_path / "x.pt")), flat(value)
    assert found.keys() == expected.keys()
    for key, theirs in expected.items():
        if isinstance(theirs, torch.Tensor):
            theirs = theirs.detach()
            theirs = theirs.float() if theirs.dtype is torch.bfloat16 else theirs
            np.testing.assert_array_equal(found[key], theirs.numpy(), key)
        else:
            assert found[key] == theirs


@pytest.mark.parametrize("path", UPSTREAM, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_upstream_files(path: Path) -> None:
    leaves = flat(load_torch(path))
    arrays = {k: v for k, v in leaves.items() if isinstance(v, np.ndarray)}
    assert len(arrays) >= 57
    torch = pytest.importorskip("torch")
    if "_pickled_" in path.name:  # torch would import glow.py: a sister file holds the same values
        other = path.with_name(f"{path.name.split('_')[0]}_state_dict_weightnorm.pt")
        if not other.exists():
            return
        for key, theirs in torch.load(other, weights_only=True).items():
            parts = key.split(".")
            mine = "".join(f"/_modules/{part}" for part in parts[:-1]) + f"/_parameters/{parts[-1]}"
            np.testing.assert_array_equal(found_in(arrays, mine), theirs.numpy(), key)
        return
    theirs_flat = flat(torch.load(path, weights_only=True))
    assert theirs_flat.keys() == leaves.keys()
    for key, mine in arrays.items():
        np.testing.assert_array_equal(mine, theirs_flat[key].numpy(), key)


def found_in(arrays: dict[str, np.ndarray], ending: str) -> np.ndarray:
    matches = [value for key, value in arrays.items() if key.endswith(ending)]
    assert len(matches) == 1, ending
    return matches[0]


def test_places(tmp_path: Path) -> None:
    with pytest.raises(Error, match="cannot be read: No such file"):
        load_torch(tmp_path / "absent.pt")
    with pytest.raises(Error, match="cannot be read"):
        load_torch(tmp_path)
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(ModelError, match=r"begins with b'', expected a file that torch\.save"):
        load_torch(tmp_path / "x")


def test_torch_is_not_imported(tmp_path: Path) -> None:
    path = save_zip(tmp_path / "x.pt", sample())
    code = (
        "import sys, pyvoc.pickles as p; p.load_torch(sys.argv[1]); "
        "assert not {'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
