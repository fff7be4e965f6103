"""The float64 oracle: upstream's network, ours hoisted, and upstream's own numbers.

The golden data comes from upstream in float32, weights seeded at random.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wavernn_files import GOLDEN, TINY, draws, metadata, reference, settings, speech, upstream
from wavernn_files import arrays as tiny_arrays

from pyvoc.container import read_container
from pyvoc.convert.detect import detect
from pyvoc.families.wavernn.spec import WAVERNN, reach
from pyvoc.pickles import load_torch
from pyvoc.quant import decode, encode

TEACHER = sorted(GOLDEN.glob("*_teacher.npz"))
SPEECH = sorted(GOLDEN.glob("*_gen_*.npz"))
TOLERANCE = 1e-4
"""Logits and audio, float32 model files against upstream (issue: 1e-4); labels must be the same."""
MODELS = ("mol.f32", "raw.f32", "odd.f32")


def checkpoint(path: Path) -> Path:
    """The weights that a golden file was made with."""
    return path.with_name("_".join(path.stem.split("_")[:2]) + "_weights.pyt")


@cache
def network(path: Path) -> Any:
    """The hoisted oracle on what a float32 model file of a checkpoint holds."""
    found = detect(path)(path)
    entries = {"general.name": "golden", "pyvoc.source.format": "x", "pyvoc.source.sha256": "x"}
    container = encode(
        WAVERNN, found.arrays, metadata={**entries, **found.metadata}, precision="f32"
    )
    WAVERNN.validate(container, str(path))
    return reference().Wavernn(decode(WAVERNN, container), container.metadata)


@cache
def mels() -> dict[str, np.ndarray]:
    file = np.load(GOLDEN / "audio_features.npz")
    return {name.split("/")[0]: file[name] for name in file.files if name.endswith("/mel")}


def test_there_is_something_in_the_golden_folder() -> None:
    if not GOLDEN.is_dir():
        pytest.skip("no golden data")
    assert TEACHER and SPEECH


@pytest.mark.parametrize("path", TEACHER, ids=lambda p: p.stem)
def test_teacher_forced(path: Path) -> None:
    golden = np.load(path)
    net = network(checkpoint(path))
    window = golden["mel_window"].T
    around = net.condition(window)
    np.testing.assert_allclose(around.mel, golden["upsampled_mels"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(around.aux[:: net.hop], golden["aux_frames"], rtol=0, atol=5e-5)
    found = net.teacher_forced(window, golden["x"])
    logits = found.logits[:: int(golden["logits_stride"])]
    np.testing.assert_allclose(logits, golden["logits"], rtol=0, atol=TOLERANCE)
    stride = int(golden["state_stride"])
    for name in ("h1", "h2"):
        states = getattr(found, name)[::stride]
        np.testing.assert_allclose(states, golden[name], rtol=0, atol=TOLERANCE, err_msg=name)
    labels, r = golden["labels_next"], speech()
    each = (
        r.log_likelihood_mol(found.logits, 2 * labels / 65535 - 1)
        if net.mode == "mol"
        else r.log_likelihood_labels(found.logits, labels)
    )
    np.testing.assert_allclose(-each, golden["loss_per_sample"], rtol=1e-3, atol=TOLERANCE)
    np.testing.assert_allclose(-each.mean(), float(golden["loss"]), rtol=1e-4)


@pytest.mark.parametrize("path", SPEECH, ids=lambda p: p.stem)
def test_speech(path: Path) -> None:
    """Free running with upstream's draws: the same labels, the same audio."""
    golden = np.load(path)
    net = network(checkpoint(path))
    mel = mels()[str(golden["utt"])][:, : int(golden["n_frames"])].T
    given = [golden[name] for name in ("u_mix", "u_logistic", "u") if name in golden]
    fold = (int(golden["target"]), int(golden["overlap"])) if golden["batched"] else None
    found = speech().generate(net, mel, given, fold=fold)
    assert net.mu_law == bool(golden["mu_law"])
    if "labels" in golden:
        np.testing.assert_array_equal(found.labels, golden["labels"])
    if "folds_raw" in golden:
        np.testing.assert_allclose(found.folds.T, golden["folds_raw"], rtol=0, atol=TOLERANCE)
    assert found.audio.shape == golden["wav"].shape
    np.testing.assert_allclose(found.audio, golden["wav"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("path", TEACHER, ids=lambda p: p.stem)
def test_hoisting_changes_nothing(path: Path) -> None:
    """Upstream's step and ours, from one checkpoint, both in float64."""
    source = checkpoint(path)
    found = detect(source)(source)
    entries = found.metadata
    ours = reference().Wavernn(found.arrays, entries)
    theirs = reference().Upstream(load_torch(source), mode=ours.mode, bits=ours.bits)
    golden = np.load(path)
    window, x = golden["mel_window"].T, golden["x"][:1100]
    exact, hoisted = theirs.teacher_forced(window, x), ours.teacher_forced(window, x)
    for name in ("logits", "h1", "h2"):
        expected = getattr(exact, name)
        error = np.abs(getattr(hoisted, name) - expected).max()
        assert error <= 1e-12 * np.abs(expected).max(), name


@pytest.mark.parametrize("name", MODELS)
def test_hoisting_changes_nothing_of_the_tiny_ones(name: str) -> None:
    ours, theirs = reference().Wavernn(tiny_arrays(name), metadata(name)), upstream(name)
    mel = np.random.default_rng(3).uniform(0, 1, (40, settings(name).recipe.bands))
    given = draws(ours, 40 * ours.hop)
    one, other = (speech().generate(net, mel, given, upstream=False) for net in (theirs, ours))
    np.testing.assert_allclose(other.folds, one.folds, rtol=0, atol=1e-11)
    assert ours.mode == "mol" or (one.labels == other.labels).all()
    assert 0.01 < one.audio.std() < 0.5


@pytest.mark.parametrize("name", MODELS)
def test_the_files_hold_the_hoisted_products(name: str) -> None:
    """The tiny weights are such that float32 holds the products exactly: the file's loop is
    upstream's, from the same conditioning."""
    container = read_container(TINY / f"{name}.gguf")
    ours, theirs = (
        reference().Wavernn(decode(WAVERNN, container), container.metadata),
        upstream(name),
    )
    rng = np.random.default_rng(5)
    bands, size = settings(name).recipe.bands, ours.w["resnet.out.bias"].size
    h1, h2 = rng.uniform(-1, 1, (2, 50, ours.states))
    x, mel, aux = (
        rng.uniform(-1, 1, 50),
        rng.uniform(0, 1, (50, bands)),
        rng.normal(size=(50, size)),
    )
    for found, expected in zip(
        ours.step(x, mel, aux, h1, h2), theirs.step(x, mel, aux, h1, h2), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    padded = rng.uniform(0, 1, (9, bands))
    found, expected = ours.condition(padded), theirs.condition(padded)
    np.testing.assert_allclose(found.mel, expected.mel, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.aux, expected.aux, rtol=0, atol=1e-6)


# What was pruned is far from it on purpose: test_wavernn_sparse.py.
@pytest.mark.parametrize("path", sorted(TINY.glob("[!s]*.gguf")), ids=lambda p: p.stem)
def test_every_precision_is_near_the_exact_network(path: Path) -> None:
    container = read_container(path)
    net = reference().Wavernn(decode(WAVERNN, container), container.metadata)
    mel = np.random.default_rng(6).uniform(0, 1, (12, settings(path.stem).recipe.bands))
    x = np.random.default_rng(7).uniform(-0.5, 0.5, (12 - 2 * net.pad) * net.hop)[:300]
    found = net.teacher_forced(mel, x).logits
    exact = upstream(path.stem).teacher_forced(mel, x).logits
    error = np.sqrt(((found - exact) ** 2).mean() / exact.var())
    low, high = {"f32": (0, 1e-6), "bf16": (1e-5, 0.02), "int8": (1e-4, 0.05)}[path.suffixes[0][1:]]
    assert low <= error < high


@pytest.mark.parametrize(
    "stretches", [(5, 5, 11), (4, 8, 8), (2,), (16, 16), (2, 2, 2, 2, 2), (1, 2), (3, 1, 1, 2)]
)
def test_how_far_upsampling_reaches(stretches: tuple[int, ...]) -> None:
    r, frames = reference(), 21
    hop = int(np.prod(stretches))
    x = np.eye(frames)
    for s in stretches:
        x = r.stretch(x, np.ones(2 * s + 1))
    middle = x[10 * hop : 11 * hop].any(axis=0)
    found = np.flatnonzero(middle)
    assert max(10 - found.min(), found.max() - 10) == reach(list(stretches))


def test_any_length_speaks() -> None:
    net = upstream("odd.f32")
    for frames in (1, 2, 25):
        mel = np.full((frames, 7), 0.5)
        given = draws(net, frames * net.hop)
        found = speech().generate(net, mel, given, upstream=False)
        assert found.audio.shape == (frames * net.hop,)
        if frames > 20:
            theirs = speech().generate(net, mel, given).audio
            assert theirs.shape == ((frames - 1) * net.hop,) and theirs[-1] == 0
            np.testing.assert_array_equal(theirs[: 4 * net.hop], found.audio[: 4 * net.hop])
        else:
            with pytest.raises(ValueError, match="needs 21"):
                speech().generate(net, mel, given)


def test_folds() -> None:
    r = speech()
    assert list(r.fold_starts(10, 2, 1)) == [0, 3, 6]  # fits exactly
    assert list(r.fold_starts(11, 2, 1)) == [0, 3, 6, 9]
    assert list(r.fold_starts(4, 8, 3)) == [0]  # folds longer than the signal
    with pytest.raises(ValueError, match="more than the overlap"):
        r.fold_starts(3, 8, 3)
    x = np.arange(1.0, 12)[:, None]
    folds = r.cut_folds(x, 2, 1)
    assert folds.shape == (4, 4, 1)
    np.testing.assert_array_equal(folds[:, 3, 0], [10, 11, 0, 0])
    joined = r.join_folds(np.ones((2 + 2 * 4, 3)), 2, 4)
    assert joined.shape == (3 * 6 + 4,)
    np.testing.assert_allclose(joined[4:6], 1)
    np.testing.assert_allclose(joined[6:10] ** 2, [1, 1, 1, 1])  # rise 0 0 0 1 meets fall 1 1 1 0
    assert joined[:3].max() == 0  # upstream is silent at the very start


def test_draws() -> None:
    r = speech()
    logits = np.log(np.array([[0.25, 0.5, 0.25]] * 5))
    found = r.draw_label(logits, np.array([0.0, 0.2499, 0.2501, 0.7501, 1.0]))
    np.testing.assert_array_equal(found, [0, 0, 1, 2, 2])
    mixture = np.array([[0.0, 3.0, 0.1, -0.2, -9.0, -40.0]])
    half = np.full(1, 0.5)
    assert r.draw_mol(mixture, np.full((1, 2), 0.5), half)[0] == -0.2
    assert r.draw_mol(mixture, np.array([[0.99, 0.5]]), half)[0] == 0.1
    floor = r.draw_mol(mixture, np.full((1, 2), 0.5), np.full(1, 0.9))[0]
    np.testing.assert_allclose(floor, -0.2 + 1e-14 * np.log(9), rtol=1e-12)
    wide = np.array([[0.0, 0.0, 5.0]])
    assert r.draw_mol(wide, np.full((1, 1), 0.5), np.full(1, 0.99))[0] == 1.0
    y = np.linspace(-1, 1, 512)
    np.testing.assert_allclose(r.expand(np.array([-1.0, 0.0, 1.0]), 512), [-1, 0, 1])
    assert (np.diff(r.expand(y, 512)) > 0).all()


def test_likelihoods_add_to_one() -> None:
    r, rng = speech(), np.random.default_rng(8)
    y = 2 * np.arange(65536) / 65535 - 1
    logits = np.concatenate([rng.normal(size=3), [-0.5, 0.2, 0.9], [-3.0, -4.0, -2.0]])
    total = np.exp(r.log_likelihood_mol(np.tile(logits, (65536, 1)), y)).sum()
    # The one-sided tails of upstream's loss reach over 33 classes at each end.
    outside = np.abs(y) > 0.999
    inner = np.exp(r.log_likelihood_mol(np.tile(logits, (65536, 1)), y))[~outside].sum()
    assert inner < 1 < total and inner > 0.8
    rows = rng.normal(size=(4, 32))
    each = [np.exp(r.log_likelihood_labels(rows, np.full(4, k))) for k in range(32)]
    np.testing.assert_allclose(np.sum(each, axis=0), 1)


def test_golden_decode_table() -> None:
    if not GOLDEN.is_dir():
        pytest.skip("no golden data")
    file = np.load(GOLDEN / "audio_features.npz")
    for bits in (9, 10):
        table = file[f"mulaw{bits}_decode_table"]
        y = 2 * np.arange(1 << bits) / ((1 << bits) - 1) - 1
        np.testing.assert_allclose(speech().expand(y, 1 << bits), table, rtol=0, atol=1e-12)
