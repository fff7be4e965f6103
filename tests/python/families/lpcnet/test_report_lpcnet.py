"""What a precision costs an LPCNet, on codes that its float form drew."""

from __future__ import annotations

import numpy as np
import pytest
from lpcnet_files import ROOT

import pyvoc
from pyvoc.container import read_container
from pyvoc.errors import Error
from pyvoc.evaluate.excitation import CODE_VALUES, resynthesise
from pyvoc.families.lpcnet.likelihood import predictors
from pyvoc.families.lpcnet.report import codes_of, compare, probe
from pyvoc.quant.likelihood_report import SEED, LikelihoodReport

TINY = ROOT / "tests" / "golden"
PRECISIONS = ("f32", "bf16", "int8")


def report(exact: str, name: str) -> LikelihoodReport:
    models = [pyvoc.load(TINY / f"{stem}.gguf") for stem in (exact, name)]
    metadata = read_container(TINY / f"{name}.gguf").metadata
    return compare(*models, metadata=metadata)


def test_precisions() -> None:
    same, bf16, int8 = (report("tree_sparse.f32", f"tree_sparse.{p}") for p in PRECISIONS)
    assert same.kl_max == 0 and same.nll == same.nll_exact and same.probe == "bundled"
    assert 0 < bf16.kl_mean < int8.kl_mean < 1e-2
    assert bf16.nll_exact == int8.nll_exact < 1.2 * same.guess


@pytest.mark.parametrize("name", ["tree_sparse.f32", "softmax_sparse.f32", "end_to_end.bf16"])
def test_codes_are_those_that_were_drawn(name: str) -> None:
    """Excitation of these codes, filtered, is the audio again."""
    model = pyvoc.load(TINY / f"{name}.gguf")
    rows = probe(model.info.feature_layout)
    audio = model.synthesize(rows, seed=SEED)
    lpc = predictors(model, rows)
    codes = codes_of(audio, lpc)
    assert len(np.unique(codes)) > 20
    wide = 32768 * audio.astype(float)
    signal = np.append(wide[:1], wide[1:] - 0.85 * wide[:-1])
    again = resynthesise(CODE_VALUES[codes], lpc)
    # Where these models, whose weights are random, leave full scale, their audio is clipped.
    assert (np.abs(again - signal) < 0.01 * np.abs(signal).max()).mean() > 0.999


def test_a_trained_voice_reads_its_own_entropy() -> None:
    """The bundled voice, as it speaks: its NLL is about its entropy, below guessing."""
    model = pyvoc.load("lpcnet")
    found = compare(model, model, metadata={"pyvoc.features.layout": "lpcnet36"})
    assert found.guess == pytest.approx(np.log(256)) and 1.5 < found.nll < 4
    rows = probe("lpcnet36")
    p = model.predict(rows, model.synthesize(rows, seed=SEED)).astype(float)
    entropy = -(p * np.log(np.maximum(p, 1e-30))).sum(axis=1).mean()
    assert found.nll == pytest.approx(entropy, abs=0.2)


def test_no_layout_of_lpcnets() -> None:
    with pytest.raises(Error, match="feature layout 'mel' is unknown"):
        probe("mel")
