"""Odd sizes, every sparsity, precision and kernel tier: states and logits against the oracle.

Sizes that are no multiple of a vector, odd condition sizes and embeddings, dense and block-sparse
matrices: what packing and padding could get wrong.
"""

from __future__ import annotations

import numpy as np
import pytest
from lpcnet_files import make_tiny, probe, reference
from tier_worker import run, tiers

from pyvoc.container import read_container
from pyvoc.families.lpcnet.spec import LPCNET, LpcnetSettings
from pyvoc.quant import decode

tiny = make_tiny()
SAMPLES = 480
TREE, SOFTMAX = LpcnetSettings(), LpcnetSettings("softmax", 38)
SHAPES = {
    "one_odd_group": tiny.Tiny(11, TREE, n=40, m=8, c=19, p=5),
    "dense": tiny.Tiny(12, TREE, n=24, m=24, c=17, p=3, block=None),
    "wide_b": tiny.Tiny(13, TREE, n=16, m=40, c=33, p=1),
    "softmax_16x1": tiny.Tiny(14, SOFTMAX, n=48, m=8, c=21, p=7, block=(16, 1)),
    "end_to_end": tiny.Tiny(15, LpcnetSettings(lpc_gamma=0.9, end_to_end=True), n=56, m=16, c=23),
    "no_lookahead": tiny.Tiny(16, LpcnetSettings(lookahead=0), n=32, m=16, c=16),
}
# Absolute error of states and logits. bf16 models are decoded exactly, so only float32 sums differ;
# int8 also rounds the activations to 1/127, which the oracle does not.
STATE = {"f32": 2e-6, "bf16": 2e-6, "int8": 0.02}
LOGIT = {"f32": 2e-5, "bf16": 2e-5, "int8": 0.3}


@pytest.mark.parametrize("precision", ["f32", "bf16", "int8"])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_every_tier_follows_the_oracle(shape: str, precision: str, tmp_path) -> None:
    path = tmp_path / "model.gguf"
    tiny.write(path, SHAPES[shape], precision)
    ref = reference()
    container = read_container(path)
    net = ref.Lpcnet(decode(LPCNET, container), container.metadata)
    features, pcm = probe(str(container.metadata["pyvoc.features.layout"]))
    features, pcm = features[:8], pcm[:SAMPLES]
    frames = net.frames(features)
    for tier in tiers():
        found = run(path, tier, tmp_path, features=features, pcm=pcm)
        np.testing.assert_allclose(found["frames_cond"], frames.cond, atol=3e-6, rtol=0)
        sig, pred, exc, _ = found["steps_codes"].T
        a, b, logits = net.replay(frames, sig, pred, exc, start=net.lookahead)
        where = f"{shape}, {precision}, {tier}"
        tree = slice(1, None) if net.tree else slice(None)
        for name, got, want, limit in (
            ("gru_a", found["steps_gru_a"], a, STATE[precision]),
            ("gru_b", found["steps_gru_b"], b, STATE[precision]),
            ("logits", found["steps_logits"][:, tree], logits[:, tree], LOGIT[precision]),
        ):
            worst = np.abs(got - want).max()
            assert worst <= limit, f"{name} is off by {worst:.2g} ({where})"
        assert found["samples"].shape == (len(features) * 160,)
        assert np.isfinite(found["samples"]).all(), where
