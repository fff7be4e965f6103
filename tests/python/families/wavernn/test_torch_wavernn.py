"""The network in PyTorch: what the runtime computes, fed with a signal and on its own, and weights
both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("gguf")

import torch
from torch import nn
from torch.nn import functional
from voices import WAVERNN as MODELS
from voices import features_for, voice
from wavernn_files import FILES, GOLDEN, arrays, metadata, upstream

from pyvoc.container import Container, read_container
from pyvoc.convert.detect import detect
from pyvoc.families.wavernn import torch_model
from pyvoc.families.wavernn.likelihood import expected_of
from pyvoc.families.wavernn.shape import WavernnShape
from pyvoc.families.wavernn.spec import WAVERNN
from pyvoc.families.wavernn.torch_model import Wavernn, _sequence
from pyvoc.families.wavernn.train.pruning import BLOCK, matrices
from pyvoc.families.wavernn.train.settings import WavernnModel
from pyvoc.quant import decode
from pyvoc.train import blocks
from pyvoc.train.pruning import block_energy, whole_blocks

FLOAT = [path for path in MODELS if not path.stem.endswith("int8")]
"""What float arithmetic computes; int8 rounds activations too."""
EVERY = pytest.mark.parametrize("path", FLOAT, ids=lambda path: path.stem)
TINY = ("mol.f32", "raw.f32", "odd.f32")
OUTPUTS, SAMPLES = 1e-5, 1e-4
"""Tolerances of test_runtime_wavernn.py."""


def network(container: Container, *, normed: bool = False) -> Wavernn:
    arrays = decode(WAVERNN, container)
    return Wavernn.from_arrays(arrays, container.metadata, normed=normed)


def padded(model: Wavernn, mel: np.ndarray) -> torch.Tensor:
    edge = model.shape.pad
    return functional.pad(torch.from_numpy(mel.T[None].copy()), (edge, edge))


def signal(shape: WavernnShape, samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A random signal, and what of it is fed back."""
    rng = np.random.default_rng(seed)
    if shape.settings.mode == "mol":
        pcm = rng.uniform(-0.9, 0.9, samples).astype(np.float32)
        return pcm, pcm
    labels = rng.integers(0, shape.outputs, samples)
    heard = expected_of(labels, shape.outputs, mu_law=shape.settings.mu_law)
    return heard.astype(np.float32), (2 * labels / (shape.outputs - 1) - 1).astype(np.float32)


def frames_of(shape: WavernnShape) -> int:
    return 2 if shape.hop > 100 else 9


@EVERY
def test_outputs_are_the_runtimes(path: Path) -> None:
    container = read_container(path)
    model = network(container)
    frames, hop = frames_of(model.shape), model.shape.hop
    mel = features_for(voice(path), frames, seed=1)
    pcm, fed = signal(model.shape, frames * hop - 2)
    expected = voice(path).predict(mel, pcm)
    before = torch.from_numpy(np.concatenate([[np.float32(0)], fed[:-1]])[None])
    assert expected.std() > 1
    for each in (model, network(container, normed=True)):
        with torch.inference_mode():
            found, _ = each(before, padded(model, mel))
        np.testing.assert_allclose(found[0], expected, rtol=0, atol=OUTPUTS)


@EVERY
def test_speech_is_the_runtimes(path: Path) -> None:
    """Free running with the same draws: the same labels, the same samples."""
    model = network(read_container(path))
    frames = frames_of(model.shape)
    mel = features_for(voice(path), frames, seed=1)
    assert model.shape.draws == voice(path).info.draws_per_sample
    size = (1, frames * model.shape.hop, model.shape.draws)
    u = np.random.default_rng(4).uniform(1e-5, 1 - 1e-5, size).astype(np.float32)
    expected = voice(path).synthesize(mel, draws=u.ravel())
    found = model.generate(torch.from_numpy(mel.T[None].copy()), torch.from_numpy(u))
    assert np.ptp(expected) > 0.05
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=SAMPLES)


@pytest.mark.parametrize("name", TINY)
def test_a_sequence_is_its_parts(name: str) -> None:
    """States carry over, rows do not mix, and the loop's step computes the same."""
    model = Wavernn.from_arrays(arrays(name), metadata(name))
    shape, hop = model.shape, model.shape.hop
    torch.manual_seed(1)
    mel = torch.rand(3, shape.bands, 2 + 2 * shape.pad)
    x = 2 * torch.rand(3, 2 * hop) - 1
    with torch.inference_mode():
        whole, (h1, h2) = model(x, mel)
        first, states = model(x[:, :hop], mel[:, :, :-1])
        second, (g1, g2) = model(x[:, hop:], mel[:, :, 1:], states)
        alone, _ = model(x[1:2], mel[1:2])
        around, aux = model.condition(mel)
        step = model.step(x[:, hop, None], around[:, hop], aux[:, hop], *states)
    # The upsampling of a part sees less of the mel, which it needs only where it begins or ends.
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=0, atol=1e-4)
    torch.testing.assert_close((g1, g2), (h1, h2), rtol=0, atol=1e-4)
    torch.testing.assert_close(alone, whole[1:2], rtol=0, atol=1e-5)
    torch.testing.assert_close(step[0], whole[:, hop], rtol=0, atol=1e-5)


@pytest.mark.parametrize("units", [16, 24], ids=["our kernels' size", "PyTorch's"])
def test_a_sequence_of_weights_in_double_precision(units: int) -> None:
    """Our kernels take single precision only; PyTorch's layer brings the weights to it."""
    torch.manual_seed(1)
    cell, stem = nn.GRUCell(8, units), nn.Linear(5, 8)
    inputs, state = torch.randn(2, 7, 5), torch.randn(2, units)
    expected = _sequence(cell, [inputs], state, None, stem=stem)
    cell, stem, inputs, state = cell.double(), stem.double(), inputs.double(), state.double()
    found = _sequence(cell, [inputs], state, None, stem=stem)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("stem", [False, True])
def test_pruned_blocks_change_nothing_but_the_time(
    stem: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs and gradients where they are skipped, and where PyTorch multiplies the zeros."""
    config = WavernnModel(mode="raw", rnn_dims=32, fc_dims=64, compute_dims=16, res_out_dims=16)
    torch.manual_seed(1)
    model = Wavernn(config.shape(), normed=True, stem=stem)
    kept = {}
    for name, matrix in matrices(model).items():
        mask = (torch.rand_like(block_energy(matrix, BLOCK)) < 0.3).to(torch.uint8)
        matrix.mul_(whole_blocks(mask, BLOCK))
        kept[name] = mask
    x, mel = 2 * torch.rand(2, 300) - 1, torch.rand(2, 80, 6)
    weighting = torch.randn(2, 300, 512)

    def run() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        model.zero_grad()
        out, _ = model(x, mel)
        (out * weighting).sum().backward()
        used = {n: p.grad * (p != 0) for n, p in model.named_parameters()}
        return out.detach(), used

    with monkeypatch.context() as patch:
        patch.setattr(torch_model, "STEP", 1 << 30)
        expected, gradients = run()
    model.masks, serves, served = kept, blocks._serves, []
    monkeypatch.setattr(blocks, "_serves", lambda *args: served.append(serves(*args)) or served[-1])
    found, mine = run()
    assert served == [True] * 4  # the second GRU's inputs and three layers
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    for name, gradient in gradients.items():
        bound = 1e-5 * max(float(gradient.abs().max()), 1)
        torch.testing.assert_close(mine[name], gradient, rtol=0, atol=bound, msg=name)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("normed", [False, True], ids=["plain", "batch norm"])
def test_what_goes_in_comes_out(name: str, normed: bool) -> None:
    given = arrays(name)
    model = Wavernn.from_arrays(given, metadata(name), normed=normed)
    found = model.to_arrays()
    assert found.keys() == given.keys()
    for key, array in found.items():
        exact = given[key].astype(np.float32)
        tolerance = 1e-6 * np.abs(exact).max() if normed and key.startswith("resnet") else 0
        np.testing.assert_allclose(array, exact, rtol=0, atol=tolerance, err_msg=key)
    assert model.shape.settings.metadata().items() <= metadata(name).items()


@pytest.mark.parametrize("name", TINY)
def test_it_is_upstreams_network(name: str) -> None:
    """What a checkpoint becomes is what upstream's own form of the network computes."""
    model, exact = Wavernn.from_arrays(arrays(name), metadata(name)), upstream(name)
    mel = np.random.default_rng(6).uniform(0, 1, (4 + 2 * exact.pad, model.shape.bands))
    x = np.random.default_rng(7).uniform(-0.5, 0.5, min(4 * exact.hop, 300))
    expected = exact.teacher_forced(mel, x).logits
    with torch.inference_mode():
        rows = torch.from_numpy(mel.T[None].astype(np.float32))
        found, _ = model(torch.from_numpy(x[None].astype(np.float32)), rows)
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=OUTPUTS)


@pytest.mark.parametrize("name", ["mol.f32", "raw.f32"])
@pytest.mark.parametrize("normed", [False, True], ids=["plain", "batch norm"])
def test_a_trained_network_leaves_as_a_model_file(tmp_path: Path, name: str, normed: bool) -> None:
    """From scratch: likelihood grows, then a model file that gives the same outputs."""
    shape = WavernnShape.of(arrays(name), metadata(name))
    torch.manual_seed(1)
    model = Wavernn(shape, normed=normed)
    mel = torch.rand(2, shape.bands, 1 + 2 * shape.pad)
    x = 0.2 * torch.rand(2, shape.hop)

    def loss() -> torch.Tensor:
        outputs, _ = model(x, mel)
        if shape.settings.mode == "raw":
            labels = torch.full((2 * shape.hop,), shape.outputs // 2)
            return functional.cross_entropy(outputs.flatten(0, 1), labels)
        logits, means, scales = outputs.chunk(3, 2)  # near a constant, by a mixture's means
        return (torch.softmax(logits, 2) * (means - 0.5).square() + scales.square()).mean()

    first = loss().item()
    for _ in range(4):
        model.zero_grad()
        loss().backward()
        with torch.no_grad():
            for parameter in model.parameters():
                assert parameter.grad is not None
                parameter -= 0.1 * parameter.grad
    model.eval()
    assert loss().item() < 0.98 * first
    path = tmp_path / "trained.gguf"
    FILES.save(path, model.to_arrays(), shape.settings)
    row = np.zeros((1, shape.bands), np.float32) + 0.5
    pcm, fed = signal(shape, shape.hop)
    before = torch.from_numpy(np.concatenate([[np.float32(0)], fed[:-1]])[None])
    with torch.inference_mode():
        expected, _ = model(before, padded(model, row))
    np.testing.assert_allclose(voice(path).predict(row, pcm), expected[0], rtol=0, atol=OUTPUTS)


def test_another_models_tensors_are_refused() -> None:
    model = Wavernn.from_arrays(arrays("mol.f32"), metadata("mol.f32"))
    before = model.to_arrays()
    with pytest.raises(ValueError, match=r"resnet.in.weight is \[5, 7, 7\], this model's is"):
        model.fill(arrays("odd.f32"))
    for name, array in model.to_arrays().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*_teacher.npz")), ids=lambda p: p.stem)
def test_upstreams_checkpoint_gives_upstreams_outputs(path: Path) -> None:
    source = path.with_name("_".join(path.stem.split("_")[:2]) + "_weights.pyt")
    found, golden = detect(source)(source), np.load(path)
    model = Wavernn.from_arrays(found.arrays, found.metadata)
    x = torch.from_numpy(golden["x"][None, : model.shape.hop].astype(np.float32))
    mel = torch.from_numpy(golden["mel_window"][None].astype(np.float32))
    with torch.inference_mode():
        outputs = model(x, mel)[0][0].numpy()
    logits = golden["logits"]
    each = outputs[:: int(golden["logits_stride"])]
    np.testing.assert_allclose(each, logits[: len(each)], rtol=0, atol=1e-4)
