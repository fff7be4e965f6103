"""`pyvoc quantize` of WaveGlow: ranges, the bytes of the conditioning, upstream's audio."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from quantized import mels, snr
from test_golden_waveglow import load, utterances
from tier_worker import run, tiers
from waveglow_files import TINY, reference

import pyvoc
from pyvoc.cli import main
from pyvoc.container import read_container
from pyvoc.convert.run import convert
from pyvoc.families import spec_of
from pyvoc.quant import decode
from pyvoc.quant.calibrate import quantize

FLOATS = sorted(TINY.glob("*.f32.gguf"))
EARLY = TINY / "early.f32.gguf"
GOLDEN_DB = 40.0


@pytest.mark.parametrize("path", FLOATS, ids=lambda p: p.stem)
def test_int8_sounds_alike_on_every_tier(path: Path, tmp_path: Path) -> None:
    report = quantize(path, tmp_path / "int8.gguf", mels(path))
    assert report.target == str(tmp_path / "int8.gguf")
    assert report.held_out == 1
    assert report.snr_db > 30
    assert (tmp_path / "int8.gguf").stat().st_size == report.bytes
    assert read_container(tmp_path / "int8.gguf").metadata["pyvoc.precision"] == "int8"
    (mel,) = mels(path, 1, 50)
    exact = pyvoc.load(path).synthesize(mel)
    audio = [run(tmp_path / "int8.gguf", tier, tmp_path, mel=mel)["mel"] for tier in tiers()]
    for samples in audio:
        assert snr(exact, samples) > 30
        assert snr(audio[0], samples) > 40


def test_a_bf16_model_is_calibrated_too(tmp_path: Path) -> None:
    path = TINY / "early.bf16.gguf"
    assert quantize(path, tmp_path / "int8.gguf", mels(path)).snr_db > 30


def test_ranges_are_those_of_the_speech(tmp_path: Path) -> None:
    """Of one utterance, by the oracle; what is rare may be clipped."""
    (mel,) = mels(EARLY, 1)
    report = quantize(EARLY, tmp_path / "int8.gguf", [mel], min_snr_db=-100)
    container = read_container(EARLY)
    net = reference().Waveglow(decode(spec_of(container, "tiny"), container), container.metadata)
    condition = net.condition(mel)
    layers = {layer.name: layer for layer in report.layers}
    shared = {(r.low, r.high) for name, r in layers.items() if name.endswith(".cond")}
    ((low, high),) = shared
    assert 0.5 * condition.max() <= high <= 1.0001 * condition.max()
    assert 1.0001 * condition.min() <= low <= 0.5 * condition.min()
    found = read_container(tmp_path / "int8.gguf").tensors
    inputs = [t.data for name, t in found.items() if name.endswith(".cond.weight.input")]
    assert all(np.array_equal(data, inputs[0]) for data in inputs)
    # Input band * groups + position: the range of each spans what the oracle has there.
    scale, zero = inputs[0].astype(np.float64)
    for c, values in enumerate(condition):
        top, bottom = (254 - zero[c]) * scale[c], -zero[c] * scale[c]
        assert 0.49 * max(values.max(), 0) <= top <= 1.01 * max(values.max(), 0) + scale[c]
        assert 1.01 * min(values.min(), 0) - scale[c] <= bottom <= 0.49 * min(values.min(), 0)
    gated = [r for name, r in layers.items() if name.endswith(".out")]
    assert all(-1 <= r.low < 0 < r.high <= 1 for r in gated)


def test_every_value_is_seen(tmp_path: Path) -> None:
    """As many values as there are steps, whatever layer; the gated ones are the oracle's."""
    from pyvoc import _pyvoc

    (mel,) = mels(EARLY, 1)
    model = pyvoc.load(EARLY)
    calibration = _pyvoc.Calibration(model._native)
    calibration.add(mel)
    steps = len(mel) * model.info.hop_length // sum(model.info.noise_channels)
    layers = calibration.layers()
    assert len(layers) == 1 + 2 * sum(n.endswith(".conv") for n in layers)
    for (_, _, squares, count), _ in layers.values():
        assert (count == steps).all()
        assert (squares > 0).all()


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i, mel in enumerate(mels(EARLY)):
        np.save(tmp_path / f"{i}.npy", mel)
    out = tmp_path / "int8.gguf"
    given = [str(tmp_path / f"{i}.npy") for i in range(4)]
    arguments = ["quantize", str(EARLY), "--calibrate", *given, "-o", str(out)]
    assert main([*arguments, "--min-snr", "90"]) == 3
    printed = capsys.readouterr()
    assert "(not written)" in printed.out and "is below 90 dB" in printed.err
    assert not out.exists()
    assert main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["utterances"], report["held_out"]) == (3, 1)
    assert main(["quantize", str(out), "--calibrate", *given, "-o", str(tmp_path / "no")]) == 3
    assert "is int8 already" in capsys.readouterr().err


@pytest.mark.parametrize(("checkpoint", "utterance"), utterances())
def test_int8_is_close_to_upstreams_audio(
    checkpoint: Path, utterance: Path, tmp_path: Path
) -> None:
    """Calibrated on other speech, with other noise."""
    convert(checkpoint, tmp_path / "f32.gguf")
    mel, draws, sigma, expected = load(utterance)
    other = np.ascontiguousarray(mel[::-1])
    quantize(tmp_path / "f32.gguf", tmp_path / "int8.gguf", [other])
    found = pyvoc.load(tmp_path / "int8.gguf").synthesize(mel, draws=draws, sigma=sigma)
    assert snr(expected, found) >= GOLDEN_DB
