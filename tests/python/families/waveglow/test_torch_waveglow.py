"""The network in PyTorch: what the runtime computes in both directions, and weights both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("gguf")

import torch
from voices import WAVEGLOW as MODELS
from voices import features_for, voice
from waveglow_files import FILES, arrays, metadata

from pyvoc.container import Container, read_container
from pyvoc.families.waveglow.shape import WaveglowShape
from pyvoc.families.waveglow.spec import WAVEGLOW
from pyvoc.families.waveglow.torch_model import Waveglow
from pyvoc.quant import decode

TOLERANCE = 1e-5
"""Of samples and of noise, both about 1 at most: float32 here and there."""
FLOAT = [path for path in MODELS if path.stem.endswith("f32")]
EVERY = pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
FRAMES = 9


def network(container: Container, *, normed: bool = False) -> Waveglow:
    arrays = decode(WAVEGLOW, container)
    return Waveglow.from_arrays(arrays, container.metadata, normed=normed)


def batch(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)[None])


@EVERY
def test_samples_are_the_runtimes(path: Path) -> None:
    container, runtime = read_container(path), voice(path)
    mel = features_for(runtime, FRAMES, seed=1)
    groups = sum(runtime.info.noise_channels)
    steps = FRAMES * runtime.info.hop_length // groups
    z = 0.5 * np.random.default_rng(2).standard_normal((groups, steps)).astype(np.float32)
    expected = runtime.synthesize(mel, draws=z.reshape(-1), sigma=1.0)
    assert np.ptp(expected) > 0.1
    for normed in (False, True):
        with torch.inference_mode():
            found = network(container, normed=normed).infer(batch(mel.T), batch(z))
        np.testing.assert_allclose(found[0], expected, rtol=0, atol=TOLERANCE)


@EVERY
def test_noise_and_its_likelihood_are_the_runtimes(path: Path) -> None:
    model, runtime = network(read_container(path)), voice(path)
    mel = features_for(runtime, FRAMES, seed=1)
    groups = sum(runtime.info.noise_channels)
    pcm = np.random.default_rng(3).uniform(-0.3, 0.3, 4 * runtime.info.hop_length + groups)
    pcm = pcm.astype(np.float32)
    expected = runtime.forward(mel, pcm)
    with torch.inference_mode():
        found = model(batch(np.append(pcm, np.float32(0.5))), batch(mel.T))
    z = np.concatenate(expected.z)
    np.testing.assert_allclose(found.z[0], z, rtol=0, atol=TOLERANCE * np.abs(z).max())
    size = z.size / 2
    np.testing.assert_allclose(found.log_s[0], expected.log_s, rtol=0, atol=TOLERANCE * size)
    np.testing.assert_allclose(found.log_det, expected.log_det, rtol=0, atol=TOLERANCE * size)


@pytest.mark.parametrize("path", FLOAT, ids=lambda path: path.stem)
def test_the_directions_undo_each_other(path: Path) -> None:
    model = network(read_container(path))
    torch.manual_seed(2)
    mel = 4 * torch.rand(2, model.shape.bands, 5) - 6
    audio = torch.rand(2, 5 * model.shape.hop) - 0.5
    with torch.inference_mode():
        again = model.infer(mel, model(audio, mel).z)
    torch.testing.assert_close(again, audio, rtol=0, atol=1e-5)


def test_what_is_said_in_mixed_precision_is_not_rounded() -> None:
    """The layers have less precision, the signal has not: a new network's layers add nothing."""
    torch.manual_seed(3)
    shape = Waveglow.from_arrays(arrays("early.f32"), metadata("early.f32")).shape
    model, mel = Waveglow(shape, normed=True), torch.randn(2, shape.bands, 5)
    groups = shape.settings.groups
    z = torch.randn(2, groups, 5 * shape.hop // groups)
    with torch.inference_mode():
        exact = model.infer(mel, z)
        with torch.autocast("cpu", torch.bfloat16):
            found = model.infer(mel, z)
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["early.f32", "alternate.f32", "plain.f32", "apart.f32"])
def test_what_goes_in_comes_out(name: str) -> None:
    given = arrays(name)
    for normed, tolerance in ((False, 0.0), (True, 1e-6)):
        model = Waveglow.from_arrays(given, metadata(name), normed=normed)
        found = model.to_arrays()
        assert found.keys() == given.keys()
        for key, array in found.items():
            exact = given[key].astype(np.float32)
            np.testing.assert_allclose(
                array.astype(np.float32), exact, rtol=0, atol=tolerance * np.abs(exact).max()
            )
        assert model.shape.settings.metadata().items() <= metadata(name).items()


@pytest.mark.parametrize("normed", [False, True], ids=["plain", "weight norm"])
def test_a_trained_network_leaves_as_a_model_file(tmp_path: Path, normed: bool) -> None:
    """From scratch: likelihood grows, then a model file that gives the same samples."""
    name = "alternate.f32"
    shape = WaveglowShape.of(arrays(name), metadata(name))
    torch.manual_seed(1)
    model = Waveglow(shape, normed=normed)
    mel = torch.rand(2, shape.bands, 4) * 6 - 8
    audio = 0.1 * torch.randn(2, 4 * shape.hop)

    def loss() -> torch.Tensor:
        noise = model(audio, mel)
        terms = 0.5 * noise.z.square().sum() - noise.log_s.sum() - len(mel) * noise.log_det.sum()
        return terms / noise.z.numel()

    first = loss().item()
    # A new coupling changes nothing, and the 1x1 convolutions are rotations.
    assert first == pytest.approx(0.5 * audio.square().mean().item(), rel=1e-4)
    for _ in range(12):
        model.zero_grad()
        loss().backward()
        with torch.no_grad():
            for parameter in model.parameters():
                assert parameter.grad is not None
                parameter -= 0.1 * parameter.grad
    assert loss().item() < first - 0.1
    path = tmp_path / "trained.gguf"
    FILES.save(path, model.to_arrays(), shape.settings)
    with torch.inference_mode():
        z = model(audio, mel).z
        expected = model.infer(mel, z)[0].numpy()
    one = np.ascontiguousarray(mel[0].numpy().T)
    found = voice(path).synthesize(one, draws=z[0].numpy().reshape(-1), sigma=1.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(expected, audio[0], rtol=0, atol=TOLERANCE)


def test_another_models_tensors_are_refused() -> None:
    model = Waveglow.from_arrays(arrays("plain.f32"), metadata("plain.f32"))
    with pytest.raises(ValueError, match=r"upsample.weight is .*, this model's is \[3, 3, 16\]"):
        model.fill(arrays("early.f32"))
