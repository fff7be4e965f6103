"""Mel files: what is read, which way round, and what is refused; synthesis from them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import ROOT

from pyvoc import Error, FeatureError, ModelError, mels
from pyvoc.container.mel import NVIDIA
from pyvoc.container.reader import read_metadata

MELGAN = ROOT / "tests" / "golden" / "melgan" / "odd.f32.gguf"


def mel(frames: int = 30, bands: int = 80) -> np.ndarray:
    return np.random.default_rng(frames).normal(-5, 2, (frames, bands)).astype(np.float32)


def saved(folder: Path, array: np.ndarray, name: str = "a.npy") -> Path:
    np.save(folder / name, array)
    return folder / name


@pytest.mark.parametrize("frames", [1, 30, 79, 81])
def test_npy_in_every_orientation(tmp_path: Path, frames: int) -> None:
    rows = mel(frames)
    for stored in (rows, rows.T, rows[None], rows.T[None], np.asfortranarray(rows)):
        for dtype in (np.float32, np.float64):
            found = mels.load(saved(tmp_path, stored.astype(dtype)), bands=80)
            assert found.flags.c_contiguous
            np.testing.assert_array_equal(found, rows)


def test_square_arrays(tmp_path: Path) -> None:
    rows = mel(80)
    with pytest.raises(FeatureError, match="square"):
        mels.load(saved(tmp_path, rows), bands=80)
    np.testing.assert_array_equal(mels.load(saved(tmp_path, rows.T[None]), bands=80), rows)
    mels.save(tmp_path / "a.f32", rows)
    np.testing.assert_array_equal(mels.load(tmp_path / "a.f32", bands=80), rows)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrap", ["bare", "batch", "list", "dict", "half"])
def test_torch_tensors(tmp_path: Path, legacy: bool, wrap: str) -> None:
    torch = pytest.importorskip("torch")
    rows = mel(80 if wrap == "batch" else 33)
    tensor = torch.from_numpy(np.ascontiguousarray(rows.T))
    stored = {
        "bare": tensor,
        "batch": tensor[None],
        "list": [tensor],
        "dict": {"mel": tensor},
        "half": tensor.half(),
    }[wrap]
    torch.save(stored, tmp_path / "a.mel", _use_new_zipfile_serialization=not legacy)
    found = mels.load(tmp_path / "a.mel", bands=80)
    expected = rows.astype(np.float16).astype(np.float32) if wrap == "half" else rows
    np.testing.assert_array_equal(found, expected)


def test_tensors_that_are_no_mel(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "a.pt"
    for stored, words in (
        ({"a": torch.zeros(80, 4), "b": torch.zeros(80, 4)}, "dict of 2 things"),
        ("text", "of type str"),
        (torch.zeros(4, dtype=torch.int64), "int64"),
        (torch.zeros(2, 80, 4), r"\(2, 80, 4\)"),
        (torch.zeros(79, 5), "expected 80 bands"),
    ):
        torch.save(stored, path)
        with pytest.raises(FeatureError, match=words):
            mels.load(path, bands=80)


def test_hostile_and_damaged_files(tmp_path: Path) -> None:
    evil = b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00touch\x85R."
    with zipfile.ZipFile(tmp_path / "evil.pt", "w") as archive:
        archive.writestr("archive/data.pkl", evil)
        archive.writestr("archive/version", "3\n")
    (tmp_path / "noise.pt").write_bytes(b"PK\x03\x04" + bytes(200))
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "text.npy").write_bytes(b"hello world, this is no array")
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "two.npz", a=mel(), b=mel())
    (tmp_path / "two.npy").write_bytes((tmp_path / "two.npz").read_bytes())
    whole = saved(tmp_path, mel(), "whole.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[: len(whole) // 2])
    for name in (
        "evil.pt",
        "noise.pt",
        "empty.npy",
        "text.npy",
        "object.npy",
        "two.npy",
        "cut.npy",
    ):
        with pytest.raises(FeatureError, match=name):
            mels.load(tmp_path / name, bands=80)
    with pytest.raises(Error, match="No such file"):
        mels.load(tmp_path / "none.npy", bands=80)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a[:, :79], "expected 80 bands"),
        (lambda a: a[0], "shape"),
        (lambda a: np.stack([a, a]), "shape"),
        (lambda a: a[:0], "no frames"),
        (lambda a: a.astype(np.int16), "int16"),
        (lambda a: a * np.where(np.arange(80) == 7, np.nan, 1), "band 7 of frame 0 is nan"),
        (lambda a: a + np.where(np.arange(80) == 3, np.inf, 0), "band 3 of frame 0 is inf"),
        (lambda a: a * 1e6, "beyond what any mel recipe gives"),
        (lambda a: a.astype(np.float64) * 1e300, "inf"),
    ],
)
def test_wrong_arrays_are_explained(tmp_path: Path, change: object, words: str) -> None:
    path = saved(tmp_path, change(mel()))  # type: ignore[operator]
    with pytest.raises(FeatureError, match=words):
        mels.load(path, bands=80)


def test_raw_files(tmp_path: Path) -> None:
    path = tmp_path / "a.f32"
    for data, words in (
        (b"", "empty"),
        (bytes(323), "whole number of frames"),
        (b"RIFF" + bytes(316), r"is audio \(wav\)"),
        (np.full(80, np.nan, "<f4").tobytes(), "nan"),
    ):
        path.write_bytes(data)
        with pytest.raises(FeatureError, match=words):
            mels.load(path, bands=80)


def test_saving_refuses_what_is_no_mel(tmp_path: Path) -> None:
    for array in (mel()[0], mel()[:0], mel() * np.float32("nan")):
        with pytest.raises(FeatureError):
            mels.save(tmp_path / "a.npy", array)
    assert not list(tmp_path.iterdir())


def test_the_recipe_of_a_file() -> None:
    recipe = mels.recipe_of(MELGAN)
    metadata = read_metadata(MELGAN)
    assert recipe.bands == metadata["pyvoc.features.bands"]
    assert recipe == mels.recipe_in(metadata, source="m")
    # JSON has one kind of number: whole floats come back as integers.
    as_json = {k: int(v) if v == 0.0 and type(v) is float else v for k, v in metadata.items()}
    assert recipe == mels.recipe_in(as_json, source="m")


def test_damaged_recipes_and_files_are_refused(tmp_path: Path) -> None:
    metadata = dict(read_metadata(MELGAN))
    del metadata["pyvoc.features.fmax"]
    with pytest.raises(ModelError, match="fmax"):
        mels.recipe_in(metadata, source="m")
    assert mels.recipe_in({"pyvoc.features.layout": "lpcnet36"}, source="m") is None
    data = MELGAN.read_bytes()
    for size in (0, 3, 30, 200):
        (tmp_path / "m.gguf").write_bytes(data[:size])
        with pytest.raises(ModelError, match=r"m\.gguf"):
            read_metadata(tmp_path / "m.gguf")
    with pytest.raises(Error, match="No such file"):
        read_metadata(tmp_path / "none.gguf")


def test_presets_by_name() -> None:
    assert mels.find_recipe("mel-nvidia") is mels.find_recipe("nvidia") is NVIDIA
