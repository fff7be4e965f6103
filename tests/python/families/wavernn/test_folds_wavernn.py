"""Folds: WaveRNN's utterances in parts, upstream's way and ours."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from voices import WAVERNN, features_for, voice
from wavernn_files import GOLDEN, draws, reference, speech

import pyvoc
from pyvoc.cli import main
from pyvoc.container import read_container
from pyvoc.convert import convert
from pyvoc.families.wavernn.spec import WAVERNN as SPEC
from pyvoc.quant import decode

FLOATS = [path for path in WAVERNN if ".f32" in path.name]
EVERY = pytest.mark.parametrize("path", FLOATS, ids=lambda p: p.stem)
GENERATED = sorted(GOLDEN.glob("*_gen_*.npz"))


def oracle(path: Path):
    container = read_container(path)
    return reference().Wavernn(decode(SPEC, container), container.metadata)


def flat(uniforms: tuple[np.ndarray, ...]) -> np.ndarray:
    """The oracle's draws [steps, rows, ...] as the runtime takes them, row after row."""
    together = [u if u.ndim == 3 else u[:, :, None] for u in uniforms]
    return np.concatenate(together, axis=2).swapaxes(0, 1).astype(np.float32).ravel()


# ---- as upstream ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", GENERATED, ids=lambda p: p.stem)
def test_upstreams_audio(path: Path, tmp_path: Path) -> None:
    """Golden runs, folded and not: the audio after cross-fade, cut and fade-out, and labels."""
    tag = path.name.split("_gen_")[0]
    convert(GOLDEN / f"{tag}_weights.pyt", tmp_path / "m.gguf")
    model = pyvoc.load(tmp_path / "m.gguf")
    with np.load(path) as file, np.load(GOLDEN / "audio_features.npz") as features:
        golden = SimpleNamespace(**{name: file[name] for name in file.files})
        mel = features[f"{golden.utt}/mel"].T[: int(golden.n_frames)].copy()
        bits = model.info.distribution_size.bit_length() - 1
        table = features.get(f"mulaw{bits}_decode_table")
    mol = "u_mix" in vars(golden)
    fold = (int(golden.target), int(golden.overlap)) if "_batched_" in path.name else None
    uniforms = flat((golden.u_mix, golden.u_logistic) if mol else (golden.u,))
    audio = model.synthesize(mel, draws=uniforms, fold=fold, upstream_compat=True)
    np.testing.assert_allclose(audio, golden.wav, rtol=0, atol=1e-4)
    assert golden.wav.std() > 0.02

    plan = pyvoc.Folds(model, len(mel), fold=fold, upstream_compat=True)
    assert len(plan) == (golden.folds_raw.shape[0] if fold else 1)
    parts = plan.parts(mel, seed=0, draws=uniforms)
    for i, part in enumerate(parts):
        with model.stream() as stream:
            stream.skip(part.skip)
            stream.set_draws(part.draws)
            stream.push(part.rows)
            stream.flush()
            alone = stream.pull(part.samples)
        if fold:
            expected = golden.folds_raw[i, : len(alone)]
            np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-4)
        if not mol:
            labels = np.abs(alone[:, None] - table).argmin(axis=1)
            np.testing.assert_array_equal(labels, golden.labels[: len(alone), i])


@EVERY
@pytest.mark.parametrize("sizes", [(40, 11), (97, 30), (50, 0), (33, 1), (4000, 10)])
def test_upstreams_rules_at_any_place(path: Path, sizes: tuple[int, int]) -> None:
    """Folds that begin within a hop, last ones that leave the signal, one that is too long."""
    net, model = oracle(path), voice(path)
    frames = 24 if model.info.hop_length < 100 else 21
    if model.info.hop_length > 100:
        sizes = (sizes[0] * 40, sizes[1] * 40) if sizes[0] < 1000 else (sizes[0] + 1800, 10)
    mel = features_for(model, frames, seed=2)
    steps, rows = sum(sizes) + sizes[1], len(speech().fold_starts(frames * net.hop, *sizes))
    uniforms = draws(net, steps, rows, seed=3)
    if net.mode == "mol":
        logistics = model.info.draws_per_sample - 1
        uniforms = (uniforms[0][:, :, :logistics], uniforms[1])
    uniforms = tuple(u.astype(np.float32) for u in uniforms)
    expected = speech().generate(net, mel, uniforms, fold=sizes)
    found = model.synthesize(mel, draws=flat(uniforms), fold=sizes, upstream_compat=True)
    assert found.shape == ((frames - 1) * net.hop,)
    np.testing.assert_allclose(found, expected.audio, rtol=0, atol=1e-4)
    assert np.ptp(found) > 0.05


@EVERY
def test_upstreams_end_without_folds(path: Path) -> None:
    model = voice(path)
    mel = features_for(model, 23, seed=1)
    hop = model.info.hop_length
    plain = model.synthesize(mel, seed=4)
    found = model.synthesize(mel, seed=4, upstream_compat=True)
    expected = speech().end_as_upstream(plain.astype(np.float64), 23, hop)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)
    with pytest.raises(pyvoc.Error, match=r"20 frames.* no less than 21"):
        model.synthesize(mel[:20], upstream_compat=True)


# ---- ours ----------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("sizes", [(20, 8), (37, 9), (60, 0), (25, 1)])
def test_our_folds_cover_the_utterance(path: Path, sizes: tuple[int, int]) -> None:
    """Exact length, nothing muted or faded; each fold is what a stream begun there would say."""
    model = voice(path)
    scale = max(model.info.hop_length // 8, 1)
    sizes = (sizes[0] * scale, sizes[1] * scale)
    for frames in (12, 17):
        mel = features_for(model, frames, seed=frames)
        plan = pyvoc.Folds(model, len(mel), fold=sizes)
        assert plan.samples == frames * model.info.hop_length and len(plan) > 1
        assert plan.length <= sizes[0] + 2 * sizes[1]
        pieces = list(plan)
        assert pieces[0].start == 0
        for one, two in pairwise(pieces):
            assert one.start + one.samples - two.start == sizes[1]
        assert pieces[-1].start + pieces[-1].samples == plan.samples
        assert np.ptp([piece.samples for piece in pieces]) <= 1
        found = model.synthesize(mel, fold=sizes, seed=7)
        assert found.shape == (plan.samples,) and np.abs(found).max() <= 1
        first = model.synthesize(mel, seed=7)[: pieces[1].start]
        np.testing.assert_array_equal(found[: len(first)], first)
        last = pieces[-1]
        with model.stream(seed=7 + len(plan) - 1) as stream:
            stream.skip(last.skip)
            stream.push(mel[last.first_frame : last.first_frame + last.frames])
            stream.flush()
            samples = stream.pull()
        own = samples[sizes[1] :]
        np.testing.assert_array_equal(found[len(found) - len(own) :], own)


def joined(folds: list[np.ndarray], plan: pyvoc.Folds) -> np.ndarray:
    return plan.join([np.ascontiguousarray(fold, dtype=np.float32) for fold in folds])


def test_joins_keep_the_power_and_stay_within_full_scale() -> None:
    model = voice(FLOATS[0])
    hop = model.info.hop_length
    frames = 100_000 // hop
    plan = pyvoc.Folds(model, frames, fold=(11000, 4000))
    cut = [slice(f.start, f.start + f.samples) for f in plan]
    wave = np.sin(np.arange(plan.samples) / 17).astype(np.float32)
    np.testing.assert_allclose(joined([wave[c] for c in cut], plan), wave, rtol=0, atol=1e-6)
    rng = np.random.default_rng(1)
    noise = joined([0.2 * rng.standard_normal(f.samples) for f in plan], plan)
    power = np.convolve(noise.astype(np.float64) ** 2, np.ones(1500) / 1500, mode="valid")
    assert power.min() > 0.75 * 0.04 and power.max() < 1.25 * 0.04
    loud = joined([np.sign(rng.standard_normal(f.samples)) for f in plan], plan)
    assert np.abs(loud).max() <= 1.0
    opposite = [wave[c] * (-1) ** i for i, c in enumerate(cut)]
    assert np.abs(joined(opposite, plan)).max() <= 1.0
    silence = joined([np.zeros(f.samples) for f in plan], plan)
    assert not silence.any()


@pytest.mark.parametrize("path", WAVERNN, ids=lambda p: p.stem)
def test_batches_of_folds_equal_single_ones(path: Path) -> None:
    model = voice(path)
    hop = model.info.hop_length
    fold = (2 * hop + 3, hop // 2)
    mels = [features_for(model, n, seed=n) for n in (9, 4, 30)]
    alone = [model.synthesize(m, fold=fold, seed=i) for i, m in enumerate(mels)]
    for threads in (1, 2):
        found = pyvoc.synthesize_batch(model, mels, fold=fold, seeds=[0, 1, 2], threads=threads)
        for one, other in zip(found, alone, strict=True):
            np.testing.assert_array_equal(one, other)


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fold", "said"),
    [
        ((100_000, 550), "longer than the utterance, which has"),
        ((1 << 39, 5), "longer than the utterance"),
        ((10, 10), "overlap of 10 samples must be less than the target of 10"),
        ((10, 200), "overlap of 200 samples must be less"),
        ((0, 0), r"\(target, overlap\) in samples"),
        ((-5, 1), r"\(target, overlap\) in samples"),
        ((20, -1), r"\(target, overlap\) in samples"),
        ((20.5, 1), r"\(target, overlap\) in samples"),
        ((20,), r"\(target, overlap\) in samples"),
        (("20", "3"), r"\(target, overlap\) in samples"),
        (20, r"\(target, overlap\) in samples"),
        ((1 << 80, 1), r"\(target, overlap\) in samples"),
        ((float("nan"), 1), r"\(target, overlap\) in samples"),
    ],
)
def test_impossible_folds(fold: object, said: str) -> None:
    model = voice(FLOATS[0])
    mel = features_for(model, 30)
    with pytest.raises(pyvoc.Error, match=said):
        model.synthesize(mel, fold=fold)  # type: ignore[arg-type]
    with pytest.raises(pyvoc.Error, match=said):
        pyvoc.synthesize_batch(model, [mel, mel], fold=fold)  # type: ignore[arg-type]


def test_draws_for_every_fold() -> None:
    model = voice(FLOATS[0])
    mel = features_for(model, 30)
    plan = pyvoc.Folds(model, 30, fold=(40, 10))
    assert plan.draws == len(plan) * plan.length * model.info.draws_per_sample
    given = np.random.default_rng(0).uniform(0, 1, plan.draws).astype(np.float32)
    once = model.synthesize(mel, fold=(40, 10), draws=given)
    np.testing.assert_array_equal(once, model.synthesize(mel, fold=(40, 10), draws=given, seed=9))
    changed = given.copy()
    changed[-plan.length * model.info.draws_per_sample :] = 0.5  # the last fold's
    other = model.synthesize(mel, fold=(40, 10), draws=changed)
    start = plan[len(plan) - 1].start
    np.testing.assert_array_equal(other[:start], once[:start])
    assert not np.array_equal(other[start:], once[start:])
    with pytest.raises(pyvoc.Error, match=f"folds of {plan.length} samples need {plan.draws}"):
        model.synthesize(mel, fold=(40, 10), draws=given[:-1])


def test_only_wavernn_folds() -> None:
    model = pyvoc.load("lpcnet")
    features = np.zeros((30, 20), np.float32)
    for options in ({"fold": (1000, 100)}, {"upstream_compat": True}):
        with pytest.raises(pyvoc.OptionError, match=r"is an option of WaveRNN; .* is an LPCNet"):
            model.synthesize(features, **options)
    with model.stream() as stream, pytest.raises(pyvoc.UnsupportedError, match="left out"):
        stream.skip(3)
    wavernn = voice(FLOATS[0])
    with pytest.raises(pyvoc.OptionError, match=r"is an option of WaveGlow; .* is a WaveRNN"):
        wavernn.synthesize(features_for(wavernn, 30), fold=(40, 10), sigma=1.0)


def test_samples_that_are_left_out() -> None:
    """As many samples fewer, at once, and only until the stream is reset."""
    for path in WAVERNN:
        model = voice(path)
        hop, mel = model.info.hop_length, features_for(model, 8, seed=5)
        for skip in (1, hop - 1, hop, 2 * hop + 3, 8 * hop, 9 * hop, 1 << 60):
            with model.stream(seed=3) as stream:
                stream.skip(skip)
                stream.push(mel)
                stream.flush()
                left = max(8 * hop - skip, 0)
                assert stream.available == left
                found = np.concatenate([stream.pull(7), stream.pull()])
                assert found.shape == (left,) and stream.available == 0
                stream.reset()  # nothing is left out any more
                stream.push(mel)
                stream.flush()
                np.testing.assert_array_equal(stream.pull(), model.synthesize(mel, seed=3))
        with model.stream() as stream, pytest.raises(pyvoc.Error, match="leave out -1"):
            stream.skip(-1)


def test_the_first_sample_comes_alone() -> None:
    """A pull for one sample makes one sample, and any cut gives the same ones."""
    for path in WAVERNN:
        model = voice(path)
        mel = features_for(model, 6, seed=8)
        whole = model.synthesize(mel)
        rng = np.random.default_rng(4)
        with model.stream() as stream:
            found = []
            for i in range(6):
                stream.push(mel[i : i + 1])
                for n in (1, 2, int(rng.integers(1, model.info.hop_length))):
                    found.append(stream.pull(n))
            stream.flush()
            while stream.available:
                found.append(stream.pull(int(rng.integers(1, 40))))
        np.testing.assert_array_equal(np.concatenate(found), whole)


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, path = voice(FLOATS[0]), str(FLOATS[0])
    mel, out = tmp_path / "m.npy", tmp_path / "o.wav"
    np.save(mel, features_for(model, 30))
    command = ["synth", str(mel), "-m", path, "-o", str(out)]
    assert main([*command, "--fold", "50,10", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["samples"] == 30 * model.info.hop_length
    audio, _ = pyvoc.audio.read(out)
    expected = model.synthesize(np.load(mel), fold=(50, 10))
    np.testing.assert_allclose(audio, expected, rtol=0, atol=1.1 / 32768)
    assert main([*command, "--upstream-compat", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 29 * model.info.hop_length
    out.unlink()
    for fold in ("99999,5", "10,10", "10,20"):
        assert main([*command, "--fold", fold]) == 3
        assert "than the" in capsys.readouterr().err and not out.exists()
    for fold in ("10", "10,-2", "a,b", "1.5,1", "", "1,2,3", "9" * 30 + ",1", "nan,1"):
        with pytest.raises(SystemExit, match="2"):
            main([*command, "--fold", fold])
        assert "is not TARGET,OVERLAP" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["synth", "-", "-m", path, "-o", str(out), "--fold", "50,10"])
    assert "whole utterance" in capsys.readouterr().err


@pytest.mark.parametrize("scale", [(8.0, -4.0), (1.0, float("nan")), (100.0, -100.0)])
def test_mels_of_another_recipe(scale: tuple[float, float], tmp_path: Path) -> None:
    """Tacotron's 8 m - 4, NaN, decibels: refused, folded too, and nothing is written."""
    model = voice(FLOATS[0])
    mel = tmp_path / "m.npy"
    np.save(mel, features_for(model, 30) * np.float32(scale[0]) + np.float32(scale[1]))
    out = tmp_path / "o.wav"
    for options in ([], ["--fold", "50,10"], ["--upstream-compat"]):
        command = ["synth", str(mel), "-m", str(FLOATS[0]), "-o", str(out), *options]
        assert main(command) == 3
        assert not out.exists()
