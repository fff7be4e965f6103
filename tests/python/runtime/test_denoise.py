"""The denoiser against upstream's output and the float64 oracle, cut in any way; the command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcnet_files import ROOT, load_module
from mel_sounds import GOLDEN
from voices import MELGAN, TREE, features_for, voice

import pyvoc
from pyvoc import AudioError, Error, FeatureError
from pyvoc.cli import main
from pyvoc.files.pcm import to_int16
from pyvoc.runtime.denoise import BIAS_FRAMES, FFT_LENGTH, Denoiser, bias_of

UPSTREAM = sorted(GOLDEN.glob("waveglow/*denoiser*.npz"))
MODELS = [TREE, next(p for p in MELGAN if ".f32." in p.name)]
PIECE = 768  # what whole hops lag


def reference() -> ModuleType:
    """tests/reference/denoiser.py."""
    return load_module(ROOT / "tests" / "reference" / "denoiser.py")


def sound(samples: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


def spectrum(bins: int = 513, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 20, bins).astype(np.float32)


def in_pieces(denoiser: Denoiser, samples: np.ndarray, cuts: list[int]) -> np.ndarray:
    parts = [denoiser.push(part) for part in np.split(samples, sorted(cuts))]
    return np.concatenate([*parts, denoiser.flush()])


# ---- what it computes ---------------------------------------------------------------------------


@pytest.mark.skipif(not UPSTREAM, reason=f"no waveglow/*denoiser*.npz in {GOLDEN}")
@pytest.mark.parametrize("path", UPSTREAM, ids=lambda p: p.stem)
def test_agrees_with_upstream(path: Path) -> None:
    """To single precision's rounding, whole and cut: upstream computes in float32."""
    with np.load(path) as data:
        audio, bias = data["audio_in"].ravel(), data["bias_spec"].ravel()
        outputs = {k: data[k].ravel() for k in data.files if k.startswith("denoised_")}
    assert len(outputs) >= 2
    for name, wanted in outputs.items():
        strength = float(name.removeprefix("denoised_").replace("p", "."))
        denoiser = Denoiser(bias, sample_rate=22050, strength=strength)
        clean = denoiser.denoise(audio)
        assert clean.shape == wanted.shape == audio.shape
        assert np.abs(clean - wanted).max() <= 1e-5
        assert np.abs(clean - audio).max() > 0.01  # it did something
        exact = reference().denoise(audio, bias, strength)
        assert np.abs(clean - exact).max() <= 1e-6
        cuts = [1, 5000, 5001, 5257, len(audio) - 3]
        np.testing.assert_array_equal(in_pieces(denoiser, audio, cuts), clean)


@pytest.mark.parametrize("samples", [513, 1024, 5000, 5120, 30001])
@pytest.mark.parametrize("strength", [0.1, 1.0])
def test_agrees_with_the_oracle(samples: int, strength: float) -> None:
    audio, bias = sound(samples), spectrum()
    clean = Denoiser(bias, sample_rate=22050, strength=strength).denoise(audio)
    wanted = reference().denoise(audio, bias, strength)
    assert len(clean) == samples
    assert len(wanted) == samples // 256 * 256  # upstream drops the rest
    assert np.abs(clean[: len(wanted)] - wanted).max() <= 1e-6
    hum = sound(2000, seed=1)
    np.testing.assert_allclose(bias_of(hum), reference().bias_of(hum), rtol=1e-6)


@pytest.mark.parametrize("samples", [1, 2, 255, 512, 513, 3000])
def test_without_strength_nothing_changes(samples: int) -> None:
    audio = sound(samples)
    clean = Denoiser(spectrum(), sample_rate=16000, strength=0.0).denoise(audio)
    np.testing.assert_allclose(clean, audio, rtol=1e-6, atol=1e-7)


def test_the_hum_itself_goes() -> None:
    # Whole periods: mirrored at its ends, it goes on as it was.
    hum = 0.2 * np.cos(2 * np.pi * 40 * np.arange(20 * 1024 + 1) / 1024)
    denoiser = Denoiser(bias_of(hum), sample_rate=22050, strength=1.0)
    assert np.abs(denoiser.denoise(hum)).max() < 1e-6
    half = Denoiser(bias_of(hum), sample_rate=22050, strength=0.5).denoise(hum)
    assert np.abs(half - hum / 2).max() < 1e-6


def test_int16_and_other_floats_are_taken() -> None:
    words = (20000 * sound(3000)).astype(np.int16)
    denoiser = Denoiser(spectrum(), sample_rate=16000)
    clean = denoiser.denoise(words)
    np.testing.assert_array_equal(clean, denoiser.denoise(words / 32768.0))
    assert clean.dtype == np.float32


# ---- streaming ----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    samples=st.integers(0, 6000),
    cuts=st.lists(st.integers(0, 6000), max_size=12),
    power=st.integers(4, 11),
    part=st.integers(4, 64),
    strength=st.floats(0, 1),
)
def test_any_cut_gives_the_same(
    samples: int, cuts: list[int], power: int, part: int, strength: float
) -> None:
    audio, fft = sound(samples, seed=samples), 1 << power
    bias, hop = spectrum(fft // 2 + 1, seed=power), max(fft // part, 1)
    denoiser = Denoiser(bias, sample_rate=22050, strength=strength, hop_length=hop)
    whole = denoiser.denoise(audio)
    assert whole.shape == audio.shape
    pieces = in_pieces(denoiser, audio, [min(cut, samples) for cut in cuts])
    np.testing.assert_array_equal(pieces, whole)
    denoiser.reset()
    pushed = given_back = 0
    for cut in range(0, samples, 601):
        pushed += len(audio[cut : cut + 601])
        given_back += len(denoiser.push(audio[cut : cut + 601]))
        assert pushed - denoiser.latency_samples <= given_back <= pushed
    assert denoiser.latency_samples == fft - 1


def test_whole_hops_lag_by_three() -> None:
    denoiser = Denoiser(spectrum(), sample_rate=22050)
    got = sum(len(denoiser.push(sound(256))) for _ in range(20))
    assert got == 20 * 256 - PIECE
    assert len(denoiser.flush()) == PIECE
    with pytest.raises(Error, match="after flush"):
        denoiser.push(sound(1))
    with pytest.raises(Error, match="after flush"):
        denoiser.flush()


# ---- a model's own hum --------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_for_a_model(path: Path) -> None:
    model = voice(path)
    dims, rate = model.info.feature_dims, model.info.sample_rate
    hum = model.synthesize(np.zeros((BIAS_FRAMES, dims), np.float32))
    denoiser = Denoiser.for_model(model, strength=0.3)
    np.testing.assert_array_equal(denoiser.bias, bias_of(hum))
    assert denoiser.bias.any()
    assert (denoiser.sample_rate, denoiser.strength) == (rate, 0.3)
    rows = features_for(model, 88, seed=4)
    other = Denoiser.for_model(model, features=rows)
    np.testing.assert_array_equal(other.bias, bias_of(model.synthesize(rows)))
    assert len(denoiser.bias) == FFT_LENGTH // 2 + 1
    assert f"{rate} Hz" in repr(denoiser)


# ---- what it refuses ----------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), float("inf"), "much", None])
def test_strength_out_of_range(strength: float) -> None:
    with pytest.raises(Error, match="strength"):
        Denoiser(spectrum(), sample_rate=22050, strength=strength)
    with pytest.raises(Error, match="strength"):
        Denoiser.for_model(voice(TREE), strength=strength)


@pytest.mark.parametrize(
    ("bias", "words"),
    [
        (spectrum(512), "512 magnitudes"),
        (spectrum(0), "0 magnitudes"),
        (spectrum(1), "1 magnitudes"),
        (spectrum(5), "5 magnitudes"),
        (spectrum()[None], "shape"),
        (np.ones(513, np.int32), "int32"),
        (-spectrum(), "magnitude 0"),
        (np.where(np.arange(513) == 9, np.nan, 1.0), "magnitude 9"),
        (np.where(np.arange(513) == 9, 1e9, 1.0), "magnitude 9"),
    ],
)
def test_a_bias_that_is_none(bias: np.ndarray, words: str) -> None:
    with pytest.raises(Error, match=words):
        Denoiser(bias, sample_rate=22050)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sample_rate": 0}, "sample rate is 0"),
        ({"sample_rate": 10**6}, "sample rate"),
        ({"sample_rate": 22050.0}, "whole number"),
        ({"hop_length": 0}, "hop is 0"),
        ({"hop_length": 257}, "hop is 257"),
        ({"hop_length": 1.5}, "whole number"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, object], words: str) -> None:
    arguments = {"sample_rate": 22050, **change}
    with pytest.raises(Error, match=words):
        Denoiser(spectrum(), **arguments)  # type: ignore[arg-type]


def test_samples_that_it_cannot_use() -> None:
    denoiser, audio = Denoiser(spectrum(), sample_rate=22050), sound(3000)
    whole = denoiser.denoise(audio)
    bad = audio.copy()
    bad[700] = np.nan
    for samples, words in (
        (bad, "NaN"),
        (32768 * audio, "-1..1"),
        (audio[None], "shape"),
        (np.arange(5), "int64"),
    ):
        with pytest.raises(AudioError, match=words):
            denoiser.denoise(samples)
        with pytest.raises(AudioError, match=words):
            denoiser.push(samples)
    with pytest.raises(AudioError, match=r"16000 Hz.*22050 Hz"):
        denoiser.denoise(audio, rate=16000)
    np.testing.assert_array_equal(denoiser.denoise(audio, rate=22050), whole)
    np.testing.assert_array_equal(in_pieces(denoiser, audio, [9]), whole)  # nothing was taken
    with pytest.raises(AudioError, match="512 samples, expected 513"):
        bias_of(audio[:512])
    with pytest.raises(AudioError, match="NaN"):
        bias_of(bad)
    for length in (0, -4, 3, 8, 1000, 1 << 15):
        with pytest.raises(Error, match="power of two"):
            bias_of(audio, fft_length=length)
    with pytest.raises(FeatureError):
        Denoiser.for_model(voice(TREE), features=np.zeros((88, 7)))


# ---- pyvoc synth --denoise ----------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(name: str, rows: np.ndarray) -> str:
    pyvoc.features.save(name, rows) if name.endswith(".npy") else rows.tofile(name)
    return name


def expected(path: Path, rows: np.ndarray, strength: float, seed: int = 0) -> np.ndarray:
    model = voice(path)
    samples = model.synthesize(rows, seed=seed)
    clean = Denoiser.for_model(model, strength=strength).denoise(samples)
    assert (clean != samples).any()
    return to_int16(clean)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_command(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, rows = voice(path), features_for(voice(path), 40)
    np.save("a.npy", rows)
    arguments = ["synth", "a.npy", "-m", str(path), "-o", "a.s16", "--seed", "3", "--json"]
    assert main([*arguments, "--denoise", "0.7"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["denoise"] == 0.7
    lag = model.info.latency_samples + FFT_LENGTH - 1
    assert report["latency_ms"] == pytest.approx(1000 * lag / model.info.sample_rate)
    np.testing.assert_array_equal(np.fromfile("a.s16", "<i2"), expected(path, rows, 0.7, seed=3))
    for off in ([], ["--denoise", "0"]):
        assert main([*arguments, *off]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["denoise"] == 0
        assert report["latency_ms"] < 1000 * lag / model.info.sample_rate
        plain = to_int16(model.synthesize(rows, seed=3))
        np.testing.assert_array_equal(np.fromfile("a.s16", "<i2"), plain)


@pytest.mark.usefixtures("here")
def test_several_files() -> None:
    rows = {f"in{i}.f32": features_for(voice(TREE), 5 + 3 * i, seed=i) for i in range(3)}
    names = [save(name, array) for name, array in rows.items()]
    assert main(["synth", *names, "-m", str(TREE), "-o", "out/", "--raw", "--denoise", "1"]) == 0
    for name, array in rows.items():
        found = np.fromfile(f"out/{Path(name).stem}.s16", "<i2")
        np.testing.assert_array_equal(found, expected(TREE, array, 1.0))


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_a_pipe_streams(path: Path) -> None:
    """What can be heard comes out before the input has ended; in all, what a file gives."""
    model, frames = voice(path), 200
    rows = features_for(model, frames)
    wanted = expected(path, rows, 0.5).astype("<i2").tobytes()
    process = subprocess.Popen(
        [sys.executable, "-m", "pyvoc", "synth", "-", "-m", str(path), "--denoise", "0.5"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # communicate goes past what a buffer has read ahead
    )
    assert process.stdin is not None and process.stdout is not None
    data = rows.astype("<f4").tobytes()
    half = frames // 2 * rows.shape[1] * 4
    process.stdin.write(data[:half])
    latency = model.info.latency_samples + FFT_LENGTH - 1
    due = frames // 2 * model.info.hop_length - latency
    assert due > 0
    early = b""
    while len(early) < 2 * due:
        piece = process.stdout.read(2 * due - len(early))
        assert piece
        early += piece
    rest, err = process.communicate(data[half:])
    assert early + rest == wanted
    assert process.returncode == 0
    assert f"{frames} frames".encode() in err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("strength", ["-0.1", "1.01", "nan", "inf", "much", ""])
def test_usage(strength: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["synth", "a.f32", "-m", str(TREE), "-o", "a.s16", f"--denoise={strength}"])
    assert caught.value.code == 2
    assert "no strength in 0..1" in capsys.readouterr().err
