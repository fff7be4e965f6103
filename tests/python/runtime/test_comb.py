"""The pitch comb behind models that draw their samples, where the model file asks for one."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from containers import changed
from gguf_bytes import key, replaced
from lpcnet_files import ROOT, Upstream
from reference.pitch_comb import comb
from voices import SOFTMAX, TREE, features_for

import pyvoc
from pyvoc.cli import main
from pyvoc.container import read_container, write_container
from pyvoc.container.tensors import Scalar
from pyvoc.convert import convert
from pyvoc.families import spec_of

WAVERNN = ROOT / "tests" / "golden" / "wavernn" / "raw.f32.gguf"
FARGAN = ROOT / "tests" / "golden" / "fargan" / "even.f32.gguf"
UINT32, FLOAT32 = 4, 6
Combed = Callable[[Path, Scalar | None], Path]


@pytest.fixture
def combed(tmp_path: Path) -> Combed:
    """A model with a comb of so much."""

    def make(source: Path, strength: Scalar | None) -> Path:
        container = changed(read_container(source), remove=["pyvoc.comb"])
        if strength is not None:
            container = changed(container, metadata={"pyvoc.comb": strength})
        target = tmp_path / f"{source.stem}-{strength}.gguf"
        write_container(target, container, spec=spec_of(container, str(source)))
        return target

    return make


def hum(frames: int) -> np.ndarray:
    """Features of a vowel at 125 Hz that rises by a third, and of a hiss in its midst."""
    rows = np.zeros((frames, 20), np.float32)
    rows[:, 0] = 2.0
    rows[:, 1] = 3.0
    rows[:, 18] = (128 - 25 * np.linspace(0, 1, frames) - 100) / 50
    rows[:, 19] = 0.4
    rows[frames // 2 : frames // 2 + 8, [1, 18, 19]] = -2.0, 0.5, -0.3
    return rows


def test_a_voice_with_a_comb_says_what_the_reference_makes_of_it(combed: Combed) -> None:
    voice = ROOT / "pyvoc" / "voices" / "lpcnet.gguf"
    rows = hum(60)
    plain = pyvoc.load(combed(voice, None)).synthesize(rows, seed=3)
    assert np.abs(plain).max() > 0.02
    for strength in (0.3, 1.0):
        found = pyvoc.load(combed(voice, strength)).synthesize(rows, seed=3)
        assert np.abs(found - plain).max() > 0.1 * np.abs(plain).max()
        np.testing.assert_allclose(found, comb(plain, strength, 16000, 160), rtol=0, atol=3e-6)


@pytest.mark.parametrize("source", [TREE, SOFTMAX, WAVERNN], ids=lambda p: p.stem)
def test_any_model_of_these_families(source: Path, combed: Combed) -> None:
    plain, model = (pyvoc.load(combed(source, strength)) for strength in (None, 1.0))
    rows, info = features_for(model, 40, seed=1), model.info
    wanted = comb(plain.synthesize(rows, seed=5), 1.0, info.sample_rate, info.hop_length)
    np.testing.assert_allclose(model.synthesize(rows, seed=5), wanted, rtol=0, atol=3e-6)
    assert model.info.latency_samples == plain.info.latency_samples
    nothing = pyvoc.load(combed(source, 0.0))
    np.testing.assert_array_equal(nothing.synthesize(rows, seed=5), plain.synthesize(rows, seed=5))


@pytest.mark.parametrize("source", [TREE, WAVERNN], ids=lambda p: p.stem)
def test_however_it_is_cut(source: Path, combed: Combed) -> None:
    model = pyvoc.load(combed(source, 1.0))
    rows = features_for(model, 23, seed=2)
    whole = model.synthesize(rows, seed=9)
    rng = np.random.default_rng(0)
    with model.stream(seed=9) as stream:
        for _ in range(2):  # and again after a reset
            pieces, at = [], 0
            while at < len(rows):
                n = int(rng.integers(0, 4))
                stream.push(rows[at : at + n])
                at += n
                pieces.append(stream.pull(int(rng.integers(0, 500))))
            stream.flush()
            while stream.available:
                pieces.append(stream.pull(77))
            np.testing.assert_array_equal(np.concatenate(pieces), whole)
            stream.reset(seed=9)


@pytest.mark.parametrize("source", [TREE, WAVERNN], ids=lambda p: p.stem)
def test_in_a_batch(source: Path, combed: Combed) -> None:
    """Utterances of different lengths go side by side: each as it is alone."""
    model = pyvoc.load(combed(source, 0.6))
    rows = [features_for(model, frames, seed=frames) for frames in (9, 4, 14, 6, 9)]
    for alone, beside in zip(
        [model.synthesize(each, seed=7) for each in rows],
        pyvoc.synthesize_batch(model, rows, seeds=[7] * len(rows)),
        strict=True,
    ):
        np.testing.assert_array_equal(beside, alone)


def test_folds_have_a_comb_each(combed: Combed) -> None:
    plain, model = (pyvoc.load(combed(WAVERNN, strength)) for strength in (None, 1.0))
    rows = features_for(model, 60, seed=4)
    hop = model.info.hop_length
    folded, without = (m.synthesize(rows, seed=1, fold=(20 * hop, 4 * hop)) for m in (model, plain))
    assert folded.shape == without.shape
    assert np.abs(folded - without).max() > 1e-3


def test_folds_begin_with_a_hop(combed: Combed) -> None:
    """So that their combs' hops are due together, and one pass over the weights serves all."""
    plain, model = (pyvoc.load(combed(WAVERNN, strength)) for strength in (None, 1.0))
    hop, uneven = model.info.hop_length, 0
    for fold in ((20 * hop, 4 * hop), (7 * hop + 3, hop - 1), (hop, 5)):
        plan, other = (pyvoc.Folds(m, 61, fold=fold) for m in (model, plain))
        starts = [part.start for part in plan]
        assert len(plan) == len(other) > 2
        assert all(start % hop == 0 for start in starts) and len(set(starts)) == len(starts)
        assert max(abs(a.start - b.start) for a, b in zip(plan, other, strict=True)) < hop
        uneven += sum(part.start % hop > 0 for part in other)
        assert plan.length == max(part.samples for part in plan)
        assert len(model.synthesize(features_for(model, 61), fold=fold)) == 61 * hop
    assert uneven > 2


def test_a_report_on_precision_is_of_what_was_drawn(combed: Combed, tmp_path: Path) -> None:
    for source in (TREE, WAVERNN):
        found = [
            convert(combed(source, s), tmp_path / "m.gguf", precision="bf16", load=pyvoc.load)
            for s in (None, 0.9)
        ]
        assert found[0].report is not None
        assert found[0].report == found[1].report


def test_the_distribution_is_the_networks(combed: Combed) -> None:
    plain, model = (pyvoc.load(combed(TREE, strength)) for strength in (None, 1.0))
    rows = features_for(model, 6, seed=1)
    pcm = plain.synthesize(rows, seed=2)
    np.testing.assert_array_equal(model.predict(rows, pcm), plain.predict(rows, pcm))


@pytest.mark.parametrize("source", [TREE, WAVERNN], ids=lambda p: p.stem)
def test_a_strength_that_is_none(source: Path, combed: Combed) -> None:
    for strength in (-0.1, 1.1, float("nan"), 1, "much"):
        with pytest.raises(pyvoc.ModelError, match=r"pyvoc\.comb"):
            combed(source, strength)
    path = combed(source, 0.5)
    good = path.read_bytes()
    half = key("pyvoc.comb", FLOAT32, struct.pack("<f", 0.5))
    for kind, value in (
        (FLOAT32, struct.pack("<f", -0.1)),
        (FLOAT32, struct.pack("<f", 1.1)),
        (FLOAT32, struct.pack("<f", float("nan"))),
        (UINT32, struct.pack("<I", 1)),
    ):
        path.write_bytes(replaced(good, half, key("pyvoc.comb", kind, value)))
        with pytest.raises(pyvoc.ModelError, match=r"pyvoc\.comb"):
            pyvoc.load(path)


def test_conversion_puts_one_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("h5py")
    checkpoint = Upstream().write_h5(tmp_path / "model.h5")
    target = tmp_path / "voice.gguf"
    assert main(["convert", str(checkpoint), "-o", str(target), "--comb", "0.5"]) == 0
    assert read_container(target).metadata["pyvoc.comb"] == 0.5
    convert(target, tmp_path / "kept.gguf", precision="bf16")
    assert read_container(tmp_path / "kept.gguf").metadata["pyvoc.comb"] == 0.5
    convert(target, tmp_path / "none.gguf", comb=0)
    rows = features_for(pyvoc.load(target), 8)
    convert(checkpoint, tmp_path / "plain.gguf")
    none, plain = (pyvoc.load(tmp_path / f"{name}.gguf") for name in ("none", "plain"))
    np.testing.assert_array_equal(none.synthesize(rows), plain.synthesize(rows))
    convert(WAVERNN, tmp_path / "w.gguf", comb=1)
    assert read_container(tmp_path / "w.gguf").metadata["pyvoc.comb"] == 1.0
    capsys.readouterr()
    assert main(["convert", str(FARGAN), "-o", str(tmp_path / "f.gguf"), "--comb", "0.5"]) != 0
    assert "'comb' is an option of LPCNet and WaveRNN" in capsys.readouterr().err
    assert main(["convert", str(checkpoint), "-o", str(target), "--comb", "2"]) != 0
    assert "a strength from 0 to 1" in capsys.readouterr().err
