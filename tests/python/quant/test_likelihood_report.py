"""A model against its float form on what the float form says, with distributions that are known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pyvoc.errors import Error
from pyvoc.quant import likelihood_report
from pyvoc.quant.likelihood_report import LikelihoodReport, compare_likelihood

HOP, CLASSES = 10, 8


class Chain:
    """A Markov chain over classes: the next sample depends on the one before and on the frame."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = table
        self.info = SimpleNamespace(hop_length=HOP, lookahead_frames=1)

    def synthesize(self, features: np.ndarray, *, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        audio, last = [], 0
        for frame in features[:, 0].astype(int):
            for _ in range(HOP):
                last = rng.choice(CLASSES, p=self.table[frame, last])
                audio.append(last)
        return np.array(audio, np.float32) / CLASSES

    def predict(self, features: np.ndarray, pcm: np.ndarray) -> np.ndarray:
        before = np.append(0, drawn(pcm)[:-1])
        return self.table[np.repeat(features[:, 0].astype(int), HOP)[: len(pcm)], before]


def drawn(audio: np.ndarray) -> np.ndarray:
    return np.rint(audio * CLASSES).astype(int)


def table(sharpness: float, noise: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    logits = sharpness * rng.normal(size=(2, CLASSES, CLASSES))
    logits = logits + noise * rng.normal(size=logits.shape)
    e = np.exp(logits)
    return e / e.sum(axis=2, keepdims=True)


FRAMES = np.tile([[0.0], [1.0], [1.0]], (150, 1))


def compared(exact: Chain, model: Chain, distributions=np.asarray) -> LikelihoodReport:
    return compare_likelihood(
        exact,
        model,
        FRAMES,
        probe="given",
        classes=CLASSES,
        drawn=drawn,
        distributions=distributions,
    )


def test_a_trained_model_reads_its_own_entropy() -> None:
    """Far below guessing, however sharp it is; and its copy differs in nothing."""
    exact = Chain(table(4))
    found = compared(exact, Chain(table(4)))
    assert (found.frames, found.samples, found.probe) == (450, 4500, "given")
    assert found.kl_mean == found.kl_max == 0 and found.nll == found.nll_exact
    assert found.guess == pytest.approx(np.log(CLASSES))
    p = exact.predict(FRAMES, exact.synthesize(FRAMES, seed=likelihood_report.SEED))
    entropy = -(p * np.log(p)).sum(axis=1).mean()
    assert found.nll == pytest.approx(entropy, rel=0.1) and found.nll < 0.5 * found.guess


def test_what_a_worse_one_loses() -> None:
    exact = Chain(table(1))
    near, far, flat = (compared(exact, Chain(t)) for t in (table(1, 0.01), table(1, 0.3), table(0)))
    assert 0 < near.kl_mean < near.kl_max < far.kl_mean < far.kl_max
    assert near.nll_exact == far.nll_exact < far.nll < flat.nll
    # What the mean of log p - log q on samples drawn from p estimates is the divergence.
    assert far.nll - far.nll_exact == pytest.approx(far.kl_mean, rel=0.3)
    assert flat.nll == pytest.approx(flat.guess)
    assert flat.kl_mean == pytest.approx(flat.guess - flat.nll_exact, rel=0.1)


@pytest.mark.parametrize("most", [CLASSES * 4500, CLASSES * 700, CLASSES * 13])
def test_samples_are_spread_over_all(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """In chunks as in one piece, and each beside its own distribution."""
    exact, model = Chain(table(2)), Chain(table(2, 0.2))
    monkeypatch.setattr(likelihood_report, "MOST_VALUES", most)
    found = compared(exact, model)
    audio = exact.synthesize(FRAMES, seed=likelihood_report.SEED)
    step = -(-4500 * CLASSES // most)
    at = np.arange(0, 4500, step)
    p, q = (m.predict(FRAMES, audio)[at] for m in (exact, model))
    assert found.samples == len(at)
    assert found.nll == pytest.approx(-np.log(q[np.arange(len(at)), drawn(audio)[at]]).mean())
    assert found.kl_mean == pytest.approx((p * np.log(p / q)).sum(axis=1).mean())


def test_no_distributions() -> None:
    exact = Chain(table(1))
    for wrong, match in (
        (np.ones_like(exact.table), "not a distribution"),
        (np.nan * exact.table, "not a distribution"),
        (exact.table[:, :, 1:], "tells 7 classes apart, expected 8"),
    ):
        with pytest.raises(Error, match=match):
            compared(exact, Chain(wrong))

    class Deaf(Chain):
        def predict(self, features: np.ndarray, pcm: np.ndarray) -> np.ndarray:
            return super().predict(features, pcm)[:-1]

    with pytest.raises(Error, match="predicts 999 samples, expected 1000"):
        compared(exact, Deaf(exact.table))


def test_the_line() -> None:
    line = LikelihoodReport(3, 5, "given", 6.93, 1.5, 1.75, 0.2, 3.0).line()
    assert line == (
        "against float, on 5 samples that float drew from given features: NLL 1.7500 nats per "
        "sample (+2.5e-01; guessing 6.93), KL 2.00e-01 (worst 3.00e+00)"
    )
