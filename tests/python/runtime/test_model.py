"""pyvoc.load, Model, synthesize_batch: what comes out, and what is refused."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from gguf_bytes import key, replaced
from hypothesis import given, settings
from hypothesis import strategies as st
from voices import HOP, SOFTMAX, TINY, TREE, features_for, make_features, voice

import pyvoc

EVERY = pytest.mark.parametrize("path", TINY, ids=lambda p: p.stem)


@EVERY
def test_synthesis(path: Path) -> None:
    model = voice(path)
    rows = features_for(model, 30)
    samples = model.synthesize(rows)
    assert samples.dtype == np.float32
    assert samples.shape == (30 * HOP,)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1
    assert samples.std() > 1e-4
    np.testing.assert_array_equal(samples, model.synthesize(rows))
    assert not np.array_equal(samples, model.synthesize(rows, seed=1))


@EVERY
def test_only_the_columns_that_are_read_matter(path: Path) -> None:
    model = voice(path)
    rows = features_for(model, 5)
    samples = model.synthesize(rows)
    np.testing.assert_array_equal(model.synthesize(rows[:, : model.info.feature_dims]), samples)


@EVERY
def test_given_draws_decide(path: Path) -> None:
    model = voice(path)
    rows = features_for(model, 4)
    draws = np.random.default_rng(1).random(4 * HOP * model.info.draws_per_sample, np.float32)
    samples = model.synthesize(rows, draws=draws, seed=7)
    np.testing.assert_array_equal(samples, model.synthesize(rows, draws=draws, seed=8))
    assert not np.array_equal(samples, model.synthesize(rows, draws=draws[::-1].copy()))


def kiss99(count: int) -> list[int]:
    """Upstream's generator, seeded as upstream does with its name (Marsaglia 1999)."""
    state = [362436069, 521288629, 123456789, 380116160]

    def draw() -> int:
        z, w, jsr, jcong = state
        z = (36969 * (z & 0xFFFF) + (z >> 16)) & 0xFFFFFFFF
        w = (18000 * (w & 0xFFFF) + (w >> 16)) & 0xFFFFFFFF
        jsr ^= jsr << 13 & 0xFFFFFFFF
        jsr ^= jsr >> 17
        jsr ^= jsr << 5 & 0xFFFFFFFF
        jcong = (69069 * jcong + 1234567) & 0xFFFFFFFF
        state[:] = z, w, jsr, jcong
        return ((((z << 16) + w) & 0xFFFFFFFF ^ jcong) + jsr) & 0xFFFFFFFF

    for i, byte in enumerate(b"LPCNet"):
        state[i % 4] ^= byte
        if i % 4 == 3:
            draw()
    return [draw() for _ in range(count)]


def test_seed_0_is_upstreams_generator() -> None:
    assert kiss99(5) == [1683367118, 1291385470, 2467331338, 1647291262, 1004576448]
    model = voice(TREE)
    rows = features_for(model, 20)
    words = np.array(kiss99(2 * 20 * HOP), "<u4")
    draws = words.view(np.uint8).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(model.synthesize(rows, draws=draws), model.synthesize(rows))


def test_types_and_memory_orders() -> None:
    model = voice(TREE)
    rows = features_for(model, 5)
    expected = model.synthesize(rows)
    for same in (
        rows.astype(np.float64),
        np.asfortranarray(rows),
        np.repeat(rows, 2, axis=0)[::2],
        rows.astype(">f4"),
        rows.tolist(),
    ):
        np.testing.assert_array_equal(model.synthesize(same), expected)


@settings(max_examples=20, deadline=None)
@given(
    path=st.sampled_from(TINY),
    lengths=st.lists(st.integers(1, 12), max_size=9),
    threads=st.integers(1, 3),
)
def test_batch_equals_single(path: Path, lengths: list[int], threads: int) -> None:
    model = voice(path)
    items = [features_for(model, n, seed=i) for i, n in enumerate(lengths)]
    seeds = list(range(5, 5 + len(items)))
    batch = pyvoc.synthesize_batch(model, items, seeds=seeds, threads=threads)
    assert len(batch) == len(items)
    for rows, seed, samples in zip(items, seeds, batch, strict=True):
        np.testing.assert_array_equal(samples, model.synthesize(rows, seed=seed))


def test_batch_of_many() -> None:
    model = voice(TREE)
    items = [features_for(model, 1 + i % 5, seed=i) for i in range(40)]
    batch = pyvoc.synthesize_batch(model, items, threads=2)
    for rows, samples in zip(items, batch, strict=True):
        np.testing.assert_array_equal(samples, model.synthesize(rows))


def test_batch_refuses() -> None:
    model = voice(TREE)
    items = [features_for(model, 3), np.zeros((3, 17), np.float32)]
    with pytest.raises(pyvoc.FeatureError, match=r"utterance 1: .*17 floats"):
        pyvoc.synthesize_batch(model, items)
    with pytest.raises(pyvoc.FeatureError, match="utterance 0: the features hold no frames"):
        pyvoc.synthesize_batch(model, [items[0][:0]])
    with pytest.raises(pyvoc.Error, match="1 seeds for 2 utterances"):
        pyvoc.synthesize_batch(model, items, seeds=[1])
    with pytest.raises(pyvoc.Error, match="threads is 0"):
        pyvoc.synthesize_batch(model, items, threads=0)


def test_progress_and_interruption() -> None:
    model = voice(TREE)
    rows = features_for(model, 130)
    calls: list[tuple[int, int]] = []
    model.synthesize(rows, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (130 * HOP, 130 * HOP)
    assert len(calls) >= 3

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.synthesize(rows, progress=interrupt)
    for threads in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            pyvoc.synthesize_batch(model, [rows] * 20, threads=threads, progress=interrupt)
    done: list[int] = []
    pyvoc.synthesize_batch(model, [rows] * 3, progress=lambda n, total: done.append(n))
    assert done[-1] == 3 * 130 * HOP
    assert done == sorted(done)


def refused(model: pyvoc.Model, features: object) -> str:
    with pytest.raises(pyvoc.FeatureError) as caught:
        model.synthesize(features)  # type: ignore[arg-type]
    return str(caught.value)


def test_features_of_another_width_are_refused() -> None:
    tree, softmax = voice(TREE), voice(SOFTMAX)
    assert "36 floats per frame (lpcnet36) or the first 20" in refused(tree, np.zeros((7, 17)))
    assert "transposed" in refused(tree, make_features(7).T)
    assert "transposed" in refused(softmax, make_features(7, dims=55).T)
    assert "17 floats" in refused(softmax, np.zeros((7, 17), np.float32))


@pytest.mark.parametrize("path", [TREE, SOFTMAX], ids=lambda p: p.stem)
def test_every_layout_gives_the_same_samples(path: Path) -> None:
    """The twenty numbers that a network reads are the same in each; the LPC are computed anew."""
    model = voice(path)
    rows = make_features(5)
    wide = np.zeros((5, 55), np.float32)
    wide[:, :18], wide[:, 36:38] = rows[:, :18], rows[:, 18:20]
    expected = model.synthesize(rows[:, :20].copy())
    assert np.any(expected)
    np.testing.assert_array_equal(model.synthesize(rows), expected)
    np.testing.assert_array_equal(model.synthesize(wide), expected)


def test_bad_features() -> None:
    model = voice(TREE)
    rows = make_features(6)
    assert "no frames" in refused(model, rows[:0])
    assert "shape (36,)" in refused(model, rows[0])
    assert "shape (1, 6, 36)" in refused(model, rows[None])
    assert "complex" in refused(model, rows.astype(complex))
    assert "no array" in refused(model, [[1.0] * 36, [1.0]])
    assert "expected features as float32" in refused(model, [["x"] * 36])
    for value, word in (
        (np.nan, "finite"),
        (np.inf, "finite"),
        (-1e9, "beyond"),
        (1e300, "finite"),
    ):
        broken = rows.astype(np.float64)
        broken[4, 18] = value
        message = refused(model, broken)
        assert "feature 18 of frame 4" in message
        assert word in message


def test_bad_draws() -> None:
    model = voice(SOFTMAX)
    rows = features_for(model, 2)
    good = np.full(2 * HOP, 0.5, np.float32)
    for draws, match in (
        (good[:-1], "319 draws were given; these features need 320"),
        (np.where(np.arange(2 * HOP) == 9, 1.5, good), "draw 9 is 1.5"),
        (np.where(np.arange(2 * HOP) == 9, np.nan, good), "draw 9 is nan"),
        (good.reshape(2, HOP), "shape"),
        (np.ones(2 * HOP, int), "int64"),
    ):
        with pytest.raises(pyvoc.Error, match=match):
            model.synthesize(rows, draws=draws)


@EVERY
def test_predict(path: Path) -> None:
    model = voice(path)
    rows = features_for(model, 4)
    pcm = (0.1 * np.sin(np.arange(4 * HOP) / 9)).astype(np.float32)
    p = model.predict(rows, pcm)
    assert p.shape == (4 * HOP, model.info.distribution_size)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-4)
    assert (p >= 0).all()
    np.testing.assert_array_equal(model.predict(rows, pcm[:200]), p[:200])
    words = np.rint(pcm * 32768).astype(np.int16)
    np.testing.assert_array_equal(
        model.predict(rows, words), model.predict(rows, words.astype(np.float32) / 32768)
    )
    with pytest.raises(pyvoc.AudioError, match="641 samples for 4 frames"):
        model.predict(rows, np.zeros(641, np.float32))
    with pytest.raises(pyvoc.AudioError, match="sample 3 "):
        model.predict(rows, np.where(np.arange(640) == 3, np.nan, pcm).astype(np.float32))
    with pytest.raises(pyvoc.AudioError, match="mono"):
        model.predict(rows, pcm[None])
    with pytest.raises(pyvoc.AudioError, match="int32"):
        model.predict(rows, words.astype(np.int32))
    with pytest.raises(pyvoc.FeatureError):
        model.predict(rows[:, :7], pcm)


@EVERY
def test_info_and_description(path: Path) -> None:
    model = pyvoc.load(path, threads=2)
    info = model.info
    assert info.path == str(path)
    assert info.precision == path.stem.split(".")[-1]
    assert (info.sample_rate, info.hop_length, info.distribution_size) == (16000, HOP, 256)
    tree = not path.stem.startswith("softmax")
    assert info.draws_per_sample == (8 if tree else 1)
    assert info.feature_layout == ("lpcnet36" if tree else "lpcnet55")
    assert model.threads == 2
    assert path.name in repr(model)
    with pytest.raises(FrozenInstanceError):
        info.precision = "f32"  # type: ignore[misc]
    described = model.describe()
    assert described["metadata"]["general.architecture"] == "pyvoc.lpcnet"
    assert {entry["layer"] for entry in described["plan"]} >= {"gru_a.weight_hh", "dual_fc"}
    assert json.loads(json.dumps(described)) == described


def test_precision_is_what_the_file_holds() -> None:
    assert pyvoc.load(TREE, precision="int8").info.precision == "int8"
    with pytest.raises(pyvoc.UnsupportedError, match=r"convert MODEL .* --precision f32"):
        pyvoc.load(TREE, precision="f32")
    with pytest.raises(pyvoc.Error, match="precision 'fp8' is unknown"):
        pyvoc.load(TREE, precision="fp8")
    for threads in (0, 65):
        with pytest.raises(pyvoc.Error, match=f"threads is {threads}, expected 1 to 64"):
            pyvoc.load(TREE, threads=threads)


def test_names_with_odd_characters(tmp_path: Path) -> None:
    for name in ("ä ü 漢.gguf", os.fsdecode(b"\xff\xfe.gguf")):
        try:
            (tmp_path / name).write_bytes(TREE.read_bytes())
        except OSError:
            continue  # not on this file system
        assert pyvoc.load(tmp_path / name).info.architecture == "lpcnet"
    with pytest.raises(pyvoc.Error, match="null character"):
        pyvoc.load(f"{TREE}\0")


def test_files_that_are_no_model(tmp_path: Path) -> None:
    data = TREE.read_bytes()
    text = struct.pack("<Q", 12) + b"pyvoc.lpcnet"
    other = replaced(data, text, struct.pack("<Q", 12) + b"pyvoc.nobody")
    version = key("pyvoc.format_version", 4, struct.pack("<I", 1))
    newer = replaced(data, version, version[:-4] + struct.pack("<I", 2))
    spec = key("pyvoc.spec_revision", 4, struct.pack("<I", 1))
    revised = replaced(data, spec, spec[:-4] + struct.pack("<I", 9))
    for name, content, kind, match in (
        ("empty", b"", pyvoc.ModelError, "empty|GGUF|short|bytes"),
        ("truncated", data[: len(data) // 2], pyvoc.ModelError, "truncated"),
        ("text", b"not a model at all, but long enough", pyvoc.ModelError, "it is a text file"),
        ("other", other, pyvoc.UnsupportedError, "nobody"),
        ("newer", newer, pyvoc.UnsupportedError, "version 2|newer"),
        ("revised", revised, pyvoc.UnsupportedError, "revision 9|newer"),
    ):
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(content)
        with pytest.raises(kind, match=match) as caught:
            pyvoc.load(path)
        assert str(path) in str(caught.value)
    for missing in (tmp_path / "no.gguf", tmp_path):
        with pytest.raises(pyvoc.Error, match=str(missing)):
            pyvoc.load(missing)


def test_the_package_names() -> None:
    assert set(pyvoc.__all__) <= set(dir(pyvoc))
    for name in pyvoc.__all__:
        assert getattr(pyvoc, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        pyvoc.nonsense  # noqa: B018
    assert issubclass(pyvoc.UnsupportedError, pyvoc.Error)
    assert pyvoc.system_info()["active_tier"] in {t["name"] for t in pyvoc.system_info()["tiers"]}
