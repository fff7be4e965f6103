"""pyvoc export: the graph against upstream's audio, our runtime and the oracle; what it refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import melgan_upstream as upstream
import numpy as np
import pytest
from reference.melgan import Melgan

from pyvoc.cli import main
from pyvoc.container import read_container, write_container
from pyvoc.errors import Error, ModelError, UnsupportedError
from pyvoc.export import export_onnx
from pyvoc.families.melgan.spec import MELGAN
from pyvoc.quant import decode, encode

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

ROOT = Path(__file__).resolve().parents[3]
MODELS = sorted((ROOT / "tests" / "golden" / "melgan").glob("*.gguf"))
REFLECT = ROOT / "tests" / "golden" / "melgan" / "reflect.f32.gguf"
ZERO = ROOT / "tests" / "golden" / "melgan" / "zero.f32.gguf"
LPCNET = ROOT / "tests" / "golden" / "tree_sparse.f32.gguf"
GOLDEN = Path(os.environ.get("PYVOC_GOLDEN", ROOT.parent / "shared" / "golden"))
Reader = Callable[[Path], tuple[dict[str, Any], Any]]


def session(path: Path) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def samples(path: Path, mel: np.ndarray) -> np.ndarray:
    """Of the graph, for mel [batch, bands, frames]."""
    (audio,) = session(path).run(None, {"mel": mel.astype(np.float32)})
    return np.asarray(audio)


def test_models_are_there() -> None:
    assert len(MODELS) >= 6


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_the_graph_computes_what_the_oracle_does(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    result = export_onnx(model, target)
    assert result.max_error is not None and result.max_error <= 1e-5 and result.note is None
    container = read_container(model)
    oracle = Melgan(decode(MELGAN, container), container.metadata)
    bands = int(container.metadata["pyvoc.features.bands"])
    rng = np.random.default_rng(1)
    properties = {p.key: p.value for p in onnx.load(target).metadata_props}
    least = int(properties["pyvoc.least_frames"])
    assert least == {"zero": 1, "reflect": 4, "odd": 6, "wide": 4}[model.stem.split(".")[0]]
    for frames in (least, least + 1, 17, 64):
        mel = rng.uniform(-3, 0, (2, frames, bands))
        found = samples(target, mel.transpose(0, 2, 1))
        hop = int(container.metadata["pyvoc.features.hop_length"])
        assert found.shape == (2, 1, hop * frames)
        for row in range(2):
            expected = oracle.forward(mel[row]).audio
            assert np.abs(found[row, 0] - expected).max() <= 1e-5


def golden_cases() -> list[Any]:
    readers: dict[str, Reader] = {
        "melgan/*_epoch*.pt": upstream.seungwonpark,
        "melgan_descript/*netG.pt": upstream.descript,
        "melgan_descript/*no_weightnorm.pt": upstream.descript,
        "melgan_mindspore/*.ckpt": upstream.mindspore,
    }
    return [
        pytest.param(checkpoint, reader, id=checkpoint.stem)
        for pattern, reader in readers.items()
        for checkpoint in sorted(GOLDEN.glob(pattern))
    ]


def golden_audio(checkpoint: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of mel [1, bands, frames] and samples that belong to a checkpoint."""
    family = re.sub(r"_(netG|no_weightnorm|epoch\d+)$", "", checkpoint.stem)
    pairs = []
    for file in sorted(checkpoint.parent.glob(f"{family}_*.npz")):
        with np.load(file) as data:
            key = "audio_float" if "audio_float" in data else "audio"
            if "mel" in data and key in data:
                pairs.append((data["mel"].reshape(1, 80, -1), data[key].reshape(-1)))
    return pairs


def folded(path: Path, arrays: Mapping[str, Any], settings: Any) -> Path:
    metadata = {
        "general.name": "golden",
        "pyvoc.source.format": "golden",
        "pyvoc.source.sha256": "1" * 64,
        **settings.metadata(),
    }
    container = encode(MELGAN, arrays, metadata=metadata, precision="f32")
    write_container(path, container, spec=MELGAN)
    return path


@pytest.mark.skipif(not golden_cases(), reason="no golden MelGANs (PYVOC_GOLDEN)")
@pytest.mark.parametrize(("checkpoint", "reader"), golden_cases())
def test_upstreams_audio(checkpoint: Path, reader: Reader, tmp_path: Path) -> None:
    if checkpoint.suffix == ".pt":
        pytest.importorskip("torch")
    pytest.importorskip("gguf")
    arrays, settings = reader(checkpoint)
    model = folded(tmp_path / "model.gguf", arrays, settings)
    target = tmp_path / "model.onnx"
    assert export_onnx(model, target).max_error is not None
    pairs = golden_audio(checkpoint)
    assert pairs
    for mel, expected in pairs:
        found = samples(target, mel[:, :, :160]).reshape(-1)
        same = found.size if mel.shape[2] <= 160 else 256 * 150  # beyond, it sees the cut
        assert np.abs(found[:same] - expected[:same]).max() <= 1e-5


def test_what_the_file_says(tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    result = export_onnx(ZERO, target, opset=13)
    graph = onnx.load(target)
    onnx.checker.check_model(graph, full_check=True)
    assert [(o.domain, o.version) for o in graph.opset_import] == [("", 13)]
    properties = {p.key: p.value for p in graph.metadata_props}
    metadata = read_container(ZERO).metadata
    assert properties["pyvoc.source.sha256"] == metadata["pyvoc.source.sha256"]
    assert properties["pyvoc.features.sample_rate"] == "22050"
    assert properties["pyvoc.features.hop_length"] == "256"
    assert properties["melgan.input_scale"] == "0.2"
    assert properties["pyvoc.features.floor"] == "0.00001"
    assert properties["pyvoc.least_frames"] == "1"
    assert result.inputs == {"mel": ("batch", 80, "frames")}
    assert result.outputs == {"audio": ("batch", 1, "samples")}
    assert result.bytes == target.stat().st_size and result.opset == 13
    assert {i.name for i in graph.graph.initializer} >= set(decode(MELGAN, read_container(ZERO)))
    assert len({n.name for n in graph.graph.node}) == len(graph.graph.node)
    again = tmp_path / "again.onnx"
    export_onnx(ZERO, again, opset=13)
    assert again.read_bytes() == target.read_bytes()


@pytest.mark.parametrize("opset", [13, 16, 18, 21])
def test_opsets(opset: int, tmp_path: Path) -> None:
    assert export_onnx(REFLECT, tmp_path / "out.onnx", opset=opset).max_error is not None


def test_a_reflection_needs_four_frames(tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    export_onnx(REFLECT, target)
    properties = {p.key: p.value for p in onnx.load(target).metadata_props}
    assert properties["pyvoc.least_frames"] == "4"
    assert samples(target, np.zeros((1, 80, 4))).shape == (1, 1, 1024)
    with pytest.raises(Exception, match="reflect"):
        samples(target, np.zeros((1, 80, 3)))


def test_a_graph_that_differs_is_not_written(tmp_path: Path) -> None:
    def other(path: Path, inputs: Mapping[str, Any]) -> np.ndarray:
        from pyvoc.families.melgan.export import render

        return render(path, inputs) + np.float32(2e-5)

    def shorter(path: Path, inputs: Mapping[str, Any]) -> np.ndarray:
        return other(path, inputs)[..., 1:]

    for render, message in ((other, "differ from this runtime's by 2e-05"), (shorter, "gives")):
        with pytest.raises(Error, match=message):
            export_onnx(REFLECT, tmp_path / "out.onnx", render=render)
        assert not list(tmp_path.iterdir())


def test_bad_input(tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    data = bytearray(REFLECT.read_bytes())
    for name, content in (
        ("short", data[: len(data) // 2]),
        ("not", b"nonsense"),
        ("nan", bytes(data[:-8192]) + b"\xff" * 8192),
    ):
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(content)
        with pytest.raises(ModelError, match=rf"{name}\.gguf"):
            export_onnx(path, target)
        assert not target.exists()
    with pytest.raises(Error, match=r"missing\.gguf"):
        export_onnx(tmp_path / "missing.gguf", target)
    with pytest.raises(UnsupportedError, match="once per sample"):
        export_onnx(LPCNET, target)
    for opset in (12, 1000):
        with pytest.raises(UnsupportedError, match=f"opset {opset}"):
            export_onnx(REFLECT, target, opset=opset)
    with pytest.raises(Error, match="cannot"):
        export_onnx(REFLECT, tmp_path / "no" / "folder.onnx")
    assert not target.exists()


def test_packages_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out.onnx"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", None)
        result = export_onnx(REFLECT, target)
        assert result.max_error is None and "onnxruntime is not installed" in str(result.note)
    target.unlink()
    for module in [
        name for name in sys.modules if re.match(r"pyvoc\.(export|families\.\w+\.export)", name)
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "onnx", None)
    from pyvoc.export import export_onnx as fresh

    with pytest.raises(UnsupportedError, match=r"pip install 'pyvoc-vocoder\[onnx\]'"):
        fresh(REFLECT, target)
    assert not target.exists()


def test_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model, target = tmp_path / "model.gguf", tmp_path / "out.onnx"
    shutil.copyfile(REFLECT, model)
    arguments = ["export", str(model), "--onnx", str(target)]
    assert main([*arguments, "--json"]) == 0
    result = json.loads(capfd.readouterr().out)
    assert result["inputs"] == {"mel": ["batch", 80, "frames"]} and result["max_error"] <= 1e-5
    before = target.read_bytes()
    assert main(arguments) == 3
    assert "--force" in capfd.readouterr().err
    target.write_bytes(b"old")
    assert main([*arguments, "--force"]) == 0
    assert "agree with this runtime's" in capfd.readouterr().out
    assert target.read_bytes() == before
    assert main(["export", str(LPCNET), "--onnx", str(tmp_path / "l.onnx")]) == 4
    assert "once per sample" in capfd.readouterr().err
