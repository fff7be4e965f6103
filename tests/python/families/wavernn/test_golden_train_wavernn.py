"""Five steps of upstream's own trainer: losses, gradients, weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wavernn_files import GOLDEN

pytest.importorskip("torch")

import torch

from pyvoc.convert.model_file import read_weights
from pyvoc.families.wavernn.shape import WavernnShape
from pyvoc.families.wavernn.spec import WAVERNN
from pyvoc.families.wavernn.torch_model import Wavernn
from pyvoc.families.wavernn.train.settings import WavernnModel
from pyvoc.families.wavernn.train.task import WavernnTask
from pyvoc.families.wavernn.train.upstream import load_weights

CASES = sorted(GOLDEN.glob("*_train.npz"))
LOSSES, NORMS, GRADIENTS, WEIGHTS = 2e-6, 1e-4, 1e-3, 1e-2
"""Relative: losses (float64 is 8e-7 from upstream's first); norms of the first two steps (1e-2
later: Adam makes whole steps of gradients that are rounding); gradients, of each tensor's largest
(a rectifier of the labels' case lies 2e-7 from its kink, where upstream's rounding falls on the
other side); what weights moved, by norms."""

pytestmark = pytest.mark.skipif(not CASES, reason="no golden data")


def file_of(case: Path, which: str) -> str:
    return str(case.with_name(case.stem + f"_{which}_weights.pyt"))


class Trained:
    """One case: five steps on its batch."""

    def __init__(self, case: Path) -> None:
        self.truth, self.case = np.load(case), case
        start = read_weights(WAVERNN, file_of(case, "init"))
        shape = WavernnShape.of(start.arrays, start.metadata)
        raw = shape.settings.mode == "raw"
        model = WavernnModel(
            mode=shape.settings.mode,
            bits=shape.settings.bits if raw else 9,
            rnn_dims=shape.rnn,
            fc_dims=shape.fc,
            compute_dims=shape.hidden,
            res_out_dims=4 * shape.aux,
            res_blocks=shape.blocks,
            upsample_factors=shape.stretches,
        )
        torch.manual_seed(0)
        self.task = WavernnTask(model)
        self.task.load_weights(file_of(case, "init"))
        batch = {
            "x": torch.from_numpy(self.truth["x"]),
            "label": torch.from_numpy(self.truth["labels_next"]).long(),
            "mel": torch.from_numpy(self.truth["mels"]),
        }
        network = self.task.module.train()
        (optimizer,) = self.task.optimizers(float(self.truth["lr"])).values()
        self.losses, self.norms, self.first = [], [], {}
        for step in range(5):
            (loss,) = self.task.losses(batch, {})
            optimizer.zero_grad()
            loss.value.backward()
            if step == 0:
                self.first = {n: p.grad.clone() for n, p in network.named_parameters()}
            norm = torch.nn.utils.clip_grad_norm_(network.parameters(), float(self.truth["clip"]))
            optimizer.step()
            self.losses.append(loss.value.item())
            self.norms.append(norm.item())


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.stem)
def run(request: pytest.FixtureRequest) -> Trained:
    return Trained(request.param)


def test_losses_and_norms(run: Trained) -> None:
    losses, norms = run.truth["losses"], run.truth["grad_norms_before_clip"]
    np.testing.assert_allclose(run.losses[:2], losses[:2], rtol=LOSSES)
    np.testing.assert_allclose(run.losses, losses, rtol=3 * LOSSES)
    np.testing.assert_allclose(run.norms[:2], norms[:2], rtol=NORMS)
    np.testing.assert_allclose(run.norms, norms, rtol=100 * NORMS)


def as_ours(state: dict[str, Any], run: Trained, folder: Path) -> dict[str, torch.Tensor]:
    """What upstream's tensors are in a network of ours."""
    path = folder / "tensors.pyt"
    torch.save(state, path)
    other = Wavernn(run.task.network.shape, normed=True, stem=True)
    load_weights(other, str(path))
    return other.state_dict()


def test_every_gradient(run: Trained, tmp_path: Path) -> None:
    state = torch.load(file_of(run.case, "init"), weights_only=True)
    for name in list(state):
        if f"grad0/{name}" in run.truth:
            state[name] = torch.from_numpy(run.truth[f"grad0/{name}"])
    expected = as_ours(state, run, tmp_path)
    assert len(run.first) == sum(name.startswith("grad0/") for name in run.truth)
    for name, found in run.first.items():
        scale = float(expected[name].abs().max())
        torch.testing.assert_close(found, expected[name], rtol=0, atol=GRADIENTS * scale)


def test_weights_after_five_steps(run: Trained, tmp_path: Path) -> None:
    """Batch norm's averages among them."""
    state = torch.load(file_of(run.case, "after5"), weights_only=True)
    expected = as_ours(state, run, tmp_path)
    found = run.task.module.state_dict()
    begun = as_ours(torch.load(file_of(run.case, "init"), weights_only=True), run, tmp_path)
    for name, tensor in expected.items():
        if name.endswith("num_batches_tracked"):
            continue
        moved = float((tensor - begun[name]).norm())
        assert moved > 0 and float((found[name] - tensor).norm()) < WEIGHTS * moved, name
