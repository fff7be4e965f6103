"""The network in PyTorch: what the runtime computes, weights both ways, and that it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("gguf")

import torch
from melgan_files import FILES, TINY, arrays, metadata
from voices import MELGAN as MODELS
from voices import features_for, voice

from pyvoc.container import Container, read_container
from pyvoc.families.melgan.shape import MelganShape
from pyvoc.families.melgan.spec import MELGAN
from pyvoc.families.melgan.torch_model import Melgan
from pyvoc.quant import decode

TOLERANCE = 1e-5
"""Of samples in -1..1: float32 here and there."""
NORMED = pytest.mark.parametrize("normed", [False, True], ids=["plain", "weight norm"])


def network(container: Container, *, normed: bool = False) -> Melgan:
    return Melgan.from_arrays(decode(MELGAN, container), container.metadata, normed=normed)


def samples(model: Melgan, mel: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return model(torch.from_numpy(mel.T[None].copy())).numpy().reshape(-1)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_samples_are_the_runtimes(path: Path) -> None:
    container = read_container(path)
    mel = features_for(voice(path), 17, seed=1)
    expected = voice(path).synthesize(mel)
    assert np.ptp(expected) > 0.01
    for normed in (False, True):
        model = network(container, normed=normed)
        np.testing.assert_allclose(samples(model, mel), expected, rtol=0, atol=TOLERANCE)
        few = mel[: model.shape.least_frames]
        found = samples(model, few)
        np.testing.assert_allclose(found, voice(path).synthesize(few), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["reflect.f32", "zero.f32", "odd.f32"])
def test_what_goes_in_comes_out(name: str) -> None:
    given = arrays(name)
    for normed, tolerance in ((False, 0.0), (True, 1e-6)):
        model = Melgan.from_arrays(given, metadata(name), normed=normed)
        found = model.to_arrays()
        assert found.keys() == given.keys()
        for key, array in found.items():
            exact = given[key].astype(np.float32)
            np.testing.assert_allclose(array, exact, rtol=0, atol=tolerance * np.abs(exact).max())
        assert model.shape.settings.metadata().items() <= metadata(name).items()


@NORMED
def test_a_trained_network_leaves_as_a_model_file(tmp_path: Path, normed: bool) -> None:
    """From scratch: some steps towards a signal, then a model file that gives the same samples."""
    torch.manual_seed(1)
    shape = MelganShape.of(arrays("zero.f32"), metadata("zero.f32"))
    model = Melgan(shape, normed=normed)
    mel = torch.rand(2, shape.bands, 4) * 6 - 8
    wanted = 0.3 * torch.sin(0.3 * torch.arange(4.0 * shape.hop)).expand(2, 1, -1)
    losses = []
    for _ in range(8):
        loss = (model(mel) - wanted).square().mean()
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                assert parameter.grad is not None
                parameter -= 0.1 * parameter.grad
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]
    path = tmp_path / "trained.gguf"
    FILES.save(path, model.to_arrays(), shape.settings)
    expected = samples(model, mel[0].numpy().T)
    found = voice(path).synthesize(mel[0].numpy().T.copy())
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def test_another_models_tensors_are_refused() -> None:
    model = network(read_container(TINY / "zero.f32.gguf"))
    before = model.to_arrays()
    with pytest.raises(ValueError, match=r"conv_in.weight is \[12, 20, 7\], this model's is"):
        model.fill(arrays("odd.f32"))
    with pytest.raises(ValueError, match=r"conv_out.bias is missing"):
        model.fill({k: v for k, v in before.items() if k != "conv_out.bias"})
    for name, array in model.to_arrays().items():
        np.testing.assert_array_equal(array, before[name])
