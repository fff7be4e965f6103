"""pyvoc bench melgan: the work that is counted, the seeded model, peers present and absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_files import table_module

pytest.importorskip("pyvoc._pyvoc")
pytest.importorskip("gguf")

import pyvoc
from pyvoc import _pyvoc
from pyvoc.bench import Options, run
from pyvoc.bench.mel import case
from pyvoc.bench.mel.measurement import CHUNK
from pyvoc.bench.process import Child, allowed
from pyvoc.cli import main
from pyvoc.container import read_container
from pyvoc.errors import Error, OptionError, UnsupportedError
from pyvoc.families.melgan.bench import seeded
from pyvoc.families.melgan.bench.work import melgan_macs
from pyvoc.families.melgan.spec import MELGAN
from pyvoc.quant import decode

ROOT = Path(__file__).resolve().parents[4]
TINY = ROOT / "tests" / "golden" / "melgan"
REFLECT = TINY / "reflect.f32.gguf"
LPCNET = ROOT / "tests" / "golden" / "tree_sparse.f32.gguf"
FRAMES_PER_SECOND = 22050 / 256
# 10^9 multiply-adds per second of audio at the published size.
GROUPS = {
    "conv_in": 0.025,
    "up 0": 0.181,
    "stage 0": 0.677,
    "up 1": 0.361,
    "stage 1": 1.355,
    "up 2": 0.181,
    "stage 2": 0.677,
    "up 3": 0.090,
    "stage 3": 0.339,
    "conv_out": 0.005,
}
native: Any = _pyvoc


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("seeded") / "melgan.gguf"
    seeded.SEEDED.write(path, "f32")
    return path


def test_work_of_the_published_size(full_size: Path) -> None:
    macs = melgan_macs(json.loads(native.Model(str(full_size)).describe()))
    assert sum(macs.values()) == pytest.approx(45.17e6, rel=1e-3)
    rates = {name: n * FRAMES_PER_SECOND / 1e9 for name, n in macs.items()}
    assert rates == {name: pytest.approx(rate, abs=5.1e-4) for name, rate in GROUPS.items()}
    assert sum(array.size for array in seeded.tensors().values()) == 4_260_257


def test_work_agrees_with_the_layers() -> None:
    """Counted a second way: terms of every output of every layer."""
    container = read_container(TINY / "odd.f32.gguf")
    arrays = decode(MELGAN, container)
    macs = melgan_macs(json.loads(native.Model(str(TINY / "odd.f32.gguf")).describe()))
    length, expected = 1, {}
    for name, w in arrays.items():
        if not name.endswith("weight"):
            continue
        words = name.split(".")
        if "up" in words:
            length *= w.shape[2] // 2
            group, each = f"up {words[1]}", w.shape[1] * w.shape[0] * 2  # two taps meet an output
        else:
            group = f"stage {words[1]}" if words[0] == "stage" else words[0]
            each = w.size
        expected[group] = expected.get(group, 0) + length * each
    assert macs == expected


def test_the_seeded_model_speaks_at_the_level_of_speech(full_size: Path) -> None:
    mel = seeded.mel(40, read_container(full_size).metadata)
    samples = pyvoc.load(full_size).synthesize(mel)
    assert 0.05 < float(samples.std()) < 0.2
    assert np.array_equal(mel, seeded.mel(40, read_container(full_size).metadata))


def test_a_whole_run_with_peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    (tmp_path / "openvino.py").write_text("raise ImportError('no such package', name=__name__)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    steps: list[str] = []
    options = Options(targets=("melgan",), model=REFLECT, seconds=1, repeats=2, peers=True)
    report = run(options, progress=steps.append)
    (result,) = report.results
    assert (result.name, result.precision, result.threads) == ("melgan", "f32", 1)
    assert result.xrt > 1 and result.xrt_spread.rounds == 2
    assert 0 < result.p50_ms <= result.p99_ms and result.first_sample_ms is not None
    assert result.chunk_ms == pytest.approx(1e3 * CHUNK / FRAMES_PER_SECOND)
    assert result.macs_by_part is not None and result.gmacs is not None
    found = {(peer.name.split()[0], peer.weights): peer for peer in result.peers}
    assert set(found) == {
        ("onnxruntime", "f32"),
        ("onnxruntime", "int8"),
        ("torch", "f32"),
        ("torch", "bf16"),
    }
    for (name, precision), peer in found.items():
        assert peer.xrt.rounds == 2 and peer.pair_ratios.rounds == 2
        assert peer.ratio == pytest.approx(result.xrt / peer.xrt.median)
        assert peer.p50_ms is not None and peer.p50_ms > 0 and peer.load_ms is not None
        assert peer.snr_db is not None
        assert peer.snr_db > {"f32": 100, "bf16": 20, "int8": 14}[precision], name
        if Path("/proc/self/status").exists():
            assert peer.rss_mb is not None and result.rss_mb is not None
            assert peer.rss_mb > result.rss_mb, "a library is larger than this module"
    assert result.peer in (found["onnxruntime", "f32"], found["torch", "f32"])
    assert result.peer is not None and result.ratio == result.peer.ratio
    assert {absent.name for absent in result.absent} == {
        "openvino f32",
        "openvino bf16",
        "openvino int8",
    }
    assert {absent.reason for absent in result.absent} == {"openvino is not installed"}
    text = report.to_text()
    assert "openvino f32: not measured, openvino is not installed" in text
    assert "93 ms of audio" in text
    assert any("round 2 of 2" in step for step in steps)
    tables = table_module().tables([json.loads(report.to_json())])
    for row in (
        "| pyvoc f32 (",
        f"| {result.peers[0].name} f32 | ",
        "| openvino bf16 | openvino is",
    ):
        assert row in tables, row
    assert "| stage 1 | " in tables and "Work per sample" not in tables


def test_openvino_is_measured(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    from pyvoc.bench.mel.graphs import write_f32

    graph, mel, audio = (tmp_path / name for name in ("f32.onnx", "mel.npy", "audio.npy"))
    write_f32({"model": str(REFLECT), "graph": str(graph)})
    frames = seeded.mel(20, read_container(REFLECT).metadata)
    np.save(mel, frames)
    arguments = {"engine": "openvino", "precision": "f32", "graph": str(graph), "mel": str(mel)}
    kind, samples = "pyvoc.bench.mel.measurement:Measurement", 20 * 256
    with Child(kind, allowed()[:1], audio=str(audio), samples=samples, **arguments) as child:
        assert child.call("round")["seconds"] > 0
        assert len(child.call("chunks")["ms"]) >= 100
    ours = pyvoc.load(REFLECT).synthesize(frames)
    assert np.abs(np.load(audio) - ours).max() <= 1e-5
    with pytest.raises(Error, match="5120 samples, expected 5121"):
        Child(kind, allowed()[:1], audio=str(audio), samples=samples + 1, **arguments)


def test_a_peer_that_computes_something_else_is_noticed(tmp_path: Path) -> None:
    def running(name: str, precision: str, error: float) -> case._Running:
        path = tmp_path / f"{name}.{precision}.npy"
        np.save(path, np.ones(100, np.float32) + np.float32(error))
        child: Any = None
        return case._Running(name, precision, child, path, REFLECT)

    ours, int8 = running("pyvoc", "f32", 0), running("onnxruntime", "int8", 0.1)
    snr = case._ratios([ours, int8])
    assert snr[ours.audio.name] is None
    assert snr[int8.audio.name] == pytest.approx(20, abs=0.01)
    with pytest.raises(Error, match=r"torch computes something else than pyvoc: 20\.0 dB"):
        case._ratios([ours, running("torch", "f32", 0.1)])


@pytest.mark.parametrize("against", [("torch",), ("onnxruntime:f32", "torch:bf16")])
def test_a_run_against_some(against: tuple[str, ...]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    options = Options(
        targets=("melgan",), model=REFLECT, seconds=1, repeats=1, peers=True, against=against
    )
    (result,) = run(options).results
    found = {f"{peer.name.split()[0]}:{peer.weights}" for peer in result.peers}
    expected = {"torch": {"torch:f32", "torch:bf16"}}.get(against[0], set(against))
    assert found == expected and result.absent == []


def test_what_cannot_be_measured_is_said() -> None:
    with pytest.raises(OptionError, match="'onnx' is no peer of melgan: onnxruntime:f32, "):
        run(Options(targets=("melgan",), model=REFLECT, seconds=1, peers=True, against=("onnx",)))
    with pytest.raises(UnsupportedError, match="lpcnet, not MelGAN"):
        run(Options(targets=("melgan",), model=LPCNET, seconds=1))
    with pytest.raises(UnsupportedError, match="pyvoc bench melgan"):
        run(Options(targets=("lpcnet",), model=REFLECT, seconds=1))


def test_command_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "lpcnet", "--against", "torch"])
    assert "--against is for the vocoders whose peers" in capfd.readouterr().err
    assert main(["bench", "melgan", "-m", str(REFLECT), "--against", "tensorrt"]) == 2
    assert "'tensorrt' is no peer of melgan" in capfd.readouterr().err
    arguments = ["bench", "melgan", "-m", str(REFLECT), "--seconds", "1", "--repeats", "1"]
    assert main([*arguments, "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    (result,) = report["results"]
    assert result["name"] == "melgan" and result["peers"] == [] and result["peer"] is None
