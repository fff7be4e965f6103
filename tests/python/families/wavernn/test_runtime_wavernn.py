"""WaveRNN in the runtime: the float64 oracle on every tier, and upstream's own output."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from lpcnet_files import ROOT
from tier_worker import run, tiers
from voices import WAVERNN, features_for, voice
from wavernn_files import GOLDEN, reference, speech

import pyvoc
from pyvoc._pyvoc import testing
from pyvoc.container import read_container
from pyvoc.convert import convert
from pyvoc.families.wavernn.spec import WAVERNN as SPEC
from pyvoc.quant import decode

EVERY = pytest.mark.parametrize("path", WAVERNN, ids=lambda p: p.stem)
TOLERANCE = {"f32": 1e-5, "bf16": 1e-5, "int8": 0.08}
"""Of logits, whose standard deviation is about 2; int8: activations are rounded too."""
TEACHERS = sorted(GOLDEN.glob("*_teacher.npz"))


def oracle(path: Path):
    container = read_container(path)
    return reference().Wavernn(decode(SPEC, container), container.metadata)


def padded(mel: np.ndarray, frames: int) -> np.ndarray:
    return np.pad(mel, ((frames, frames), (0, 0)))


def signal(net, samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A random signal, and what of it is fed back: companded where labels are."""
    rng = np.random.default_rng(seed)
    if net.mode == "mol":
        pcm = rng.uniform(-0.9, 0.9, samples).astype(np.float32)
        return pcm, pcm.astype(np.float64)
    classes = 1 << net.bits
    fed = 2 * rng.integers(0, classes, samples) / (classes - 1) - 1
    heard = speech().expand(fed, classes) if net.mu_law else fed
    return heard.astype(np.float32), fed


def free_run(net, mel: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The oracle on its own: samples, and labels where there are any."""
    around = net.condition(padded(mel, net.pad))
    h1 = h2 = np.zeros((1, net.states))
    x, samples, labels = np.zeros(1), [], []
    for i, u in enumerate(draws.astype(np.float64)):
        row = slice(i, i + 1)
        logits, h1, h2 = net.step(x, around.mel[row], around.aux[row], h1, h2)
        if net.mode == "mol":
            x = speech().draw_mol(logits, u[None, :-1], u[-1:])
            samples.append(x[0])
            continue
        label = speech().draw_label(logits, u)
        labels.append(label[0])
        classes = logits.shape[1]
        x = 2 * label / (classes - 1) - 1
        samples.append(speech().expand(x, classes)[0] if net.mu_law else x[0])
    return np.array(samples), np.array(labels) if labels else None


@pytest.mark.parametrize("tier", tiers())
@EVERY
def test_outputs_are_the_oracles(path: Path, tier: str, tmp_path: Path) -> None:
    net, model = oracle(path), voice(path)
    frames = 3 if model.info.hop_length > 100 else 9
    mel = features_for(model, frames, seed=1)
    pcm, fed = signal(net, frames * model.info.hop_length - 2)
    count = (frames * model.info.hop_length, model.info.draws_per_sample)
    draws = np.random.default_rng(4).uniform(1e-5, 1 - 1e-5, count).astype(np.float32)
    found = run(path, tier, tmp_path, features=mel, pcm=pcm, draws=draws.ravel())
    shifted = np.concatenate([[0.0], fed[:-1]])
    expected = net.teacher_forced(padded(mel, net.pad), shifted).logits
    assert found["predicted"].shape == expected.shape and expected.std() > 1
    tolerance = TOLERANCE[model.info.precision]
    np.testing.assert_allclose(found["predicted"], expected, rtol=0, atol=tolerance)
    assert found["samples"].shape == (count[0],) and np.isfinite(found["samples"]).all()
    if model.info.precision != "int8":  # one other label makes another utterance
        samples, _ = free_run(net, mel, draws)
        np.testing.assert_allclose(found["samples"], samples, rtol=0, atol=1e-4)
        assert np.ptp(samples) > 0.05


@EVERY
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7])
def test_any_length(path: Path, frames: int) -> None:
    """Zeros lie beyond both ends, at every length from one frame up; nothing is cut or faded."""
    net, model = oracle(path), voice(path)
    mel = features_for(model, frames, seed=frames)
    pcm, fed = signal(net, frames * model.info.hop_length)
    shifted = np.concatenate([[0.0], fed[:-1]])
    expected = net.teacher_forced(padded(mel, net.pad), shifted).logits
    tolerance = TOLERANCE[model.info.precision]
    np.testing.assert_allclose(model.predict(mel, pcm), expected, rtol=0, atol=tolerance)
    assert len(model.synthesize(mel)) == frames * model.info.hop_length


@EVERY
def test_look_ahead_is_what_is_needed(path: Path) -> None:
    """A frame beyond the look-ahead changes nothing, the one at its edge something."""
    model = voice(path)
    ahead, hop = model.info.lookahead_frames, model.info.hop_length
    mel = features_for(model, 12, seed=3)
    pcm, _ = signal(oracle(path), 5 * hop)
    whole = model.predict(mel, pcm)
    for beyond, same in ((ahead + 1, True), (ahead, False)):
        changed = mel.copy()
        changed[4 + beyond] = 1 - changed[4 + beyond]
        assert np.array_equal(model.predict(changed, pcm), whole) == same


@EVERY
def test_batch_equals_single(path: Path) -> None:
    """Utterances of different lengths side by side, more than go into one lockstep."""
    model = voice(path)
    lengths = (1, 7, 4, 3, 2, 5, 5, 5, 1, 1, 6, 2, 3, 3, 3, 3, 3, 4, 4)
    mels = [features_for(model, n, seed=i) for i, n in enumerate(lengths)]
    for count in (2, 5, 13, len(mels)):
        found = pyvoc.synthesize_batch(model, mels[:count])
        for mel, audio in zip(mels, found, strict=False):
            np.testing.assert_array_equal(audio, model.synthesize(mel))


def test_seeds_and_draws() -> None:
    for path in WAVERNN:
        model = voice(path)
        mel = features_for(model, 4)
        first = model.synthesize(mel, seed=1)
        np.testing.assert_array_equal(first, model.synthesize(mel, seed=1))
        assert not np.array_equal(first, model.synthesize(mel, seed=2))
        # Given ones may be 0; after them the generator goes on.
        with model.stream(seed=1) as stream:
            stream.set_draws(np.zeros(model.info.draws_per_sample, np.float32))
            stream.push(mel)
            stream.flush()
            samples = stream.pull()
        assert np.isfinite(samples).all() and np.abs(samples).max() <= 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.6, 1.6, -4.0])
def test_bad_mels(value: float) -> None:
    """A normalised mel is 0..1: others are of another recipe, or scaled as Tacotron has it."""
    model = voice(WAVERNN[0])
    mel = features_for(model, 5)
    mel[3, 2] = value
    with pytest.raises(pyvoc.FeatureError, match="feature 2 of frame 3"):
        model.synthesize(mel)
    with pytest.raises(pyvoc.FeatureError):
        model.synthesize(features_for(model, 5)[:, 1:].copy())


def golden_model(path: Path, folder: Path) -> pyvoc.Model:
    """The model of a file of the golden data, which begins with its checkpoint's name."""
    tag = path.name.split("_teacher")[0]
    target = folder / "m.gguf"
    convert(GOLDEN / f"{tag}_weights.pyt", target)
    return pyvoc.load(target)


@pytest.mark.parametrize("path", TEACHERS, ids=lambda p: p.stem)
def test_upstreams_logits(path: Path, tmp_path: Path) -> None:
    model = golden_model(path, tmp_path)
    with np.load(path) as file:
        golden = SimpleNamespace(**{name: file[name] for name in file.files})
    mel = np.ascontiguousarray(golden.mel_window.T)
    found = testing.wavernn_steps(model._native, mel, 2, golden.x)
    step, states = int(golden.logits_stride), int(golden.state_stride)
    np.testing.assert_allclose(found["outputs"][::step], golden.logits, rtol=0, atol=1e-4)
    for name, expected in (("h1", golden.h1), ("h2", golden.h2)):
        np.testing.assert_allclose(found[name][::states], expected, rtol=0, atol=1e-4)
    aux = np.repeat(golden.aux_frames, model.info.hop_length, axis=0)
    np.testing.assert_allclose(found["aux"], aux, rtol=0, atol=1e-4)


def test_a_damaged_model_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """Metadata that contradict the tensors."""
    source = (ROOT / "tests" / "golden" / "wavernn" / "raw.f32.gguf").read_bytes()
    path = tmp_path / "x.gguf"
    assert source.count(b"\x03\x00\x00\x00\x00\x00\x00\x00raw") == 1
    path.write_bytes(source.replace(b"\x03\0\0\0\0\0\0\0raw", b"\x03\0\0\0\0\0\0\0mol"))
    with pytest.raises(pyvoc.ModelError, match="256 outputs, expected three for each"):
        pyvoc.load(path)
