"""The float64 oracle against upstream's golden tensors, from the golden checkpoints themselves."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import GOLDEN, reference

from pyvoc.convert.detect import detect
from pyvoc.families.lpcnet.spec import LPCNET
from pyvoc.quant import decode, encode

pytest.importorskip("h5py")
TOLERANCE = 1e-6  # of values around 1 that are stored in float32
LATEST = sorted(GOLDEN.glob("lpcnet_seed*.h5"))
OLD = sorted(GOLDEN.glob("lpcnet_old_seed*.h5"))
BLOBS = sorted(GOLDEN.glob("lpcnet_seed*_weights_*.bin"))


def ids(path: Path) -> str:
    return path.stem


def arrays_of(path: Path, precision: str = "f32") -> tuple[dict, dict]:
    checkpoint = detect(path)(path)
    metadata = {
        "general.name": "m",
        "pyvoc.source.format": checkpoint.format,
        "pyvoc.source.sha256": "none",
        **checkpoint.metadata,
    }
    container = encode(
        LPCNET,
        checkpoint.arrays,
        metadata=metadata,
        precision=precision,
        kept=checkpoint.kept,
    )
    LPCNET.validate(container, str(path))
    return decode(LPCNET, container), dict(container.metadata)


@cache
def model(path: Path):
    return reference().Lpcnet(*arrays_of(path))


def seed(path: Path) -> str:
    found = re.search(r"seed\d+", path.stem)
    assert found is not None
    return found.group()


def features_of(pattern: str, columns: int, frames: int) -> np.ndarray:
    """The golden features with that many frames: the ones that the tensors were made from."""
    for path in sorted(GOLDEN.glob(pattern)):
        features = np.fromfile(path, "<f4").reshape(-1, columns)
        if len(features) == frames:
            return features
    pytest.skip(f"no {pattern} of {frames} frames")


def ours(gates: np.ndarray) -> np.ndarray:
    z, r, h = np.split(gates, 3, axis=1)
    return np.concatenate([r, z, h], axis=1)


def close(found: np.ndarray, expected: np.ndarray, scale: float = 1.0) -> None:
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE * scale)


@pytest.mark.parametrize("path", LATEST, ids=ids)
def test_frame_network(path: Path) -> None:
    golden = np.load(GOLDEN / f"frame_network_{seed(path)}.npz")
    frames = model(path).frames(features_of("*.features.f32", 36, len(golden["ref64_cond"])))
    for name in ("conv1", "conv2", "dense1", "cond"):
        close(getattr(frames, name), golden[f"ref64_{name}"])
    close(frames.cond_a[:100], ours(golden["ref64_cond_a_first100"]))
    close(frames.cond_b, ours(golden["ref64_cond_b"]))
    np.testing.assert_allclose(frames.lpc, golden["c_lpc"], atol=1e-2)


@pytest.mark.parametrize("path", LATEST, ids=ids)
def test_sample_network(path: Path) -> None:
    golden = np.load(GOLDEN / f"sample_network_teacher_forced_{seed(path)}.npz")
    frame = np.load(GOLDEN / f"frame_network_{seed(path)}.npz")
    features = features_of("*.features.f32", 36, len(frame["ref64_cond"]))
    net = model(path)
    inputs = [golden[k] for k in ("sig_idx", "pred_idx", "exc_prev_idx")]
    a, b, logits = net.replay(net.frames(features), *inputs, start=2)
    close(a[: len(golden["ref64_gru_a"])], golden["ref64_gru_a"])
    close(b, golden["ref64_gru_b"])
    close(logits[:, 1:], golden["ref64_logits"][:, 1:])
    first = golden["ref64_pdf_first160"]
    close(net.distribution(logits[: len(first)]), first)


@pytest.mark.parametrize("path", LATEST, ids=ids)
def test_forcing_reproduces_upstreams_indices(path: Path) -> None:
    golden = np.load(GOLDEN / f"sample_network_teacher_forced_{seed(path)}.npz")
    frame = np.load(GOLDEN / f"frame_network_{seed(path)}.npz")
    features = features_of("*.features.f32", 36, len(frame["ref64_cond"]))
    steps = model(path).teacher_forced(features, golden["forced_pcm"], start=2, samples=1600)
    for name, key in (("sig", "sig_idx"), ("pred", "pred_idx"), ("exc", "exc_prev_idx")):
        assert np.mean(getattr(steps, name) != golden[key]) < 0.002, name
    assert np.mean(steps.target != golden["exc_forced_idx"]) < 0.002
    np.testing.assert_allclose(steps.prediction, golden["pred"], atol=0.05)


@pytest.mark.parametrize("path", OLD, ids=ids)
def test_2019(path: Path) -> None:
    golden = np.load(GOLDEN / f"old_teacher_forced_{seed(path)}.npz")
    net = model(path)
    frames = net.frames(features_of("*.test_old55.f32", 55, len(golden["ref64_cond"])))
    close(frames.cond, golden["ref64_cond"])
    close(frames.gain[:12], golden["pitch_gain_used"])
    inputs = [golden[k] for k in ("sig_idx", "pred_idx", "exc_prev_idx")]
    a, b, logits = net.replay(frames, *inputs, start=2)
    for found, key in (
        (a, "ref64_gru_a_first320"),
        (b, "ref64_gru_b"),
        (logits, "ref64_logits_first640"),
    ):
        close(found[: len(golden[key])], golden[key])
    first = golden["generic_pdf_sampled_first160"]
    weights = reference().sampled_2019(
        logits[: len(first)], np.repeat(frames.gain[2:3], len(first))
    )
    np.testing.assert_allclose(weights, first, atol=1e-5)


@pytest.mark.parametrize("path", BLOBS, ids=ids)
def test_blobs_hold_the_tensors_of_the_checkpoint(path: Path) -> None:
    source = GOLDEN / f"lpcnet_{seed(path)}.h5"
    expected, metadata = arrays_of(source)
    found, found_metadata = arrays_of(path)
    integers = "int8" in path.stem
    for name, array in expected.items():
        if name.startswith("gru_a.embed_"):  # upstream multiplies in float32
            np.testing.assert_allclose(found[name], array, atol=2e-6, err_msg=name)
        elif integers and name.endswith(("weight_hh", "gru_b.weight_ih")):
            assert np.abs(found[name] - array).max() <= 0.5 / 128 + 1e-6, name
            again = arrays_of(path, "int8")[0]  # stored as it is, not quantised anew
            np.testing.assert_array_equal(again[name], found[name], err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], array, err_msg=name)
    for key, value in metadata.items():
        if key.startswith(("lpcnet.", "pyvoc.features.")):
            assert found_metadata[key] == value


@pytest.mark.parametrize("path", LATEST, ids=ids)
def test_our_int8_is_closer_than_upstreams(path: Path) -> None:
    golden = np.load(GOLDEN / f"sample_network_teacher_forced_{seed(path)}.npz")
    frame = np.load(GOLDEN / f"frame_network_{seed(path)}.npz")
    features = features_of("*.features.f32", 36, len(frame["ref64_cond"]))
    inputs = [golden[k][:320] for k in ("sig_idx", "pred_idx", "exc_prev_idx")]
    net = reference().Lpcnet(*arrays_of(path, "int8"))
    _, _, logits = net.replay(net.frames(features), *inputs, start=2)
    error = (logits - golden["ref64_logits"][:320])[:, 1:]
    upstream = (golden["native_int8_logits"] - golden["ref64_logits"][:320])[:, 1:]
    assert np.sqrt(np.mean(error**2)) < np.sqrt(np.mean(upstream**2))
    assert np.abs(error).max() < np.abs(upstream).max()


def test_mu_law_is_its_own_inverse() -> None:
    ref = reference()
    codes = np.arange(256)
    np.testing.assert_array_equal(ref.lin2ulaw(ref.ulaw2lin(codes)), codes)


def test_reflection_coefficients_give_a_stable_filter() -> None:
    ref = reference()
    k = np.random.default_rng(0).uniform(-0.95, 0.95, 16)
    a = ref.rc2lpc(k)
    assert np.abs(np.roots([1.0, *a])).max() < 1
    np.testing.assert_allclose(ref.rc2lpc(np.eye(16)[0] * 0.5), np.eye(16)[0] * 0.5)


def test_tree_distribution_takes_the_most_significant_bit_first() -> None:
    ref = reference()
    logits = np.zeros(256)
    logits[1] = np.log(3)  # right half three times as likely
    p = ref.tree_distribution(logits)
    assert p[128:].sum() == pytest.approx(0.75)
    assert p.sum() == pytest.approx(1)
    logits[2] = 30  # within the left half, always right: codes 64..127
    assert ref.tree_distribution(logits)[64:128].sum() == pytest.approx(0.25)


@pytest.mark.parametrize("pattern", ["*.features.f32", "*.test_old55.f32"])
def test_lpc_from_cepstrum(pattern: str) -> None:
    paths = sorted(GOLDEN.glob(pattern))
    if not paths:
        pytest.skip("no golden features")
    features = np.fromfile(paths[0], "<f4").reshape(-1, 36 if "features" in pattern else 55)[:200]
    found = [reference().lpc_from_cepstrum(row[:18]) for row in features]
    np.testing.assert_allclose(found, features[:, -16:], atol=1e-2)
    assert np.median(np.abs(found - features[:, -16:]).max(axis=1)) < 1e-4


@pytest.mark.parametrize("path", OLD, ids=ids)
def test_2019_synthesis_takes_its_lpc_from_the_uncompensated_cepstrum(path: Path) -> None:
    golden = np.load(GOLDEN / f"old_teacher_forced_{seed(path)}.npz")
    features = features_of("*.test_old55.f32", 55, len(golden["ref64_cond"]))
    ref = reference()
    lpc = [ref.lpc_from_cepstrum(row[:18], compensate=False) for row in features[:10]]
    np.testing.assert_allclose(golden["lpc_used"][2:12], lpc, atol=1e-4)
    used = np.concatenate([golden["lpc_used"], np.zeros((len(features) - 12, 16))])
    steps = model(path).teacher_forced(
        features, golden["forced_pcm"], start=2, samples=1600, lpc=used
    )
    for name, key in (("sig", "sig_idx"), ("pred", "pred_idx"), ("exc", "exc_prev_idx")):
        assert np.mean(getattr(steps, name) != golden[key]) < 0.002, name
