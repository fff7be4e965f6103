"""The float64 oracle of the network for the pitch: a trace of another model of it, and upstream's
features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fargan_files import BLOB, GOLDEN, pitch_oracle, pitch_reference, reference, upstream_model

pytestmark = pytest.mark.skipif(not BLOB.exists(), reason="no golden data")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return upstream_model(tmp_path_factory.mktemp("pitch"), "f32")


def speech(name: str) -> np.ndarray:
    return np.fromfile(GOLDEN.parent / "lpcnet" / f"{name}.s16", "<i2").astype(np.float64)


def upstream(name: str, build: str) -> np.ndarray:
    return np.fromfile(GOLDEN / f"{name}.features_{build}.f32", "<f4").reshape(-1, 20)


def test_every_tensor_of_a_trace(model: Path) -> None:
    trace: dict[str, list[np.ndarray]] = {}
    rows = pitch_reference().extract(speech("LJ001-0002"), pitch_oracle(model), trace)
    with np.load(GOLDEN / "pitchdnn_trace_LJ001-0002.npz") as file:
        expected = dict(file)
    found = {name: np.array(values) for name, values in trace.items()} | {"features": rows}
    found["conv1"] = found["conv1"][:20]
    expected["logits"] = expected["logits"][:, :180]
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=2e-5, err_msg=name)


def test_upstreams_features_with_upstreams_tanh(model: Path) -> None:
    network = pitch_oracle(model, tanh=reference().rational_tanh)
    rows = pitch_reference().extract(speech("LJ001-0002"), network)
    error = np.abs(rows - upstream("LJ001-0002", "generic_float"))
    assert error[:, :18].max() < 3.5e-5
    assert error[:, 18].max() < 1e-5
    assert error[:, 19].max() < 1e-4


def test_upstreams_int8_features(model: Path) -> None:
    """Activations in steps of 1/127: the same pitches but for what rounding moves."""
    network = pitch_oracle(model, heard=pitch_reference().bytes_of, tanh=reference().rational_tanh)
    rows = pitch_reference().extract(speech("LJ001-0002"), network)
    error = np.abs(rows - upstream("LJ001-0002", "generic_int8"))[:, 18]
    assert np.median(error) < 2e-4 and np.percentile(error, 99) < 1e-3
    assert (error > 0.02).mean() < 0.013
