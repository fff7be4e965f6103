"""Three steps of upstream's own trainer: losses, gradients, weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from waveglow_files import GOLDEN

pytest.importorskip("torch")

import torch

from pyvoc.families.waveglow.train.recipes import translate
from pyvoc.families.waveglow.train.settings import WaveglowModel
from pyvoc.families.waveglow.train.task import WaveglowTask
from pyvoc.train import from_mapping
from pyvoc.train.weights import DIRECTION, MAGNITUDE

CASES = sorted(GOLDEN.glob("*_train3.npz"))
LOSSES, GRADIENTS, NORMS = 2e-6, 1e-4, 1e-6
"""Of float32 here and there: losses; gradients, of the largest; norms of weights, relative."""

pytestmark = pytest.mark.skipif(not CASES, reason="no golden data")


class Trained:
    """One case: three steps on its batch."""

    def __init__(self, case: Path) -> None:
        self.truth = np.load(case)
        name = case.stem.removesuffix("_train3")
        config = json.loads(case.with_name(f"{name}_config.json").read_text())
        found = translate({"waveglow_config": config["waveglow_config"]}, "config.json")
        assert found is not None
        self.task = WaveglowTask(from_mapping(WaveglowModel, found["model"], "model"))
        self.task.load_weights(str(case.with_name(f"{name}_pickled_zip.pt")))
        self.layers = self.task.config.n_layers
        batch = {key: torch.from_numpy(self.truth[key]) for key in ("mel", "audio")}
        network = self.task.module.train()
        (optimizer,) = self.task.optimizers(float(self.truth["lr"])).values()
        self.losses = []
        for step in range(4):
            (loss,) = self.task.losses(batch, {})
            self.losses.append(loss.value.item())
            if step == 3:
                break
            optimizer.zero_grad()
            loss.value.backward()
            if step == 0:
                self.first = {n: p.grad.clone() for n, p in network.named_parameters()}
            optimizer.step()
        self.after = {n: p.detach() for n, p in network.named_parameters()}

    def of(self, theirs: str, tensors: dict[str, torch.Tensor]) -> np.ndarray:
        """One of upstream's tensors, of those of our network."""
        if theirs.startswith("upsample."):
            return tensors[theirs].numpy()
        _, flow, layer, *rest = theirs.split(".")
        if theirs.startswith("convinv."):
            return tensors[f"flow.{flow}.mix.weight"].numpy()[:, :, None]
        leaf = {"weight_g": MAGNITUDE, "weight_v": DIRECTION}.get(rest[-1], rest[-1])
        if layer == "cond_layer":
            names = [f"flow.{flow}.layer.{i}.cond.{leaf}" for i in range(self.layers)]
            return np.concatenate([tensors[name].numpy() for name in names])
        ours = {
            "start": "start",
            "end": "end",
            "in_layers": f"layer.{rest[0]}.conv",
            "res_skip_layers": f"layer.{rest[0]}.out",
        }
        return tensors[f"flow.{flow}.{ours[layer]}.{leaf}"].numpy()


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.stem)
def run(request: pytest.FixtureRequest) -> Any:
    return Trained(request.param)


def test_losses(run: Trained) -> None:
    np.testing.assert_allclose(run.losses, run.truth["losses"], rtol=0, atol=LOSSES)


def test_gradients(run: Trained) -> None:
    names = [str(name) for name in run.truth["param_names"]]
    found = np.array([np.linalg.norm(run.of(name, run.first)) for name in names])
    np.testing.assert_allclose(found, run.truth["grad_norms_step0"], rtol=GRADIENTS, atol=1e-9)
    given = [name for name in run.truth if name.startswith("grad/")]
    assert given
    for name in given:
        exact = run.truth[name]
        mine = run.of(name.removeprefix("grad/"), run.first)
        tolerance = GRADIENTS * np.abs(exact).max()
        np.testing.assert_allclose(mine, exact, rtol=0, atol=tolerance, err_msg=name)


def test_weights_after_three_steps(run: Trained) -> None:
    names = [str(name) for name in run.truth["param_names"]]
    found = [np.linalg.norm(run.of(name, run.after)) for name in names]
    np.testing.assert_allclose(found, run.truth["param_norms_after"], rtol=NORMS)
