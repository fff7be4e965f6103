"""What a precision costs a WaveRNN, on samples that its float form drew."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_files import save_zip
from wavernn_files import GOLDEN, TINY, metadata, settings, state_dict

import pyvoc
from pyvoc.cli import convert as command
from pyvoc.convert import convert
from pyvoc.errors import Error
from pyvoc.families.wavernn.likelihood import labels_of, raw_nats
from pyvoc.families.wavernn.report import INTERVALS, classes_of, compare, distributions
from pyvoc.quant import likelihood_report
from pyvoc.quant.likelihood_report import SEED, LikelihoodReport

TRAINED = GOLDEN.parent / "wavernn_trained"


def mel_of(name: str, samples: int = 1000) -> np.ndarray:
    recipe = settings(name).recipe
    frames = -(-samples // recipe.hop_length)
    rng = np.random.default_rng(1)
    return rng.uniform(0, 1, (frames, recipe.bands)).astype(np.float32)


def report(name: str, precision: str) -> LikelihoodReport:
    exact, model = (pyvoc.load(TINY / f"{name}.{p}.gguf") for p in ("f32", precision))
    return compare(exact, model, metadata=metadata(f"{name}.f32"), mel=mel_of(f"{name}.f32"))


@pytest.mark.parametrize("name", ["mol", "raw"])
def test_precisions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likelihood_report, "MOST_VALUES", 400_000)
    same, bf16, int8 = (report(name, p) for p in ("f32", "bf16", "int8"))
    assert same.kl_max == 0 and same.nll == same.nll_exact
    assert 0 < bf16.kl_mean < int8.kl_mean < 0.05 and int8.kl_mean < int8.kl_max
    assert 0 < abs(bf16.nll - bf16.nll_exact) < 0.05
    assert bf16.nll_exact == int8.nll_exact < same.guess and bf16.probe == "given"


@pytest.mark.parametrize("name", ["odd.f32", "raw.f32"])
def test_labels_are_those_that_were_drawn(name: str) -> None:
    """Audio is what labels stand for; each is found again, and its probability is the runtime's."""
    model = pyvoc.load(TINY / f"{name}.gguf")
    mel = mel_of(name)
    audio = model.synthesize(mel, seed=SEED)
    labels = classes_of(audio, metadata(name))
    n = 1 << settings(name).bits
    x = 2 * labels / (n - 1) - 1
    if settings(name).mu_law:
        x = np.sign(x) * np.expm1(np.abs(x) * np.log(n)) / (n - 1)
        np.testing.assert_array_equal(labels, labels_of(audio.astype(float), n, mu_law=True))
    np.testing.assert_allclose(audio, x, atol=1e-6)
    found = compare(model, model, metadata=metadata(name), mel=mel)
    nats = raw_nats(model.predict(mel, audio), labels)
    assert found.samples == len(audio) and found.nll == pytest.approx(nats.mean(), rel=1e-3)


def test_a_mixture_in_intervals() -> None:
    rng = np.random.default_rng(2)
    logits = np.concatenate([rng.normal(size=(9, 4)), rng.uniform(-0.9, 0.9, (9, 4))], axis=1)
    scales = rng.uniform(-12, -2, (9, 4))
    p = distributions(np.concatenate([logits, scales], axis=1).astype("<f4"), raw=False)
    assert p.shape == (9, INTERVALS) and (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    far = np.array([[0.0, 0.9, -7.0]], "<f4")  # a thousand scales away the tail is still right
    tail = distributions(far, raw=False)[0]
    z = (np.linspace(-1, 1, INTERVALS + 1)[1980:2001] - np.float64(far[0, 1])) * np.exp(7)
    np.testing.assert_allclose(tail[1980:2000], np.diff(np.exp(z)), rtol=1e-9)
    ends = classes_of(np.array([-1, 0, 1], "<f4"), metadata("mol.f32"))
    assert ends.tolist() == [0, INTERVALS // 2, INTERVALS - 1]


class Broken:
    """A runtime that is broken: `wrong` is done to what it predicts."""

    def __init__(self, path: str, wrong: Any) -> None:
        self.model, self.wrong = pyvoc.load(path), wrong
        self.info, self.synthesize = self.model.info, self.model.synthesize

    def predict(self, features: np.ndarray, pcm: np.ndarray) -> np.ndarray:
        return self.wrong(self.model.predict(features, pcm))


def test_conversion_measures_likelihood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_zip(tmp_path / "x.pyt", state_dict("raw.f32"))
    np.save(tmp_path / "mel.npy", mel_of("raw.f32", 275))
    arguments: dict[str, Any] = {"precision": "int8", "mel": tmp_path / "mel.npy"}
    found = convert(path, tmp_path / "m.gguf", load=pyvoc.load, **arguments).report
    assert isinstance(found, LikelihoodReport) and found.frames == 1 and found.kl_mean > 0
    for wrong, match in (
        (lambda p: p[:-1], "predicts 274 samples, expected 275"),
        (lambda p: np.nan * p, "not a distribution"),
        (lambda p: p[:, :-1], "tells 255 classes apart, expected 256"),
    ):
        with pytest.raises(Error, match=match):
            convert(path, tmp_path / "n.gguf", load=lambda p, w=wrong: Broken(p, w), **arguments)
    assert not (tmp_path / "n.gguf").exists()
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    line = ["convert", str(path), "-o", str(tmp_path / "m.gguf"), "--precision", "int8"]
    assert command.run(parser.parse_args([*line, "--mel", str(tmp_path / "mel.npy")])) == 0
    text = capsys.readouterr().out
    assert "pyvoc.wavernn, int8" in text
    assert "on 275 samples that float drew from given features: NLL" in text and "KL" in text


@pytest.mark.skipif(not TRAINED.is_dir(), reason="no golden data")
def test_a_trained_one(tmp_path: Path) -> None:
    """Well below guessing, on its own speech; a signal that is none of its own would read 9."""
    mel = np.load(TRAINED / "mel-northandsouth_52_f000076.npy")[100:160]
    np.save(tmp_path / "mel.npy", (mel + 4) / 8)
    source = TRAINED / "e4e1217b_single_gru.pyt"
    found = {
        precision: convert(
            source,
            tmp_path / "m.gguf",
            precision=precision,
            load=pyvoc.load,
            mel=tmp_path / "mel.npy",
        ).report
        for precision in ("bf16", "int8")
    }
    for one in found.values():
        assert isinstance(one, LikelihoodReport) and one.guess == pytest.approx(math.log(1024))
        assert 1 < one.nll_exact < 2.5
    assert abs(found["bf16"].nll - found["bf16"].nll_exact) < 0.01
    assert 0 < found["int8"].kl_mean < 1 and found["int8"].nll < 0.5 * found["int8"].guess
