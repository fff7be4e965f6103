"""pyvoc export of WaveGlow: the graph against the oracle, our runtime and upstream's audio."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from voices import WAVEGLOW, WAVERNN, make_mel, voice
from waveglow_files import GOLDEN, TINY, arrays, metadata, reference

from pyvoc.cli import main
from pyvoc.container import read_container, write_container
from pyvoc.convert.run import convert
from pyvoc.errors import Error, UnsupportedError
from pyvoc.export import export_onnx
from pyvoc.families.waveglow.export import render
from pyvoc.families.waveglow.spec import WAVEGLOW as SPEC
from pyvoc.quant import decode, encode

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

EVERY = pytest.mark.parametrize("path", WAVEGLOW, ids=lambda p: p.stem)
EARLY = TINY / "early.f32.gguf"
MELGAN = TINY.parent / "melgan" / "zero.f32.gguf"


def session(path: Path, *, more: str = "") -> Any:
    """A graph to run; `more` names a result inside it that is wanted too."""
    graph = onnx.load(path)
    if more:
        graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(more))
    options = ort.SessionOptions()
    options.log_severity_level = 4
    data = graph.SerializeToString()
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run(path: Path, **inputs: np.ndarray) -> np.ndarray:
    """A graph's samples."""
    return np.asarray(session(path).run(None, inputs)[0])


def properties(path: Path) -> dict[str, str]:
    return {p.key: p.value for p in onnx.load(path).metadata_props}


@EVERY
def test_the_graph_computes_what_the_oracle_does(path: Path, tmp_path: Path) -> None:
    """Any length from one frame up, two utterances at a time, noise in upstream's order."""
    target = tmp_path / "out.onnx"
    result = export_onnx(path, target)
    assert result.max_error is not None and result.max_error <= 1e-5 and result.note is None
    container = read_container(path)
    net = reference().Waveglow(decode(SPEC, container), container.metadata)
    bands, rng = voice(path).info.feature_dims, np.random.default_rng(1)
    assert result.inputs == {"mel": ("batch", bands, "frames"), "z": ("batch", net.groups, "steps")}
    assert result.outputs == {"audio": ("batch", "samples")}
    for frames in (1, 2, 9, 40):
        mels = [make_mel(frames, bands=bands, seed=i) for i in range(2)]
        draws = [net.draws(frames, rng) for _ in mels]
        z = 0.4 * np.stack([np.concatenate(parts) for parts in draws])
        found = run(target, mel=np.stack([m.T for m in mels]).astype("<f4"), z=z.astype("<f4"))
        assert found.shape == (2, frames * net.hop)
        for row in range(2):
            expected = net.infer(mels[row], draws[row], 0.4)
            assert np.abs(found[row] - expected).max() <= 1e-5
            assert np.abs(expected).max() > 0.05  # not silence


@EVERY
def test_samples_are_the_runtimes_for_the_same_draws(path: Path, tmp_path: Path) -> None:
    target, model, frames = tmp_path / "out.onnx", voice(path), 12
    export_onnx(path, target, opset=13)
    container = read_container(path)
    if model.info.precision != "f32":  # the graph multiplies the file's numbers in f32
        exact = encode(
            SPEC,
            decode(SPEC, container),
            metadata={**container.metadata, "pyvoc.precision": "f32"},
            precision="f32",
        )
        write_container(tmp_path / "f32.gguf", exact, spec=SPEC)
        model = voice(tmp_path / "f32.gguf")
    channels, steps = model.info.noise_channels, frames * model.info.hop_length
    steps //= sum(channels)
    rng = np.random.default_rng(3)
    draws = [rng.standard_normal((c, steps)).astype("<f4") for c in channels]
    mel = make_mel(frames, bands=model.info.feature_dims)
    ours = model.synthesize(mel, draws=draws, sigma=0.5)
    z = np.float32(0.5) * np.concatenate(draws)[None]
    theirs = run(target, mel=mel.T[None], z=z)
    np.testing.assert_allclose(theirs[0], ours, rtol=0, atol=1e-5)


@EVERY
def test_noise_inside(path: Path, tmp_path: Path) -> None:
    """The graph draws sigma's noise, anew each time, and makes of it what our runtime does."""
    target, model, frames = tmp_path / "out.onnx", voice(path), 150
    result = export_onnx(path, target, z_inside=True, sigma=0.7)
    assert result.max_error is not None and result.max_error <= 1e-5 and result.note is None
    bands, groups = model.info.feature_dims, sum(model.info.noise_channels)
    assert result.inputs == {"mel": ("batch", bands, "frames")}
    assert properties(target)["waveglow.sigma"] == "0.7"
    mel = np.stack([make_mel(frames, bands=bands, seed=i).T for i in range(2)])
    graph = session(target, more="z")
    audio, z = graph.run(None, {"mel": mel})
    steps = frames * model.info.hop_length // groups
    assert audio.shape == (2, steps * groups) and z.shape == (2, groups, steps)
    assert abs(z.std() / 0.7 - 1) < 0.06 and abs(z.mean()) < 0.06
    assert np.abs(z[0] - z[1]).max() > 0.5 and np.abs(z[0, 0] - z[0, 1]).max() > 0.5
    if model.info.precision == "f32":
        expected = render(path, {"mel": mel, "z": z})
        np.testing.assert_allclose(audio, expected, rtol=0, atol=1e-5)
    assert np.abs(graph.run(None, {"mel": mel})[1] - z).max() > 0.5


def test_sigma_of_noise_inside(tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    export_onnx(EARLY, target, z_inside=True)
    assert properties(target)["waveglow.sigma"] == "0.4"
    export_onnx(EARLY, target, z_inside=True, sigma=0.0, overwrite=True)
    mel = make_mel(5, bands=5)
    audio = run(target, mel=mel.T[None])
    np.testing.assert_allclose(audio[0], voice(EARLY).synthesize(mel, sigma=0), rtol=0, atol=1e-5)
    for sigma in (-0.1, 4.1, float("nan")):
        with pytest.raises(Error, match="sigma is"):
            export_onnx(EARLY, target, z_inside=True, sigma=sigma, overwrite=True)
    with pytest.raises(Error, match="has its sigma already"):
        export_onnx(EARLY, target, sigma=0.5, overwrite=True)
    with pytest.raises(UnsupportedError, match="no noise that the graph could draw"):
        export_onnx(MELGAN, tmp_path / "melgan.onnx", z_inside=True)
    assert not (tmp_path / "melgan.onnx").exists()


@pytest.mark.parametrize("shape", [(1, 7, 28), (1, 8, 27), (1, 8, 1), (8, 28)], ids=str)
def test_noise_of_another_shape_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    """By onnxruntime, nothing being broadcast: 7 frames of 4 steps."""
    target = tmp_path / "out.onnx"
    export_onnx(EARLY, target)
    mel = make_mel(7, bands=5).T[None]
    assert run(target, mel=mel, z=np.zeros((1, 8, 28), "<f4")).shape == (1, 224)
    with pytest.raises(Exception, match=r"(?i)dimension|rank|concat|broadcast"):
        run(target, mel=mel, z=np.zeros(shape, "<f4"))


def test_what_the_file_says(tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    for inside in (False, True):
        result = export_onnx(EARLY, target, z_inside=inside, opset=13, overwrite=True)
        graph = onnx.load(target)
        onnx.checker.check_model(graph, full_check=True)
        assert [(o.domain, o.version) for o in graph.opset_import] == [("", 13)]
        found = properties(target)
        assert found["pyvoc.architecture"] == "pyvoc.waveglow"
        assert found["pyvoc.features.sample_rate"] == "8000"
        assert found["waveglow.groups"] == "8"
        constants = {i.name for i in graph.graph.initializer}
        tensors = set(decode(SPEC, read_container(EARLY)))
        assert tensors - constants == {f"flow.{k}.mix.weight" for k in range(4)}
        assert len({n.name for n in graph.graph.node}) == len(graph.graph.node)
        assert len(constants) == len(graph.graph.initializer)
        kinds = {n.op_type for n in graph.graph.node}
        assert ("RandomNormalLike" in kinds) == inside
        assert result.bytes == target.stat().st_size
        again = tmp_path / "again.onnx"
        export_onnx(EARLY, again, z_inside=inside, opset=13, overwrite=True)
        assert again.read_bytes() == target.read_bytes()


@pytest.mark.parametrize("opset", [13, 18, 21])
def test_opsets(opset: int, tmp_path: Path) -> None:
    for inside in (False, True):
        result = export_onnx(
            EARLY, tmp_path / "out.onnx", opset=opset, z_inside=inside, overwrite=True
        )
        assert result.max_error is not None


def test_a_graph_that_differs_is_not_written(tmp_path: Path) -> None:
    def other(path: Path, inputs: Mapping[str, Any]) -> np.ndarray:
        return render(path, inputs) + np.float32(2e-5)

    for inside in (False, True):
        with pytest.raises(Error, match="differ from this runtime's by 2e-05"):
            export_onnx(EARLY, tmp_path / "out.onnx", render=other, z_inside=inside)
        assert not list(tmp_path.iterdir())


def test_a_model_that_magnifies_rounding(tmp_path: Path) -> None:
    """An untrained model whose flows amplify: what the last bit of its inputs does is allowed."""
    weights = arrays()
    for name in weights:
        if name.endswith(".end.weight"):
            weights[name] = 3.2 * weights[name]
    container = encode(SPEC, weights, metadata=metadata(), precision="f32")
    write_container(tmp_path / "wild.gguf", container, spec=SPEC)
    result = export_onnx(tmp_path / "wild.gguf", tmp_path / "out.onnx")
    assert result.max_error is not None and result.max_error > 1e-5
    moved = re.search(r"the last bit .* by (\S+)$", str(result.note))
    assert moved is not None and result.max_error <= 4 * float(moved[1]) * 1.05


def test_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.onnx"
    arguments = ["export", str(EARLY), "--onnx", str(target), "--z-inside", "--sigma", "0.5"]
    assert main([*arguments, "--json"]) == 0
    result = json.loads(capfd.readouterr().out)
    assert result["inputs"] == {"mel": ["batch", 5, "frames"]} and result["max_error"] <= 1e-5
    assert main(["export", str(EARLY), "--onnx", str(tmp_path / "z.onnx")]) == 0
    assert "z [batch, 8, steps] -> audio [batch, samples]" in capfd.readouterr().out
    for wrong, words in (
        (["--onnx", "o.onnx", "--sigma", "1"], "--sigma goes with --z-inside"),
        (["--onnx", "o.onnx", "--dynamic-dims", "a.wav"], "not allowed with"),
        (["--dynamic-dims", "a.wav", "--opset", "13"], "are for --onnx"),
        ([], "required"),
    ):
        with pytest.raises(SystemExit):
            main(["export", str(EARLY), *wrong])
        assert words in capfd.readouterr().err
    assert main([*arguments[:4], "--z-inside", "--sigma", "9", "--force"]) == 3
    assert "sigma is 9.0, expected a number from 0 to 4" in capfd.readouterr().err
    assert main(["export", str(WAVERNN[0]), "--onnx", str(tmp_path / "r.onnx")]) == 4
    assert "once per sample" in capfd.readouterr().err


def utterances() -> list[Any]:
    found = [
        pytest.param(checkpoint, path, id=path.stem)
        for checkpoint in sorted(GOLDEN.glob("*_pickled_zip.pt"))
        for path in sorted(GOLDEN.glob(f"{checkpoint.name.split('_')[0]}_infer_*.npz"))
    ]
    skip = pytest.mark.skip(reason=f"no WaveGlow checkpoints in {GOLDEN}")
    return found or [pytest.param(None, None, marks=skip)]


@pytest.mark.parametrize(("checkpoint", "utterance"), utterances())
def test_upstreams_audio(checkpoint: Path, utterance: Path, tmp_path: Path) -> None:
    convert(checkpoint, tmp_path / "model.gguf")
    export_onnx(tmp_path / "model.gguf", tmp_path / "model.onnx")
    with np.load(utterance) as data:
        parts = [data[name] for name in sorted(data) if name.startswith("z_")]
        z = np.concatenate(parts, axis=1) * np.float32(data["sigma"])
        found = run(tmp_path / "model.onnx", mel=data["mel"], z=z.astype("<f4"))
        np.testing.assert_allclose(found.ravel(), data["audio"].ravel(), rtol=0, atol=1e-5)
