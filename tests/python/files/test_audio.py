"""Reading and writing audio files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pyvoc import audio
from pyvoc.errors import AudioError, Error, UnsupportedError


@pytest.fixture
def tone() -> np.ndarray:
    return np.rint(8000 * np.sin(np.arange(8000) * 0.1)).astype(np.int16)


def test_wav_is_scaled_exactly(tone: np.ndarray, tmp_path: Path) -> None:
    audio.write_wav(tmp_path / "a.wav", tone, 16000)
    samples, rate = audio.read(tmp_path / "a.wav")
    assert rate == 16000
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, tone.astype(np.float32) / 32768)
    np.testing.assert_array_equal(audio.read_int16(tmp_path / "a.wav", rate=16000), tone)
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize("suffix", sorted(audio.RAW_SUFFIXES))
def test_raw(tone: np.ndarray, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    tone.astype("<i2").tofile(path)
    samples, rate = audio.read(path)
    assert rate == audio.RAW_RATE
    np.testing.assert_array_equal(samples, tone.astype(np.float32) / 32768)


def test_channels_are_averaged(tone: np.ndarray, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([tone, -tone // 2], axis=1), 16000)
    samples, _ = audio.read(tmp_path / "a.wav")
    expected = (tone.astype(float) + -tone // 2) / 2 / 32768
    np.testing.assert_array_equal(samples, expected.astype(np.float32))


def test_resampling_keeps_a_tone(tmp_path: Path) -> None:
    pytest.importorskip("soxr")
    x = 0.5 * np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
    soundfile.write(tmp_path / "a.wav", x, 22050, subtype="FLOAT")
    samples, rate = audio.read(tmp_path / "a.wav", rate=16000)
    assert rate == 16000
    assert len(samples) == 16000
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert np.abs(samples - expected)[1000:-1000].max() < 1e-3


def test_without_soxr(tone: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audio.write_wav(tmp_path / "a.wav", tone, 22050)
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(UnsupportedError, match=r"22050 Hz.*16000 Hz.*pyvoc-vocoder\[soxr\]"):
        audio.read(tmp_path / "a.wav", rate=16000)
    assert audio.read(tmp_path / "a.wav", rate=22050)[1] == 22050


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.s16", b"", "no samples"),
        ("a.s16", b"abc", "3 bytes, an odd number"),
        ("a.s16", b"RIFF" + bytes(400), "starts like a RIFF"),
        ("a.wav", b"", "no audio file"),
        ("a.wav", b"hello world" * 30, "no audio file"),
        ("a.wav", b"RIFF" + bytes(400), "no audio file"),
        ("a.xyz", b"hello world" * 30, "no audio file"),
    ],
)
def test_bad_files(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AudioError, match=message) as caught:
        audio.read(path)
    assert name in str(caught.value)


def test_nan_and_emptiness(tmp_path: Path) -> None:
    bad = np.zeros(100, np.float32)
    bad[7] = np.nan
    soundfile.write(tmp_path / "a.wav", bad, 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match="NaN"):
        audio.read(tmp_path / "a.wav")
    soundfile.write(tmp_path / "b.wav", bad[:0], 16000)
    with pytest.raises(AudioError, match="no samples"):
        audio.read(tmp_path / "b.wav")


def test_what_the_system_refuses(tone: np.ndarray, tmp_path: Path) -> None:
    for name in ("absent.wav", "absent.s16"):
        with pytest.raises(Error, match="No such file"):
            audio.read(tmp_path / name)
    with pytest.raises(Error, match="directory"):
        audio.read(tmp_path)
    with pytest.raises(Error, match="directory"):
        audio.write_wav(tmp_path, tone, 16000)
    with pytest.raises(Error, match="No such file"):
        audio.write_wav(tmp_path / "no" / "a.wav", tone, 16000)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind this user"
)
def test_no_permission(tone: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.s16"
    path.write_bytes(bytes(320))
    path.chmod(0)
    with pytest.raises(Error, match="Permission denied"):
        audio.read(path)
    tmp_path.chmod(0o500)
    with pytest.raises(Error, match="Permission denied"):
        audio.write_wav(tmp_path / "b.wav", tone, 16000)
    tmp_path.chmod(0o700)


def test_writing_clips_and_refuses_nonsense(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    audio.write_wav(path, np.array([0.0, 2.0, -2.0, 0.5]), 16000)
    np.testing.assert_array_equal(audio.read_int16(path, rate=16000), [0, 32767, -32768, 16384])
    before = path.read_bytes()
    with pytest.raises(AudioError, match="NaN"):
        audio.write_wav(path, np.array([np.nan]), 16000)
    with pytest.raises(AudioError, match="mono"):
        audio.write_wav(path, np.zeros((2, 2)), 16000)
    assert path.read_bytes() == before
