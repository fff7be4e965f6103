"""The first steps of upstream's own trainer: losses, gradients, weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gan_files import seed_of, seeded
from hifigan_files import GOLDEN

pytest.importorskip("torch")

import torch

from pyvoc.families.hifigan.train.recipes import translate
from pyvoc.families.hifigan.train.settings import HifiganModel
from pyvoc.families.hifigan.train.task import HifiganTask
from pyvoc.families.hifigan.train.upstream import our_name
from pyvoc.train import from_mapping
from pyvoc.train.data import Clip, MelDataConfig, MelSegments
from pyvoc.train.weights import DIRECTION, MAGNITUDE, normed_leaf, set_tensors

CASES = sorted(GOLDEN.glob("training*/*_batch*.npz"))
LOSSES, GRADIENTS = 1e-5, 1e-4
"""Relative, of float32 against upstream in float64; the third step's losses 5e-5."""

pytestmark = pytest.mark.skipif(not CASES, reason="no golden data")


def trained(case: Path) -> tuple[HifiganTask, Any, list[dict[str, float]], dict[str, Any]]:
    """Three steps on the golden batch; the losses, and the first gradients by upstream's names."""
    truth = np.load(case)
    folder = case.parents[1] / case.stem.rpartition("_")[0]
    config = translate(json.loads((folder / "config.json").read_text()), "config.json")
    assert config is not None
    shapes = json.loads((case.parent / "small_discriminators.json").read_text())
    channels = {
        f"{part}_channels": [
            shapes[f"small_{part}"][f"discriminators.{which}.convs.{i}.bias"][0]
            for i in range(count)
        ]
        for part, which, count in (("mpd", 0, 5), ("msd", 1, 7))
    }
    task = HifiganTask(from_mapping(HifiganModel, {**config["model"], **channels}, "model"))
    (weights,) = folder.glob("g_*")
    task.load_weights(str(weights))
    for part in ("mpd", "msd"):
        names = shapes[f"small_{part}"]
        seed = seed_of(names.items(), truth[f"init_{part}_sums"][:, 0])
        state = {our_name(n, names): x for n, x in seeded(names.items(), seed).items()}
        module = getattr(task.module.discriminator, part)
        assert state.keys() == module.state_dict().keys()
        set_tensors(module, state, "the recipe")
    batch = {name: torch.from_numpy(truth[name]) for name in ("mel", "audio")}
    optimizers = task.optimizers(2e-4)
    steps, gradients = [], {}
    for step in range(3):
        found = {}
        for loss in task.losses(batch, {}):
            optimizers[loss.optimizer].zero_grad()
            loss.value.backward()
            found[loss.optimizer] = loss.value.item()
            found |= {name: value.item() for name, value in loss.metrics.items()}
            if step == 0:
                part = getattr(task.module, loss.optimizer)
                gradients |= {
                    f"{loss.optimizer}.{name}": p.grad.clone()
                    for name, p in part.named_parameters()
                }
            optimizers[loss.optimizer].step()
        steps.append(found)
    return task, truth, steps, gradients


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.stem)
def run(request: pytest.FixtureRequest) -> Any:
    return trained(request.param)


def test_losses_of_three_steps(run: Any) -> None:
    _, truth, steps, _ = run
    for step, found in enumerate(steps):
        tolerance = LOSSES if step < 2 else 5 * LOSSES
        expected = {
            "discriminator": truth["f64_loss_d"][step],
            "generator": truth["f64_loss_g"][step],
            "mel": truth["f64_loss_mel"][step] / 45,
            "features": (truth["f64_fm_mpd"][step] + truth["f64_fm_msd"][step]) / 2,
            "adversarial": truth["f64_adv_mpd"][step] + truth["f64_adv_msd"][step],
        }
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=tolerance), (step, name)


def discriminators_name(name: str) -> str:
    """Ours, with the part in front, of upstream's (``mpd.discriminators...``)."""
    part, _, rest = name.partition(".")
    layer, _, leaf = rest.rpartition(".")
    if leaf == "weight_orig":
        return f"discriminator.{part}.{layer}.parametrizations.weight.original"
    return f"discriminator.{part}.{layer}.{normed_leaf(leaf)}"


def generators_names(task: HifiganTask) -> dict[str, str]:
    """Upstream's name to ours, of the generator's parameters."""
    model = task.config
    chains = len(model.resblock_kernel_sizes)
    layers = {"conv_pre": "conv_in", "conv_post": "conv_out"}
    for k in range(len(model.upsample_rates)):
        layers[f"ups.{k}"] = f"stage.{k}.up"
        for j, dilations in enumerate(model.resblock_dilation_sizes):
            for i in range(len(dilations)):
                for which, ours in (("1", "first"), ("2", "second")):
                    theirs = f"resblocks.{k * chains + j}.convs{which}.{i}"
                    layers[theirs] = f"stage.{k}.chain.{j}.block.{i}.{ours}"
    leaves = {"weight_g": MAGNITUDE, "weight_v": DIRECTION, "bias": "bias"}
    return {f"{t}.{a}": f"generator.{o}.{b}" for t, o in layers.items() for a, b in leaves.items()}


def test_gradients_of_the_first_step(run: Any) -> None:
    task, truth, _, gradients = run
    names = generators_names(task)
    ours = {**{f"g.{n}": o for n, o in names.items()}}
    for kind in ("g", "d"):
        norms = dict(zip(truth[f"{kind}_names"], truth[f"{kind}_grad_norm_f64"], strict=True))
        greatest = max(norms.values())
        for name, norm in norms.items():
            mine = ours[f"g.{name}"] if kind == "g" else discriminators_name(str(name))
            found = float(gradients[mine].norm())
            assert found == pytest.approx(norm, rel=GRADIENTS, abs=1e-7 * greatest), name
        for key in [k for k in truth.files if k.startswith(f"{kind}_grad/")]:
            name = key.partition("/")[2]
            mine = ours[f"g.{name}"] if kind == "g" else discriminators_name(name)
            expected = truth[key]
            error = np.abs(gradients[mine].numpy() - expected).max()
            assert error <= GRADIENTS * np.abs(expected).max(), name


def test_weights_after_three_steps(run: Any) -> None:
    """A step moves weights by 2e-4; what has a tiny gradient is moved by its rounding."""
    task, truth, _, _ = run
    state = task.module.state_dict()
    names = generators_names(task)
    for key in [k for k in truth.files if k.startswith("after3/")]:
        part, _, rest = key.partition("/")[2].partition(".")
        mine = names[rest] if part == "g" else discriminators_name(f"{part}.{rest}")
        found = state[mine].numpy()
        assert np.abs(found - truth[key]).max() < 1e-4, key
        assert np.median(np.abs(found - truth[key])) < 2e-6, key


def test_spectral_vectors_move_as_upstreams(run: Any) -> None:
    """After the discriminators' pass of the first step: two steps of the power iteration."""
    _, truth, _, _ = run
    case = next(c for c in CASES if np.load(c).files == truth.files)
    shapes = json.loads((case.parent / "small_discriminators.json").read_text())["small_msd"]
    seed = seed_of(shapes.items(), truth["init_msd_sums"][:, 0])
    weights = seeded(shapes.items(), seed)
    from pyvoc.families.hifigan.train.discriminators import SpectralNorm

    for key in [k for k in truth.files if k.startswith("uv_after_d_step1/msd.")]:
        name = key.partition("/msd.")[2]
        layer, _, leaf = name.rpartition(".")
        weight = torch.from_numpy(weights[f"{layer}.weight_orig"])
        norm = SpectralNorm(weight)
        norm.u = torch.from_numpy(weights[f"{layer}.weight_u"])
        norm.v = torch.from_numpy(weights[f"{layer}.weight_v"])
        norm(weight), norm(weight)
        found = (norm.u if leaf == "weight_u" else norm.v).numpy()
        np.testing.assert_allclose(found, truth[key], rtol=0, atol=1e-6)


def test_the_batch_is_the_recordings(run: Any) -> None:
    """Crops where upstream cut them; its mels mirror the crop's ends, ours are the clip's."""
    _, truth, _, _ = run
    folder = GOLDEN.parents[1] / "data" / "ljspeech"
    if not folder.is_dir():
        pytest.skip("no recordings")
    from pyvoc.container.mel import HIFIGAN
    from pyvoc.train.data import load_corpus

    corpus = load_corpus([folder / f"{name}.wav" for name in truth["files"]], rate=22050)
    segment = truth["audio"].shape[1]
    config = MelDataConfig(path="x", segment=segment, peak=0.95)
    data = MelSegments(corpus, HIFIGAN, config, rows=4, seed=0)
    clips: dict[str, Clip] = {c.path.stem: c for s in corpus.train for c in s.clips}
    for i, (name, start) in enumerate(zip(truth["files"], truth["starts"], strict=True)):
        clip = clips[str(name)]
        level = np.float32(0.95 / clip.peak)
        mel, audio = data._cut(clip, int(start), level)
        np.testing.assert_allclose(audio, truth["audio"][i], rtol=0, atol=2e-6)
        inner = slice(2, -2)
        assert np.abs(mel.T[:, inner] - truth["mel"][i][:, inner]).max() < 2e-3
        assert np.abs(mel.T - truth["mel"][i]).max() > 0.01, "the crop's mirrored ends"
