"""The float64 oracle against upstream's own outputs, and against traces of another model of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fargan_files import BLOB, GOLDEN, reference

from pyvoc.families.fargan.from_dnnw import read_dnnw

pytestmark = pytest.mark.skipif(not BLOB.exists(), reason="no golden data")
TRACE = GOLDEN / "trace_free_float64_LJ001-0002.npz"
PER_CALL = ("fdense1", "fconv1", "cond", "pcm")
PER_SUBFRAME = (
    *("period", "gain", "pred", "prev", "fwc0", "pitch_gate", "skip", "exc"),
    *(f"gru{k}_state" for k in (1, 2, 3)),
    *(f"glu{k}" for k in (1, 2, 3)),
)


def features(name: str = "LJ001-0002") -> np.ndarray:
    path = GOLDEN / f"{name}.features_generic_int8.f32"
    return np.fromfile(path, "<f4").reshape(-1, 20).astype(np.float64)


def weights() -> dict[str, np.ndarray]:
    found = read_dnnw(BLOB).arrays
    return {name: np.asarray(array, np.float64) for name, array in found.items()}


def golden(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


def test_every_tensor_of_a_trace() -> None:
    trace, rows = golden(TRACE), features()
    net = reference().Fargan(weights())
    net.prime(np.zeros(320), np.repeat(rows[:1], 5, axis=0))
    primed, net.trace = net.trace, {}
    for row in rows[1:21]:
        net.call(row)
    for name in (*PER_CALL, *PER_SUBFRAME):
        found = np.array(net.trace[name]).reshape(trace[name].shape)
        np.testing.assert_allclose(found, trace[name], rtol=0, atol=2e-5, err_msg=name)
    for name in set(PER_CALL + PER_SUBFRAME) - {"pcm"}:
        found = np.array(primed[name]).reshape(trace[f"contcall_{name}"].shape)
        np.testing.assert_allclose(found, trace[f"contcall_{name}"], rtol=0, atol=2e-5)


def test_upstreams_samples_with_upstreams_tanh() -> None:
    """To a fraction of a 16-bit step, and so to the step in its PCM."""
    frames = 60
    net = reference().Fargan(weights(), reference().rational_tanh)
    found = 32768 * net.synthesize(features()[:frames])[: (frames - 2) * 160]
    unrounded = golden(GOLDEN / "free_run_LJ001-0002.npz")["c_pcm_generic_float"].ravel()[80:]
    assert np.abs(found - 32768 * unrounded[: len(found)]).max() < 0.25
    pcm = np.fromfile(GOLDEN / "LJ001-0002.pcm_generic_float.s16", "<i2")[: len(found)]
    assert np.abs(np.floor(0.5 + np.clip(found, -32767, 32767)) - pcm).max() <= 1


def test_continuation() -> None:
    """Started in the middle of speech; the first call has the period of the frame before again."""
    data = golden(GOLDEN / "continuation_LJ001-0002.npz")
    start, first = int(data["start_frame"]), int(data["first_sample"])
    speech = np.fromfile(GOLDEN.parent / "lpcnet" / "LJ001-0002.s16", "<i2") / 32768
    rows = features()
    net = reference().Fargan(weights())
    net.prime(speech[first : first + 320], rows[start - 5 : start])
    np.testing.assert_allclose(net.history, data["ref64_cont_pitch_buf"], rtol=0, atol=1e-6)
    for k, state in enumerate(net.states, 1):
        np.testing.assert_allclose(state, data[f"ref64_cont_gru{k}_state"], rtol=0, atol=1e-5)
    found = np.array([net.call(row) for row in rows[start : start + 40]])
    np.testing.assert_allclose(found, data["ref64_pcm"], rtol=0, atol=1e-5)
