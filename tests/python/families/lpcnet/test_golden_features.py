"""Features and dump_data against the files upstream's programs made (see PYVOC_GOLDEN)."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pyvoc import features
from pyvoc.families.lpcnet import dump

ROOT = Path(__file__).resolve().parents[4]
GOLDEN = Path(os.environ.get("PYVOC_GOLDEN", ROOT.parent / "shared" / "golden")) / "lpcnet"
LATEST_SEED = 1234
OLD_SEED = 1

# The tolerances of the golden data's README: largest absolute error.
CEPSTRUM, CORRELATION, LPC = 1e-4, 5e-4, 1e-2

Float32 = npt.NDArray[np.float32]


def cases(pattern: str) -> list[Path]:
    """Files of the golden folder by pattern; a skipped case stands in for none."""
    found = sorted(GOLDEN.glob(pattern)) if GOLDEN.is_dir() else []
    skip = pytest.mark.skip(reason=f"no {pattern} in {GOLDEN}")
    return [pytest.param(path, id=path.name) for path in found] or [pytest.param(None, marks=skip)]


def speech_of(path: Path) -> Path:
    return path.with_name(path.name.split(".")[0] + ".s16")


def read(path: Path, dims: int) -> Float32:
    return np.fromfile(path, dtype="<f4").reshape(-1, dims)


def assert_close(rows: Float32, golden: Float32) -> None:
    """Compare within the README's tolerances, column group by column group."""
    assert rows.shape == golden.shape
    layout = features.layout_of(golden)
    assert layout.lpc is not None
    error = np.abs(rows.astype(np.float64) - golden)
    assert error[:, :18].max() <= CEPSTRUM
    # A tie may fall the other way, in one frame of a thousand at most.
    wrong = error[:, layout.pitch] > 1e-6
    assert wrong.sum() <= len(rows) // 1000
    assert error[~wrong, layout.correlation].max() <= CORRELATION
    assert error[:, layout.lpc :].max() <= LPC
    if layout.name == "lpcnet55":
        assert not rows[:, 18:36].any()
        assert error[:, 38].max() <= LPC


@pytest.mark.parametrize("path", cases("*.features.f32"))
def test_extract(path: Path) -> None:
    if path.name.startswith("train"):
        pytest.skip("training features: see test_train")
    pcm = np.fromfile(speech_of(path), dtype="<i2")
    golden = read(path, 36)
    rows = features.extract(pcm)
    assert_close(rows, golden)
    np.testing.assert_array_equal(features.extract(pcm, layout="lpcnet20"), rows[:, :20])


@pytest.mark.parametrize("path", cases("*.test_seed1234.f32"))
def test_dump_test_latest(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.f32"
    dump.dump_test(speech_of(path), out, seed=LATEST_SEED)
    assert_close(read(out, 36), read(path, 36))


@pytest.mark.parametrize("path", cases("*.test_old55.f32"))
def test_dump_test_2019(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.f32"
    dump.dump_test(speech_of(path), out, layout="lpcnet55", seed=OLD_SEED)
    assert_close(read(out, 55), read(path, 55))


@pytest.mark.parametrize("path", cases("*.test_old55.f32"))
def test_plain_2019_features_differ_by_the_dither_only(path: Path) -> None:
    # dump_data reads one frame late and dithers: shifted by a frame, most of the speech agrees.
    pcm = np.fromfile(speech_of(path), dtype="<i2")
    late = np.concatenate([np.zeros(160, dtype=np.int16), pcm])
    rows = features.extract(late, layout="lpcnet55")
    golden = read(path, 55)
    count = min(len(rows), len(golden))
    error = np.abs(rows[:count, :18] - golden[:count, :18])
    assert np.median(error) < 0.2


def training_speech() -> bytes:
    """The six (or however many) utterances in order, as the golden training files took them."""
    return b"".join(p.read_bytes() for p in sorted(GOLDEN.glob("*.s16")) if "synth" not in p.name)


TRAINING = [("*.data.s16.gz", "lpcnet36", LATEST_SEED), ("*.data.u8.gz", "lpcnet55", OLD_SEED)]
TRAINING_CASES = [
    pytest.param(*case.values, layout, seed, marks=case.marks, id=case.id)
    for pattern, layout, seed in TRAINING
    for case in cases(pattern)
]


def training_frames(rows: int) -> int:
    """What to ask for to get as many rows as the file has: the last full thousand."""
    return rows // 1000 * 1000


@pytest.mark.parametrize(("path", "layout", "seed"), TRAINING_CASES)
def test_train(path: Path, layout: str, seed: int, tmp_path: Path) -> None:
    speech = tmp_path / "speech.s16"
    speech.write_bytes(training_speech())
    dims = features.LAYOUTS[layout].dims
    golden_features = read(path.with_name(path.name.split(".")[0] + ".features.f32"), dims)
    golden_data = np.frombuffer(gzip.decompress(path.read_bytes()), dtype=np.uint8)
    rows = len(golden_features)
    dump.dump_train(
        speech,
        tmp_path / "f",
        tmp_path / "d",
        layout=layout,
        seed=seed,
        frames=training_frames(rows),
    )
    ours = read(tmp_path / "f", dims)
    assert_close(ours, golden_features)
    data = np.fromfile(tmp_path / "d", dtype=np.uint8)
    np.testing.assert_array_equal(data, golden_data)


def binary() -> Path:
    name = "build/tools/dump_data/dump_data"
    path = Path(os.environ.get("PYVOC_DUMP_DATA", ROOT / name))
    if not path.is_file():
        pytest.skip(f"no {name}: build the tools first")
    return path


@pytest.mark.parametrize("isa", ["scalar", ""])
@pytest.mark.parametrize(("path", "layout", "seed"), TRAINING_CASES)
def test_native_binary(path: Path, layout: str, seed: int, isa: str, tmp_path: Path) -> None:
    speech = tmp_path / "speech.s16"
    speech.write_bytes(training_speech())
    golden = gzip.decompress(path.read_bytes())
    frames = training_frames(len(golden) // 640)
    command = [binary(), "-train", speech, tmp_path / "f", tmp_path / "d", "--layout", layout]
    subprocess.run(
        [*command, "--seed", str(seed), "--frames", str(frames)],
        check=True,
        env={**os.environ, "PYVOC_ISA": isa},
    )
    assert (tmp_path / "d").read_bytes() == golden
