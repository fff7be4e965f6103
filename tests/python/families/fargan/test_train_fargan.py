"""``pyvoc train fargan`` from end to end, on a tiny network and constructed speech."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fargan_files import FILES, state_dict
from gan_files import Runs, events, figures, write_corpus
from voices import FARGAN as MODELS

pytest.importorskip("torch")
pytest.importorskip("gguf")

import torch

import pyvoc
from pyvoc import Error, ModelError, features
from pyvoc.container import read_container
from pyvoc.families.fargan.spec import FARGAN
from pyvoc.families.fargan.train.discriminators import Discriminators, feature_distance, squares
from pyvoc.families.fargan.train.settings import FarganModel
from pyvoc.families.fargan.train.task import FarganTask
from pyvoc.quant import decode
from pyvoc.train import TrainConfig, from_mapping
from pyvoc.train.gan import Adversaries
from pyvoc.train.resolutions import (
    WINDOWS,
    Windows,
    spectral_distance,
    waveform_distance,
)

METADATA = {
    "general.name": "a teacher",
    "pyvoc.source.format": "test",
    "pyvoc.source.sha256": "0" * 64,
}
SIZES = """
  pitch_embedding: 4
  cond1: 8
  cond2: 16
  cond: 8
  fwc: 24
  gru1: 24
  gru2: 16
  gru3: 16
  skip: 16
"""
TINY_RUN = f"""
batch_size: 4
epochs: 1
log_every: 1
device: cpu
threads: 1
samples: false
model:{SIZES}  fft_sizes: [64, 256]
  critic_channels: 2
  critic_layers: 2
data: {{frames: 9, long_share: 0.3}}
"""


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("speech"), rate=16000)


@pytest.fixture
def runs(speech: Path, tmp_path: Path) -> Runs:
    return Runs("fargan", TINY_RUN, speech, tmp_path, losses=("loss", "waveform"), parts=("",))


def tiny_model(**values: Any) -> FarganModel:
    import yaml

    small = {"fft_sizes": [64, 256], "critic_channels": 2, "critic_layers": 2}
    return from_mapping(FarganModel, {**yaml.safe_load(SIZES), **small, **values}, "model")


def batch(rows: int = 2, frames: int = 9, step: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {
        "features": 0.5 * torch.randn(rows, frames + 2, 20, generator=generator),
        "audio": 0.1 * torch.randn(rows, 160 * frames, generator=generator),
        "seed": torch.arange(rows),
        "long": torch.zeros(rows, dtype=torch.bool),
        "step": torch.full((rows,), step),
    }


def test_it_imitates_a_teacher(runs: Runs, tmp_path: Path) -> None:
    """Layer by layer: nothing is between a network and itself, and learning brings others near."""
    teacher = tmp_path / "teacher.gguf"
    torch.manual_seed(3)
    FarganTask(tiny_model()).export(str(teacher), precision="f32", metadata=METADATA)
    task = FarganTask(tiny_model(teacher=str(teacher), noise=0.0))
    far = float(next(iter(task.losses(batch(), {}))).value.detach())
    assert far > 0.3
    task.load_weights(str(teacher))
    assert float(next(iter(task.losses(batch(), {}))).value.detach()) < 1e-5
    more = ["--steps-per-epoch=30", "--lr=1e-2", "--set", f"model.teacher={teacher}"]
    run = runs.run("run", *more)
    found = [entry["loss"] for entry in events(run, "step")]
    assert np.mean(found[-4:]) < 0.75 * np.mean(found[:4])


def test_teachers_that_cannot_be(tmp_path: Path) -> None:
    teacher = tmp_path / "teacher.gguf"
    FarganTask(tiny_model()).export(str(teacher), precision="f32", metadata=METADATA)
    with pytest.raises(ModelError, match="does not fit this run's sizes"):
        FarganTask(tiny_model(teacher=str(teacher), gru2=24))
    with pytest.raises(Error, match="two stages of training"):
        tiny_model(teacher=str(teacher), adversarial=True)
    with pytest.raises(Error, match=r"nowhere\.gguf"):
        FarganTask(tiny_model(teacher="nowhere.gguf"))


def test_it_ends_in_a_model_that_speaks(runs: Runs, speech: Path) -> None:
    """The loss falls, int8 models are exported, and the network is what is in the file."""
    more = ["--steps-per-epoch=24", "--checkpoint-every=12", "--set", "samples=true"]
    more += [
        "--lr=4e-3",
        "--set",
        "data.augment={gain_db: [0, 0], mute: 0, noise_share: 0, tilt: 0}",
    ]
    run = runs.run("run", *more, "--precision=int8", "--use-performance")
    found = figures(run)
    assert len(found) == 24 and np.mean(found[-4:]) < 0.9 * np.mean(found[:4])
    assert all({"spectral", "waveform"} <= entry.keys() for entry in events(run, "step"))
    assert 0 < events(run, "validation")[-1]["loss"] < 1 and (run / "best.gguf").is_file()
    assert (run / "samples" / "step-000000012" / "validation.wav").is_file()
    assert (run / "performance.json").is_file()
    task = FarganTask(tiny_model())
    task.module.load_state_dict(runs.state("run", 24)["module"])
    exported = decode(FARGAN, read_container(run / "fargan.gguf"))
    for name, array in task.network.to_arrays().items():
        step = np.abs(array).max() / 100  # of eight bits; GRUs' rows of one scale, pairs
        np.testing.assert_allclose(exported[name], array, rtol=0, atol=step, err_msg=name)
    assert pyvoc.load(run / "fargan.gguf").info.precision == "int8"
    task.export(str(run / "f32.gguf"), precision="f32", metadata=_metadata())
    model = pyvoc.load(run / "f32.gguf")
    rows = features.extract(pyvoc.audio.read(speech / "clip1.wav")[0], model=model)[:30]
    with torch.no_grad():
        expected = task.network.eval().synthesize(torch.from_numpy(rows[None]))[0].numpy()
    np.testing.assert_allclose(model.synthesize(rows), expected, rtol=0, atol=1e-3)
    assert expected.std() > 1e-3


def _metadata() -> dict[str, str]:
    return {"general.name": "x", "pyvoc.source.format": "x", "pyvoc.source.sha256": "0" * 64}


def test_interrupted_and_resumed_equals_uninterrupted(runs: Runs) -> None:
    runs.check_resume()


def test_interrupted_in_the_second_stage(runs: Runs, tmp_path: Path) -> None:
    """While the discriminator learns alone; the conditioning stays as it was."""
    second = "lr: 1.0e-3\nschedule: constant\nmodel:\n  critic_steps: 2\n  adversarial: true"
    runs = Runs(
        "fargan",
        TINY_RUN.replace("model:", second),
        runs.speech,
        tmp_path / "gan",
        losses=("loss_discriminator",),
        parts=("discriminator",),
    )
    runs.check_resume()
    whole = runs.folder / "whole"
    assert [("loss" in entry) for entry in events(whole, "step")] == [False] * 2 + [True] * 5
    one, two = runs.state("whole", 3)["module"], runs.state("whole", 7)["module"]
    moved = {name for name in one if not torch.equal(one[name], two[name])}
    kept = ("generator.embed_pitch", "generator.cond.", "generator.gain.")
    assert {name for name in one if not name.startswith(kept)} == moved


def test_two_processes_equal_one(speech: Path, tmp_path: Path) -> None:
    """At a low rate: a network that hears itself takes rounding further at every update."""
    settings = TINY_RUN.replace("model:", "lr: 2.0e-5\nmodel:")
    Runs("fargan", settings, speech, tmp_path, losses=("loss",)).check_two_processes()


def test_two_processes_equal_one_in_the_second_stage(speech: Path, tmp_path: Path) -> None:
    """Both networks learn from the first step on, at upstream's rate for this stage."""
    second = "lr: 2.0e-6\nschedule: constant\nmodel:\n  critic_steps: 0\n  adversarial: true"
    settings = TINY_RUN.replace("model:", second)
    Runs("fargan", settings, speech, tmp_path).check_two_processes()


def test_mixed_precision(runs: Runs) -> None:
    plain = runs.run("plain", "--steps-per-epoch=3")
    mixed = runs.run("mixed", "--steps-per-epoch=3", "--use-amp")
    np.testing.assert_allclose(figures(mixed), figures(plain), rtol=0.05)
    assert figures(mixed) != figures(plain)
    assert {t.dtype for t in runs.state("mixed", 3)["module"].values()} == {torch.float32}


def test_fine_tuning_from_a_model_file_and_from_upstreams(tmp_path: Path) -> None:
    path = next(path for path in MODELS if path.stem == "even.f32")
    container = read_container(path)
    config = FarganModel.of(decode(FARGAN, container), container.metadata)
    state = {name: torch.from_numpy(array) for name, array in state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "fargan_3.pth")
    for source in (path, tmp_path / "fargan_3.pth"):
        task = FarganTask(config)
        task.load_weights(str(source))
        for name, array in task.network.to_arrays().items():
            exact = FILES.arrays("even.f32")[name]
            np.testing.assert_allclose(array, exact, rtol=0, atol=1e-6 * np.abs(exact).max())
    with pytest.raises(ModelError, match=r"even\.f32\.gguf: does not fit this run's sizes"):
        FarganTask(tiny_model(gru1=32)).load_weights(str(path))


def test_what_makes_features_leaves_with_the_network(runs: Runs, tmp_path: Path) -> None:
    """All tensors of a model that are not the network's own."""
    path = next(path for path in MODELS if path.stem == "even.f32")
    run = runs.run("run", "--steps-per-epoch=1", "--set", f"data.features_from={path}")
    given, found = (decode(FARGAN, read_container(p)) for p in (path, run / "fargan.gguf"))
    assert given.keys() == found.keys()
    own = FarganTask(tiny_model()).network.to_arrays()
    for name in given.keys() - own.keys():
        np.testing.assert_array_equal(found[name], given[name])


def test_what_is_left_to_be_learned(runs: Runs) -> None:
    """Each loss moves its own network; the discriminator alone at first."""
    torch.manual_seed(1)
    task = FarganTask(tiny_model(adversarial=True, critic_steps=1))
    assert isinstance(task.module, Adversaries)
    optimizers = task.optimizers(1e-3)
    orders = []
    for step in range(2):
        orders.append([])
        for loss in task.losses(batch(step=step), {}):
            part = {"generator": task.network, "discriminator": task.module.discriminator}
            before = {k: [p.detach().clone() for p in m.parameters()] for k, m in part.items()}
            optimizers[loss.optimizer].zero_grad()
            loss.value.backward()
            optimizers[loss.optimizer].step()
            for name, module in part.items():
                pairs = zip(before[name], module.parameters(), strict=True)
                same = [torch.equal(a, b) for a, b in pairs]
                frozen = [not p.requires_grad for p in module.parameters()]
                assert same == (frozen if name == loss.optimizer else [True] * len(same))
            orders[-1].append(loss.optimizer)
    assert orders == [["discriminator"], ["discriminator", "generator"]]
    assert task.optimizers(1.0)["generator"].defaults["betas"] == (0.8, 0.99)
    assert FarganTask(tiny_model()).optimizers(1.0)["main"].defaults["betas"] == (0.8, 0.95)


def test_a_long_sequence_is_one() -> None:
    """Two rows that follow one another, with true signal at their beginning only."""
    torch.manual_seed(1)
    task = FarganTask(tiny_model(noise=0.0))
    whole = batch(1, 18)
    rows = {
        "features": torch.cat((whole["features"][:, :11], whole["features"][:, 9:])),
        "audio": whole["audio"].view(2, -1),
        "seed": torch.arange(2),
        "long": torch.ones(2, dtype=torch.bool),
    }
    (one,), (two,) = list(task.losses(whole, {})), list(task.losses(rows, {}))
    assert one.value.item() == pytest.approx(two.value.item(), rel=1e-6)


def test_distances_of_spectra_are_what_they_are_called() -> None:
    rng = np.random.default_rng(3)
    made, true = (0.1 * rng.standard_normal((2, 2400)) for _ in range(2))
    expected = []
    for n in WINDOWS:
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
        roots = []
        for signal in (made, true):
            padded = np.pad(signal, ((0, 0), (n // 2, n // 2)), mode="reflect")
            frames = np.lib.stride_tricks.sliding_window_view(padded, n, axis=1)[:, :: n // 4]
            roots.append(np.sqrt(np.abs(np.fft.rfft(frames * window))))
        ratio = np.abs(roots[0] - roots[1]).sum((1, 2)) / roots[1].sum((1, 2))
        expected.append(ratio.mean())
    windows = Windows(WINDOWS)
    a, b = torch.from_numpy(made), torch.from_numpy(true)
    assert float(spectral_distance(a, b, windows)) == pytest.approx(np.mean(expected), rel=1e-5)
    assert float(spectral_distance(a, a, windows)) == pytest.approx(0, abs=1e-9)
    silent = spectral_distance(1e-5 * a, 0 * b, windows)
    assert 0 < float(silent) < 1, "digital silence has no weight of its own"
    cosine = [float(x @ y / np.sqrt((x @ x) * (y @ y))) for x, y in zip(made, true, strict=True)]
    assert float(waveform_distance(a, b)) == pytest.approx(1 - np.mean(cosine), rel=1e-6)
    for value in (0 * a, a):
        value.requires_grad_()
        (spectral_distance(value, b, windows) + waveform_distance(value, b)).backward()
        assert value.grad is not None and torch.isfinite(value.grad).all()


def test_discriminators_are_upstreams() -> None:
    """Channels and strides of its networks, levels in dB, places."""
    critic = Discriminators(FarganModel())
    sizes = [[layer.weight.shape[:2] for layer in d.layers] for d in critic.discriminators]
    assert [tuple(shape) for shape in sizes[0]] == [(16, 3), *[(16, 18)] * 4, (1, 18)]
    assert [shape[0] for shape in sizes[-1]] == [16, 32, 64, 128, 256, 1]
    strides = [[layer.stride for layer in d.layers] for d in critic.discriminators]
    assert [sum(s == (2, 1) for s in each) for each in strides] == [0, 1, 2, 3, 4, 5]
    audio = 0.1 * torch.randn(2, 9600, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        judged = critic(audio)
    for layers, n in zip(judged, (64, 128, 256, 512, 1024, 2048), strict=True):
        assert layers[-1].shape[1] == 1 and 28 <= layers[-1].shape[2] <= 31
        assert layers[-1].shape[3] == 9600 // (n // 4) + 1
        assert (layers[-1] > 0).all() and (layers[-1] < 1).all()
    true = [[torch.zeros_like(x) for x in layers] for layers in judged]
    scores = np.mean([float(layers[-1].square().mean()) for layers in judged])
    assert float(squares(judged, 0.0)) == pytest.approx(scores, rel=1e-5)
    each = [np.mean([float(x.abs().mean()) for x in layers[:-1]]) for layers in judged]
    assert float(feature_distance(judged, true)) == pytest.approx(4 * np.mean(each), rel=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gru1": 0}, "gru1 is 0, expected 1 to 1024"),
        ({"noise": -1.0}, "noise is -1"),
        ({"fft_sizes": [30]}, r"fft_sizes are \(30,\)"),
        ({"critic_most_channels": 1}, "critic_most_channels is less than critic_channels"),
        ({"adam_b1": 1.0}, r"Adam's betas are \(1\.0, 0\.95\)"),
        ({"gru4": 8}, "'gru4' is no setting; did you mean 'gru"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, Any], message: str) -> None:
    with pytest.raises(Error, match=message):
        tiny_model(**values)


def test_the_familys_defaults() -> None:
    config = TrainConfig.of("fargan")
    assert (config.lr, config.lr_decay, config.schedule) == (2e-3, 1e-4, "decay")
