"""``pyvoc train melgan`` from end to end: three upstreams' recipes on tiny networks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gan_files import RATE, Runs, events, figures, write_corpus
from melgan_checkpoints import mindspore_bytes, state_dict

pytest.importorskip("torch")
pytest.importorskip("gguf")

import torch

import pyvoc
from pyvoc import Error, ModelError, features
from pyvoc.cli import main
from pyvoc.container.mel import DESCRIPT, NVIDIA
from pyvoc.families.melgan.train import discriminators as judges
from pyvoc.families.melgan.train.discriminators import Discriminators
from pyvoc.families.melgan.train.settings import MelganModel
from pyvoc.families.melgan.train.task import MelganTask, build
from pyvoc.train import TrainConfig, from_mapping
from pyvoc.train.config import layered
from pyvoc.train.weights import DIRECTION, MAGNITUDE

UPSTREAMS = ("seungwonpark", "descript", "mindspore")
TINY = """
batch_size: 4
epochs: 1
log_every: 1
device: cpu
threads: 1
samples: false
model:
  upstream: {}
  channels: 16
  ratios: [8, 8, 4]
  blocks: 2
  scales: 2
  discriminator_channels: [4, 8, 16, 16]
data: {{segment: 4096}}
"""


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("speech"))


@pytest.fixture(params=UPSTREAMS)
def runs(request: pytest.FixtureRequest, speech: Path, tmp_path: Path) -> Runs:
    return Runs("melgan", TINY.format(request.param), speech, tmp_path)


def tiny_model(upstream: str, **values: Any) -> MelganModel:
    import yaml

    settings = yaml.safe_load(TINY.format(upstream))["model"]
    return from_mapping(MelganModel, {**settings, **values}, "model")


def test_it_ends_in_a_model_that_speaks(runs: Runs, speech: Path) -> None:
    more = ["--steps-per-epoch=8", "--checkpoint-every=8", "--set", "samples=true", "--lr=1e-3"]
    run = runs.run("run", *more)
    assert len(figures(run)) == 8 and len(set(figures(run, "loss_discriminator"))) == 8
    assert events(run, "validation")[-1]["loss"] > 0
    assert (run / "samples" / "step-000000008" / "clip0.wav").is_file()
    model = pyvoc.load(run / "melgan.gguf")
    config = runs.state("run", 8)["config"]
    upstream = next(name for name in UPSTREAMS if f'"{name}"' in config)
    assert model.info.mel == (DESCRIPT if upstream == "descript" else NVIDIA)
    mel = features.extract(pyvoc.audio.read(speech / "clip1.wav")[0], model=model)
    task = MelganTask(tiny_model(upstream))
    task.module.load_state_dict(runs.state("run", 8)["module"])
    with torch.no_grad():
        expected = task.module.generator(torch.from_numpy(mel.T[None].copy())).numpy().ravel()
    np.testing.assert_allclose(model.synthesize(mel), expected, rtol=0, atol=1e-5)
    assert expected.std() > 1e-3


def test_interrupted_and_resumed_equals_uninterrupted(runs: Runs) -> None:
    runs.check_resume()


@pytest.mark.parametrize("upstream", ["seungwonpark", "descript"])
def test_two_processes_equal_one(upstream: str, speech: Path, tmp_path: Path) -> None:
    Runs("melgan", TINY.format(upstream), speech, tmp_path).check_two_processes()


@pytest.mark.parametrize(
    ("upstream", "steps", "order"),
    [
        ("descript", 1, ["discriminator", "generator"]),
        ("seungwonpark", 3, ["generator", *["discriminator"] * 3]),
        ("mindspore", 1, ["generator", "discriminator"]),
    ],
)
def test_the_order_is_upstreams(upstream: str, steps: int, order: list[str]) -> None:
    """Where the generator is first, the discriminator hears it changed, in another segment."""
    torch.manual_seed(1)
    task = MelganTask(tiny_model(upstream, discriminator_steps=steps))
    optimizers = task.optimizers(1e-2)
    shapes = {"mel": (2, 80, 8), "audio": (2, 2048), "other_mel": (2, 80, 8)}
    batch = {name: torch.randn(*shape) for name, shape in shapes.items()}
    batch["other_audio"] = torch.randn(2, 2048)
    found = []
    for loss in task.losses(batch, {}):
        if upstream != "descript" and found == ["generator"]:
            critic = task.module.discriminator
            with torch.no_grad():
                made = task.module.generator(batch["other_mel"])[:, 0]
                real = critic(batch["other_audio"])
                expected = judges.squares_of_discriminator(real, critic(made))
            assert loss.value.item() == pytest.approx(expected.item(), rel=1e-6)
        optimizers[loss.optimizer].zero_grad()
        loss.value.backward()
        optimizers[loss.optimizer].step()
        found.append(loss.optimizer)
    assert found == order


def test_rates_and_beginnings() -> None:
    task = MelganTask(tiny_model("mindspore", discriminator_lr=0.5))
    generator, critic = (o.param_groups[0] for o in task.optimizers(1e-4).values())
    assert (generator["lr_scale"], critic["lr_scale"]) == (1.0, 0.5)
    assert generator["betas"] == (0.9, 0.999)
    names = list(task.module.state_dict())
    assert not any("parametrizations" in name for name in names), "no weight norm"
    layer = task.module.discriminator.discriminators[0].layers[1]
    bound = np.sqrt(6 / ((4 + 8) * 41))
    assert float(layer.weight.detach().abs().max()) == pytest.approx(bound, rel=0.02)
    assert not layer.bias.any() and layer.groups == 1
    assert MelganTask(tiny_model("descript")).optimizers(1.0)["generator"].defaults["betas"] == (
        *(0.5, 0.9),
    )


def test_published_sizes() -> None:
    """Weights and biases: seungwonpark's 16.92 M; MindSpore's has no groups."""
    with torch.device("meta"):
        grouped = Discriminators(MelganModel())
        plain = Discriminators(MelganModel(upstream="mindspore"))
    weights = [p for n, p in grouped.named_parameters() if not n.endswith(MAGNITUDE)]
    assert sum(p.numel() for p in weights) == pytest.approx(16.92e6, rel=1e-3)
    assert sum(p.numel() for p in plain.parameters()) == pytest.approx(78.4e6, rel=5e-3)
    shape = MelganModel().shape()
    assert sum(int(np.prod(size)) for size in shape.tensors().values()) == 4_260_257


MINDSPORE = """
'pre_trained': {pre_trained}
'checkpoint_path':  '{checkpoint}'
'lr_g': 0.0001
'lr_d': 0.0002
'batch_size': 2
'epoch_size': 2
'momentum': 0.9
'leaky_alpha': 0.2
'train_length': 16
'beta1': 0.9
'beta2': 0.999
'weight_decay': 0.0
'hop_size': 256
'mel_num': 80
'filter_length': 1024
'win_length': 1024
'segment_length': 16000
'sample': 22050
'data_path': '{root}/dataset/'
'save_steps': 1
'save_checkpoint_name': 'melgan'
'save_checkpoint_path': '{root}/saved_model'
'eval_data_path': '{root}/dataset/val/'
'eval_model_path': './melgan_20-215_176000.ckpt'
'output_path': 'output/'
'eval_length': 240
---
lr_g: 'learning rate of the generator'
"""


def mindspore_folder(root: Path) -> Path:
    """``train/wav``, ``train/mel`` and ``val`` of the guide."""
    write_corpus(root / "train" / "wav", clips=3)
    for folder in ("train/mel", "val"):
        (root / folder).mkdir(parents=True)
    for path in sorted((root / "train" / "wav").glob("*.wav")):
        mel = features.extract(pyvoc.audio.read(path)[0], recipe=NVIDIA).T
        np.save(root / "train" / "mel" / f"{path.stem}.npy", mel)
    np.save(root / "val" / "wavform1.npy", mel[:, :30])
    return root


def test_the_mindspore_guide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its config.yaml, its folder, its log, its evaluation; networks made small for the test."""
    mindspore_folder(tmp_path / "dataset")
    config = tmp_path / "config.yaml"
    config.write_text(MINDSPORE.format(root=tmp_path, pre_trained="'Flase'", checkpoint="x.ckpt"))
    small = ["channels=16", "blocks=2", "scales=2", "discriminator_channels=[4,8,16,16]"]
    more = [word for value in small for word in ("--set", f"model.{value}")]
    run = ["train", "melgan", "--config", str(config), "--device=cpu", "--threads=1", *more]
    assert main(run) == 0
    told = capsys.readouterr().err
    line = r"^(\d+)epoch (\d+)iter loss_G=[\d.]+ loss_D=[\d.]+ \d+\.\d\ds/it$"
    assert re.findall(line, told, re.MULTILINE) == [("1", "1"), ("2", "2")]
    saved = tmp_path / "saved_model"
    spoken = saved / "samples" / "step-000000002" / "wavform1.wav"
    assert len(pyvoc.audio.read(spoken)[0]) == 30 * 256
    target, out = saved / "melgan.gguf", tmp_path / "output"
    out.mkdir()
    mels = str(tmp_path / "dataset" / "val" / "wavform1.npy")
    assert main(["synth", "--model", str(target), mels, "-o", str(out)]) == 0
    assert len(pyvoc.audio.read(out / "wavform1.wav")[0]) == 30 * 256
    (start,) = events(saved, "start")
    model = start["config"]["model"]
    assert model["upstream"] == "mindspore" and model["discriminator_lr"] == 2.0
    assert start["config"]["data"]["segment"] == 16 * 256
    # going on from it, as pre_trained says
    checkpoint = sorted(saved.glob("checkpoint-*.pt"))[-1]
    other = config.read_text().replace("'Flase'", "True").replace("x.ckpt", str(checkpoint))
    config.write_text(other.replace("saved_model'", "saved_again'"))
    assert main(run) == 0
    assert events(tmp_path / "saved_again", "start")[0]["config"]["finetune"] == str(checkpoint)
    # and the folder alone is understood
    data = {"path": str(tmp_path / "dataset"), "segment": 4096}
    _, found = build(TrainConfig.of("melgan", data=data, batch_size=2))
    assert found._given is not None
    config.write_text(other.replace("'momentum'", "'momentun'"))
    with pytest.raises(Error, match=r"MindSpore's MelGAN, but its trainer knows no 'momentun'"):
        layered({"family": ("melgan", "x")}, config_file=str(config))


def test_seungwonparks_settings(tmp_path: Path) -> None:
    path = tmp_path / "default.yaml"
    path.write_text(
        "data:\n  train: '/speech/train'\n  validation: '/speech/valid'\n---\n"
        "train:\n  rep_discriminator: 2\n  num_workers: 32\n  batch_size: 8\n"
        "  optimizer: 'adam'\n  adam:\n    lr: 0.0002\n    beta1: 0.4\n    beta2: 0.8\n---\n"
        "audio:\n  n_mel_channels: 80\n  segment_length: 16000\n  pad_short: 2000\n"
        "  filter_length: 1024\n  hop_length: 256 # WARNING: this can't be changed.\n"
        "  win_length: 1024\n  sampling_rate: 22050\n  mel_fmin: 0.0\n  mel_fmax: 8000.0\n---\n"
        "model:\n  feat_match: 9.0\n---\n"
        "log:\n  summary_interval: 1\n  validation_interval: 5\n  save_interval: 25\n"
        "  chkpt_dir: 'chkpt'\n  log_dir: 'logs'\n"
    )
    config = layered({"family": ("melgan", "x")}, config_file=str(path))
    assert (config.batch_size, config.lr) == (8, 2e-4)
    assert config.data == {
        "segment": 63 * 256,
        "path": "/speech/train",
        "validation": "/speech/valid",
    }
    model = from_mapping(MelganModel, config.model, "model")
    assert model.betas == (0.4, 0.8) and model.discriminator_steps == 2
    assert model.feature_weight == 9 and model.mel_recipe() == NVIDIA
    path.write_text(path.read_text().replace("feat_match", "feet_match"))
    with pytest.raises(Error, match=r"seungwonpark's MelGAN, .* knows no 'feet_match'"):
        layered({"family": ("melgan", "x")}, config_file=str(path))


def test_descripts_settings(tmp_path: Path) -> None:
    """args.yml as its train.py dumps it, with Python's tags."""
    root = write_corpus(tmp_path / "speech", clips=2)
    (root / "train_files.txt").write_text("clip0.wav\n")
    (root / "test_files.txt").write_text("clip1.wav\n")
    path = tmp_path / "args.yml"
    parts = "".join(f"- {part}\n" for part in root.parts)
    path.write_text(
        "!!python/object:argparse.Namespace\nbatch_size: 4\ncond_disc: false\n"
        f"data_path: !!python/object/apply:pathlib.PosixPath\n{parts}downsamp_factor: 4\n"
        "epochs: 3000\nlambda_feat: 10\nload_path: null\nlog_interval: 100\nn_layers_D: 3\n"
        "n_mel_channels: 80\nn_residual_layers: 2\nn_test_samples: 8\nndf: 8\nngf: 4\nnum_D: 2\n"
        "save_interval: 1000\nsave_path: logs/baseline\nseq_len: 8192\n"
    )
    config = layered({"family": ("melgan", "x")}, config_file=str(path))
    assert config.model_dir == "logs/baseline" and config.checkpoint_every == 1000
    model = from_mapping(MelganModel, config.model, "model")
    assert (model.upstream, model.channels, model.blocks, model.scales) == ("descript", 64, 2, 2)
    assert model.discriminator_channels == (8, 32, 128, 512, 1024)
    assert model.mel_recipe() == DESCRIPT
    _, data = build(config)
    assert [clip.path.name for clip in data.corpus.validation] == ["clip1.wav"]
    assert data._config.peak == 0.95 and data._config.gain == (0.3, 1.0)


def seungwonpark_file(path: Path, model: MelganModel) -> dict[str, np.ndarray]:
    """A checkpoint of its trainer, with discriminators, from a network of ours."""
    torch.manual_seed(4)
    task = MelganTask(model)
    own = task.module.state_dict()
    layers = {"conv_in": "generator.1", "conv_out": f"generator.{4 + 3 * len(model.ratios)}"}
    for k in range(len(model.ratios)):
        at = 4 + 3 * k
        layers[f"stage.{k}.up"] = f"generator.{at - 1}"
        for j in range(model.blocks):
            block = f"stage.{k}.block.{j}"
            layers |= {
                f"{block}.conv": f"generator.{at}.blocks.{j}.2",
                f"{block}.out": f"generator.{at}.blocks.{j}.4",
                f"{block}.shortcut": f"generator.{at}.shortcuts.{j}",
            }
    leaves = {"bias": "bias", MAGNITUDE: "weight_g", DIRECTION: "weight_v"}
    model_g = {
        f"{theirs}.{leaf}": own[f"generator.{ours}.{name}"] * 1.5
        for ours, theirs in layers.items()
        for name, leaf in leaves.items()
    }
    last = len(model.discriminator_channels)
    model_d = {}
    for scale in range(model.scales):
        for layer in range(last + 1):
            inner = {0: "0.1", last: f"{last}"}.get(layer, f"{layer}.0")
            for name, leaf in leaves.items():
                theirs = f"discriminators.{scale}.discriminator.{inner}.{leaf}"
                ours = f"discriminator.discriminators.{scale}.layers.{layer}.{name}"
                model_d[theirs] = own[ours] + 0.25
    optim = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}
    torch.save({"model_g": model_g, "model_d": model_d, "optim_g": optim, "step": 3}, path)
    expected = {n: t * 1.5 for n, t in own.items() if n.startswith("generator")}
    expected |= {n: t + 0.25 for n, t in own.items() if n.startswith("discriminator")}
    return {name: tensor.numpy() for name, tensor in expected.items()}


def test_going_on_from_seungwonparks_file(tmp_path: Path) -> None:
    model = tiny_model("seungwonpark")
    path = tmp_path / "tiny_aca5990_0003.pt"
    expected = seungwonpark_file(path, model)
    task = MelganTask(model)
    (note,) = task.load_weights(str(path))
    assert "the discriminators were taken from" in note
    for name, tensor in task.module.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), expected[name], err_msg=name)
    other = MelganTask(tiny_model("seungwonpark", scales=1))
    with pytest.raises(ModelError, match="have 10 convolutions, this run's 5"):
        other.load_weights(str(path))
    with pytest.raises(ModelError, match=r"is another network: melgan\.padding reflect"):
        MelganTask(tiny_model("mindspore")).load_weights(str(path))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stage_channels": [8, 4]}, "expected a number above 0 for each of 4 stages"),
        ({"channels": 20, "ratios": [8, 8, 2, 2]}, "channels is 20, which 4 stages cannot halve"),
        ({"discriminator_channels": [6, 8, 8]}, "cannot be divided in groups of 4 inputs"),
        ({"discriminator_channels": [16]}, "less than three"),
        ({"upstream": "vocgan"}, "'upstream' is 'vocgan'"),
        ({"adam_b1": 1.0}, "expected 0 to below 1"),
        ({"recipe": "bark"}, "'recipe' is 'bark'"),
        ({"mel": {"hops": 3}}, "did you mean 'hop_length'|'hops' is no setting"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, Any], message: str) -> None:
    with pytest.raises(Error, match=message):
        from_mapping(MelganModel, values, "model").shape()


def test_the_scores_are_of_the_sound_and_its_averages() -> None:
    """Against the definitions, on a seeded discriminator of one scale more than the other."""
    model = tiny_model("descript")
    torch.manual_seed(6)
    critic = Discriminators(model)
    audio = torch.randn(2, RATE // 8)
    (first, _), (second, features_) = critic(audio)
    padded = torch.nn.functional.pad(audio[:, None], (1, 1))
    windows = padded.unfold(-1, 4, 2)
    counts = torch.nn.functional.pad(torch.ones_like(audio[:, None]), (1, 1)).unfold(-1, 4, 2)
    averaged = windows.sum(-1) / counts.sum(-1)
    alone, _ = critic.discriminators[1](averaged)
    torch.testing.assert_close(second, alone)
    assert first.shape[-1] == -(-audio.shape[-1] // 16) and len(features_) == 4


def test_going_on_from_mindspores_file(tmp_path: Path) -> None:
    """Its training checkpoint: generator, discriminators, and Adam's moments of both."""
    torch.manual_seed(8)
    model = tiny_model("mindspore")
    source = MelganTask(model)
    arrays = source.module.generator.to_arrays()
    tensors = state_dict(arrays, "mindspore")
    critic = source.module.discriminator.state_dict()
    last = len(model.discriminator_channels)
    theirs = {
        f"discriminators.{scale}.layers.{layer}": f"dis{scale + 1}.conv{layer + 1}"
        + {0: ".1.conv", last: ".conv"}.get(layer, ".0.conv")
        for scale in range(model.scales)
        for layer in range(last + 1)
    } | {f"pools.{scale}": f"avg{scale + 1}.conv" for scale in range(model.scales - 1)}
    for ours, name in theirs.items():
        tensors[f"{name}.weight"] = critic[f"{ours}.weight"].numpy()[:, :, None]
        tensors[f"{name}.bias"] = critic[f"{ours}.bias"].numpy()
    tensors |= {f"moment1.{name}": 0 * array for name, array in tensors.items()}
    path = tmp_path / "melgan_20-215_176000.ckpt"
    path.write_bytes(mindspore_bytes(tensors))
    task = MelganTask(model)
    (note,) = task.load_weights(str(path))
    assert "the discriminators were taken from" in note
    expected = source.module.state_dict()
    for name, tensor in task.module.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_going_on_from_descripts_files(tmp_path: Path) -> None:
    torch.manual_seed(8)
    model = tiny_model("descript")
    source = MelganTask(model)
    tensors = state_dict(source.module.generator.to_arrays(), "descript", norm="g")
    torch.save({n: torch.from_numpy(a) for n, a in tensors.items()}, tmp_path / "best_netG.pt")
    leaves = {"bias": "bias", MAGNITUDE: "weight_g", DIRECTION: "weight_v"}
    last = len(model.discriminator_channels)
    critic = source.module.discriminator.state_dict()
    found = {}
    for scale in range(model.scales):
        for layer in range(last + 1):
            inner = {0: "0.1", last: f"{last}"}.get(layer, f"{layer}.0")
            for ours, leaf in leaves.items():
                theirs = f"model.disc_{scale}.model.layer_{inner}.{leaf}"
                found[theirs] = critic[f"discriminators.{scale}.layers.{layer}.{ours}"]
    torch.save(found, tmp_path / "best_netD.pt")
    task = MelganTask(model)
    (note,) = task.load_weights(str(tmp_path / "best_netG.pt"))
    assert "best_netD.pt" in note
    for name, tensor in task.module.discriminator.state_dict().items():
        assert torch.equal(tensor, critic[name]), name
    own = task.module.generator.state_dict()
    np.testing.assert_array_equal(own[f"conv_in.{DIRECTION}"].numpy(), tensors["model.1.weight_v"])
    (tmp_path / "best_netD.pt").unlink()
    (note,) = task.load_weights(str(tmp_path / "best_netG.pt"))
    assert "begin anew" in note
