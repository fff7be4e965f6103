"""Batches from dump_data files: our own small ones, upstream's golden ones, and broken ones."""

from __future__ import annotations

import gzip
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from train_speech import prediction_gain, speech_like

from pyvoc import _pyvoc
from pyvoc.errors import AudioError, Error, FeatureError
from pyvoc.families.lpcnet import dump
from pyvoc.families.lpcnet.train.dumped import DumpedLpcnet

ROOT = Path(__file__).resolve().parents[4]
GOLDEN = Path(os.environ.get("PYVOC_GOLDEN", ROOT.parent / "shared" / "golden")) / "lpcnet"
LAYOUTS = {"latest": ("lpcnet36", 36, ".s16"), "2019": ("lpcnet55", 55, ".u8")}
_U = np.arange(256) - 128.0
DECODED = np.sign(_U) * (32768 / 255) * (np.exp(np.abs(_U) / 128 * np.log(256)) - 1)
UNTIL_NOISE = 2800  # frames: gain and noise are first drawn after them


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files latest.f32, latest.s16, 2019.f32 and 2019.u8 of 400 frames."""
    folder = tmp_path_factory.mktemp("dump")
    (folder / "speech.s16").write_bytes(speech_like(2.0).tobytes())
    for generation, (layout, _, suffix) in LAYOUTS.items():
        out = folder / f"{generation}.f32", folder / f"{generation}{suffix}"
        dump.dump_train(folder / "speech.s16", *out, layout=layout, frames=400)
    return folder


def opened(files: Path, generation: str, rows: int = 3, **options: int | float) -> DumpedLpcnet:
    suffix = LAYOUTS[generation][2]
    return DumpedLpcnet(
        files / f"{generation}.f32", files / f"{generation}{suffix}", rows, **options
    )


def mulaw(x: np.ndarray) -> np.ndarray:
    u = 128 + np.sign(x) * 128 * np.log1p(255 * np.abs(x) / 32768) / np.log(256)
    return np.clip(np.floor(u + 0.5), 0, 255)


def equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("generation", ["latest", "2019"])
def test_rows_are_those_of_the_files(files: Path, generation: str) -> None:
    data = opened(files, generation, frames_per_chunk=15, chunks_per_segment=2, validation=0.1)
    assert data.generation == generation
    assert data.frames == 400
    _, width, suffix = LAYOUTS[generation]
    rows = np.fromfile(files / f"{generation}.f32", "<f4").reshape(-1, width)
    kind, columns = ("<i2", 2) if generation == "latest" else ("u1", 4)
    lines = np.fromfile(files / f"{generation}{suffix}", kind).reshape(-1, columns)
    seen = set()
    for step in range(2 * data.steps_per_epoch):
        batch = data.batch(step, range(3))
        for row in range(3):
            features = batch["features"][row]
            first = int(np.flatnonzero((rows[:, :18] == features[0, :18]).all(axis=1))[0])
            assert first % 15 == 0  # upstream's loader: feature rows from 15 j
            seen.add(first // 15)
            expected = rows[first : first + 19, : data.dims].copy()
            if generation == "2019":
                expected[:, 18:36] = 0
            np.testing.assert_array_equal(features, expected)
            t0 = 160 * (first + 2)  # ... with the samples two frames later
            if generation == "latest":
                np.testing.assert_array_equal(batch["lpc"][row], rows[first + 1 : first + 17, 20:])
                np.testing.assert_array_equal(batch["clean"][row], lines[t0 : t0 + 2400, 1])
                np.testing.assert_array_equal(batch["signal"][row], lines[t0 - 16 : t0 + 2400, 0])
            else:
                np.testing.assert_array_equal(batch["target"][row], lines[t0 : t0 + 2400, 3])
                np.testing.assert_array_equal(batch["codes"][row], lines[t0 : t0 + 2400, :3].T)
                assert batch["target"].dtype == np.int64
    assert len(seen) > 20
    assert max(seen) < 13 * 2 - 2, "the last segment is held out"


@pytest.mark.parametrize("generation", ["latest", "2019"])
def test_pure_and_every_segment_once_an_epoch(files: Path, generation: str) -> None:
    options = {"frames_per_chunk": 4, "chunks_per_segment": 3, "validation": 0.1}
    data = opened(files, generation, 5, seed=1, **options)
    batches = [data.batch(step, range(5)) for step in range(20)]
    again = opened(files, generation, 5, seed=1, **options)
    for step in (13, 2, 19):
        assert equal(again.batch(step, range(5)), batches[step])
        part = again.batch(step, range(3, 5))
        assert all(np.array_equal(part[k], batches[step][k][3:]) for k in part)
    other = opened(files, generation, 5, seed=2, **options).batch(3, range(5))
    assert not np.array_equal(other["features"], batches[3]["features"])
    for before, after in itertools.pairwise(batches):
        for row in range(5):
            follows = np.array_equal(before["features"][row, 4:], after["features"][row, :4])
            assert follows or after["reset"][row]

    alone = opened(files, generation, 1, **options)  # 33 segments, 3 held out
    assert alone.steps_per_epoch == 90
    for epoch in range(2):
        steps = range(90 * epoch, 90 * epoch + 90)
        starts = {alone.batch(step, range(1))["features"].tobytes() for step in steps}
        assert len(starts) == 90
    with pytest.raises(Error, match="not in the batch of 1"):
        alone.batch(0, range(2))


@pytest.mark.parametrize("generation", ["latest", "2019"])
def test_validation_is_apart(files: Path, generation: str) -> None:
    options = {"frames_per_chunk": 4, "chunks_per_segment": 3}
    data = opened(files, generation, 1, validation=0.1, **options)
    trained = {data.batch(step, range(1))["features"][0].tobytes() for step in range(90)}
    for rows in (1, 2, 4):
        held: list[bytes] = []
        for batch in data.validation(rows):
            held += [batch["features"][r].tobytes() for r in range(rows) if batch["mask"][r].any()]
            assert (batch["mask"].all(axis=1) == batch["mask"].any(axis=1)).all()
        assert len(held) == len(set(held)) == 9
        assert not trained & set(held)
    assert list(opened(files, generation, 1, validation=0, **options).validation(2)) == []


def test_the_2019_codes_fit_together(files: Path) -> None:
    batch = opened(files, "2019", 3, frames_per_chunk=30, chunks_per_segment=1).batch(0, range(3))
    signal, prediction, excitation = batch["codes"].transpose(1, 0, 2)
    np.testing.assert_array_equal(excitation[:, 1:], batch["target"][:, :-1])  # no noise yet
    heard = DECODED[prediction.astype(int)] + DECODED[batch["target"]]
    agree = np.abs(mulaw(heard)[:, :-1] - signal[:, 1:]) <= 2
    assert np.mean(agree) > 0.9  # the prediction's own code is coarse


# ---- upstream's files ----


def golden(pattern: str) -> list[Path]:
    found = sorted(GOLDEN.glob(pattern))
    if not found:
        pytest.skip(f"no {GOLDEN}/{pattern}")
    return found


def unpacked(packed: Path, folder: Path) -> tuple[Path, Path]:
    data = folder / packed.name.removesuffix(".gz")
    data.write_bytes(gzip.decompress(packed.read_bytes()))
    return packed.with_name(packed.name.split(".")[0] + ".features.f32"), data


def test_golden_latest(tmp_path: Path) -> None:
    for packed in golden("*.data.s16.gz"):
        features, path = unpacked(packed, tmp_path)
        rows = len(np.fromfile(features, "<f4")) // 36
        # One segment that begins with the file.
        frames = min(UNTIL_NOISE, rows - 4) // 4 * 4 - 4
        data = DumpedLpcnet(
            features, path, 1, frames_per_chunk=frames, chunks_per_segment=1, validation=0
        )
        batch = data.batch(0, range(1))
        gains = {shift: prediction_gain(batch, shift) for shift in (-1, 0, 1)}
        assert gains[0] > 10 and gains[0] == max(gains.values())
        # The targets: our excitation loop on the clean channel gives back the signal channel.
        # Upstream's writer takes the LPC of the first row of each group of four.
        lpc = np.fromfile(features, "<f4").reshape(-1, 36)[: frames + 2, 20:]
        of_group = np.ascontiguousarray(np.repeat(lpc[::4], 4, axis=0)[: frames + 2])
        head = np.fromfile(path, "<i2", count=640).reshape(-1, 2)[:, 1].astype(np.float32)
        clean = np.concatenate([head, batch["clean"][0]])
        signal, codes = _pyvoc.training.excite(clean, of_group, np.zeros(clean.size, np.int32))
        late = np.floor(signal[319 - 16 : -1] + 0.5)
        differ = np.flatnonzero(late != batch["signal"][0])
        assert differ.size == 0, f"{differ.size} samples, first {differ[:1]}"
        assert codes.min() < 64 and codes.max() > 192


def test_golden_2019(tmp_path: Path) -> None:
    for packed in golden("*.data.u8.gz"):
        features, path = unpacked(packed, tmp_path)
        lines = np.fromfile(path, "u1").reshape(-1, 4)
        rows = np.fromfile(features, "<f4").reshape(-1, 55)
        frames = min(UNTIL_NOISE, len(rows) - 4) - 4
        data = DumpedLpcnet(
            features, path, 1, frames_per_chunk=frames, chunks_per_segment=1, validation=0
        )
        batch = data.batch(0, range(1))
        np.testing.assert_array_equal(batch["target"][0], lines[320 : 320 + 160 * frames, 3])
        signal, prediction, excitation = batch["codes"][0]
        np.testing.assert_array_equal(excitation[1:], batch["target"][0, :-1])  # no noise yet
        # What the LPC of the frames told say of the signal is what the file has as prediction.
        heard = DECODED[signal.astype(int)]
        past = np.stack([heard[15 - k : heard.size - k] for k in range(16)], axis=-1)
        agreement = {}
        for shift in (-1, 0, 1):
            lpc = np.repeat(rows[2 + shift : 2 + shift + frames, 39:], 160, axis=0)[15:]
            ours = mulaw(-(lpc * past).sum(axis=-1))
            agreement[shift] = np.mean(np.abs(ours - prediction[15:]) <= 4)
        assert agreement[0] > 0.9
        assert agreement[0] > max(agreement[-1], agreement[1]) + 0.1


# ---- files that are not what they should be ----


def test_refuses(files: Path, tmp_path: Path) -> None:
    features, data = files / "latest.f32", files / "latest.s16"
    old = files / "2019.f32", files / "2019.u8"
    cut, odd, empty = tmp_path / "cut.s16", tmp_path / "odd.s16", tmp_path / "empty.s16"
    cut.write_bytes(data.read_bytes()[: 640 * 399])
    odd.write_bytes(data.read_bytes()[:-2])
    empty.write_bytes(b"")
    for pair, message in (
        ((features, cut), "400 rows of 36 floats.* has 399 frames"),
        ((features, odd), "no whole number of frames"),
        ((features, empty), "is empty"),
        ((old[0], data), "latest layout.* as the 2019 one"),
        ((features, old[1]), "2019 layout.* as the latest one"),
        ((data, features), "no whole number|expected features and data"),
    ):
        with pytest.raises(FeatureError, match=message):
            DumpedLpcnet(*pair, 2)
    for pair in (
        (features, tmp_path / "absent"),
        (tmp_path / "absent", data),
        (features, tmp_path),
    ):
        with pytest.raises(Error, match="cannot read"):
            DumpedLpcnet(*pair, 2)
    absurd = tmp_path / "absurd.f32"
    rng = np.random.default_rng(0)
    absurd.write_bytes(rng.bytes(400 * 36 * 4))
    with pytest.raises(FeatureError, match="no LPCNet features"):
        DumpedLpcnet(absurd, data, 2)
    with pytest.raises(AudioError, match=r"has 400 frames; .* need 604 at least"):
        DumpedLpcnet(features, data, 2, chunks_per_segment=20)
    for bad in ({"frames_per_chunk": 0}, {"chunks_per_segment": 0}, {"validation": 0.9}):
        with pytest.raises(Error, match=next(iter(bad))):
            DumpedLpcnet(features, data, 2, **bad)
