"""`pyvoc convert` as a whole: recognition, provenance, the error report, the command line."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import Upstream, write_blob

import pyvoc
from pyvoc.cli import convert as command
from pyvoc.container import read_container
from pyvoc.convert import convert
from pyvoc.errors import Error, ModelError, UnsupportedError
from pyvoc.quant.likelihood_report import LikelihoodReport

pytest.importorskip("h5py")


class Flat:
    """A runtime that is broken."""

    def __init__(self, path: str) -> None:
        model = pyvoc.load(path)
        self.info, self.synthesize, self._native = model.info, model.synthesize, model._native

    def predict(self, features: np.ndarray, pcm: np.ndarray) -> np.ndarray:
        return np.ones((len(pcm), 256), np.float32)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return Upstream().write_h5(tmp_path / "voice.h5")


@pytest.mark.parametrize("precision", ["f32", "bf16", "int8"])
def test_report(tmp_path: Path, checkpoint: Path, precision: str) -> None:
    result = convert(checkpoint, tmp_path / "m.gguf", precision=precision, load=pyvoc.load)
    metadata = read_container(tmp_path / "m.gguf").metadata
    assert metadata["pyvoc.source.sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert metadata["pyvoc.source.format"] == "keras.h5"
    assert metadata["pyvoc.precision"] == precision
    assert metadata["general.name"] == "voice"
    assert result.bytes == (tmp_path / "m.gguf").stat().st_size
    report = result.report
    assert isinstance(report, LikelihoodReport) and report.samples == 6400
    if precision == "f32":
        assert report.kl_max == 0 and report.nll == report.nll_exact
    else:
        assert 0 < report.kl_mean < 1e-2 and report.nll != report.nll_exact


def test_2019_report(tmp_path: Path) -> None:
    path = Upstream(features=38, block=(16, 1)).write_h5(tmp_path / "m.h5", activation="softmax")
    report = convert(path, tmp_path / "m.gguf", precision="int8", load=pyvoc.load).report
    assert isinstance(report, LikelihoodReport) and 0 < report.kl_mean < 1e-2


def test_a_runtime_that_gives_no_distribution_fails_the_conversion(
    tmp_path: Path, checkpoint: Path
) -> None:
    target = tmp_path / "m.gguf"
    with pytest.raises(Error, match="not a distribution"):
        convert(checkpoint, target, load=Flat)
    assert not target.exists()


def test_recognised_by_content(tmp_path: Path) -> None:
    disguised = Upstream().write_h5(tmp_path / "weights.bin")
    assert convert(disguised, tmp_path / "a.gguf").format == "keras.h5"
    blob = write_blob(tmp_path / "model.h5", Upstream().blob_records(int8=True))
    assert convert(blob, tmp_path / "b.gguf").format == "dnnw.int8"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is an empty file; expected a DNNw weight blob"),
        (
            b"RIFF....WAVE",
            "dnn/fargan_data.c), a Keras HDF5 checkpoint, or a checkpoint of PyTorch",
        ),
        (b"GGUF\3\0\0\0", "truncated: the file's 8 bytes end inside the header"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "not a readable HDF5 file"),
        (b"DNNw", "of a header's 64 bytes are left"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        convert(path, tmp_path / "m.gguf")
    assert expected in str(caught.value) and str(path) in str(caught.value)
    assert os.listdir(tmp_path) == ["x"]


def test_places(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(Error, match="cannot be read"):
        convert(tmp_path / "absent.h5", tmp_path / "m.gguf")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Error, match="is a folder, expected"):
        convert(tmp_path / "empty", tmp_path / "m.gguf")
    with pytest.raises(Error, match="its folder does not exist"):
        convert(checkpoint, tmp_path / "absent" / "m.gguf", load=pyvoc.load)
    with pytest.raises(Error, match="it is a folder"):  # before anything is measured
        convert(checkpoint, tmp_path / "empty", load=pytest.fail)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")  # without a writer: it must not be waited for
        with pytest.raises(Error, match=r"cannot read '.*pipe': it is no ordinary file"):
            convert(tmp_path / "pipe", tmp_path / "m.gguf")
    before = checkpoint.read_bytes()
    with pytest.raises(Error, match="would overwrite the input"):
        convert(checkpoint, checkpoint)
    assert checkpoint.read_bytes() == before


def test_settings_are_checked(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(Error, match="precision 'int4' is unknown, expected f32, bf16, int8"):
        convert(checkpoint, tmp_path / "m.gguf", precision="int4")
    with pytest.raises(Error, match="architecture 'wavenet' is unknown"):
        convert(checkpoint, tmp_path / "m.gguf", arch="wavenet")


def test_without_h5py(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UnsupportedError, match=r"pip install pyvoc-vocoder\[convert\]"):
        convert(checkpoint, tmp_path / "m.gguf")


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(["convert", *arguments])


def test_command_line(tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = str(tmp_path / "m.gguf")
    assert command.run(parse(str(checkpoint), "-o", target, "--precision", "int8")) == 0
    text = capsys.readouterr().out
    assert "pyvoc.lpcnet, int8" in text
    assert "KL" in text and "NLL" in text
    assert command.run(parse(str(checkpoint), "-o", target, "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["precision"] == "f32" and found["report"]["kl_mean"] == 0.0
    assert found["report"]["nll"] == found["report"]["nll_exact"] < 6
