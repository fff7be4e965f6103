"""``pyvoc train waveglow`` from end to end, on tiny networks."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gan_files import RATE, Runs, events, figures, write_corpus
from waveglow_files import FILES, arrays, metadata
from waveglow_files import settings as tiny_settings

pytest.importorskip("torch")
pytest.importorskip("gguf")

import torch

import pyvoc
from pyvoc import Error, ModelError, features
from pyvoc.cli import main
from pyvoc.families.waveglow.shape import WaveglowShape
from pyvoc.families.waveglow.torch_model import Noise, Waveglow
from pyvoc.families.waveglow.train.recipes import translate
from pyvoc.families.waveglow.train.settings import WaveglowModel
from pyvoc.families.waveglow.train.task import WaveglowTask, nats
from pyvoc.files.audio import write_wav
from pyvoc.train import from_mapping
from pyvoc.train.config import layered
from pyvoc.train.spectra import MelSpectrogram
from pyvoc.train.weights import DIRECTION

TINY = """
batch_size: 4
epochs: 1
log_every: 1
device: cpu
threads: 1
samples: false
model:
  n_flows: 4
  n_early_every: 2
  n_layers: 2
  n_channels: 8
  mel: {bands: 8}
data: {segment: 2048}
"""


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of whole frames, some of which are held out."""
    folder = write_corpus(tmp_path_factory.mktemp("speech"))
    for path in folder.glob("*.wav"):
        pcm = pyvoc.audio.read(path)[0]
        write_wav(path, pcm[: len(pcm) // 256 * 256], RATE)
    return folder


@pytest.fixture
def runs(speech: Path, tmp_path: Path) -> Runs:
    parts = ("upsample", "flow")
    return Runs("waveglow", TINY, speech, tmp_path, losses=("loss",), parts=parts)


def tiny_model(**values: Any) -> WaveglowModel:
    import yaml

    return from_mapping(WaveglowModel, {**yaml.safe_load(TINY)["model"], **values}, "model")


def test_it_ends_in_a_model_that_speaks(
    runs: Runs, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Given noise it says what the network says; its loss is that of `pyvoc evaluate --nll`."""
    more = ["--steps-per-epoch=8", "--checkpoint-every=8", "--set", "samples=true", "--lr=1e-3"]
    run = runs.run("run", *more, "--set", "data.validation_names=[clip0, clip2]")
    losses = figures(run, "loss")
    assert len(set(losses)) == 8 and losses[-1] < losses[0]
    assert (run / "samples" / "step-000000008" / "clip0.wav").is_file()
    model = pyvoc.load(run / "waveglow.gguf")
    network = WaveglowTask(tiny_model()).network
    network.load_state_dict(runs.state("run", 8)["module"])
    mel = features.extract(pyvoc.audio.read(speech / "clip1.wav")[0], model=model)[:20]
    rng = np.random.default_rng(1)
    z = 0.6 * rng.standard_normal((8, 20 * 32)).astype(np.float32)
    with torch.no_grad():
        rows = torch.from_numpy(mel.T[None].copy())
        expected = network.infer(rows, torch.from_numpy(z)[None]).numpy().ravel()
    found = model.synthesize(mel, draws=z.ravel(), sigma=1.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
    assert expected.std() > 0.05
    capsys.readouterr()
    heard = [str(speech / f"clip{k}.wav") for k in (0, 2)]
    assert main(["evaluate", "--nll", str(run / "waveglow.gguf"), *heard, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert events(run, "validation")[-1]["loss"] == pytest.approx(told["loss_nats"], abs=1e-5)


def test_it_learns_from_what_it_says(runs: Runs) -> None:
    """Distances alone, with upsampling band by band; interrupted or not."""
    weights = ("likelihood_weight=0", "mel_weight=2", "spectral_weight=3", "apart=true")
    more = [word for weight in weights for word in ("--set", f"model.{weight}")]
    run = runs.check_resume("--lr=1e-2", *more)
    steps = events(run, "step")
    for step in steps:
        assert step["loss"] == pytest.approx(2 * step["mel"] + 3 * step["spectral"], rel=1e-5)
    spectral = [step["spectral"] for step in steps]
    assert np.mean(spectral[-3:]) < 0.9 * np.mean(spectral[:3])
    assert pyvoc.load(run / "waveglow.gguf").info.architecture == "waveglow"


@pytest.mark.parametrize("family", ["hifigan", "melgan", "waveglow"])
def test_segments_too_short_for_the_spectra_are_refused(
    family: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data", str(speech), "--model-dir", str(tmp_path / "run"), "--device=cpu"]
    assert (
        main(["train", family, *where, "--set=data.segment=1280", "--set=model.spectral_weight=1"])
        == 3
    )
    assert "spectral_weight needs more than 1280" in capsys.readouterr().err


def test_noise_is_a_rows_own() -> None:
    """Several processes hear what one does; a validation does not depend on what was before it."""
    torch.manual_seed(1)
    values = {"likelihood_weight": 0.0, "mel_weight": 1.0, "spectral_weight": 1.0}
    task = WaveglowTask(tiny_model(**values))
    batch = {
        "mel": torch.randn(4, 8, 8),
        "audio": 0.1 * torch.randn(4, 2048),
        "seed": torch.tensor([5, 2**62, 7, 8]),
    }

    def loss(rows: slice) -> float:
        part = {name: tensor[rows] for name, tensor in batch.items()}
        return float(next(task.losses(part, {})).value.detach())

    halves = (loss(slice(2)) + loss(slice(2, 4))) / 2
    assert loss(slice(4)) == pytest.approx(halves, rel=1e-5)
    with torch.no_grad():
        assert task.measure(batch, {})[0] == task.measure(batch, {})[0]


def test_interrupted_and_resumed_equals_uninterrupted(runs: Runs) -> None:
    runs.check_resume()


def test_two_processes_equal_one(runs: Runs) -> None:
    runs.check_two_processes()


def test_mixed_precision(runs: Runs, tmp_path: Path) -> None:
    full = figures(runs.run("full", "--steps-per-epoch=4"))
    mixed = figures(runs.run("mixed", "--steps-per-epoch=4", "--use-amp", "--use-performance"))
    np.testing.assert_allclose(mixed, full, rtol=0.02)
    assert mixed != full and (tmp_path / "mixed" / "performance.json").is_file()


def test_a_loss_that_is_not_finite_stops_the_run(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *runs.arguments("run", "--steps-per-epoch=9", "--lr=1e30")]) != 0
    assert "training stopped" in capsys.readouterr().err
    assert not (tmp_path / "run" / "waveglow.gguf").exists()


def test_a_negative_determinant_is_no_nan() -> None:
    """Upstream's logarithm is none there; the density of a mirrored mix is the same."""
    torch.manual_seed(1)
    task = WaveglowTask(tiny_model())
    batch = {"mel": torch.randn(2, 8, 8), "audio": 0.1 * torch.randn(2, 2048)}
    (before,) = task.losses(batch, {})
    mix = task.network.get_submodule("flow.1.mix")
    with torch.no_grad():
        mix.weight[0].mul_(-2)
    assert float(torch.linalg.det(mix.weight.detach())) < 0
    (after,) = task.losses(batch, {})
    after.value.backward()
    assert torch.isfinite(after.value) and torch.isfinite(mix.weight.grad).all()
    noise = task.network(batch["audio"], batch["mel"])
    assert noise.log_det[1].item() == pytest.approx(256 * np.log(2), abs=1e-3)
    assert before.value.isfinite()


def test_the_loss_is_the_definition() -> None:
    z = torch.tensor([[[1.0, -2.0], [0.5, 3.0]]])
    noise = Noise(z, torch.tensor([[0.3, -0.1]]), torch.tensor([0.7, 0.2]))
    expected = ((1 + 4 + 0.25 + 9) / (2 * 0.49) - 0.2 - 0.9) / 4
    assert float(nats(noise, 0.7)) == pytest.approx(expected, rel=1e-6)


UPSTREAM = {
    "train_config": {
        "fp16_run": True,
        "output_directory": "checkpoints",
        "epochs": 100000,
        "learning_rate": 1e-4,
        "sigma": 1.0,
        "iters_per_checkpoint": 2000,
        "batch_size": 12,
        "seed": 1234,
        "checkpoint_path": "",
        "with_tensorboard": False,
    },
    "data_config": {
        "training_files": "train_files.txt",
        "segment_length": 16000,
        "sampling_rate": 22050,
        "filter_length": 1024,
        "hop_length": 256,
        "win_length": 1024,
        "mel_fmin": 0.0,
        "mel_fmax": 8000.0,
    },
    "dist_config": {"dist_backend": "nccl", "dist_url": "tcp://localhost:54321"},
    "waveglow_config": {
        "n_mel_channels": 80,
        "n_flows": 12,
        "n_group": 8,
        "n_early_every": 4,
        "n_early_size": 2,
        "WN_config": {"n_layers": 8, "n_channels": 256, "kernel_size": 3},
    },
}


def test_upstreams_settings(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(UPSTREAM))
    config = layered({"family": ("waveglow", "x")}, config_file=str(path))
    assert (config.use_amp, config.model_dir, config.epochs) == (True, "checkpoints", 100000)
    assert (config.lr, config.checkpoint_every, config.seed) == (1e-4, 2000, 1234)
    assert config.data == {"segment": 63 * 256, "path": "train_files.txt"} and not config.finetune
    model = from_mapping(WaveglowModel, config.model, "model")
    assert model.mel_recipe() == pyvoc.container.mel.NVIDIA
    sizes = model.shape().tensors().values()
    learned = sum(int(np.prod(size)) for size in sizes) - 4 * (64 + 36 + 16)
    assert learned == 87_731_816, "upstream's, the inverses apart"
    for part, key in (("train_config", "epoch"), ("waveglow_config", "n_flow")):
        wrong = json.loads(json.dumps(UPSTREAM))
        wrong[part][key] = 1
        with pytest.raises(Error, match=f"its trainer knows no '{part}.{key}'"):
            translate(wrong, "config.json")
    wrong = json.loads(json.dumps(UPSTREAM))
    wrong["waveglow_config"]["WN_config"]["kernel_size"] = 5
    with pytest.raises(Error, match="only 3 is trained"):
        translate(wrong, "config.json")
    assert translate({"batch_size": 3}, "x") is None


@pytest.mark.parametrize("dashes", [False, True], ids=["underscores", "dashes"])
def test_the_guides_flags(
    speech: Path, tmp_path: Path, dashes: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.json"
    tiny = json.loads(json.dumps(UPSTREAM))
    tiny["waveglow_config"] |= {"n_mel_channels": 8, "n_flows": 2}
    tiny["waveglow_config"]["WN_config"] |= {"n_layers": 2, "n_channels": 8}
    tiny["data_config"]["segment_length"] = 2000
    path.write_text(json.dumps(tiny))
    given = {
        "data_path": str(speech),
        "output_directory": str(tmp_path / "run"),
        "epochs": "2",
        "learning_rate": "2e-4",
        "sigma": "0.9",
        "iters_per_checkpoint": "2",
        "fp16_run": "False",
        "c": str(path),
    }
    names = {key: key.replace("_", "-") if dashes else key for key in given}
    words = [f"--{names[key]}={value}" for key, value in given.items()]
    base = ["train", "waveglow", *words, "--batch-size", "2", "--device=cpu", "--threads=1"]
    assert main([*base, "--set", "samples=false"]) == 0
    (start,) = events(tmp_path / "run", "start")
    config = start["config"]
    assert (config["lr"], config["batch_size"], config["use_amp"]) == (2e-4, 2, False)
    assert config["model"]["sigma"] == 0.9 and config["data"]["path"] == str(speech)
    assert (tmp_path / "run" / "checkpoint-000000004.pt").is_file()
    capsys.readouterr()
    for more, message in (
        (["--pth_path=x"], "pyvoc evaluate --nll MODEL.gguf"),
        (["--lr=1"], "--learning_rate and --lr are both given"),
        (["--config=x"], "--c and --config are both given"),
    ):
        assert main([*base, *more]) != 0
        assert message in capsys.readouterr().err
    assert main(["train", "lpcnet", "--data_path=x"]) != 0
    assert "--data_path is no flag of pyvoc train lpcnet" in capsys.readouterr().err


def of_shape(shape: WaveglowShape) -> WaveglowModel:
    settings = shape.settings
    return WaveglowModel(
        n_flows=shape.flows,
        n_group=settings.groups,
        n_early_every=settings.early_every,
        n_early_size=settings.early_size,
        n_layers=shape.layers,
        n_channels=shape.hidden,
        mel=asdict(settings.recipe),
    )


def test_going_on_from_a_model_file(tmp_path: Path) -> None:
    name = "early.f32"
    given = arrays(name)
    model = of_shape(WaveglowShape.of(given, metadata(name)))
    path = tmp_path / "model.gguf"
    FILES.save(path, given, tiny_settings(name))
    task = WaveglowTask(model)
    task.load_weights(str(path))
    for key, array in task.network.to_arrays().items():
        tolerance = 1e-6 * max(np.abs(given[key]).max(), 1)
        np.testing.assert_allclose(array, given[key], rtol=0, atol=tolerance, err_msg=key)
    with pytest.raises(ModelError, match=r"does not fit this run's sizes|is another network"):
        WaveglowTask(tiny_model()).load_weights(str(path))


SPEAKING = {"likelihood_weight": 0.0, "mel_weight": 1.0, "apart": True, "synthesis_sigma": 0.1}


def test_one_that_learns_to_speak_begins_with_what_it_needs() -> None:
    """A mel of mean 0, noise that is heard and not yet spoken over, cosines in the end."""
    torch.manual_seed(6)
    speech = torch.randn(1, 80, 40) * 2.0 - 5.0  # natural logarithms
    for recipe in ("nvidia", "descript"):
        network = WaveglowTask(tiny_model(**SPEAKING, mel={}, recipe=recipe)).network
        mel = network.upsample(_as_recipe(speech, network.shape.settings.recipe))[:, :, 1024:]
        assert abs(float(mel.detach().mean())) < 0.1
        assert 0.8 < float(mel.detach().std()) < 1.3
    network = WaveglowTask(tiny_model(**SPEAKING)).network
    z = 0.1 * torch.randn(1, 8, 640)
    falling = torch.arange(8.0)[None, :, None]  # low: the half that is read
    with torch.no_grad():
        heard = network.flow[0].start(z[:, :4])
        said = network.infer(torch.randn(1, 8, 20), z)
        bands = network.flow[0].mix(falling - falling.mean())[0, :, 0].abs()
    assert 0.3 < float(heard.std()) < 0.5
    assert float(said.std()) == pytest.approx(0.1, rel=0.2)
    assert float(bands[:4].square().sum()) > 0.99 * float(bands.square().sum())


def _as_recipe(natural: torch.Tensor, recipe: Any) -> torch.Tensor:
    return MelSpectrogram(recipe).logarithm((natural * recipe.power).exp())


def test_one_that_learns_to_speak_goes_on_from_directions_too(tmp_path: Path) -> None:
    torch.manual_seed(3)
    task = WaveglowTask(tiny_model())
    path = _save_as_upstream(task, tmp_path)
    values = {**SPEAKING, "apart": False, "synthesis_sigma": 0.6}
    other = WaveglowTask(tiny_model(**values))
    other.load_weights(str(path))
    # The same directions, three times as long, are the same weights.
    for name, array in task.network.to_arrays().items():
        np.testing.assert_allclose(other.network.to_arrays()[name], array, rtol=1e-5, atol=1e-6)


def test_directions_and_magnitudes_are_taken_as_they_are(tmp_path: Path) -> None:
    """Of a state dict with weight norm; directions are no unit vectors there."""
    torch.manual_seed(3)
    task = WaveglowTask(tiny_model())
    path = _save_as_upstream(task, tmp_path)
    torch.manual_seed(4)
    other = WaveglowTask(tiny_model())
    other.load_weights(str(path))
    own = task.network.state_dict()
    for name, tensor in other.network.state_dict().items():
        factor = 3.0 if name.endswith(DIRECTION) else 1.0
        np.testing.assert_array_equal(tensor.numpy(), factor * own[name].numpy(), err_msg=name)


def _save_as_upstream(task: WaveglowTask, folder: Path) -> Path:
    """Its state dict, with weight norm; directions are three times as long."""
    own = task.network.state_dict()
    theirs = {name: own[name] for name in ("upsample.weight", "upsample.bias")}
    for k in range(4):
        flow, wn = f"flow.{k}", f"WN.{k}"
        theirs[f"convinv.{k}.conv.weight"] = own[f"{flow}.mix.weight"][:, :, None]
        layers = {"start": "start", "end": "end"}
        layers |= {f"layer.{i}.conv": f"in_layers.{i}" for i in range(2)}
        layers |= {f"layer.{i}.out": f"res_skip_layers.{i}" for i in range(2)}
        for ours, name in layers.items():
            _copy(own, f"{flow}.{ours}", theirs, f"{wn}.{name}")
        conds = [f"{flow}.layer.{i}.cond" for i in range(2)]
        parts: list[dict[str, torch.Tensor]] = [{} for _ in conds]
        for part, ours in zip(parts, conds, strict=True):
            _copy(own, ours, part, "x")
        for leaf in parts[0]:
            theirs[leaf.replace("x", f"{wn}.cond_layer", 1)] = torch.cat([p[leaf] for p in parts])
    path = folder / "waveglow.pt"
    torch.save({"model": theirs, "iteration": 3}, path)
    return path


def _copy(own: dict[str, Any], ours: str, to: dict[str, Any], theirs: str) -> None:
    names = {"bias": "bias", "weight": "weight"}
    names |= {"parametrizations.weight.original0": "weight_g", DIRECTION: "weight_v"}
    for name, leaf in names.items():
        if f"{ours}.{name}" in own:
            factor = 3.0 if name == DIRECTION else 1.0
            to[f"{theirs}.{leaf}"] = factor * own[f"{ours}.{name}"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_early_size": 8}, "0 channels are left for the last flow"),
        ({"n_flows": 0}, "expected at least 1"),
        ({"sigma": 0.0}, "not within 0..4"),
        ({"mel": {"hop_length": 250}}, "not a multiple of the 8 samples"),
        ({"likelihood_weight": 0.0}, "likelihood_weight, mel_weight and spectral_weight are not"),
        ({"spectral_weight": -1.0}, "likelihood_weight, mel_weight and spectral_weight are not"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, Any], message: str) -> None:
    with pytest.raises(Error, match=message):
        WaveglowTask(tiny_model(**values))


def test_int8_needs_calibration() -> None:
    with pytest.raises(Error, match="pyvoc quantize"):
        WaveglowTask(tiny_model(), precision="int8")


def test_a_new_flow_is_a_rotation() -> None:
    torch.manual_seed(5)
    network = Waveglow(tiny_model().shape(), normed=True)
    audio = 0.1 * torch.randn(1, 2048)
    noise = network(audio, torch.randn(1, 8, 8))
    power = float(noise.z.detach().square().sum())
    assert power == pytest.approx(float(audio.square().sum()), rel=1e-5)
    assert float(noise.log_s.detach().abs().max()) == 0.0
