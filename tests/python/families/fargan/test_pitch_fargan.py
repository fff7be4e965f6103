"""Features whose pitch the model's own network tells: the float64 oracle on every tier, upstream's
features, any cut, and wherever audio becomes features."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fargan_files import (
    BLOB,
    GOLDEN,
    pitch_oracle,
    pitch_reference,
    upstream_model,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import speechlike
from tier_worker import run, tiers
from voices import FARGAN, voice

import pyvoc
from pyvoc import features
from pyvoc.cli import main
from pyvoc.container import read_container, write_container
from pyvoc.container.tensors import Tensor
from pyvoc.container.writer import _write
from pyvoc.errors import AudioError, ModelError
from pyvoc.families.fargan.spec import FARGAN as SPEC

WITH = [path for path in FARGAN if path.name != "odd.f32.gguf"]
WITHOUT = next(path for path in FARGAN if path.name == "odd.f32.gguf")
EVERY = pytest.mark.parametrize("path", WITH, ids=lambda p: p.stem)
golden_data = pytest.mark.skipif(not BLOB.exists(), reason="no golden data")
CLIPS = ("LJ001-0001", "LJ001-0002", "LJ001-0003")


def pcm(seconds: float, seed: int = 0) -> np.ndarray:
    return np.round(32768 * speechlike(seconds, seed=seed)).astype(np.int16)


def heard(frames: int) -> dict[str, np.ndarray]:
    """What the network may hear: everything within -1..1."""
    rng = np.random.default_rng(5)
    return {
        "phases": rng.uniform(-1, 1, (frames, 88)).astype(np.float32),
        "correlations": rng.uniform(-1, 1, (frames, 224)).astype(np.float32),
    }


def correlation_error(rows: np.ndarray, expected: np.ndarray) -> float:
    """The largest, where both found the same period."""
    period = [np.floor(0.5 + 256 / 2 ** (r[:, 18] + 1.5)) for r in (rows, expected)]
    return float(np.abs(rows - expected)[period[0] == period[1], 19].max())


@pytest.mark.parametrize("tier", tiers())
@EVERY
def test_the_oracles_on_every_tier(path: Path, tier: str, tmp_path: Path) -> None:
    """int8 layers read bytes: where an activation is rounded the other way, logits differ."""
    given, speech = heard(40), pcm(0.6)
    found = run(path, tier, tmp_path, **given, pcm=speech)
    network, integers = pitch_oracle(path), path.stem.endswith("int8")
    expected = np.array(
        [
            network.step(*both)["logits"]
            for both in zip(*(a.astype(np.float64) for a in given.values()), strict=True)
        ]
    )
    error = np.abs(found["logits"] - expected)
    assert np.ptp(expected) > 2
    assert error.max() < (0.03 if integers else 5e-6)
    assert np.sqrt((error**2).mean()) < (4e-3 if integers else 1e-6)

    rows = pitch_reference().extract(speech, pitch_oracle(path))
    assert found["features"].shape == rows.shape
    error = np.abs(found["features"] - rows)
    assert error[:, :18].max() < 1e-4
    assert (error[:, 18] < 1e-3).mean() > 0.97  # a class may flip
    assert correlation_error(found["features"], rows) < 1e-3


@settings(max_examples=25, deadline=None)
@given(
    chunks=st.lists(st.integers(0, 2000), min_size=1, max_size=30),
    path=st.sampled_from([*WITH, WITHOUT]),
)
def test_chunks_do_not_matter(chunks: list[int], path: Path) -> None:
    whole_pcm = pcm(0.3)
    whole = features.extract(whole_pcm, model=voice(path))
    extractor = features.Extractor(model=voice(path))
    for _ in range(2):
        parts, at = [], 0
        for size in chunks:
            parts.append(extractor.push(whole_pcm[at : at + size]))
            at += size
        parts += [extractor.push(whole_pcm[at:]), extractor.flush()]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
        extractor.reset()


@EVERY
def test_cepstra_are_the_layouts_own(path: Path) -> None:
    rows = features.extract(pcm(0.5), model=voice(path))
    other = features.extract(pcm(0.5), layout="opus20")
    np.testing.assert_array_equal(rows[:, :18], other[:, :18])
    assert (rows[:, 18] != other[:, 18]).any()
    assert features.Extractor(model=voice(path)).latency_samples == 160


@EVERY
def test_silence_full_scale_and_what_is_between(path: Path) -> None:
    model = voice(path)
    silence = features.extract(np.zeros(16000, np.float32), model=model)
    np.testing.assert_allclose(silence[:, 0], -12.4853, atol=1e-4)
    square = np.where(np.arange(8000) // 40 % 2, 1, -1).astype(np.float32)
    tiny = np.full(800, 1e-30, np.float32)
    for sound in (
        np.zeros(1600, np.float32),
        square,
        np.concatenate([16 * square, np.zeros(3200, np.float32), tiny, square]),
    ):
        rows = features.extract(sound, model=model)
        assert np.isfinite(rows).all()
        assert np.abs(rows[:, 18]).max() <= 1.5
        assert (rows[:, 19] >= -0.5).all() and (rows[:, 19] <= 0.5 + 1e-6).all()
        model.synthesize(rows)


def test_bad_audio() -> None:
    model = voice(WITH[0])
    bad = pcm(0.5).astype(np.float32) / 32768
    extractor = features.Extractor(model=model)
    for value, message in ((np.nan, "NaN"), (17.0, "expected floats in -1..1")):
        worse = bad.copy()
        worse[3000] = value
        with pytest.raises(AudioError, match=message):
            extractor.push(worse)
    np.testing.assert_array_equal(extractor.push(bad), features.extract(bad, model=model))
    with pytest.raises(AudioError, match="159 samples are too short"):
        features.extract(bad[:159], model=model)
    assert features.extract(bad[:160], model=model).shape == (1, 20)


def test_an_extractor_outlives_its_model() -> None:
    model = pyvoc.load(WITH[0])
    extractor = features.Extractor(model=model)
    expected = features.extract(pcm(0.3), model=model)
    del model
    np.testing.assert_array_equal(extractor.push(pcm(0.3)), expected)


@golden_data
@pytest.mark.parametrize("precision", ["f32", "bf16", "int8"])
def test_upstreams_features(precision: str, tmp_path: Path) -> None:
    """Three utterances, 2120 frames.

    The predictor is ill-conditioned in float32, and the correlation follows it: upstream's is up to
    1.6e-4 from the float64 oracle's, its builds up to 2e-4 from each other. Ours must be as near to
    the oracle, and no further from upstream than both together.
    """
    model = pyvoc.load(upstream_model(tmp_path, precision))
    assert model.info.pitch_network
    build = "generic_int8" if precision == "int8" else "generic_float"
    errors = []
    for clip in CLIPS:
        speech = np.fromfile(GOLDEN.parent / "lpcnet" / f"{clip}.s16", "<i2")
        rows = features.extract(speech, model=model)
        expected = np.fromfile(GOLDEN / f"{clip}.features_{build}.f32", "<f4").reshape(-1, 20)
        error = np.abs(rows - expected)
        assert error[:, :18].max() < 3.5e-5
        assert correlation_error(rows, expected) < 3e-4
        if precision == "f32":
            network = pitch_oracle(Path(model.info.path))
            exact = pitch_reference().extract(speech, network)[: len(rows)]
            assert correlation_error(rows, exact) < 1.5e-4
        errors.append(error[:, 18])
    pitch = np.concatenate(errors)
    assert len(pitch) == 2120
    if precision == "f32":
        assert (pitch > 5e-5).sum() <= 1
    else:
        assert np.median(pitch) < (2e-4 if precision == "int8" else 1e-3)
        assert (pitch > 0.02).mean() < 0.013


# ---- damage -------------------------------------------------------------------------------------


def without(arrays: dict[str, np.ndarray]) -> None:
    del arrays["pitch.conv1.bias"]


def wide(arrays: dict[str, np.ndarray]) -> None:
    arrays["pitch.out.weight"] = arrays["pitch.out.weight"][:, :-1]


def many(arrays: dict[str, np.ndarray]) -> None:
    arrays["pitch.conv1.weight"] = np.zeros((17, 1, 3, 3))
    arrays["pitch.conv1.bias"] = np.zeros(17)
    arrays["pitch.conv2.weight"] = np.zeros((1, 17, 3, 3))


def no_number(arrays: dict[str, np.ndarray]) -> None:
    arrays["pitch.gru.bias_hh"][3] = np.nan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, "tensor 'pitch.conv1.bias'.*is missing"),
        (wide, "tensor 'pitch.out.weight' has shape"),
        (many, "convolution has size 17, expected 1 to 16"),
        (no_number, "tensor 'pitch.gru.bias_hh' has values that are NaN"),
    ],
)
def test_damaged_networks(
    change: Callable[[dict[str, np.ndarray]], None], message: str, tmp_path: Path
) -> None:
    """Neither the writer nor the runtime takes one."""
    container = read_container(WITH[0].with_name("even.f32.gguf"))
    arrays = {name: tensor.data.copy() for name, tensor in container.tensors.items()}
    change(arrays)
    kind = container.tensors["pitch.conv1.bias"].type
    tensors = {name: Tensor(kind, np.ascontiguousarray(a, "<f4")) for name, a in arrays.items()}
    other = type(container)(container.metadata, tensors)
    with pytest.raises(ModelError, match=rf"(?s){message}"):
        write_container(tmp_path / "m.gguf", other, spec=SPEC)
    assert not (tmp_path / "m.gguf").exists()
    _write(tmp_path / "m.gguf", other)
    with pytest.raises(ModelError, match=r"tensor pitch\."):
        pyvoc.load(tmp_path / "m.gguf")


# ---- wherever audio becomes features ------------------------------------------------------------


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    pyvoc.audio.write_wav(path, speechlike(0.6).astype(np.float32), 16000)
    return path


@pytest.mark.parametrize("path", [WITH[0], WITHOUT], ids=lambda p: p.stem)
def test_one_way_through_the_house(path: Path, sound: Path, tmp_path: Path) -> None:
    """``features -m``, ``synth`` of a file and ``live`` of one hear the model's own extractor."""
    model = voice(path)
    expected = features.extract(features.read_pcm(sound), model=model)
    assert main(["features", str(sound), "-m", str(path), "-o", str(tmp_path / "f.f32")]) == 0
    rows = features.load(tmp_path / "f.f32", layout="opus20")
    np.testing.assert_array_equal(rows, expected)
    other = features.extract(features.read_pcm(sound), layout="opus20")
    assert (rows == other).all() == (path is WITHOUT)
    for command in (
        ["synth", str(sound), "-m", str(path), "-o", str(tmp_path / "synth.wav")],
        ["live", "-m", str(path), "--from", str(sound), "--to", str(tmp_path / "live.wav")],
    ):
        assert main(command) == 0
    samples = np.clip(np.floor(model.synthesize(expected) * 32768 + 0.5), -32768, 32767) / 32768
    for name in ("synth", "live"):
        np.testing.assert_array_equal(pyvoc.audio.read(tmp_path / f"{name}.wav")[0], samples)


def test_info_says_what_tells_the_pitch(capsys: pytest.CaptureFixture[str]) -> None:
    for path, words in ((WITH[0], "pitch by the model's own network"), (WITHOUT, "LPCNet's est")):
        assert main(["info", str(path)]) == 0
        assert words in capsys.readouterr().out
        assert main(["info", "--json", str(path)]) == 0
        report = json.loads(capsys.readouterr().out)[0]
        assert report["pitch_network"] == (path is not WITHOUT)
    layers = {entry["layer"] for entry in voice(WITH[0]).describe()["plan"]}
    assert {"pitch.phases1", "pitch.gru.hidden", "pitch.out"} <= layers
