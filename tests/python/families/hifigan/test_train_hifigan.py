"""``pyvoc train hifigan`` from end to end, on a tiny network and constructed speech."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gan_files import Runs, events, figures, write_corpus
from hifigan_files import GOLDEN, TINY

pytest.importorskip("torch")
pytest.importorskip("gguf")

import torch

import pyvoc
from pyvoc import Error, ModelError, features
from pyvoc.cli import main
from pyvoc.container.mel import HIFIGAN as RECIPE
from pyvoc.container.mel import NVIDIA
from pyvoc.families.hifigan.torch_model import Hifigan
from pyvoc.families.hifigan.train.discriminators import Discriminators, SpectralNorm
from pyvoc.families.hifigan.train.settings import HifiganModel
from pyvoc.families.hifigan.train.task import HifiganTask
from pyvoc.families.hifigan.train.upstream import our_name
from pyvoc.train import TrainConfig, from_mapping
from pyvoc.train.config import layered
from pyvoc.train.gan import frozen
from pyvoc.train.weights import DIRECTION, MAGNITUDE

SIZES = """
  resblock: "2"
  upsample_rates: [8, 8, 4]
  upsample_kernel_sizes: [16, 16, 8]
  upsample_initial_channel: 16
  resblock_kernel_sizes: [3, 5]
  resblock_dilation_sizes: [[1, 2], [2, 6]]
  periods: [2, 3]
  mpd_channels: [2, 4, 8]
  scales: 2
  msd_channels: [4, 4, 8, 8, 8, 8, 8]
  msd_groups: [1, 2, 2, 4, 4, 4, 1]
"""
TINY_RUN = f"""
batch_size: 4
epochs: 1
log_every: 1
device: cpu
threads: 1
samples: false
model:{SIZES}
data: {{segment: 2048}}
"""


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("speech"))


@pytest.fixture
def runs(speech: Path, tmp_path: Path) -> Runs:
    return Runs("hifigan", TINY_RUN, speech, tmp_path)


def tiny_model(**values: Any) -> HifiganModel:
    import yaml

    return from_mapping(HifiganModel, {**yaml.safe_load(SIZES), **values}, "model")


def batch(rows: int = 2, step: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    mel = -5 + 2 * torch.randn(rows, 80, 12, generator=generator)
    audio = 0.1 * torch.randn(rows, 3072, generator=generator)
    return {"mel": mel, "audio": audio, "step": torch.full((rows,), step)}


def test_the_critic_may_come_later() -> None:
    """Until then the generator learns from distances alone, and nothing is asked of the critic."""
    task = HifiganTask(tiny_model(spectral_weight=2.0, waveform_weight=3.0, critic_from=5))
    early = list(task.losses(batch(step=4), {}))
    assert [loss.optimizer for loss in early] == ["generator"]
    (only,) = early
    parts = only.metrics
    weighted = {"mel": 45.0, "spectral": 2.0, "waveform": 3.0}
    total = sum(weight * float(parts[name]) for name, weight in weighted.items())
    assert float(only.value.detach()) == pytest.approx(total)
    only.value.backward()
    assert all(p.grad is None for p in task.module.discriminator.parameters())
    late = [loss.optimizer for loss in task.losses(batch(step=5), {})]
    assert late == ["discriminator", "generator"]
    with pytest.raises(Error, match="before critic_from there is nothing to learn from"):
        tiny_model(mel_weight=0.0, critic_from=5)


def test_it_ends_in_a_model_that_speaks(runs: Runs, speech: Path) -> None:
    more = ["--steps-per-epoch=12", "--checkpoint-every=6", "--set", "samples=true", "--lr=2e-3"]
    run = runs.run("run", *more, "--output", str(runs.folder / "voice.gguf"))
    found = figures(run)
    assert len(found) == 12 and np.mean(found[-3:]) < np.mean(found[:3])
    keys = {"loss_discriminator", "grad_norm_discriminator", "mel", "features", "adversarial"}
    assert all(keys <= entry.keys() for entry in events(run, "step"))
    assert events(run, "validation")[-1]["loss"] > 0 and (run / "best.gguf").is_file()
    assert (run / "samples" / "step-000000006" / "clip0.wav").is_file()
    model = pyvoc.load(runs.folder / "voice.gguf")
    assert model.info.mel == RECIPE
    mel = features.extract(pyvoc.audio.read(speech / "clip1.wav")[0], model=model)
    task = HifiganTask(tiny_model())
    state = runs.state("run", 12)["module"]
    task.module.load_state_dict(state)
    with torch.no_grad():
        expected = task.module.generator(torch.from_numpy(mel.T[None].copy())).numpy().ravel()
    np.testing.assert_allclose(model.synthesize(mel), expected, rtol=0, atol=1e-5)
    assert expected.std() > 1e-3


def test_interrupted_and_resumed_equals_uninterrupted(runs: Runs) -> None:
    runs.check_resume()


def test_two_processes_equal_one(runs: Runs) -> None:
    runs.check_two_processes()


def test_mixed_precision(runs: Runs) -> None:
    plain = runs.run("plain", "--steps-per-epoch=3")
    mixed = runs.run("mixed", "--steps-per-epoch=3", "--use-amp")
    np.testing.assert_allclose(figures(mixed), figures(plain), rtol=0.05)
    assert figures(mixed) != figures(plain)
    state = runs.state("mixed", 3)["module"]
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}


def test_each_loss_moves_its_own_network() -> None:
    torch.manual_seed(1)
    task = HifiganTask(tiny_model())
    optimizers = task.optimizers(1e-3)
    parts = {name: getattr(task.module, name) for name in ("generator", "discriminator")}
    order = []
    grads: list[Any] = []
    for loss in task.losses(batch(), {}):
        before = {
            name: [p.detach().clone() for p in part.parameters()] for name, part in parts.items()
        }
        optimizers[loss.optimizer].zero_grad()
        loss.value.backward()
        for name, part in parts.items():
            has = [p.grad is not None and bool(p.grad.any()) for p in part.parameters()]
            assert any(has) or name != loss.optimizer
        if loss.optimizer == "generator":
            assert all(p.requires_grad for p in parts["discriminator"].parameters())
            now = [p.grad for p in parts["discriminator"].parameters()]
            assert all(a is b for a, b in zip(now, grads, strict=True)), "D's are not computed"
        optimizers[loss.optimizer].step()
        grads = [p.grad for p in parts["discriminator"].parameters()]
        for name, part in parts.items():
            same = [torch.equal(a, b) for a, b in zip(before[name], part.parameters(), strict=True)]
            assert not any(same[:3]) if name == loss.optimizer else all(same)
        order.append(loss.optimizer)
    assert order == ["discriminator", "generator"]


def test_frozen_saves_gradients_and_changes_none() -> None:
    torch.manual_seed(1)
    critic = Discriminators(tiny_model())
    audio = batch()["audio"].requires_grad_()
    whole = torch.stack([score.sum() for score, _ in critic.eval()(audio)]).sum()
    (expected,) = torch.autograd.grad(whole, [audio])
    with frozen(critic):
        part = torch.stack([score.sum() for score, _ in critic(audio)]).sum()
    part.backward()
    assert audio.grad is not None and torch.equal(audio.grad, expected)
    assert all(p.grad is None and p.requires_grad for p in critic.parameters())


def test_spectral_norm_is_upstreams() -> None:
    """PyTorch's older one, whose step goes from u to v to u."""
    torch.manual_seed(2)
    weight = torch.randn(6, 3, 5)
    norm = SpectralNorm(weight)
    u = norm.u.clone()
    for _ in range(3):
        rows = weight.flatten(1)
        v = torch.nn.functional.normalize(rows.T @ u, dim=0)
        u = torch.nn.functional.normalize(rows @ v, dim=0)
        torch.testing.assert_close(norm(weight), weight / (u @ rows @ v))
    before = norm.u.clone()
    norm.eval()(weight)
    assert torch.equal(norm.u, before)
    for _ in range(200):
        norm.train()(weight)
    assert float(torch.linalg.svdvals(norm(weight).flatten(1))[0]) == pytest.approx(1, abs=1e-4)


def test_a_loss_that_is_nan_names_network_step_and_row(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pyvoc.train.data import MelSegments

    original = MelSegments.batch

    def spoiled(self: MelSegments, step: int, rows: range) -> Any:
        found = original(self, step, rows)
        if step == 4:
            found["audio"][2, 7] = np.nan
        return found

    monkeypatch.setattr(MelSegments, "batch", spoiled)
    arguments = runs.arguments("run", "--steps-per-epoch=6", "--checkpoint-every=3")
    assert main(["train", *arguments]) == 3
    told = capsys.readouterr().err
    assert "the discriminator's loss is nan (step 5, rows 2 of the batch)" in told
    assert "checkpoint-000000003.pt" in told
    assert runs.state("run", 3)["step"] == 3


def test_fine_tuning_from_a_model_file_and_a_checkpoint(runs: Runs, tmp_path: Path) -> None:
    first = runs.run("first", "--steps-per-epoch=4")
    for source in ("hifigan.gguf", "checkpoint-000000004.pt"):
        more = ["--finetune", str(first / source), "--lr=1e-12", "--steps-per-epoch=1"]
        run = runs.run(f"from {source}", *more)
        one, two = runs.state("first", 4)["module"], runs.state(run.name, 1)["module"]
        before, after = HifiganTask(tiny_model()), HifiganTask(tiny_model())
        before.module.load_state_dict(one)
        after.module.load_state_dict(two)
        theirs = after.module.generator.to_arrays()
        for name, array in before.module.generator.to_arrays().items():
            np.testing.assert_allclose(theirs[name], array, rtol=0, atol=1e-6)
    with pytest.raises(ModelError, match=r"is another network: hifigan\.paired True"):
        HifiganTask(tiny_model()).load_weights(str(TINY / "paired.f32.gguf"))


def upstream_files(folder: Path, model: HifiganModel) -> tuple[Path, dict[str, Any]]:
    """``g_*`` and ``do_*`` as upstream's trainer leaves them, from a network of ours."""
    torch.manual_seed(9)
    task = HifiganTask(model)
    generator, critic = task.module.generator, task.module.discriminator
    layers = {"conv_in": "conv_pre", "conv_out": "conv_post"}
    chains = len(model.resblock_kernel_sizes)
    for k in range(len(model.upsample_rates)):
        layers[f"stage.{k}.up"] = f"ups.{k}"
        for j, dilations in enumerate(model.resblock_dilation_sizes):
            for i in range(len(dilations)):
                theirs = f"resblocks.{k * chains + j}.convs.{i}"
                layers[f"stage.{k}.chain.{j}.block.{i}.first"] = theirs
    leaves = {MAGNITUDE: "weight_g", DIRECTION: "weight_v", "bias": "bias"}
    own = generator.state_dict()
    state = {
        f"{theirs}.{leaf}": own[f"{ours}.{name}"] * 1.5
        for ours, theirs in layers.items()
        for name, leaf in leaves.items()
    }
    torch.save({"generator": state}, folder / "g_00000007")
    spectral = {
        "parametrizations.weight.original": "weight_orig",
        "parametrizations.weight.0.u": "weight_u",
        "parametrizations.weight.0.v": "weight_v",
    }
    parts: dict[str, Any] = {"mpd": {}, "msd": {}, "optim_g": {}, "steps": 7, "epoch": 0}
    for name, tensor in critic.state_dict().items():
        part, _, rest = name.partition(".")
        for ours, theirs in {**leaves, **spectral}.items():
            if rest.endswith(f".{ours}"):
                parts[part][rest.removesuffix(ours) + theirs] = tensor + 0.25
    torch.save(parts, folder / "do_00000007")
    expected = {
        f"generator.{ours}.{name}": own[f"{ours}.{name}"] * 1.5
        for ours in layers
        for name in leaves
    }
    expected |= {f"discriminator.{n}": t + 0.25 for n, t in critic.state_dict().items()}
    return folder / "g_00000007", expected


def test_going_on_from_upstreams_files(tmp_path: Path) -> None:
    path, expected = upstream_files(tmp_path, tiny_model())
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "resblock": "2",
                "upsample_rates": [8, 8, 4],
                "upsample_kernel_sizes": [16, 16, 8],
                "upsample_initial_channel": 16,
                "resblock_kernel_sizes": [3, 5],
                "resblock_dilation_sizes": [[1, 2], [2, 6]],
                "sampling_rate": 22050,
            }
        )
    )
    task = HifiganTask(tiny_model())
    (note,) = task.load_weights(str(path))
    assert "the discriminators were taken from" in note and "do_00000007" in note
    state = task.module.state_dict()
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(state[name], tensor), name
    with pytest.raises(ModelError, match=r"do_00000007': other discriminators than this run's"):
        HifiganTask(tiny_model(periods=[2])).load_weights(str(path))
    (tmp_path / "do_00000007").unlink()
    (note,) = task.load_weights(str(path))
    assert "begin anew" in note


def test_what_a_file_would_run_is_not_run(tmp_path: Path, runs: Runs) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "owned",))

    path, _ = upstream_files(tmp_path, tiny_model())
    torch.save({"mpd": Evil(), "msd": {}}, tmp_path / "do_00000007")
    with pytest.raises(Error):
        HifiganTask(tiny_model()).load_weights(str(path))
    torch.save({"generator": Evil()}, path)
    assert main(["train", *runs.arguments("run", "--finetune", str(path))]) == 3
    assert not (tmp_path / "owned").exists()


def test_upstreams_settings_are_read_as_they_are(tmp_path: Path) -> None:
    settings = {
        "resblock": "1",
        "num_gpus": 0,
        "batch_size": 16,
        "learning_rate": 0.0002,
        "adam_b1": 0.8,
        "adam_b2": 0.99,
        "lr_decay": 0.998,
        "seed": 1234,
        "upsample_rates": [8, 8, 2, 2],
        "upsample_kernel_sizes": [16, 16, 4, 4],
        "upsample_initial_channel": 128,
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        "segment_size": 8192,
        "num_mels": 80,
        "num_freq": 1025,
        "n_fft": 1024,
        "hop_size": 256,
        "win_size": 1024,
        "sampling_rate": 22050,
        "fmin": 0,
        "fmax": 8000,
        "fmax_for_loss": None,
        "num_workers": 4,
        "dist_config": {"dist_backend": "nccl"},
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings, indent=4))
    flags = {"family": ("hifigan", "x"), "data.path": ("wavs", "--data")}
    config = layered(flags, config_file=str(path))
    assert (config.lr, config.lr_gamma, config.seed) == (2e-4, 0.998, 1234)
    assert (config.schedule, config.epochs, config.batch_size) == ("epochs", 3100, 16)
    assert config.data == {"segment": 8192, "path": "wavs"}
    model = from_mapping(HifiganModel, config.model, "model")
    assert model.shape() == HifiganModel(version="v2").shape()
    assert (model.adam_b1, model.adam_b2, model.loss_fmax) == (0.8, 0.99, None)
    assert model.mel_recipe() == RECIPE
    path.write_text(json.dumps({**settings, "snake_logscale": True}))
    with pytest.raises(Error, match=r"its trainer knows no 'snake_logscale'"):
        layered(flags, config_file=str(path))
    assert TrainConfig.of("hifigan").lr == 2e-4
    other = HifiganModel(mel={"sample_rate": 16000}).mel_recipe()
    assert other.name == "custom" and other.sample_rate == 16000


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"upsample_kernel_sizes": [16, 16, 4, 5]}, "kernel of 5 does not suit the rate 2"),
        ({"upsample_rates": [8, 8, 2]}, "differ in number"),
        ({"stage_channels": [8, 4, 2]}, "expected a number above 0 for each of 4 stages"),
        ({"hidden_channels": [8, 0, 2, 4]}, "hidden_channels are .* each of 4 stages"),
        ({"hidden_channels": [4] * 3, "version": "v3"}, "resblock is 2, expected 1"),
        ({"msd_groups": [1, 3, 16, 16, 16, 16, 1]}, "cannot be divided in 3 groups"),
        ({"periods": [], "scales": 0}, "nothing to learn from"),
        ({"mel": {"hop_length": 0}}, "hop_length"),
        ({"recipe": "bark"}, "'recipe' is 'bark', expected one of nvidia"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, Any], message: str) -> None:
    with pytest.raises(Error, match=message):
        from_mapping(HifiganModel, values, "model").shape()


def test_a_network_that_no_model_file_holds() -> None:
    with pytest.raises(Error, match="the stages multiply to 256"):
        HifiganTask(tiny_model(mel={"hop_length": 200}))
    with pytest.raises(Error, match=r"'precision' is int8.*pyvoc quantize"):
        HifiganTask(tiny_model(), precision="int8")


def test_published_sizes() -> None:
    """Parameters without weight norm, as the paper counts them."""
    counts = {"v1": 13_926_017, "v2": 925_985, "v3": 1_462_273}
    for version, expected in counts.items():
        sizes = from_mapping(HifiganModel, {"version": version}, "model").shape()
        assert sum(int(np.prod(shape)) for shape in sizes.tensors().values()) == expected
    with torch.device("meta"):
        critic = Discriminators(HifiganModel())
    weights = {n: p for n, p in critic.named_parameters() if not n.endswith(MAGNITUDE)}
    assert sum(p.numel() for p in weights.values()) == 70_702_792
    assert Hifigan is type(HifiganTask(tiny_model()).module.generator)


def test_given_mels_keep_the_level_of_the_sound(runs: Runs, speech: Path) -> None:
    gta = runs.folder / "gta"
    gta.mkdir()
    for path in speech.glob("*.wav"):
        mel = features.extract(pyvoc.audio.read(path)[0], recipe=NVIDIA)
        np.save(gta / f"{path.stem}.npy", mel.T)
    run = runs.run("run", "--mels", str(gta), "--steps-per-epoch=2")
    assert len(figures(run)) == 2
    from pyvoc.families.hifigan.train.task import build

    for mels, peak in ((str(gta), 0.0), ("", 0.95)):
        data = {"path": str(speech), "segment": 2048, "mels": mels}
        _, found = build(TrainConfig.of("hifigan", data=data, model=dict(vars(tiny_model()))))
        assert found._config.peak == peak


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="no golden data")
def test_names_and_sizes_are_upstreams() -> None:
    index = json.loads((GOLDEN / "training" / "state_dict_index.json").read_text())
    with torch.device("meta"):
        critic = Discriminators(HifiganModel())
    for part in ("mpd", "msd"):
        own = getattr(critic, part).state_dict()
        theirs = {our_name(n, index[part]): tuple(s) for n, s in index[part].items()}
        assert {n: tuple(t.shape) for n, t in own.items()} == theirs


def test_two_batches_at_once_are_judged_as_one_after_the_other() -> None:
    torch.manual_seed(3)
    config = HifiganModel(
        periods=(2, 3),
        mpd_channels=(2, 4),
        scales=2,
        msd_channels=(4, 4, 8, 8, 8, 8, 8),
        msd_groups=(1, 2, 2, 4, 4, 4, 1),
    )
    apart, together = Discriminators(config), Discriminators(config)
    together.load_state_dict(apart.state_dict())
    one, other = torch.randn(2, 1025), torch.randn(2, 1025)
    expected = apart(one), apart(other)
    found = together.both(one, other)
    torch.testing.assert_close(found, expected)
    # Spectral norm moves at each use, and both have used it twice.
    for name, value in apart.state_dict().items():
        torch.testing.assert_close(together.state_dict()[name], value)
