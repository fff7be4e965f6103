"""Feature extraction and feature files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import lpcnet_features as oracle

import pyvoc.errors
from pyvoc import _pyvoc, features
from pyvoc.errors import AudioError, Error, FeatureError
from pyvoc.files.layouts import RECOGNISED

Float32 = npt.NDArray[np.float32]
Int16 = npt.NDArray[np.int16]


def speech_like(samples: int, seed: int = 0) -> Int16:
    """Pulses of gliding pitch through resonances, noise and silence, in turn."""
    rng = np.random.default_rng(seed)
    pitch = 120 + 50 * np.sin(np.arange(samples) / 7000)
    phase = np.cumsum(pitch / 16000)
    pulses = np.diff(np.floor(phase), prepend=0.0)
    part = np.arange(samples) // 3200 % 4
    drive = np.where(part < 2, pulses, 0.0) + np.where(part == 2, 0.1, 0.003) * rng.standard_normal(
        samples
    )
    out = np.zeros(samples)
    for n in range(samples):
        out[n] = drive[n] + 1.3 * out[n - 1] - 0.8 * out[n - 2] if n > 1 else drive[n]
    return np.clip(np.rint(out * 5000), -32768, 32767).astype(np.int16)


@pytest.fixture(scope="module")
def pcm() -> Int16:
    return speech_like(160 * 101 + 77)


@pytest.mark.parametrize("layout", ["lpcnet36", "lpcnet55"])
def test_matches_the_float64_oracle(pcm: Int16, layout: str) -> None:
    rows = features.extract(pcm, layout=layout)
    expected = oracle.extract(pcm, layout)
    assert rows.shape == expected.shape
    spec = features.LAYOUTS[layout]
    error = np.abs(rows - expected)
    assert error[:, :18].max() < 1e-4
    assert error[:, spec.pitch].max() < 1e-6
    assert error[:, spec.correlation].max() < 5e-4
    assert error[:, spec.lpc :].max() < 1e-2


def test_shapes(pcm: Int16) -> None:
    assert features.extract(pcm).shape == (101, 36)
    assert features.extract(pcm, layout="lpcnet20").shape == (101, 20)
    assert features.extract(pcm, layout="lpcnet55").shape == (100, 55)
    assert features.extract(pcm).dtype == np.float32


def test_int16_and_its_float_are_the_same(pcm: Int16) -> None:
    as_float = pcm.astype(np.float32) / 32768
    np.testing.assert_array_equal(features.extract(pcm), features.extract(as_float))
    np.testing.assert_array_equal(
        features.extract(pcm), features.extract(as_float.astype(np.float64))
    )


@settings(max_examples=25, deadline=None)
@given(
    chunks=st.lists(st.integers(0, 2000), min_size=1, max_size=30),
    layout=st.sampled_from(list(features.LAYOUTS)),
)
def test_chunks_do_not_matter(chunks: list[int], layout: str) -> None:
    pcm = speech_like(4000, seed=5)
    whole = features.extract(pcm, layout=layout)
    extractor = features.Extractor(layout)
    parts, at = [], 0
    for size in chunks:
        parts.append(extractor.push(pcm[at : at + size]))
        at += size
    parts.append(extractor.push(pcm[at:]))
    parts.append(extractor.flush())
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_extractor_life(pcm: Int16) -> None:
    extractor = features.Extractor()
    assert extractor.dims == 36
    assert extractor.latency_samples == 160
    first = extractor.push(pcm)
    assert extractor.flush().shape == (0, 36)
    with pytest.raises(Error, match="reset"):
        extractor.push(pcm)
    extractor.reset()
    np.testing.assert_array_equal(extractor.push(pcm), first)


def test_rejected_pcm_is_not_consumed(pcm: Int16) -> None:
    extractor = features.Extractor()
    bad = (pcm / np.float32(32768)).astype(np.float32)
    bad[5000] = np.nan
    with pytest.raises(AudioError, match="NaN"):
        extractor.push(bad)
    np.testing.assert_array_equal(extractor.push(pcm), features.extract(pcm))


@pytest.mark.parametrize(
    ("pcm", "message"),
    [
        (np.zeros((2, 1600), np.float32), "mono"),
        (np.zeros(1600, np.int32), "int16"),
        (np.zeros(1600, np.complex64), "floats"),
        (np.full(1600, np.inf, np.float32), "infinite"),
        (np.full(1600, 3000.0, np.float32), "expected floats in -1..1"),
        (np.zeros(159, np.float32), "too short"),
        (np.zeros(0, np.float32), "too short"),
    ],
)
def test_bad_pcm(pcm: npt.NDArray[np.generic], message: str) -> None:
    with pytest.raises(AudioError, match=message):
        features.extract(pcm)


def test_unknown_layout() -> None:
    with pytest.raises(FeatureError, match="lpcnet36, lpcnet20, lpcnet55"):
        features.extract(np.zeros(1600, np.float32), layout="lpcnet38")
    with pytest.raises(pyvoc.errors.Error, match="unknown feature layout"):
        _pyvoc.Extractor("lpcnet38")


def test_add_lpc(pcm: Int16) -> None:
    whole = features.extract(pcm)
    np.testing.assert_array_equal(features.add_lpc(whole[:, :20]), whole)
    with pytest.raises(FeatureError, match="lpcnet36; expected lpcnet20"):
        features.add_lpc(whole)


# ---- files ----

TOLD = [layout.name for layout in RECOGNISED]
"""What a file tells by itself."""


@pytest.mark.parametrize("suffix", [".f32", ".npy"])
@pytest.mark.parametrize("layout", TOLD)
def test_files_are_recognised(pcm: Int16, layout: str, suffix: str, tmp_path: Path) -> None:
    rows = features.extract(pcm, layout=layout)
    path = tmp_path / f"a{suffix}"
    features.save(path, rows)
    loaded = features.load(path)
    np.testing.assert_array_equal(loaded, rows)
    assert features.layout_of(loaded).name == layout
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("frames", [20, 40, 55, 60, 99, 100])
@pytest.mark.parametrize("layout", TOLD)
def test_recognition_survives_divisible_sizes(
    pcm: Int16, layout: str, frames: int, tmp_path: Path
) -> None:
    # 20 * 36, 55 * 36, 36 * 55 ... floats are whole frames of another width too.
    rows = features.extract(pcm, layout=layout)[:frames]
    rows.tofile(tmp_path / "a.f32")
    assert features.load(tmp_path / "a.f32").shape == rows.shape


def test_ambiguity_is_reported_and_resolved(tmp_path: Path) -> None:
    # 180 zeros are 5 frames of 36 or 9 of 20.
    np.zeros(180, np.float32).tofile(tmp_path / "a.f32")
    with pytest.raises(FeatureError, match="lpcnet36 and lpcnet20"):
        features.load(tmp_path / "a.f32")
    assert features.load(tmp_path / "a.f32", layout="lpcnet20").shape == (9, 20)


def bad_files(rows: Float32) -> dict[str, tuple[bytes, str]]:
    nan = rows.copy()
    nan[3, 2] = np.nan
    pitch = rows.copy()
    pitch[:, 18] = 120.0
    loud = rows * 1000
    return {
        "empty": (b"", "empty"),
        "odd": (rows.tobytes()[:-1], "no whole number of float32"),
        "truncated": (rows.tobytes()[:-4], "no whole number of frames"),
        "nan": (nan.tobytes(), "NaN"),
        "pitch in hertz": (pitch.tobytes(), "pitch"),
        "absurd": (loud.tobytes(), "cepstrum"),
        "wav": (b"RIFF" + bytes(1436), r"is audio \(wav\)"),
        "text": (b"hello, world" * 120, "is a text file"),
    }


@pytest.mark.parametrize(
    "kind", ["empty", "odd", "truncated", "nan", "pitch in hertz", "absurd", "wav", "text"]
)
def test_bad_files(pcm: Int16, kind: str, tmp_path: Path) -> None:
    content, message = bad_files(features.extract(pcm))[kind]
    path = tmp_path / "bad.f32"
    path.write_bytes(content)
    with pytest.raises(FeatureError, match=message) as caught:
        features.load(path)
    assert "bad.f32" in str(caught.value)


def test_wrong_layout_on_request(pcm: Int16, tmp_path: Path) -> None:
    rows = features.extract(pcm)
    features.save(tmp_path / "a.npy", rows)
    with pytest.raises(FeatureError, match=r"lpcnet36.*expected lpcnet55"):
        features.load(tmp_path / "a.npy", layout="lpcnet55")
    features.save(tmp_path / "a.f32", rows)
    with pytest.raises(FeatureError, match="no whole number of frames of 55"):
        features.load(tmp_path / "a.f32", layout="lpcnet55")


def test_bad_npy(pcm: Int16, tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY and no more")
    with pytest.raises(FeatureError, match=r"\.npy"):
        features.load(path)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FeatureError, match=r"\.npy"):
        features.load(path)
    np.save(path, features.extract(pcm).T)
    with pytest.raises(FeatureError, match="transposed"):
        features.load(path)
    np.save(path, np.zeros((4, 33), np.float32))
    with pytest.raises(FeatureError, match="33 floats per frame; expected 20, 36, 55"):
        features.load(path)


def test_files_the_system_refuses(pcm: Int16, tmp_path: Path) -> None:
    with pytest.raises(Error, match="No such file"):
        features.load(tmp_path / "absent.f32")
    with pytest.raises(Error, match="directory"):
        features.load(tmp_path)
    rows = features.extract(pcm)
    with pytest.raises(Error, match="directory"):
        features.save(tmp_path, rows)
    with pytest.raises(Error, match="No such file"):
        features.save(tmp_path / "no" / "a.f32", rows)


def test_saving_checks_first(pcm: Int16, tmp_path: Path) -> None:
    path = tmp_path / "a.f32"
    path.write_bytes(b"old")
    rows = features.extract(pcm)
    rows[0, 0] = np.inf
    with pytest.raises(FeatureError, match="infinite values, first in frame 0"):
        features.save(path, rows)
    with pytest.raises(FeatureError, match="no frames"):
        features.save(path, np.zeros((0, 36), np.float32))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
