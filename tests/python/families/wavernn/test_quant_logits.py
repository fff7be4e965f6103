"""What a precision costs a model that predicts each sample, with the float64 oracle as runtime."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_files import save_zip
from wavernn_files import TINY, metadata, reference, settings, speech, state_dict

from pyvoc.cli import convert as command
from pyvoc.container import read_container
from pyvoc.convert import convert
from pyvoc.errors import Error
from pyvoc.families.wavernn import report as logit_report
from pyvoc.families.wavernn.report import INTERVALS, LogitReport, compare, signal_of
from pyvoc.families.wavernn.spec import WAVERNN
from pyvoc.quant import decode


class Oracle:
    """Stands in for the runtime: the float64 oracle on a model file, on a second of speech."""

    def __init__(self, path: str | Path) -> None:
        container = read_container(path)
        self.net = reference().Wavernn(decode(WAVERNN, container), container.metadata)

    def predict(self, features: np.ndarray, pcm: np.ndarray) -> np.ndarray:
        net = self.net
        y = pcm.astype(np.float64)
        if net.mode == "raw":
            most = (1 << net.bits) - 1
            if net.mu_law:
                y = np.sign(y) * np.log1p(most * np.abs(y)) / np.log1p(most)
            y = 2 * np.floor((y + 1) / 2 * most + 0.5) / most - 1
        padded = np.pad(features, ((net.pad, net.pad), (0, 0)))
        return net.teacher_forced(padded, np.concatenate([[0], y[:-1]])).logits


class Deaf(Oracle):
    """A runtime that is broken."""

    def predict(self, features: np.ndarray, pcm: np.ndarray) -> np.ndarray:
        return super().predict(features, pcm)[:-1]


class Lost(Oracle):
    """Another."""

    def predict(self, features: np.ndarray, pcm: np.ndarray) -> np.ndarray:
        return np.nan * super().predict(features, pcm)


def mel_of(name: str, samples: int) -> np.ndarray:
    recipe = settings(name).recipe
    frames = -(-samples // recipe.hop_length)
    rng = np.random.default_rng(1)
    return rng.uniform(0, 1, (frames, recipe.bands)).astype(np.float32)


def report(name: str, precision: str, samples: int = 600) -> LogitReport:
    exact, model = (Oracle(TINY / f"{name}.{p}.gguf") for p in ("f32", precision))
    return compare(
        exact, model, metadata=metadata(f"{name}.f32"), mel=mel_of(f"{name}.f32", samples)
    )


@pytest.mark.parametrize("name", ["mol", "raw"])
def test_precisions(name: str) -> None:
    same, bf16, int8 = (report(name, p) for p in ("f32", "bf16", "int8"))
    assert same.kl_max == 0 and same.logit_snr_db is None and same.nll == same.nll_exact
    assert 0 < bf16.kl_mean < int8.kl_mean < 0.05 and int8.kl_mean < int8.kl_max
    assert bf16.logit_snr_db is not None and int8.logit_snr_db is not None
    assert 80 > bf16.logit_snr_db > int8.logit_snr_db + 5 > 35
    assert 0 < abs(bf16.nll - bf16.nll_exact) < 0.05 and 1 < same.nll < 30
    assert bf16.nll_exact == int8.nll_exact and bf16.probe == "given"


def test_likelihood_of_labels_is_the_oracles() -> None:
    found = report("odd", "int8")
    net = Oracle(TINY / "odd.f32.gguf")
    mel = mel_of("odd.f32", 600)
    pcm = signal_of(mel, settings("odd.f32").recipe)
    labels = np.floor((pcm.astype(np.float64) + 1) / 2 * 31 + 0.5).astype(int)
    each = speech().log_likelihood_labels(net.predict(mel, pcm), labels)
    np.testing.assert_allclose(found.nll_exact, -each.mean(), rtol=1e-6)


def test_a_mixture_in_intervals() -> None:
    rng = np.random.default_rng(2)
    logits = np.concatenate([rng.normal(size=(9, 4)), rng.uniform(-0.9, 0.9, (9, 4))], axis=1)
    scales = rng.uniform(-12, -2, (9, 4))
    p = logit_report._distributions(
        np.concatenate([logits, scales], axis=1).astype("<f4"), raw=False
    )
    assert p.shape == (9, INTERVALS) and (p > 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    far = np.array([[0.0, 0.9, -7.0]], "<f4")  # a thousand scales away the tail is still right
    tail = logit_report._distributions(far, raw=False)[0]
    z = (np.linspace(-1, 1, INTERVALS + 1)[1980:2001] - np.float64(far[0, 1])) * np.exp(7)
    expected = np.diff(np.exp(np.maximum(z, -600)))
    np.testing.assert_allclose(tail[1980:2000], np.maximum(expected, 1e-30), rtol=1e-9)


def test_the_signal() -> None:
    recipe = settings("raw.f32").recipe
    mel = np.zeros((6, recipe.bands), "<f4")
    mel[3:] = 1
    signal = signal_of(mel, recipe)
    assert signal.shape == (6 * 275,) and np.abs(signal).max() <= 1
    assert signal[:825].std() < 0.1 * signal[825:].std()
    assert np.isfinite(signal_of(mel[:1], recipe)).all()


def test_conversion_measures_logits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_zip(tmp_path / "x.pyt", state_dict("raw.f32"))
    np.save(tmp_path / "mel.npy", mel_of("raw.f32", 275))
    arguments: dict[str, Any] = {"precision": "int8", "mel": tmp_path / "mel.npy"}
    found = convert(path, tmp_path / "m.gguf", load=Oracle, **arguments).report
    assert isinstance(found, LogitReport) and found.frames == 1 and found.kl_mean > 0
    for runtime, match in ((Deaf, r"logits have shape \[274, 256\]"), (Lost, "not finite")):
        with pytest.raises(Error, match=match):
            convert(path, tmp_path / "n.gguf", load=runtime, **arguments)
    assert not (tmp_path / "n.gguf").exists()
    pytest.importorskip("pyvoc._pyvoc")
    import pyvoc

    monkeypatch.setattr(pyvoc, "load", Oracle, raising=False)
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    line = ["convert", str(path), "-o", str(tmp_path / "m.gguf"), "--precision", "int8"]
    assert command.run(parser.parse_args([*line, "--mel", str(tmp_path / "mel.npy")])) == 0
    text = capsys.readouterr().out
    assert "pyvoc.wavernn, int8" in text
    assert "teacher-forced on 275 samples of a given mel: KL" in text and "logit SNR" in text
