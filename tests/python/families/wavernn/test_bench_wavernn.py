"""pyvoc bench wavernn: the work that is counted, the seeded network, the peers' step, a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyvoc._pyvoc")
pytest.importorskip("gguf")

from bench_files import table_module
from lpcnet_files import ROOT
from wavernn_files import reference

from pyvoc import _pyvoc
from pyvoc.bench import Options, run
from pyvoc.bench.model_file import load
from pyvoc.errors import UnsupportedError
from pyvoc.families.wavernn.bench import seeded
from pyvoc.families.wavernn.bench.peers import inputs
from pyvoc.families.wavernn.bench.work import wavernn_work

TINY = ROOT / "tests" / "golden" / "wavernn" / "mol.int8.gguf"
LOOP = ("rnn1.hidden", "rnn2.input", "rnn2.hidden", "fc1", "fc2", "fc3")
native: Any = _pyvoc


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("seeded")
    found = {}
    for name, precision, sparsity in (("f32", "f32", None), ("sparse", "int8", 0.9)):
        found[name] = folder / f"{name}.gguf"
        seeded.SEEDED.write(found[name], precision, seeded.tensors(sparsity))
    return found


def work_of(path: Path) -> Any:
    return wavernn_work(json.loads(native.Model(str(path)).describe()))


def test_work_of_the_published_size(models: dict[str, Path]) -> None:
    work = work_of(models["f32"])
    assert sum(work.macs[name] for name in LOOP) == 2_898_944
    assert sum(work.bytes[name] for name in LOOP) == 4 * 2_898_944
    assert work.macs["inputs"] == 6 * (2 * 1536 + 512)
    sparse = work_of(models["sparse"])
    blocks = sum(sparse.macs[name] for name in LOOP[:-1])
    assert blocks == pytest.approx(0.1 * 2_883_584, rel=0.01)
    assert sum(sparse.bytes[name] for name in LOOP[:-1]) == pytest.approx(blocks * 34 / 32)
    assert sparse.bytes["fc3"] == 4 * 15_360, "a mixture's last layer stays float32"
    state = seeded.state_dict()
    assert sum(a.size for k, a in state.items() if "running" not in k) == 4_233_675


def test_the_seeded_network_is_alive(models: dict[str, Path]) -> None:
    import pyvoc

    mel = seeded.mel(4, 80)
    for path in models.values():
        samples = pyvoc.load(path).synthesize(mel)
        assert 0.01 < float(samples.std()) < 0.6


def upstream_step(given: dict[str, Any]) -> list[np.ndarray]:
    oracle = reference().Upstream(seeded.state_dict(), mode="mol")
    wide = {name: array.astype(np.float64) for name, array in given.items()}
    return list(oracle.step(wide["x"][:, 0], wide["mel"], wide["aux"], wide["h1"], wide["h2"]))


def some_inputs(rows: int) -> dict[str, Any]:
    given = inputs(rows, seeded.SHAPE)
    rng = np.random.default_rng(3)
    for h in ("h1", "h2"):
        given[h] = rng.uniform(-0.9, 0.9, given[h].shape).astype(np.float32)
    return given


@pytest.mark.parametrize("rows", [1, 5])
def test_the_torch_network_computes_upstreams_step(rows: int, models: dict[str, Path]) -> None:
    torch = pytest.importorskip("torch")
    from pyvoc.families.wavernn.torch_model import Wavernn

    source, given = load(str(models["f32"])), some_inputs(rows)
    network = Wavernn.from_arrays(source.arrays, source.metadata)
    with torch.inference_mode():
        found = network.step(**{k: torch.from_numpy(a) for k, a in given.items()})
    for mine, expected in zip(found, upstream_step(given), strict=True):
        np.testing.assert_allclose(mine.numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 5])
def test_the_graphs_compute_upstreams_step(rows: int, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from pyvoc.families.wavernn.bench.graph import write

    np.savez(tmp_path / "state.npz", **seeded.state_dict())
    paths = {kind: str(tmp_path / f"{kind}.onnx") for kind in ("f32", "int8")}
    write({"state": str(tmp_path / "state.npz"), **paths})
    given = some_inputs(rows)
    expected = upstream_step(given)
    for kind, tolerance in (("f32", 1e-5), ("int8", 0.1)):
        session = onnxruntime.InferenceSession(paths[kind], providers=["CPUExecutionProvider"])
        for mine, exact in zip(session.run(None, given), expected, strict=True):
            np.testing.assert_allclose(mine, exact, rtol=0, atol=tolerance)


def test_a_whole_run_with_peers() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    options = Options(
        targets=("wavernn",), precisions=("int8",), seconds=1, repeats=2, streams=(1,), peers=True
    )
    report = run(options)
    assert [(r.streams, r.sparsity) for r in report.results] == [(1, None), (1, 0.9)]
    for result in report.results:
        assert result.name == "wavernn" and result.xrt > 0 and result.xrt_spread.rounds == 2
        assert 0 < result.p50_ms <= result.p99_ms and result.first_sample_ms is not None
        assert result.bound_xrt is not None and result.read_gbytes is not None
        assert result.bytes_per_sample is not None
        least = result.bytes_per_sample - 0.5  # whole bytes are reported
        assert result.bound_xrt <= 1e9 * result.read_gbytes / least / 22050
        found = {(peer.name.split()[0], peer.weights): peer for peer in result.peers}
        assert set(found) == {(n, p) for n in ("onnxruntime", "torch") for p in ("f32", "int8")}
        assert result.peer in (found["onnxruntime", "int8"], found["torch", "int8"])
        assert result.absent == []
    assert "90% of the blocks zero" in report.to_text() and "reached" in report.to_text()
    tables = table_module().tables([json.loads(report.to_json())])
    assert "| int8 | 1 | dense |" in tables and "| int8 | 1 | 90 % zero |" in tables


def test_a_model_file_has_no_peers() -> None:
    options = Options(
        targets=("wavernn",), model=TINY, seconds=1, repeats=1, streams=(3,), peers=True
    )
    (result,) = run(options).results
    assert result.streams == 3 and result.peers == [] and result.peer is None
    assert {absent.name for absent in result.absent} == {
        f"{name} {p}" for name in ("onnxruntime", "torch") for p in ("f32", "int8")
    }
    with pytest.raises(UnsupportedError, match="is lpcnet, not WaveRNN"):
        lpcnet = ROOT / "tests" / "golden" / "tree_sparse.f32.gguf"
        run(Options(targets=("wavernn",), model=lpcnet, seconds=1))
