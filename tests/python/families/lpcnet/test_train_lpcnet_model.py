"""LPCNet in PyTorch: against the runtime, upstream's tensors and itself, and its constraints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("gguf")

import torch
from lpcnet_files import ROOT
from test_golden_lpcnet import LATEST, OLD, cases, features_of, forced

import pyvoc
from pyvoc import _pyvoc
from pyvoc.container import read_container
from pyvoc.convert.model_file import read_weights
from pyvoc.errors import ModelError
from pyvoc.families.lpcnet import tables
from pyvoc.families.lpcnet.spec import LPCNET, TENSORS
from pyvoc.families.lpcnet.torch_model import Lpcnet
from pyvoc.families.lpcnet.train.quantized import clip_pairs, straight_through
from pyvoc.families.lpcnet.train.settings import LpcnetModel
from pyvoc.families.lpcnet.train.sparsify import block_mask, blocks, density_at, elements, is_due
from pyvoc.families.lpcnet.train.task import LpcnetTask
from pyvoc.files.features import Extractor
from pyvoc.quant import decode
from pyvoc.quant.integers import quantize_rows

HOP = 160
SMALL = {"gru_a": 32, "gru_b": 16, "cond": 24, "pitch_embedding": 8, "embedding": 16}
METADATA = {
    "general.name": "test",
    "pyvoc.source.format": "pyvoc.train",
    "pyvoc.source.sha256": "0" * 64,
}


def small(**changes: object) -> LpcnetModel:
    return LpcnetModel(**{**SMALL, "sparsify_from": 5, "sparsify_to": 25, **changes})


def speech(frames: int, seed: int = 0) -> np.ndarray:
    """Pulses through a resonance with noise, float32 in -1..1."""
    random = np.random.default_rng(seed)
    x = 0.003 * random.standard_normal(frames * HOP)
    x[::110] += 0.3
    for i in range(2, len(x)):
        x[i] += 1.6 * x[i - 1] - 0.8 * x[i - 2]
    return (x / np.abs(x).max() * 0.4).astype(np.float32)


def segment(config: LpcnetModel, frames: int, rows: int) -> dict[str, torch.Tensor]:
    """A training batch made without `pyvoc.train.data`: linear samples and their LPC."""
    extractor = Extractor("lpcnet36" if config.tree else "lpcnet55")
    pcm = speech(frames + 8)
    found = extractor.push(pcm)
    x = 32768.0 * np.concatenate([np.zeros(80, np.float32), pcm])
    x[1:] -= 0.85 * x[:-1].copy()
    first = 4
    at = first * HOP
    one = {
        "features": found[first - 2 : first + frames + 2, : config.features],
        "lpc": found[first - 1 : first + frames, -16:],
        "signal": x[at - 17 : at + frames * HOP - 1],
        "clean": x[at : at + frames * HOP],
    }
    batch = {k: torch.from_numpy(np.stack([v] * rows).astype(np.float32)) for k, v in one.items()}
    batch["reset"] = torch.ones(rows, dtype=torch.bool)
    batch["seed"] = torch.arange(rows)
    return batch


def train(task: LpcnetTask, updates: int) -> list[float]:
    batch = segment(task.config, 2, 16)
    optimizer = task.optimizers(3e-3)["main"]
    losses = []
    for step in range(1, updates + 1):
        loss, _, _ = task.module(batch, task.initial_state(16))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        task.after_update(step)
        losses.append(loss.item())
    return losses


@pytest.fixture(scope="module", params=["latest", "2019"])
def trained(request: pytest.FixtureRequest) -> LpcnetTask:
    torch.manual_seed(3)
    task = LpcnetTask(small(generation=request.param, density=(0.2, 0.2, 0.4)))
    losses = train(task, 60)
    assert losses[-1] < losses[0] - 0.5
    assert task.module.pruned
    return task


def is_the_runtimes(network: Lpcnet, model: pyvoc.Model) -> None:
    """States, outputs and likelihood of a signal, from the runtime's states and codes."""
    tree, dims = network.config.tree, network.config.features
    extractor = Extractor("lpcnet36" if tree else "lpcnet55")
    frames = 24
    pcm = speech(frames, seed=5)
    features = extractor.push(pcm)
    steps = _pyvoc.testing.lpcnet_steps(
        model._native, np.ascontiguousarray(features), 32768.0 * pcm[: len(features) * HOP]
    )
    first, count = 4, len(features) - 8
    at, end = first * HOP, (first + count) * HOP
    codes = np.asarray(steps["codes"])[at:end]
    batch = {
        "features": torch.from_numpy(
            np.ascontiguousarray(features[first - 2 : first + count + 2, :dims])
        ).unsqueeze(0),
        "codes": torch.from_numpy(codes[:, :3].T.astype(np.float32)).unsqueeze(0),
        "target": torch.from_numpy(codes[:, 3].astype(np.int64)).unsqueeze(0),
        "reset": torch.zeros(1, dtype=torch.bool),
    }
    state = {k: torch.from_numpy(steps[k][at - 1 : at].copy()) for k in ("gru_a", "gru_b")}
    with torch.no_grad():
        a, b, _ = network.states(batch, state)
        logits = network.logits(b)
        loss, _, _ = network(batch, state)
    assert np.abs(a[0].numpy() - steps["gru_a"][at:end]).max() < 1e-4
    assert np.abs(b[0].numpy() - steps["gru_b"][at:end]).max() < 1e-4
    found, wanted = logits[0].numpy(), steps["logits"][at:end]
    nodes = slice(1, 256) if tree else slice(0, 256)
    assert np.abs(found[:, nodes] - wanted[:, nodes]).max() < 1e-3
    likelihood = steps["probabilities"][at:end][np.arange(end - at), codes[:, 3]]
    nll = -np.log(np.maximum(likelihood, 1e-30)).mean()
    # The 2019 sampler sharpens and floors its distribution; the tree's is the model's.
    if tree:
        assert float(loss) == pytest.approx(float(nll), abs=1e-3)


def test_a_trained_network_is_the_runtimes(trained: LpcnetTask, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    trained.export(str(path), precision="f32", metadata=METADATA)
    trained.module.eval()
    is_the_runtimes(trained.module, pyvoc.load(path))
    trained.module.train()


@pytest.mark.parametrize("name", ["tree_sparse.f32", "softmax_sparse.f32"])
def test_a_model_files_network_is_the_runtimes(name: str) -> None:
    path = ROOT / "tests" / "golden" / f"{name}.gguf"
    container = read_container(path)
    arrays = decode(LPCNET, container)
    network = Lpcnet.from_arrays(arrays, container.metadata)
    is_the_runtimes(network, pyvoc.load(path))
    assert network.pruned
    found = network.to_arrays()
    assert found.keys() == arrays.keys()
    for key, array in found.items():
        exact = arrays[key].astype(np.float32)
        # A table is a sum of as many products as it has dimensions, here up to 256.
        tolerance = 1e-5 * np.abs(exact).max() if key in tables.TABLES else 0
        np.testing.assert_allclose(array, exact, rtol=0, atol=tolerance, err_msg=key)


def test_an_end_to_end_model_is_refused() -> None:
    container = read_container(ROOT / "tests" / "golden" / "end_to_end.bf16.gguf")
    with pytest.raises(ValueError, match="end-to-end LPCNet cannot be trained"):
        Lpcnet.from_arrays(decode(LPCNET, container), container.metadata)


@pytest.mark.parametrize("path", [*cases(LATEST), *cases(OLD)])
def test_upstreams_checkpoint_gives_upstreams_tensors(path: Path) -> None:
    pytest.importorskip("h5py")
    checkpoint = read_weights(LPCNET, str(path))
    tree = checkpoint.metadata["lpcnet.sampling"] == "tree"
    model = Lpcnet.from_arrays(checkpoint.arrays, checkpoint.metadata)
    config, again = model.config, model.to_arrays()
    assert config.embedding == 128
    for name in tables.TABLES:
        table = checkpoint.arrays[name]
        assert np.abs(again[name] - table).max() < 1e-6 * np.abs(table).max()
    assert model.pruned
    data = forced(path)
    logits = data["ref64_logits" if tree else "ref64_logits_first640"]
    gru_a = data["ref64_gru_a" if tree else "ref64_gru_a_first320"]
    at, end = 2 * HOP, len(logits) // HOP * HOP
    # The goldens begin at upstream's third frame, whose first two lack a part of their context.
    frames = slice(at // HOP - 2, end // HOP + 2)
    features = features_of(path)[frames, : config.features].copy()
    if not tree:
        features[:, 18:36] = 0.0
    codes = np.stack([data[k][at:end] for k in ("sig_idx", "pred_idx", "exc_prev_idx")])
    batch = {
        "features": torch.from_numpy(features).unsqueeze(0),
        "codes": torch.from_numpy(codes.astype(np.float32)).unsqueeze(0),
        "target": torch.from_numpy(data["exc_forced_idx"][at:end].astype(np.int64)).unsqueeze(0),
        "reset": torch.zeros(1, dtype=torch.bool),
    }
    before = {"gru_a": gru_a, "gru_b": data["ref64_gru_b"]}
    state = {k: torch.from_numpy(v[at - 1 : at].astype(np.float32)) for k, v in before.items()}
    with torch.no_grad():
        a, b, _ = model.states(batch, state)
        found = model.logits(b)[0].numpy()
    known = min(len(gru_a), end)
    assert np.abs(a[0, : known - at].numpy() - gru_a[at:known]).max(initial=0) < 1e-4
    assert np.abs(b[0].numpy() - data["ref64_gru_b"][at:end]).max() < 1e-4
    nodes = slice(1 if tree else 0, 256)
    assert np.abs(found - logits[at:end])[:, nodes].max() < 1e-3


@pytest.mark.parametrize("generation", ["latest", "2019"])
def test_native_and_stock_layers_agree(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    model = Lpcnet(small(generation=generation))
    batch = segment(model.config, 2, 3)
    state = {k: torch.randn_like(v) for k, v in model.initial_state(3).items()}
    batch["reset"] = torch.tensor([True, False, False])
    results = []
    for native in (True, False):
        monkeypatch.setattr(Lpcnet, "_is_native", lambda self, units, n=native: n)
        model.zero_grad()
        loss, after, _ = model(batch, state)
        loss.backward()
        gradients = {k: p.grad.clone() for k, p in model.named_parameters() if p.grad is not None}
        results.append((loss.detach(), after, gradients))
    (loss, after, mine), (other, others_after, theirs) = results
    assert loss.item() == pytest.approx(other.item(), abs=1e-6)
    assert set(mine) == set(theirs) == {k for k, _ in model.named_parameters()}
    for name in after:
        assert torch.allclose(after[name], others_after[name], atol=1e-6)
    for name, gradient in theirs.items():
        bound = 2e-5 * max(float(gradient.abs().max()), 1e-4)
        assert (mine[name] - gradient).abs().max() <= bound, name


def test_a_carried_state_is_a_longer_sequence() -> None:
    torch.manual_seed(2)
    model = Lpcnet(small()).eval()
    whole = segment(model.config, 4, 1)
    with torch.no_grad():
        a, _, _ = model.states(whole, model.initial_state(1))
        state, parts = model.initial_state(1), []
        for f in (0, 2):
            at = f * HOP
            part = {
                "features": whole["features"][:, f : f + 6],
                "lpc": whole["lpc"][:, f : f + 3],
                "signal": whole["signal"][:, at : at + 2 * HOP + 16],
                "clean": whole["clean"][:, at : at + 2 * HOP],
                "reset": torch.tensor([f == 0]),
            }
            got, _, _ = model.states(part, state)
            _, state, _ = model(part, state)
            parts.append(got)
    assert torch.allclose(torch.cat(parts, 1), a, atol=1e-6)


def test_masked_samples_do_not_count() -> None:
    torch.manual_seed(2)
    model = Lpcnet(small()).eval()
    batch = segment(model.config, 2, 2)
    batch["mask"] = torch.zeros(2, 2 * HOP, dtype=torch.bool)
    batch["mask"][0, :100] = True
    with torch.no_grad():
        some, _, _ = model(batch, model.initial_state(2))
        batch["clean"][1] = 0.0
        batch["clean"][0, 100:] *= -1.0
        same, _, _ = model(batch, model.initial_state(2))
    assert float(some) == pytest.approx(float(same), abs=1e-6)


def test_noise_follows_the_rows_seeds() -> None:
    torch.manual_seed(4)
    model = Lpcnet(small(jitter=0.3, state_noise=0.01))
    batch = segment(model.config, 1, 4)

    def loss(**changes: object) -> float:
        value, _, _ = model({**batch, **changes}, model.initial_state(4))
        return value.item()

    assert loss() == loss()
    assert loss() == pytest.approx(loss(seed=batch["seed"].flip(0)), abs=1e-6)
    assert loss() != loss(seed=batch["seed"] + 100)


def test_density_falls_as_a_cube_to_the_final_one() -> None:
    config = small(density=(0.1, 0.2, 0.4), sparsify_from=100, sparsify_to=200)
    assert density_at(config, 99) == (1.0, 1.0, 1.0)
    assert density_at(config, 100) == (1.0, 1.0, 1.0)
    assert density_at(config, 150) == pytest.approx((0.2125, 0.3, 0.475))
    assert density_at(config, 200) == pytest.approx((0.1, 0.2, 0.4))
    assert density_at(config, 5000) == pytest.approx((0.1, 0.2, 0.4))
    due = small(sparsify_from=100, sparsify_to=210, sparsify_every=50)
    assert [u for u in range(300) if is_due(due, u)] == [100, 150, 200, 210]


def test_the_blocks_of_largest_energy_are_kept() -> None:
    weight = torch.zeros(48, 16)
    weight[0:8, 4:8] = 0.1
    weight[8:16, 0:4] = 0.2
    weight[0:8, 0:4] = torch.eye(8, 4) * 9  # a diagonal: no reason to keep its block
    weight[16:48] = torch.rand(32, 16) + 0.1
    mask = block_mask(weight, (2 / 8, 1.0, 0.5), torch.ones(6, 4, dtype=torch.uint8))
    assert mask[:2].tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]
    assert mask[2:4].all()
    assert int(mask[4:].sum()) == 4
    again = block_mask(torch.rand(48, 16), (1.0, 1.0, 1.0), mask)
    assert torch.equal(again, mask)  # what is pruned stays pruned
    used = elements(mask)
    assert used[torch.arange(16), torch.arange(16)].all()
    assert int(used[:16].sum()) == 2 * 32 + 16 - int(torch.diagonal(blocks_used(mask)).sum())


def blocks_used(mask: torch.Tensor) -> torch.Tensor:
    """The first gate's mask by element."""
    return mask[:2].bool().repeat_interleave(8, 0).repeat_interleave(4, 1)


def test_updates_keep_pruned_weights_at_zero_and_pairs_within_the_limit() -> None:
    torch.manual_seed(5)
    task = LpcnetTask(small(density=(0.1, 0.1, 0.2), clip=0.3))
    train(task, 40)
    model = task.module
    used = blocks(model.gru_a.weight_hh.detach()) != 0
    share = used.any(3).any(1).float().mean()
    assert share < 0.13 + 24 / used.any(3).any(1).numel()  # the diagonals' blocks on top
    for weight in (model.gru_a.weight_hh, model.input_b, model.gru_b.weight_hh):
        pairs = weight.detach().view(len(weight), -1, 2).abs().sum(2)
        assert pairs.max() <= 0.3 + 1e-6
    assert pairs.max() > 0.1


def test_rounding_in_training_is_the_containers() -> None:
    torch.manual_seed(6)
    weight = torch.randn(24, 16, requires_grad=True)
    rounded = straight_through(weight)
    stored = quantize_rows(weight.detach().numpy())
    step = np.abs(weight.detach().numpy()).max(1, keepdims=True) / 127
    assert np.abs(rounded.detach().numpy() - stored.to_float()).max() < 1.2 * step.max()
    assert (rounded != weight).any()
    (rounded * torch.arange(16.0)).sum().backward()
    assert torch.equal(weight.grad, torch.arange(16.0).expand(24, 16))
    clip_pairs(weight, 0.5)
    assert weight.detach().view(24, -1, 2).abs().sum(2).max() <= 0.5 + 1e-6


def test_training_with_rounded_matrices_begins_when_told() -> None:
    torch.manual_seed(7)
    task = LpcnetTask(small(quantize_from=3))
    train(task, 2)
    assert not task.module.quantized
    train(task, 3)
    assert task.module.quantized
    other = LpcnetTask(small(quantize_from=3))
    other.load_state_dict(task.state_dict())
    assert other.module.quantized
    with pytest.raises(ValueError, match="pruned"):
        other.load_state_dict({"pruned": "yes"})


@pytest.mark.parametrize(("precision", "bound"), [("f32", 1e-5), ("bf16", 0.02), ("int8", 0.05)])
def test_finetuning_starts_where_the_model_file_is(
    trained: LpcnetTask, tmp_path: Path, precision: str, bound: float
) -> None:
    path = str(tmp_path / "model.gguf")
    trained.export(path, precision=precision, metadata=METADATA)
    torch.manual_seed(8)
    other = LpcnetTask(trained.config)
    other.load_weights(path)
    assert torch.equal(other.module.mask, trained.module.mask)
    batch = segment(trained.config, 2, 2)
    losses = []
    for task in (trained, other):
        task.module.eval()
        with torch.no_grad():
            losses.append(float(task.module(batch, task.initial_state(2))[0]))
        task.module.train()
    assert losses[0] == pytest.approx(losses[1], abs=bound)


def test_weights_of_another_model_are_refused(trained: LpcnetTask, tmp_path: Path) -> None:
    path = str(tmp_path / "model.gguf")
    trained.export(path, precision="f32", metadata=METADATA)
    generation = trained.config.generation
    with pytest.raises(ModelError, match=r"model.gguf: does not fit.*gru_a"):
        LpcnetTask(small(generation=generation, gru_a=48)).load_weights(path)
    other = "2019" if generation == "latest" else "latest"
    with pytest.raises(ModelError, match=f"is an LPCNet of generation {generation}"):
        LpcnetTask(small(generation=other)).load_weights(path)


def test_arrays_are_the_specs(trained: LpcnetTask) -> None:
    assert set(trained.module.to_arrays()) == {t.name for t in TENSORS}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generation": "2020"}, "generation"),
        ({"gru_a": 30}, "GRU A has size 30"),
        ({"embedding": 0}, "embedding"),
        ({"density": (0.0, 0.1, 0.1)}, "density"),
        ({"sparsify_from": 9, "sparsify_to": 3}, "schedule"),
        ({"jitter": -1.0}, "jitter"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**changes)
