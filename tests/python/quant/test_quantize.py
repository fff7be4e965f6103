"""`pyvoc quantize`: ranges, errors, refusals, and what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from melgan_files import reference
from quantized import mels, snr
from sounds import speechlike
from tier_worker import run, tiers
from voices import HIFIGAN, MELGAN, TREE, make_mel

import pyvoc
from pyvoc.cli import main
from pyvoc.container import ElementType, read_container, write_container
from pyvoc.families import spec_of
from pyvoc.quant import decode
from pyvoc.quant.calibrate import quantize
from pyvoc.quant.convolution import balanced_range, clipped_range, input_range, quantize_sum
from pyvoc.quant.speech import lacks_speech
from pyvoc.quant.trial import stay_float

REFLECT = next(p for p in MELGAN if p.stem == "reflect.f32")
PAIRED = next(p for p in HIFIGAN if p.stem == "paired.f32")
FLOATS = [p for p in MELGAN if p.stem.endswith("f32")]


# ---- rounding ------------------------------------------------------------------------------------


def test_input_range_spans_the_bytes() -> None:
    low, high = np.array([-1.0, 0.0, -5.0, 0.5, 0.0]), np.array([3.0, 2.0, 0.0, 2.0, 0.0])
    found = input_range(low, high)
    assert found.dtype == np.float32
    scale, zero = found.astype(np.float64)
    assert (scale > 0).all()
    assert (zero == np.rint(zero)).all()
    assert ((zero >= 0) & (zero <= 254)).all()
    for values in (np.minimum(low, 0), np.zeros(5), np.maximum(high, 0)):
        u = np.clip(np.rint(values / scale) + zero, 0, 254)
        assert (np.abs((u - zero) * scale - values) <= 0.51 * scale).all()


def test_clipping_pays_for_rare_outliers_only() -> None:
    counts = np.ones((3, 256), np.uint64)
    counts[1] = 0
    counts[1, 120:136] = 10**6
    counts[1, -1] = 1
    low, high = np.array([-1.0, -1.0, 0.0]), np.array([1.0, 1.0, 0.0])
    narrow_low, narrow_high = clipped_range(low, high, counts)
    assert narrow_high[0] > 0.95
    assert narrow_high[1] == pytest.approx(0.5)  # as narrow as it may be
    assert narrow_low[1] == pytest.approx(-0.5)
    assert narrow_low[2] == narrow_high[2] == 0


@pytest.mark.parametrize("axis", [0, 1])
def test_channels_of_different_size_are_balanced(axis: int) -> None:
    """What a layer gives is nearer to the exact sum than with each channel's own step."""
    rng = np.random.default_rng(4)
    sizes = np.array([0.01, 0.1, 1.0, 30.0])
    x = sizes[:, None] * rng.uniform(-1, 1, (4, 4000))
    weight = rng.normal(size=(8, 4, 3)) / sizes[:, None] ** 0.5
    stored = np.moveaxis(weight, 0, axis)

    def rounded(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        inputs = input_range(low, high)
        scale, zero = inputs.astype(np.float64)[:, :, None]
        u = np.clip(np.rint(x / scale) + zero, 0, 254)
        q = quantize_sum({"w": stored}, {"w": inputs}, axis=axis)["w"].to_float()
        return np.einsum("oik,in->on", np.moveaxis(q, axis, 0), (u - zero) * scale)

    low, high, power = -sizes, sizes, np.square(x).mean(axis=1)
    wide = balanced_range(low, high, power, stored, axis=axis)
    assert (wide[0] <= low).all() and (wide[1] >= high).all()
    exact = np.einsum("oik,in->on", weight, x)
    own = np.square(rounded(low, high) - exact).mean()
    assert np.square(rounded(*wide) - exact).mean() < 0.5 * own
    even = balanced_range(-np.ones(4), np.ones(4), np.full(4, 0.3), stored, axis=axis)
    np.testing.assert_allclose(even, (-np.ones(4), np.ones(4)))


def test_sums_share_a_unit() -> None:
    rng = np.random.default_rng(1)
    weights = {"a": rng.normal(size=(6, 5, 1)), "b": 30 * rng.normal(size=(6, 5, 1))}
    inputs = {"a": input_range(-np.ones(5), 7 * np.arange(1.0, 6)), "b": input_range(*np.eye(2, 5))}
    found = quantize_sum(weights, inputs)
    np.testing.assert_array_equal(found["a"].scale, found["b"].scale)
    worst = np.max([np.abs(q.q.astype(int)).max(axis=(1, 2)) for q in found.values()], axis=0)
    assert (worst == 127).all()  # the resolution is used up, in every output
    for name, q in found.items():
        step = q.scale[:, None, None] / inputs[name][0][None, :, None].astype(np.float64)
        assert (np.abs(q.to_float() - weights[name]) <= 0.501 * step).all()


def test_transposed_weights_have_outputs_on_axis_1() -> None:
    weight = np.random.default_rng(2).normal(size=(5, 3, 4)) * np.array([1, 10, 100])[:, None]
    q = quantize_sum({"up": weight}, {"up": input_range(-np.ones(5), np.ones(5))}, axis=1)["up"]
    assert q.scale.shape == (3,)
    assert (np.abs(q.q.astype(int)).max(axis=(0, 2)) == 127).all()
    np.testing.assert_allclose(q.to_float(), weight, atol=0.51 * np.abs(weight).max() / 127)


# ---- models --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FLOATS, ids=lambda p: p.stem)
def test_int8_sounds_alike_on_every_tier(path: Path, tmp_path: Path) -> None:
    report = quantize(path, tmp_path / "int8.gguf", mels(path))
    assert report.target == str(tmp_path / "int8.gguf")
    assert report.held_out == 1
    assert report.snr_db > 20
    assert (tmp_path / "int8.gguf").stat().st_size == report.bytes < path.stat().st_size
    assert {layer.low <= 0 <= layer.high for layer in report.layers} == {True}
    mel = make_mel(50, bands=pyvoc.load(path).info.feature_dims, seed=5)
    exact = pyvoc.load(path).synthesize(mel)
    audio = [run(tmp_path / "int8.gguf", tier, tmp_path, mel=mel)["mel"] for tier in tiers()]
    for samples in audio:
        assert snr(exact, samples) > 20
        # Sums are equal on all tiers; a rounding to bytes may fall to the other side.
        assert snr(audio[0], samples) > 45


def test_int8_streams_in_any_pieces(tmp_path: Path) -> None:
    quantize(REFLECT, tmp_path / "int8.gguf", mels(REFLECT))
    model = pyvoc.load(tmp_path / "int8.gguf")
    mel = make_mel(40, seed=9)
    whole = model.synthesize(mel)
    with model.stream() as stream:
        pieces = []
        for i in range(0, 40, 3):
            stream.push(mel[i : i + 3])
            pieces.append(stream.pull(500))
        stream.flush()
        pieces.append(stream.pull())
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    for frames in (1, 2, 3):
        assert len(model.synthesize(mel[:frames])) == frames * 256


def test_ranges_are_those_of_the_speech(tmp_path: Path) -> None:
    """The first quantised layer's, of one utterance; what is rare may be clipped."""
    (mel,) = mels(REFLECT, 1)
    report = quantize(REFLECT, tmp_path / "a.gguf", [mel], min_snr_db=-100)
    assert report.held_out == 0
    container = read_container(REFLECT)
    arrays = decode(spec_of(container, "tiny"), container)
    conv_in = reference().Melgan(arrays, container.metadata).forward(mel).conv_in
    active = np.where(conv_in > 0, conv_in, 0.2 * conv_in)
    (layer,) = (layer for layer in report.layers if layer.name == "stage.0.up")
    assert 0.5 * active.max() <= layer.high <= 1.0001 * active.max()
    assert 1.0001 * active.min() <= layer.low <= 0.5 * active.min()


def test_a_bf16_model_is_calibrated_too(tmp_path: Path) -> None:
    path = next(p for p in MELGAN if p.stem == "odd.bf16")
    report = quantize(path, tmp_path / "int8.gguf", mels(path))
    assert report.snr_db > 20
    assert read_container(tmp_path / "int8.gguf").metadata["pyvoc.precision"] == "int8"


# ---- layers that stay in floats ------------------------------------------------------------------


@pytest.mark.parametrize("path", [REFLECT, PAIRED], ids=lambda p: p.parent.name)
def test_what_costs_most_stays_in_floats(path: Path, tmp_path: Path) -> None:
    given = mels(path)
    integers = quantize(path, tmp_path / "int8.gguf", given, float_share=0.0)
    assert integers.float_share == 0
    assert all(layer.alone_snr_db is None and not layer.stays_float for layer in integers.layers)
    report = quantize(path, tmp_path / "mixed.gguf", given, float_share=0.3, goal_snr_db=60)
    assert 0 < report.float_share <= 0.3
    assert report.snr_db > integers.snr_db + 0.5
    kept = {layer.name for layer in report.layers if layer.stays_float}
    container = read_container(tmp_path / "mixed.gguf")
    assert container.metadata["pyvoc.precision"] == "int8"
    for layer in report.layers:
        kind = container.tensors[f"{layer.name}.weight"].type
        assert kind is (ElementType.BF16 if layer.name in kept else ElementType.I8)
        assert layer.alone_snr_db is not None and layer.alone_snr_db > integers.snr_db

    model, mel = pyvoc.load(tmp_path / "mixed.gguf"), make_mel(40, seed=9)
    whole = model.synthesize(mel)
    with model.stream() as stream:
        pieces = []
        for i in range(0, 40, 3):
            stream.push(mel[i : i + 3])
            pieces.append(stream.pull())
        stream.flush()
        np.testing.assert_array_equal(np.concatenate([*pieces, stream.pull()]), whole)
    for tier in tiers():
        audio = run(tmp_path / "mixed.gguf", tier, tmp_path, mel=mel)["mel"]
        assert snr(whole, audio) > 40


@pytest.mark.parametrize("path", [REFLECT, PAIRED], ids=lambda p: p.parent.name)
@pytest.mark.parametrize("every", [2, 3])
def test_any_layer_may_be_float(path: Path, every: int, tmp_path: Path) -> None:
    """Whatever lies beside it is int8: the audio is between those of the two models."""
    quantize(path, tmp_path / "int8.gguf", mels(path), float_share=0.0)
    exact, mixed = read_container(path), read_container(tmp_path / "int8.gguf")
    spec = spec_of(mixed, "int8")
    layers = [t for t in spec.layout_of(mixed).tensors if t.type_for("int8") is ElementType.I8]
    changed = [t for t in layers[::every] if t.partner is None and t.int8.adds_to is None]
    for t in changed + [t for t in layers if t.partner in {c.name for c in changed}]:
        mixed.tensors[t.name] = exact.tensors[t.name]
        del mixed.tensors[f"{t.name}.scale"], mixed.tensors[f"{t.name}.input"]
    write_container(tmp_path / "mixed.gguf", mixed, spec=spec)
    mel = make_mel(40, seed=9)
    audio = [pyvoc.load(p).synthesize(mel) for p in (path, tmp_path / "int8.gguf")]
    found = pyvoc.load(tmp_path / "mixed.gguf").synthesize(mel)
    assert snr(audio[0], audio[1]) + 0.5 < snr(audio[0], found) < 100


def test_products_of_one_sum_are_of_one_type(tmp_path: Path) -> None:
    quantize(REFLECT, tmp_path / "int8.gguf", mels(REFLECT), float_share=0.0)
    mixed = read_container(tmp_path / "int8.gguf")
    name = "stage.0.block.1.shortcut.weight"
    mixed.tensors[name] = read_container(REFLECT).tensors[name]
    del mixed.tensors[f"{name}.scale"], mixed.tensors[f"{name}.input"]
    with pytest.raises(pyvoc.ModelError, match=r"types of 'out' and 'shortcut' differ"):
        write_container(tmp_path / "mixed.gguf", mixed, spec=spec_of(mixed, "int8"))


def test_shares_of_floats() -> None:
    noise = {"a": 1e-2, "b": 1e-3, "c": 1e-5, "d": 2e-3}
    work = {"a": 60.0, "b": 4.0, "c": 1.0, "d": 35.0}
    assert stay_float(noise, work, 100.0, 10.0) == set()  # the sum is below a tenth already
    assert stay_float(noise, work, 100.0, 19.0) == {"b"}
    assert stay_float(noise, work, 64.0, 25.0) == {"a", "b"}
    assert stay_float(noise, work, 0.5, 60.0) == set()
    assert stay_float(noise, work, 5.0, 60.0) == {"b", "c"}


# ---- the command ---------------------------------------------------------------------------------


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rate = 22050
    time = np.arange(rate) / rate
    voice = 0.3 * np.sign(np.sin(2 * np.pi * 140 * time)) * (1 + np.sin(2 * np.pi * 3 * time)) / 2
    for i in range(2):
        pyvoc.audio.write_wav(tmp_path / f"{i}.wav", voice * (1 - 0.3 * i), rate)
    np.save(tmp_path / "mel.npy", mels(REFLECT)[0].T)
    out = tmp_path / "int8.gguf"
    given = [str(tmp_path / "0.wav"), str(tmp_path / "1.wav"), str(tmp_path / "mel.npy")]
    arguments = ["quantize", str(REFLECT), "--calibrate", *given, "-o", str(out)]
    assert main([*arguments, "--json", "--min-snr", "-20"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["utterances"] == 2
    assert report["held_out"] == 1
    assert report["target"] == str(out)
    assert len(report["layers"]) == 4 + 3 * 3 * 4
    out.unlink()
    assert main([*arguments, "--min-snr", "90"]) == 3
    printed = capsys.readouterr()
    assert "(not written)" in printed.out
    assert "is below 90 dB" in printed.err
    assert not out.exists()


def loud(name: str, seconds: float = 1.0) -> np.ndarray:
    """What is no speech, at the rate of the tiny models."""
    time = np.arange(round(22050 * seconds)) / 22050
    hiss = 0.1 * np.random.default_rng(3).standard_normal(len(time))
    return {
        "silence": 0 * time,
        "noise": hiss,
        "half noise": np.where(time < seconds / 2, 0, hiss),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * time),
        "hum": 0.1 * sum(np.sin(2 * np.pi * 50 * k * time) / k for k in range(1, 20)),
    }[name]


def mel_of(audio: np.ndarray) -> np.ndarray:
    return pyvoc.features.extract(to_int16(audio), model=pyvoc.load(REFLECT))


def to_int16(audio: np.ndarray) -> np.ndarray:
    return np.rint(32767 * audio).astype(np.int16)


@pytest.mark.parametrize("name", ["silence", "noise", "half noise", "tone", "hum"])
def test_nothing_is_calibrated_without_speech(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    with pytest.raises(pyvoc.Error, match=r"no speech to calibrate with: utterance 1: .*silence"):
        quantize(REFLECT, out, 2 * [mel_of(loud(name))], min_snr_db=-100)
    assert not out.exists()
    assert quantize(REFLECT, out, [mel_of(loud(name))], any_sound=True, min_snr_db=-100).target
    heard = [mel_of(loud(name)), *mels(REFLECT, 2)]
    with pytest.warns(pyvoc.InputWarning, match="^b holds no speech: "):
        quantize(REFLECT, out, heard[1:] + heard[:1], names=["a", "c", "b"], min_snr_db=-100)


def test_speech_however_noisy_is_speech() -> None:
    recipe = pyvoc.load(REFLECT).info.mel
    rng = np.random.default_rng(4)
    for seed in range(3):
        voice = at_22050(speechlike(3.0, seed=seed))
        for level in (0.0, 0.1):  # 10 dB below
            hiss = np.sqrt(level) * voice.std() * rng.standard_normal(len(voice))
            mel = mel_of(np.clip(voice + hiss, -1, 1))
            assert lacks_speech(mel, recipe) is None
            assert lacks_speech(mel[:4], recipe) is None  # too short to tell
    quiet = 1e-3 * np.random.default_rng(5).standard_normal(22050)
    assert "its level changes by 0." in str(lacks_speech(mel_of(quiet), recipe))


def at_22050(audio: np.ndarray) -> np.ndarray:
    """From 16 kHz to 22.05 kHz, roughly."""
    at = np.arange(0, len(audio) - 1, 16000 / 22050)
    return np.interp(at, np.arange(len(audio)), audio)


def test_command_names_what_is_no_speech(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pyvoc.audio.write_wav(tmp_path / "hiss.wav", loud("noise"), 22050)
    np.save(tmp_path / "mel.npy", mels(REFLECT)[0])
    out = tmp_path / "int8.gguf"
    arguments = ["quantize", str(REFLECT), "-o", str(out), "--min-snr", "-99", "--calibrate"]
    assert main([*arguments, str(tmp_path / "hiss.wav")]) == 3
    assert f"no speech to calibrate with: '{tmp_path / 'hiss.wav'}': within" in (
        capsys.readouterr().err
    )
    both = [str(tmp_path / "hiss.wav"), str(tmp_path / "mel.npy")]
    assert main([*arguments, *both, "--strict"]) == 3
    assert not out.exists()
    capsys.readouterr()
    assert main([*arguments, *both, "--json"]) == 0
    printed = capsys.readouterr()
    warnings = json.loads(printed.out)["warnings"]
    assert any("hiss.wav' holds no speech: within 0.1 s" in warning for warning in warnings)
    assert all("mel.npy' holds" not in warning for warning in warnings)
    assert "pyvoc: warning: " in printed.err


def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mel = tmp_path / "mel.npy"
    np.save(mel, mels(REFLECT)[0])
    out = str(tmp_path / "out.gguf")
    assert main(["quantize", str(TREE), "--calibrate", str(mel), "-o", out]) == 4
    assert "pyvoc convert --precision int8" in capsys.readouterr().err
    assert main(["quantize", str(REFLECT), "--calibrate", str(tmp_path), "-o", out]) == 3
    assert "without audio files" in capsys.readouterr().err
    np.save(mel, mels(REFLECT)[0][:, :79])
    assert main(["quantize", str(REFLECT), "--calibrate", str(mel), "-o", out]) == 3
    assert "80" in capsys.readouterr().err
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(REFLECT.read_bytes())
    with pytest.raises(pyvoc.Error, match="would overwrite the input"):
        quantize(copy, copy, mels(REFLECT))
    quantize(REFLECT, tmp_path / "int8.gguf", mels(REFLECT))
    with pytest.raises(pyvoc.ModelError, match="int8 already"):
        quantize(tmp_path / "int8.gguf", out, mels(REFLECT))
    bad = mels(REFLECT)
    bad[2][5, 5] = np.nan
    with pytest.raises(pyvoc.FeatureError):
        quantize(REFLECT, out, bad)
    with pytest.raises(pyvoc.Error, match="no speech"):
        quantize(REFLECT, out, [])
    assert not Path(out).exists()
