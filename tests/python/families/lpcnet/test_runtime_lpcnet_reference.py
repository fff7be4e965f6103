"""The runtime against the float64 oracle, on the tiny models: every precision and variant."""

from __future__ import annotations

import numpy as np
import pytest
from lpcnet_files import ROOT, probe, reference

import pyvoc
from pyvoc.container import read_container
from pyvoc.families.lpcnet.spec import LPCNET
from pyvoc.quant import decode

MODELS = sorted((ROOT / "tests" / "golden").glob("*.gguf"))
SAMPLES = 1600
# Probabilities. int8 also quantises the activations, which the oracle does not.
TOLERANCE = {"f32": 2e-5, "bf16": 2e-5, "int8": 1e-3}

if not hasattr(pyvoc, "load"):
    pytest.skip("the runtime is not built", allow_module_level=True)


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_predict(path) -> None:
    ref = reference()
    container = read_container(path)
    net = ref.Lpcnet(decode(LPCNET, container), container.metadata)
    features, pcm = probe(str(container.metadata["pyvoc.features.layout"]))
    pcm = pcm[:SAMPLES]
    found = pyvoc.load(path).predict(features, pcm)
    # The runtime takes the LPC from the cepstrum, and aligns frames with samples by the look-ahead.
    own = features.copy()
    latest = features.shape[1] == 36  # the 2019 runtime does not compensate
    own[:, -16:] = [ref.lpc_from_cepstrum(row[:18], compensate=latest) for row in features]
    silence = np.zeros(net.lookahead * 160)
    steps = net.teacher_forced(
        own, np.concatenate([silence, pcm * 32768.0]), start=net.lookahead, samples=SAMPLES
    )
    expected = net.distribution(steps.logits)
    assert found.shape == expected.shape
    limit = TOLERANCE[str(container.metadata["pyvoc.precision"])]
    np.testing.assert_allclose(found, expected, rtol=0, atol=limit)
