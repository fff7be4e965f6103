"""Discriminators and losses of seungwonpark's and descript's own trainers, with their gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gan_files import seed_of, seeded
from melgan_files import GOLDEN

pytest.importorskip("torch")

import torch

from pyvoc.families.melgan.train import discriminators as judges
from pyvoc.families.melgan.train.settings import MelganModel
from pyvoc.families.melgan.train.task import MelganTask
from pyvoc.families.melgan.train.upstream import fill_in_order
from pyvoc.train.weights import DIRECTION, MAGNITUDE

CASES = sorted(GOLDEN.glob("melgan*/*_discriminator.npz"))
pytestmark = pytest.mark.skipif(not CASES, reason="no golden data")
TOLERANCE = 2e-6
"""Relative, of losses in float32 on both sides."""
_LEAVES = {"bias": "bias", "weight_g": MAGNITUDE, "weight_v": DIRECTION}


class Judged:
    """One case: the discriminators of upstream's seed, and what they say of real and made."""

    def __init__(self, path: Path) -> None:
        self.truth = np.load(path)
        self.upstream = path.name.partition("_")[0]
        torch.manual_seed(0)
        self.task = MelganTask(MelganModel(upstream=self.upstream))
        critic = self.task.module.discriminator
        names = [str(name) for name in self.truth["param_names"]]
        convs = [m for m in critic.modules() if isinstance(m, torch.nn.Conv1d)]
        sizes = [dict(m.named_parameters())[leaf].shape for m in convs for leaf in _LEAVES.values()]
        shapes = list(zip(names, sizes, strict=True))
        seed = seed_of(shapes, self.truth["param_sums"])
        fill_in_order(critic, seeded(shapes, seed), "the recipe")
        self.real = torch.from_numpy(self.truth["real"][:, 0])
        self.made = torch.from_numpy(self.truth["fake"][:, 0]).requires_grad_()
        self.of_real, self.of_made = critic(self.real), critic(self.made)


@pytest.fixture(scope="module", params=CASES, ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> Judged:
    return Judged(request.param)


def test_every_layer(case: Judged) -> None:
    truth = case.truth
    for which, found in (("real", case.of_real), ("fake", case.of_made)):
        for scale, (score, features) in enumerate(found):
            for layer, tensor in enumerate([*features, score]):
                key = f"s{scale}_l{layer}"
                assert tuple(tensor.shape) == tuple(truth[f"shape_{key}"])
                expected = truth[f"{which}_{key}"]
                mine = tensor.detach().numpy()[..., : expected.shape[-1]]
                np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=2e-6)
                mean = float(truth[f"mean_abs_{which}_{key}"])
                assert float(tensor.detach().abs().mean()) == pytest.approx(mean, rel=1e-5)


def test_losses_and_gradients(case: Judged) -> None:
    truth, task = case.truth, case.task
    critic, hinge = task.module.discriminator, task.config.usual.hinge
    of = judges.hinge_of_discriminator if hinge else judges.squares_of_discriminator
    value = of(case.of_real, critic(case.made.detach()))
    assert value.item() == pytest.approx(float(truth["loss_D"]), rel=TOLERANCE)
    critic.zero_grad()
    value.backward()
    norms = dict(zip(truth["dparam_order"], truth["dlossD_param_norms"], strict=True))
    convs = [m for m in critic.modules() if isinstance(m, torch.nn.Conv1d)]
    layers = list(dict.fromkeys(str(name).rpartition(".")[0] for name in norms))
    for layer, conv in zip(layers, convs, strict=True):
        parameters = dict(conv.named_parameters())
        for leaf, ours in _LEAVES.items():
            found = float(parameters[ours].grad.norm())
            assert found == pytest.approx(norms[f"{layer}.{leaf}"], rel=2e-4, abs=1e-7)
    loss = task.of_generator(case.real, case.made)
    assert loss.metrics["adversarial"].item() == pytest.approx(
        float(truth["loss_G_adv"]), rel=TOLERANCE
    )
    assert loss.metrics["features"].item() == pytest.approx(
        float(truth["loss_feat"]), rel=TOLERANCE
    )
    assert loss.value.item() == pytest.approx(float(truth["loss_G_total"]), rel=TOLERANCE)
    (gradient,) = torch.autograd.grad(loss.value, [case.made])
    expected = truth["dlossG_dfake"][:, 0]
    assert np.abs(gradient.numpy() - expected).max() < 1e-5 * np.abs(expected).max()


def test_the_generators_gradients(case: Judged) -> None:
    """Where the generator is in the data: what it made, and the norms of its gradients."""
    truth, task = case.truth, case.task
    paths = sorted((GOLDEN / "melgan").glob(f"{case.upstream}_epoch*.pt"))
    if not paths:
        pytest.skip("no generator in this set")
    task.load_weights(str(paths[0]))
    generator: Any = task.module.generator
    made = generator(torch.from_numpy(truth["mel"]))[:, 0]
    np.testing.assert_allclose(made.detach().numpy(), truth["fake"][:, 0], rtol=0, atol=2e-6)
    generator.zero_grad()
    task.of_generator(case.real, made).value.backward()
    norms = dict(zip(truth["G_param_order"], truth["dlossG_param_norms"], strict=True))
    from pyvoc.families.melgan.names import find_generator

    named = find_generator([str(name) for name in norms])
    assert named is not None
    theirs = named.naming.layers(len(generator.shape.ratios), generator.shape.blocks)
    parameters = dict(generator.named_parameters())
    greatest = max(norms.values())
    for ours, layer in theirs.items():
        for leaf, name in _LEAVES.items():
            found = float(parameters[f"{ours}.{name}"].grad.norm())
            expected = norms[f"{layer}.{leaf}"]
            assert found == pytest.approx(expected, rel=1e-3, abs=1e-6 * greatest), layer


def test_mindspores_generator_goes_on() -> None:
    """From its checkpoint: what the network makes of a mel is what MindSpore's made."""
    folder = GOLDEN / "melgan_mindspore"
    if not folder.is_dir():
        pytest.skip("no golden data")
    small = {"scales": 1, "discriminator_channels": (4, 8, 8)}
    task = MelganTask(MelganModel(upstream="mindspore", **small))
    task.load_weights(str(next(folder.glob("*generator.ckpt"))))
    truth = np.load(next(folder.glob("*generator_io.npz")))
    with torch.no_grad():
        made = task.module.generator(torch.from_numpy(truth["mel"])).numpy()
    np.testing.assert_allclose(made, truth["audio"], rtol=0, atol=1e-5)
