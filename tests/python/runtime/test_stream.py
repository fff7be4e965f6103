"""Streams: however the frames are cut, the samples are the same, bit for bit."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voices import FARGAN, HOP, MELGAN, SOFTMAX, TINY, TREE, WAVEGLOW, WAVERNN, features_for, voice

import pyvoc

EVERY = pytest.mark.parametrize(
    "path", TINY + FARGAN + MELGAN + WAVEGLOW + WAVERNN, ids=lambda p: f"{p.parent.stem}-{p.stem}"
)


@EVERY
@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(1, 12),
    seed=st.integers(0, 2**64 - 1),
    cuts=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 700)), max_size=12),
    last=st.integers(1, 2000),
)
def test_any_chunking_gives_the_same_samples(
    path: Path, frames: int, seed: int, cuts: list[tuple[int, int]], last: int
) -> None:
    """Pushes of so many frames, each with a pull of so many samples; then the rest."""
    model = voice(path)
    rows = features_for(model, frames, seed=frames)
    whole = model.synthesize(rows, seed=seed)
    pieces: list[np.ndarray] = []
    at = 0
    with model.stream(seed=seed) as stream:
        for push, pull in cuts:
            stream.push(rows[at : at + push])
            at += push
            pieces.append(stream.pull(pull))
        stream.push(rows[at:])
        stream.flush()
        while stream.available:
            pieces.append(stream.pull(last))
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


@EVERY
def test_accounting(path: Path) -> None:
    model = voice(path)
    hop, latency = model.info.hop_length, model.info.latency_samples
    assert 0 <= latency - model.info.lookahead_frames * hop < hop
    ahead = -(-latency // hop)
    due = 4 * hop + ahead * hop - latency  # of `ahead` and four frames
    frames = ahead + 7
    rows = features_for(model, frames)
    with model.stream() as stream:
        assert stream.latency_samples == latency
        assert stream.available == 0
        for pushed in range(1, ahead + 5):
            stream.push(rows[pushed - 1 : pushed])
            assert stream.available == max(0, pushed * hop - latency)
        few = min(100, 3 * hop)
        first = stream.pull(few)
        assert len(first) == few
        assert stream.available == due - few
        stream.push(rows[ahead + 4 :])
        stream.flush()
        assert stream.available == frames * hop - few
        rest = stream.pull(10**9)
        assert len(rest) == frames * hop - few
        assert stream.available == 0
        assert len(stream.pull()) == 0
        stream.flush()  # harmless
        assert stream.available == 0
    np.testing.assert_array_equal(np.concatenate([first, rest]), model.synthesize(rows))


@EVERY
def test_reset_is_a_fresh_stream(path: Path) -> None:
    model = voice(path)
    rows = features_for(model, 6)
    with model.stream(seed=3) as stream:
        stream.push(rows[::-1].copy())
        stream.pull(333)
        stream.reset()
        stream.push(rows)
        stream.flush()
        np.testing.assert_array_equal(stream.pull(), model.synthesize(rows, seed=3))
        stream.reset(seed=4)
        stream.push(rows)
        stream.flush()
        np.testing.assert_array_equal(stream.pull(), model.synthesize(rows, seed=4))


def test_reset_drops_the_draws() -> None:
    model = voice(TREE)
    rows = features_for(model, 4)
    with model.stream() as stream:
        stream.set_draws(np.full(8 * 4 * HOP, 0.5, np.float32))
        stream.push(rows)
        stream.flush()
        given_draws = stream.pull()
        stream.reset()
        stream.push(rows)
        stream.flush()
        own = stream.pull()
    assert not np.array_equal(given_draws, own)
    np.testing.assert_array_equal(own, model.synthesize(rows))


def test_draws_may_run_out() -> None:
    model = voice(SOFTMAX)
    rows = features_for(model, 4)
    draws = np.random.default_rng(1).random(HOP, np.float32)
    whole = model.synthesize(rows, draws=np.tile(draws, 4))
    with model.stream() as stream:
        stream.set_draws(draws)
        stream.push(rows)
        stream.flush()
        samples = stream.pull()
    assert len(samples) == 4 * HOP
    np.testing.assert_array_equal(samples[:HOP], whole[:HOP])
    assert not np.array_equal(samples, whole)


def test_order_of_calls() -> None:
    model = voice(TREE)
    rows = features_for(model, 3)
    stream = model.stream()
    stream.push(rows)
    stream.flush()
    with pytest.raises(pyvoc.Error, match="after flush"):
        stream.push(rows)
    assert stream.available == 3 * HOP  # the refused call changed nothing
    stream.close()
    assert stream.closed
    stream.close()
    for call in (stream.pull, stream.flush, stream.reset, lambda: stream.push(rows)):
        with pytest.raises(pyvoc.Error, match="closed"):
            call()
    with pytest.raises(pyvoc.Error, match="closed"):
        assert stream.available


def test_a_bad_frame_pushes_none() -> None:
    model = voice(TREE)
    rows = features_for(model, 5)
    broken = rows.copy()
    broken[3, 7] = np.nan
    with model.stream() as stream:
        stream.push(rows[:2])
        with pytest.raises(pyvoc.FeatureError, match="feature 7 of frame 5 "):
            stream.push(broken)
        stream.push(rows[2:])
        stream.flush()
        np.testing.assert_array_equal(stream.pull(), model.synthesize(rows))


def test_an_array_owns_its_memory() -> None:
    model = voice(TREE)
    with model.stream() as stream:
        stream.push(features_for(model, 5))
        first = stream.pull(160)
        kept = first.copy()
        stream.pull()
    np.testing.assert_array_equal(first, kept)
    first[:] = 0  # writable


def test_a_second_thread_is_refused() -> None:
    model = voice(TREE)
    stream = model.stream()
    stream.push(features_for(model, 20000))
    stream.flush()
    started, refusals, results = threading.Event(), [], []

    def pull() -> None:
        started.set()
        results.append(stream.pull())

    worker = threading.Thread(target=pull)
    worker.start()
    started.wait()
    while worker.is_alive() and not refusals:
        for call in (lambda: stream.pull(1), stream.flush, stream.close):
            try:
                call()
            except pyvoc.Error as error:
                refusals.append(str(error))
            else:
                break  # it came in between: the stream was free
    worker.join()
    assert refusals
    assert all("another thread" in message for message in refusals)


def test_streams_of_one_model_run_side_by_side() -> None:
    model = voice(TREE)
    jobs = [features_for(model, 200, seed=i) for i in range(4)]
    results: dict[int, np.ndarray] = {}

    def work(i: int) -> None:
        results[i] = model.synthesize(jobs[i], seed=i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, rows in enumerate(jobs):
        np.testing.assert_array_equal(results[i], model.synthesize(rows, seed=i))


def test_a_stream_keeps_its_model() -> None:
    model = pyvoc.load(TREE)
    rows = features_for(model, 3)
    expected = model.synthesize(rows)
    stream = model.stream()
    del model
    stream.push(rows)
    stream.flush()
    np.testing.assert_array_equal(stream.pull(), expected)
    assert stream.model.info.architecture == "lpcnet"


def test_bad_arguments() -> None:
    model = voice(TREE)
    with pytest.raises(pyvoc.Error, match="cannot pull -1"):
        model.stream().pull(-1)
    for seed in (-1, 2**64):
        with pytest.raises(pyvoc.Error, match="outside"):
            model.stream(seed=seed)
    with pytest.raises(pyvoc.Error, match="whole number"):
        model.stream(seed=1.5)  # type: ignore[arg-type]
