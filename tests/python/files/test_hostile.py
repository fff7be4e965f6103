"""Inputs that want more than they are: headers that lie, files without end."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pyvoc
from pyvoc.bulk import manifest
from pyvoc.cli import main
from pyvoc.container import read_container
from pyvoc.container.reader import read_metadata
from pyvoc.convert.detect import detect
from pyvoc.errors import AudioError, Error, FeatureError, ModelError
from pyvoc.export.samples import read_samples
from pyvoc.families.lpcnet.dump import dump_test, dump_train
from pyvoc.files import audio, features, mels, whole
from pyvoc.files.listing import in_list
from pyvoc.files.loading import load_draws
from pyvoc.files.npy import parse_npy
from pyvoc.train.checkpoint import read_bytes
from pyvoc.train.mapping import read_yaml


def npy(header: bytes, data: bytes = b"\0" * 64, *, version: bytes = b"\1\0") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + data


SHAPE = "{{'descr': '{}', 'fortran_order': False, 'shape': {}}}"
HEADERS = {
    "unclosed": b"{'descr': '<f4', 'shape': (",  # tokenize.TokenError
    "overflow": SHAPE.format("<f4", (1 << 70, 3)).encode(),
    "memory": SHAPE.format("<f4", (1 << 44, 20)).encode(),
    "negative": SHAPE.format("<f4", (-5, 20)).encode(),
    "deep": b"(" * 9000,
    "type": SHAPE.format("<f99", (1, 20)).encode(),
    "unhashable": b"{[]: 1}",
    "object": SHAPE.format("|O", (1, 20)).encode(),
    "zero byte": b"{'descr': '<f4\0', 'shape': (1, 20)}",
    "number": b"9" * 5000,
    "huge type": SHAPE.format("<V9999999999999", (1,)).encode(),
    "latin": b"{'descr': '\xff\xfe'}",
    "empty": b"",
}


@pytest.mark.parametrize("name", HEADERS)
def test_npy_headers(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(npy(HEADERS[name]))
    for read in (features.load, lambda p: mels.load(p, bands=80)):
        with pytest.raises(FeatureError, match=r"'.*x\.npy'"):
            read(path)


def test_mutated_npy_files() -> None:
    file = io.BytesIO()
    np.save(file, np.zeros((3, 20), np.float32))
    good, rng = bytearray(file.getvalue()), np.random.default_rng(1)
    read = 0
    for _ in range(3000):
        bad = bytearray(good)
        for _ in range(int(rng.integers(1, 4))):
            bad[int(rng.integers(0, 128))] = int(rng.choice([*b"(){}[]',:0129<>fiV\\-", 0, 255]))
        with contextlib.suppress(FeatureError):
            read += isinstance(parse_npy(bytes(bad), "x.npy"), np.ndarray)
    assert 0 < read < 3000


def wav(rate: int, samples: int) -> bytes:
    data = b"\0\1" * samples
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, min(2 * rate, 2**32 - 1), 2, 16)
    size = struct.pack("<I", 36 + len(data))
    return b"RIFF" + size + b"WAVEfmt " + form + b"data" + struct.pack("<I", len(data)) + data


@pytest.mark.parametrize("rate", [1, 10, 3999, 384001, 2**31 - 1])
def test_rates_that_no_audio_has(rate: int, tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(wav(rate, 1000))
    readers: list[Callable[[], object]] = [
        lambda: audio.look(path),
        lambda: audio.read(path, rate=16000),
        lambda: audio.read(io.BytesIO(path.read_bytes()), rate=16000),
        lambda: features.read_pcm(path),
    ]
    for read in readers:
        with pytest.raises(AudioError, match=f"at {rate} Hz; expected 4000 to 384000 Hz"):
            read()
    raw = tmp_path / "x.s16"
    raw.write_bytes(b"\0\1" * 1000)
    with pytest.raises(AudioError, match=f"at {rate} Hz; expected"):
        audio.read(raw, rate=16000, pcm_rate=rate)


def test_what_one_input_may_take_is_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, rows = tmp_path / "x.wav", tmp_path / "x.f32"
    sound.write_bytes(wav(8000, 4000))
    rows.write_bytes(np.zeros((500, 20), "<f4").tobytes())
    assert len(audio.read(sound, rate=16000, band=3000)[0]) == 8000
    monkeypatch.setenv(whole.VARIABLE, "30K")
    with pytest.raises(
        Error, match=r"x\.wav' would take 32000 bytes of memory, more than the 30 KiB "
    ):
        audio.read(sound)
    with pytest.raises(Error, match=r"x\.f32' has 40000 bytes, more than .*PYVOC_MAX_INPUT sets"):
        features.load(rows)
    with pytest.raises(Error, match="standard input has more than the 30 KiB"):
        audio.read(io.BytesIO(bytes(40000)))
    monkeypatch.setenv(whole.VARIABLE, "40K")  # until it is resampled
    assert len(audio.read(sound)[0]) == 4000
    with pytest.raises(Error, match=r"x\.wav', at 16000 Hz, would take 64000 bytes of memory"):
        audio.read(sound, rate=16000, band=3000)
    monkeypatch.setenv(whole.VARIABLE, "much")
    with pytest.raises(Error, match="PYVOC_MAX_INPUT is 'much'; expected bytes, or a number with"):
        features.load(rows)


@pytest.mark.parametrize(
    ("text", "n"), [("5", 5), ("2k", 2048), ("3 MiB", 3 << 20), ("1G", 1 << 30), ("", 8 << 30)]
)
def test_limits_in_words(text: str, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(whole.VARIABLE, text)
    assert whole.limit() == n


READERS: dict[str, Callable[[Path], object]] = {
    "x.npy": lambda p: features.load(p),
    "x.f32": lambda p: features.load(p),
    "mel.npy": lambda p: mels.load(p, bands=80),
    "mel.f32": lambda p: mels.load(p, bands=80),
    "mel.bin": lambda p: mels.load(p, bands=80),
    "x.wav": lambda p: audio.read(p),
    "x.s16": lambda p: audio.read(p),
    "draws.f32": load_draws,
    "samples.f32": read_samples,
    "x.gguf": read_container,
    "list.txt": in_list,
    "x.pt": lambda p: detect(p)(p),
    "checkpoint.pt": read_bytes,
    "metadata.gguf": read_metadata,
    "load.gguf": lambda p: pyvoc.load(p),
    "list.jsonl": lambda p: manifest.read(p, {}),
    "config.yaml": lambda p: read_yaml(str(p)),
    "speech.s16": lambda p: dump_test(p, p.with_name("out.f32")),
    "train.s16": lambda p: dump_train(p, p.with_name("out.f32"), p.with_name("out.s16")),
}
HEADS = {".npy": b"\x93NUMPY", ".wav": b"RIFF", ".gguf": b"GGUF\3\0\0\0\1\0\0\0\0\0\0\0\xff\xff"}


@pytest.mark.parametrize("name", READERS)
def test_files_without_end(name: str, tmp_path: Path) -> None:
    """A device behind a name, and a file of holes that is larger than any disk."""
    path = tmp_path / name
    began = time.monotonic()
    path.symlink_to("/dev/zero")
    with pytest.raises(Error, match=r"a device|no regular file|not a regular file|begins with"):
        READERS[name](path)
    path.unlink()
    path.write_bytes(HEADS.get(path.suffix, b""))
    os.truncate(path, 200 << 30)
    with pytest.raises(Error, match=r"at most|more than|no end|truncated"):
        READERS[name](path)
    assert time.monotonic() - began < 20
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_dump_data_refuses_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It goes round its input, and nobody waits for a writer."""
    pipe = tmp_path / "x.s16"
    os.mkfifo(pipe)
    assert main(["dump-data", "-test", str(pipe), str(tmp_path / "out.f32")]) == 3
    assert "not a regular file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        "info PIPE",
        "bench -m PIPE",
        "synth FEATURES -m PIPE -o OUT",
        "evaluate FEATURES -m PIPE",
        "convert PIPE -o OUT",
        "quantize PIPE --calibrate FEATURES -o OUT",
        "export PIPE --onnx OUT",
    ],
)
def test_a_pipe_is_no_model(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model is read at more than one place, and nobody waits for a writer."""
    pipe, frames = tmp_path / "model.gguf", tmp_path / "x.f32"
    os.mkfifo(pipe)
    frames.write_bytes(bytes(4 * 20 * 10))
    places = {"PIPE": pipe, "FEATURES": frames, "OUT": tmp_path / "out.wav"}
    assert main([str(places.get(word, word)) for word in command.split()]) == 3
    assert "file" in capsys.readouterr().err
    assert not (tmp_path / "out.wav").exists()


def test_a_pipe_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(whole.VARIABLE, "1M")
    pipe = tmp_path / "x.f32"
    os.mkfifo(pipe)

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), open(pipe, "wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(Error, match=r"x\.f32' has more than the 1 MiB"):
        features.load(pipe)
    writer.join(20)
    assert not writer.is_alive()


def test_a_model_that_is_cut_while_its_metadata_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF\3\0\0\0" + struct.pack("<QQ", 0, 1) + struct.pack("<Q", 3) + b"ke")
    with pytest.raises(ModelError, match="longer than the file"):
        read_metadata(path)
