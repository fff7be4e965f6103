"""Files that get into a reader's hands by mistake are named for what they are."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_files import legacy_bytes, pickled, save_zip

from pyvoc.errors import AudioError, Error, FeatureError, ModelError
from pyvoc.files import audio, features, mels
from pyvoc.files.kinds import instead_of, kind_of
from pyvoc.runtime.model import load


def zipped(*names: str, **contents: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in names:
            file.writestr(name, b"{}")
        for name, data in contents.items():
            file.writestr(name, data)
    return stream.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def safetensors() -> bytes:
    text = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(text)) + text + bytes(4)


def gguf(architecture: bytes) -> bytes:
    key = b"general.architecture"
    entry = struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(architecture))
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + entry + architecture


FILES = {
    "empty": (b"", "an empty file"),
    "git-lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "a git-lfs pointer, not the file itself",
    ),
    "page": (b"\n<!DOCTYPE html>\n<html><head></head></html>", "a web page"),
    "page without a type": (b"<HTML><body>404</body></HTML>", "a web page"),
    "keras 3": (
        zipped("metadata.json", "config.json", "model.weights.h5"),
        "a Keras 3 model (.keras)",
    ),
    "npz": (npz(mel=np.zeros((80, 30))), "a NumPy archive (.npz) of 'mel' [80, 30]"),
    "great npz": (
        npz(**{f"x{i}": np.zeros(3) for i in range(9)}),
        "of 'x0' [3], 'x1' [3], 'x2' [3], 'x3' [3] and 5 more",
    ),
    "npy": (b"\x93NUMPY\1\0" + bytes(100), "a NumPy array (.npy)"),
    "torchscript": (zipped("net/data.pkl", "net/constants.pkl"), "a TorchScript program"),
    "torch": (zipped("net/data.pkl", "net/data/0"), "a PyTorch file"),
    "old torch": (legacy_bytes({"a": np.ones(3, "<f4")}), "a PyTorch file, from before"),
    "document": (zipped("[Content_Types].xml", "word/document.xml"), "an office document"),
    "zip": (zipped("readme.txt"), "a zip archive of 'readme.txt'"),
    "half a zip": (zipped("net/data.pkl")[:40], "a damaged zip archive"),
    "pickle": (pickled({"a": 1}), "a Python pickle, which torch.save did not write"),
    "safetensors": (safetensors(), "a safetensors file"),
    "onnx": (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:\x10" + bytes(16), "an ONNX graph"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(20), "a TensorFlow Lite model"),
    "tar": (b"model_config.yaml" + bytes(240) + b"ustar\x0000" + bytes(500), "a tar archive"),
    "gzip": (b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + bytes(20), "packed with gzip"),
    "wav": (b"RIFF\0\0\0\0WAVE", "audio (wav)"),
    "a model": (gguf(b"pyvoc.some"), "a model file (GGUF)"),
    "llama": (gguf(b"llama"), "a GGUF model of another program ('llama')"),
    "json": (b'{"sampling_rate": 22050}', "settings of another program (JSON)"),
    "yaml": (b"# x\naudio:\n  rate: 16000\n  hop: 200\n", "settings of another program (text)"),
    "prose": (b"This is a readme.\nIt has two lines.\n", "a text file"),
}


@pytest.mark.parametrize("name", FILES)
def test_kinds(name: str, tmp_path: Path) -> None:
    data, what = FILES[name]
    (tmp_path / "x").write_bytes(data)
    for source in (data, tmp_path / "x"):
        kind = kind_of(source)
        assert kind is not None and what in kind.what, kind


def test_hdf5(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    trees = {
        "layers/gru_a/cell/vars/0": "a Keras 3 weights file (.weights.h5)",
        "model_weights/gru_a/kernel:0": "a Keras HDF5 checkpoint",
        "feats": "an HDF5 file of 'feats' [3, 4]",
        "group/deep": "an HDF5 file of 'group'",
    }
    for number, (name, what) in enumerate(trees.items()):
        path = tmp_path / f"{number}.h5"
        with h5py.File(path, "w") as file:
            file[name] = np.zeros((3, 4), np.float32)
            file["gone"] = h5py.ExternalLink("/etc/passwd", "x")
        kind = kind_of(path)
        assert kind is not None and kind.what.startswith(what.split("'")[0])
    (tmp_path / "half.h5").write_bytes(path.read_bytes()[:100])
    kind = kind_of(tmp_path / "half.h5")
    assert kind is not None and kind.what == "a damaged HDF5 file"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_nothing_by_chance(data: bytes) -> None:
    """Whatever the bytes, an answer; none for numbers."""
    kind_of(data)
    values = np.frombuffer(data[: len(data) // 4 * 4], "<u4").astype(np.float32) / 2.0**31 - 1
    if values.size > 8:
        assert kind_of(values.astype("<f4").tobytes()) is None


def test_readers_say_it(tmp_path: Path) -> None:
    path = tmp_path / "mel.npz"
    np.savez(path, mel=np.zeros((80, 30), np.float32))
    for read in (lambda: mels.load(path, bands=80), lambda: features.load(path)):
        with pytest.raises(FeatureError, match=r"is a NumPy archive \(\.npz\) of 'mel' \[80, 30\]"):
            read()
    again = tmp_path / "x.npy"
    again.write_bytes(path.read_bytes())
    with pytest.raises(FeatureError, match="is a NumPy archive"):
        mels.load(again, bands=80)
    with pytest.raises(FeatureError, match="is a NumPy archive"):
        features.load(again)
    with pytest.raises(ModelError, match=r"mel\.npz: not a pyvoc model: it is a NumPy archive"):
        load(path)
    with pytest.raises(ModelError, match=r"mel\.npz: not a pyvoc model: it is a NumPy archive"):
        mels.recipe_of(path)
    (tmp_path / "page.wav").write_bytes(FILES["page"][0])
    with pytest.raises(AudioError, match="it is a web page that was saved in place of a file"):
        audio.read(tmp_path / "page.wav")
    with pytest.raises(Error, match="cannot be read"):
        kind_of(tmp_path / "absent")
    assert instead_of("a mel", b"\xff" * 40) is None


def test_a_numpy_array_that_torch_saved(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    mel = np.linspace(-5, 0, 80 * 30, dtype=np.float32).reshape(80, 30)
    torch.save(mel, tmp_path / "mel.pt")
    np.testing.assert_array_equal(mels.load(tmp_path / "mel.pt", bands=80), mel.T)


def test_a_checkpoint_in_place_of_a_mel(tmp_path: Path) -> None:
    path = save_zip(tmp_path / "x.pt", [{"a": 1}])
    with pytest.raises(FeatureError, match="holds a value of type dict, expected a mel tensor"):
        mels.load(path, bands=80)
