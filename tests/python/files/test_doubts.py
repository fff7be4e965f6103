"""Doubtful input: what is said of it, where, and that sound input gives no alarm."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

import pyvoc
from pyvoc import audio, doubts
from pyvoc.errors import AudioError, DoubtError, InputWarning
from pyvoc.files.doubts import doubt
from pyvoc.files.listing import expand, find

RATE = 16000
TONE = 0.4 * np.sin(np.arange(16000) * 0.05) * np.linspace(0.2, 1, 16000)


def kinds(path: Path, **options: object) -> list[str]:
    with doubts.collect() as found:
        audio.read(path, **options)
    return [one.kind for one in found.found]


def write(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    soundfile.write(path, samples, rate, subtype)
    return path


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW"])
@pytest.mark.parametrize("suffix", ["wav", "aiff", "au", "w64", "rf64"])
def test_half_a_file(suffix: str, subtype: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a.{suffix}", TONE, subtype=subtype)
    assert kinds(path) == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 1])
    assert kinds(path) == ["cut short"]
    with pytest.raises(DoubtError, match=rf"'{path}' is cut short"), doubts.collect(strict=True):
        audio.read_int16(path, rate=RATE)


def test_half_an_mp3(tmp_path: Path) -> None:
    if "MP3" not in soundfile.available_formats():
        pytest.skip("this libsndfile has no MP3")
    path = tmp_path / "a.mp3"
    soundfile.write(path, TONE, RATE, "MPEG_LAYER_III", format="MP3")
    assert kinds(path) == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert kinds(path) == ["cut short"]


@pytest.mark.parametrize("promise", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_a_header_that_does_not_know_the_length(promise: int, tmp_path: Path) -> None:
    """As programs write them to pipes: no promise, so nothing is missing."""
    words = np.round(TONE * 32767).astype("<i2")
    form = (b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", promise)
    riff = min(promise + 36, 0xFFFFFFFF)
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", riff, b"WAVE", *form)
    path = tmp_path / "a.wav"
    path.write_bytes(header + words.tobytes())
    assert kinds(path) == []
    for source in (path, io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(audio.read_int16(source, rate=RATE), words)


@pytest.mark.parametrize(
    ("samples", "subtype", "kind"),
    [
        (TONE * 32768, "FLOAT", ["integers as floats"]),
        (TONE * 32768, "DOUBLE", ["integers as floats"]),
        (TONE * 4, "FLOAT", ["beyond full scale"]),
        (TONE * 2.5001, "FLOAT", []),  # a peak or two
        (TONE * 4, "PCM_16", []),  # cut when it was written: nobody can tell
        (TONE / 256, "PCM_24", ["silent"]),  # 16 bits in 24
        (np.zeros(4000), "PCM_16", ["silent"]),
        (np.stack([TONE, -TONE], 1), "PCM_16", ["channels cancel"]),
        (np.stack([TONE, -0.9 * TONE], 1), "PCM_16", ["channels cancel"]),
        (np.stack([TONE, 0 * TONE], 1), "PCM_16", []),
        (np.stack([TONE, *[0 * TONE] * 7], 1), "PCM_16", []),
        (np.stack([TONE, np.roll(TONE, 40)], 1), "PCM_16", []),
    ],
)
def test_levels_and_channels(
    samples: np.ndarray, subtype: str, kind: list[str], tmp_path: Path
) -> None:
    assert kinds(write(tmp_path / "a.wav", samples, subtype=subtype)) == kind


@pytest.mark.parametrize(
    ("own", "options", "kind"),
    [
        (8000, {"rate": 16000}, ["narrow band"]),
        (8000, {}, []),
        (22050, {"rate": 16000}, []),
        (22050, {"rate": 24000}, []),
        (16000, {"rate": 22050}, ["narrow band"]),
        (16000, {"rate": 22050, "band": 8000.0}, []),
        (11025, {"rate": 22050, "band": 8000.0}, ["narrow band"]),
    ],
)
def test_rates(own: int, options: dict[str, float], kind: list[str], tmp_path: Path) -> None:
    pytest.importorskip("soxr")
    assert kinds(write(tmp_path / "a.wav", TONE, own), **options) == kind


def test_raw_pcm(tmp_path: Path) -> None:
    pytest.importorskip("soxr")
    path = tmp_path / "a.s16"
    words = np.round(TONE * 32767).astype("<i2")
    path.write_bytes(np.stack([words, words], 1).tobytes())
    told = {"pcm_rate": 48000, "pcm_channels": 2}
    for source in (path, io.BytesIO(path.read_bytes())):
        samples, rate = audio.read(source, **told)
        assert rate == 48000
        np.testing.assert_array_equal(samples, words.astype(np.float32) / 32768)
    assert kinds(path, rate=22050, band=8000.0) == ["rate assumed"]
    assert kinds(path, rate=16000) == []
    assert kinds(path, rate=22050, **told) == []
    assert kinds(write(tmp_path / "a.wav", TONE), **told) == ["header disagrees"] * 2
    assert kinds(tmp_path / "a.wav", pcm_rate=RATE, pcm_channels=1) == []
    with pytest.raises(AudioError, match="no whole number for 3 channels"):
        audio.read(path, pcm_channels=3)
    with pytest.raises(AudioError, match="channels of raw PCM is 0"):
        audio.read(path, pcm_channels=0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "standard input is empty"),
        (b"abc", "standard input has 3 bytes, an odd number"),
        (b"RIFF" + bytes(100), "standard input is no audio file"),
        (b"GGUF" + bytes(100), "standard input starts like a GGUF model"),
        (b"\x93NUMPY\x01\x00", r"standard input starts like a \.npy file"),
    ],
)
def test_bad_pipes(data: bytes, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        audio.read(io.BytesIO(data))


def test_a_folder_and_what_is_passed_over(tmp_path: Path) -> None:
    for name in ("a.wav", "b/c.mp3", "b/d/e.OPUS", "b/f.m4a", "._a.wav", "b/._c.mp3", "b/t.lab"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "g.wav").write_bytes(b"x")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    with doubts.collect() as found:
        files = find([str(tmp_path), "x/y.wav", "-"])
    places = [file.place.as_posix() for file in files]
    assert places == ["a", "b/c", "b/d/e", "y", "-"]
    assert files[1].path == str(tmp_path / "b" / "c.mp3")
    grave, remark = found.found
    assert (grave.kind, grave.grave, remark.grave) == ("passed over", True, False)
    assert "2 ._*" in grave.message
    assert "1 .m4a" in grave.message
    assert "1 .lab" in remark.message
    with pytest.raises(DoubtError, match="passed over"), doubts.collect(strict=True):
        expand([str(tmp_path)])


def test_collections_nest_and_strictness_reaches_inwards() -> None:
    said = []
    with doubts.collect(say=said.append) as outer:
        doubt("a", "one")
        with doubts.collect() as inner:
            doubt("a", "two")
            doubt("a", "two")
            assert doubts.messages() == ["two"]
        doubt("b", "two")
    assert inner.messages == ("two",)
    assert outer.messages == ("one", "two")
    assert outer.counts == {"a": 2}
    assert [one.message for one in said] == ["one", "two"]
    with doubts.collect(strict=True):
        doubt("a", "a remark", grave=False)
        with doubts.collect(), pytest.raises(DoubtError, match="three"):
            doubt("a", "three")
    assert doubts.messages() == []


def test_alone_a_doubt_is_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros(400))
    with pytest.warns(InputWarning, match="silent"):
        audio.read(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        doubt("a", "a remark is none", grave=False)
    assert issubclass(pyvoc.DoubtError, pyvoc.Error)
