"""pyvoc bench waveglow: the work that is counted, the seeded model, peers, batches."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyvoc._pyvoc")
pytest.importorskip("gguf")

from bench_files import table_module
from waveglow_files import TINY

import pyvoc
from pyvoc import _pyvoc
from pyvoc.bench import Options, run
from pyvoc.bench.mel.graphs import _float_layers
from pyvoc.bench.model_file import load
from pyvoc.bench.process import Child, allowed
from pyvoc.cli import main
from pyvoc.container import read_container
from pyvoc.errors import UnsupportedError
from pyvoc.families.waveglow.bench import seeded
from pyvoc.families.waveglow.bench.work import waveglow_macs
from pyvoc.families.waveglow.spec import WAVEGLOW
from pyvoc.quant import decode

EARLY = TINY / "early.f32.gguf"
MELGAN = TINY.parent / "melgan" / "reflect.f32.gguf"
native: Any = _pyvoc


def described(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(native.Model(str(path)).describe())
    return found


@pytest.mark.parametrize("model", sorted(TINY.glob("*.f32.gguf")), ids=lambda path: path.stem)
def test_work_agrees_with_the_layers(model: Path) -> None:
    """Counted a second way: every weight of a flow meets every step once."""
    container = read_container(model)
    arrays = decode(WAVEGLOW, container)
    macs = waveglow_macs(described(model))
    hop = int(container.metadata["pyvoc.features.hop_length"])
    steps = hop // int(container.metadata["waveglow.groups"])
    expected = dict.fromkeys(macs, 0)
    expected["upsample"] = arrays["upsample.weight"].size
    for name, w in arrays.items():
        layer = name.removesuffix(".weight")
        if layer == name or layer == "upsample":
            continue
        kind = layer.rpartition(".")[2]
        if kind == "out":
            hidden = w.shape[1]
            expected["skip"] += steps * hidden * hidden
            expected["out"] += steps * (w.shape[0] - hidden) * hidden
        elif kind != "mix":
            group = {"conv": "conv+cond", "cond": "conv+cond", "end": "skip"}
            group["unmix"] = "couple+unmix"
            expected[group.get(kind, kind)] += steps * w.size
    assert macs == expected


def test_work_of_the_published_size() -> None:
    arrays = seeded.tensors()
    assert sum(a.size for n, a in arrays.items() if "unmix" not in n) == pytest.approx(
        87.73e6, rel=1e-4
    )
    tensors = [{"name": n, "shape": list(a.shape)} for n, a in arrays.items()]
    metadata = {"waveglow.groups": seeded.SHAPE.settings.groups}
    macs = waveglow_macs({"tensors": tensors, "hop_length": 256, "metadata": metadata})
    rate = sum(macs.values()) * 22050 / 256 / 1e9
    assert rate == pytest.approx(225, abs=3)  # 10^9 multiply-adds per second of audio


@pytest.fixture
def seeded_model(tmp_path: Path) -> Path:
    """As the one that is measured, but with fewer flows, layers and channels."""
    shape = replace(seeded.SHAPE, flows=5, layers=3, hidden=32)
    seeded.SEEDED.write(tmp_path / "seeded.gguf", "f32", seeded.tensors(shape))
    return tmp_path / "seeded.gguf"


def test_the_seeded_model_stays_near_its_noise(seeded_model: Path) -> None:
    metadata = read_container(seeded_model).metadata
    mel, noise = seeded.mel(40, metadata), seeded.noise(40, metadata)
    assert noise.std() == pytest.approx(float(metadata["waveglow.sigma"]), rel=0.02)
    samples = pyvoc.load(seeded_model).synthesize(mel, draws=noise.reshape(-1), sigma=1.0)
    assert 0.01 < float(samples.std()) < 3
    assert np.array_equal(mel, seeded.mel(40, metadata))


def test_float_layers_are_those_of_our_int8_files() -> None:
    pytest.importorskip("onnx")
    found = _float_layers(str(EARLY))
    assert "upsample" in found and "flow.0.start" in found and "flow.1.unmix" in found
    assert not [name for name in found if ".layer." in name]
    assert load(str(EARLY)).arrays["upsample.weight"].dtype == np.float32


def test_first_samples_of_an_utterance_shorter_than_the_look_ahead(tmp_path: Path) -> None:
    metadata = read_container(EARLY).metadata
    made = {"mel": seeded.mel(3, metadata), "noise": seeded.noise(3, metadata)}
    paths = {name: str(tmp_path / f"{name}.npy") for name in (*made, "audio")}
    for name, array in made.items():
        np.save(paths[name], array)
    job = {
        "engine": "pyvoc",
        "model": str(EARLY),
        "lookahead": pyvoc.load(EARLY).info.lookahead_frames,
    }
    samples = made["noise"].size
    with Child(
        "pyvoc.bench.mel.measurement:Measurement", allowed()[:1], samples=samples, **job, **paths
    ) as child:
        assert child.call("first")["ms"] > 0


def test_a_whole_run_with_peers_and_batches() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    options = Options(
        targets=("waveglow",), model=EARLY, seconds=1, repeats=2, peers=True, batches=(1, 3)
    )
    report = run(options)
    (result,) = report.results
    assert (result.name, result.precision, result.threads) == ("waveglow", "f32", 1)
    groups = set(waveglow_macs(described(EARLY)))
    assert result.gmacs_by_part is not None and set(result.gmacs_by_part) == groups
    assert all(rate > 0 for rate in result.gmacs_by_part.values())
    assert result.packed_mb == pytest.approx(described(EARLY)["packed_bytes"] / 1e6)
    assert [batch.utterances for batch in result.batches] == [1, 3]
    for batch in result.batches:
        seconds = 832 * described(EARLY)["hop_length"] / described(EARLY)["sample_rate"]
        assert batch.per_second == pytest.approx(batch.utterances / batch.seconds)
        assert batch.xrt == pytest.approx(batch.per_second * seconds)
    found = {(peer.name.split()[0], peer.weights): peer for peer in result.peers}
    assert {("onnxruntime", "f32"), ("onnxruntime", "int8"), ("torch", "f32")} <= set(found)
    for (name, precision), peer in found.items():
        assert peer.snr_db is not None
        assert peer.snr_db > {"f32": 100, "bf16": 20, "int8": 28}[precision], name
    text = report.to_text()
    assert "x the packed weights" in text and "batch of 3, 832 frames each" in text
    tables = table_module().tables([json.loads(report.to_json())])
    assert "WaveGlow, 1 thread" in tables and "| couple+unmix | " in tables
    assert "Utterances of 832 frames" in tables and "| pyvoc f32 | 3 |" in tables


def test_what_cannot_be_measured_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnsupportedError, match="melgan, not WaveGlow"):
        run(Options(targets=("waveglow",), model=MELGAN, seconds=1))
    with pytest.raises(SystemExit):
        main(["bench", "lpcnet", "--batch", "4"])
    assert re.search(r"--batch is for (\w+ and )+waveglow", capsys.readouterr().err)
