"""``pyvoc train wavernn`` from end to end, on tiny networks of either kind."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gan_files import RATE, Runs, events, figures, write_corpus
from wavernn_files import FILES, arrays, metadata, state_dict
from wavernn_files import settings as tiny_settings

pytest.importorskip("torch")
pytest.importorskip("gguf")

import torch
from torch.nn import functional

import pyvoc
from pyvoc import Error, ModelError, features
from pyvoc.cli import main
from pyvoc.container import read_container
from pyvoc.families.wavernn.likelihood import labels_of, measure
from pyvoc.families.wavernn.shape import WavernnShape
from pyvoc.families.wavernn.torch_model import Wavernn
from pyvoc.families.wavernn.train import losses
from pyvoc.families.wavernn.train.settings import WavernnModel
from pyvoc.families.wavernn.train.task import WavernnTask, build
from pyvoc.files.audio import read_int16
from pyvoc.train import TrainConfig, from_mapping

KINDS = ("mol", "raw")
TINY = """
batch_size: 4
epochs: 1
log_every: 1
device: cpu
threads: 1
samples: false
model:
  mode: {}
  bits: 6
  mixtures: 2
  rnn_dims: 16
  fc_dims: 16
  compute_dims: 8
  res_out_dims: 16
  res_blocks: 1
  upsample_factors: [5, 8]
  mel: {{bands: 8, hop_length: 40, window_length: 160, fft_length: 256, pad: 128}}
data: {{validation_seconds: 0.2}}
"""


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("speech"))


def runs_of(kind: str, speech: Path, folder: Path) -> Runs:
    parts = ("resnet", "rnn1", "rnn2", "fc", "stem", "upsample")
    return Runs("wavernn", TINY.format(kind), speech, folder, losses=("loss",), parts=parts)


@pytest.fixture(params=KINDS)
def runs(request: pytest.FixtureRequest, speech: Path, tmp_path: Path) -> Runs:
    return runs_of(request.param, speech, tmp_path)


def tiny_model(kind: str, **values: Any) -> WavernnModel:
    import yaml

    model = yaml.safe_load(TINY.format(kind))["model"]
    return from_mapping(WavernnModel, {**model, **values}, "model")


def trained(runs: Runs, step: int, model: WavernnModel) -> Wavernn:
    network = WavernnTask(model).network
    network.load_state_dict(runs.state("run", step)["module"])
    return network.eval()


def test_it_ends_in_a_model_that_speaks(runs: Runs, speech: Path) -> None:
    """Outputs of the exported model are the network's; losses are `evaluate --nll`'s."""
    more = ["--steps-per-epoch=8", "--checkpoint-every=8", "--lr=1e-3"]
    run = runs.run("run", *more, "--set", "samples=true", "--set", "data.validation_seconds=9")
    assert len(set(figures(run, "loss"))) == 8
    assert (run / "samples" / "step-000000008" / "clip0.wav").is_file()
    model = pyvoc.load(run / "wavernn.gguf")
    kind = str(read_container(run / "wavernn.gguf").metadata["wavernn.mode"])
    pcm = read_int16(speech / "clip0.wav", rate=RATE)
    hop = model.info.mel.hop_length
    pcm = pcm[: len(pcm) // hop * hop]
    network = trained(runs, 8, tiny_model(kind))
    classes = network.shape.outputs if kind == "raw" else 65536
    labels = labels_of(pcm / 32768, classes, mu_law=kind == "raw")
    fed = (2 * labels / (classes - 1) - 1).astype(np.float32)
    mel = features.extract(pcm, model=model)[: len(pcm) // hop]
    expected = model.predict(mel, network.expand(torch.from_numpy(fed)).numpy())
    x = torch.from_numpy(np.concatenate([[np.float32(0)], fed[:-1]])[None])
    with torch.no_grad():
        rows = functional.pad(torch.from_numpy(mel.T[None].copy()), (2, 2))
        found, _ = network(x, rows)
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-3)
    assert expected.std() > 1e-2
    nats = losses.label_nats if kind == "raw" else losses.mixture_nats
    mine = float(nats(found, torch.from_numpy(labels)[None]).mean())
    assert events(run, "validation")[-1]["loss"] == pytest.approx(mine, rel=1e-4)
    # `evaluate` lets the last frames see one more
    assert measure(model, pcm).nats == pytest.approx(mine, rel=2e-3)


def test_interrupted_and_resumed_equals_uninterrupted(runs: Runs) -> None:
    runs.check_resume()


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_equal_one(kind: str, speech: Path, tmp_path: Path) -> None:
    """Batch norm sees the whole batch in each."""
    runs = runs_of(kind, speech, tmp_path)
    runs.check_two_processes()


def test_mixed_precision(speech: Path, tmp_path: Path) -> None:
    runs = runs_of("mol", speech, tmp_path)
    full = figures(runs.run("full", "--steps-per-epoch=4"))
    mixed = figures(runs.run("mixed", "--steps-per-epoch=4", "--use-amp", "--use-performance"))
    np.testing.assert_allclose(mixed, full, rtol=0.02)
    assert mixed != full and (tmp_path / "mixed" / "performance.json").is_file()


def test_it_is_pruned_and_leaves_in_blocks(speech: Path, tmp_path: Path) -> None:
    """90 % of the blocks are zero at the end, the model file holds the others, resumed or not."""
    runs = runs_of("raw", speech, tmp_path)
    config = runs.config.read_text().replace("rnn_dims: 16", "rnn_dims: 32")
    config = config.replace(
        "fc_dims: 16", "fc_dims: 32\n  sparsity: 0.9\n  sparsify_from: 1\n  sparsify_to: 5"
    )
    runs.config.write_text(config.replace("epochs: 1", "epochs: 1\nprecision: int8"))
    whole = runs.run("whole", "--steps-per-epoch=7", "--set", "model.sparsify_every=1")
    density = figures(whole, "density")
    assert density == sorted(density, reverse=True) and density[-1] == pytest.approx(0.1, abs=0.02)
    container = read_container(whole / "wavernn.gguf")
    blocks = {n: t.shape for n, t in container.tensors.items() if len(t.shape) == 3}
    sparse = [name for name in blocks if f"{name}.block_index" in container.tensors]
    assert sorted(sparse) == [
        *("fc1.weight", "fc2.weight", "fc3.weight"),
        *("rnn1.hidden.weight", "rnn2.hidden.weight", "rnn2.input.weight"),
    ]
    assert blocks["rnn1.hidden.weight"][0] == pytest.approx(0.1 * 96 * 32 / 32, abs=3)
    runs.run("parts", "--steps-per-epoch=4", "--set", "model.sparsify_every=1")
    runs.run("parts", "--steps-per-epoch=7", "--resume")
    assert figures(tmp_path / "parts", "loss") == figures(whole, "loss")
    audio = pyvoc.load(whole / "wavernn.gguf").synthesize(np.full((3, 8), 0.5, np.float32))
    assert len(audio) == 120 and np.isfinite(audio).all()
    # going on from it, zeros stay zeros
    # (Cambricon's name of the flag)
    runs.run(
        "more", "--steps-per-epoch=2", "--checkpoint-path", str(whole / "checkpoint-000000007.pt")
    )
    assert figures(tmp_path / "more", "density") == [density[-1]] * 2


def of_shape(shape: WavernnShape) -> WavernnModel:
    settings, recipe = shape.settings, shape.settings.recipe
    return WavernnModel(
        mode=settings.mode,
        bits=settings.bits if settings.mode == "raw" else 9,
        mu_law=settings.mu_law,
        mixtures=shape.outputs // 3,
        rnn_dims=shape.rnn,
        fc_dims=shape.fc,
        compute_dims=shape.hidden,
        res_out_dims=4 * shape.aux,
        res_blocks=shape.blocks,
        pad=shape.pad,
        upsample_factors=shape.stretches,
        mel=asdict(recipe),
    )


@pytest.mark.parametrize("name", ["mol.f32", "raw.f32", "odd.f32"])
def test_going_on_from_other_files(name: str, tmp_path: Path) -> None:
    """A model file's inputs have one first layer again; fatchord's tensors are taken as is."""
    given = arrays(name)
    shape = WavernnShape.of(given, metadata(name))
    model = of_shape(shape)
    path = tmp_path / "model.gguf"
    FILES.save(path, given, tiny_settings(name))
    task = WavernnTask(model)
    task.load_weights(str(path))
    for key, array in task.network.to_arrays().items():
        scale = np.abs(given[key]).max()
        np.testing.assert_allclose(array, given[key], rtol=0, atol=2e-5 * scale, err_msg=key)
    theirs = state_dict(name)
    upstream = tmp_path / "wave_step1K_weights.pyt"
    torch.save({key: torch.from_numpy(array) for key, array in theirs.items()}, upstream)
    task.load_weights(str(upstream))
    np.testing.assert_array_equal(task.network.stem.weight.detach(), theirs["I.weight"])
    norm = task.network.resnet.get_submodule("in").norm
    var = theirs["upsample.resnet.batch_norm.running_var"]
    np.testing.assert_array_equal(norm.running_var, var)
    pruned = dict(given, **{"rnn2.input.weight": given["rnn2.input.weight"] * 0.5})
    FILES.save(path, pruned, tiny_settings(name))
    with pytest.raises(ModelError, match="no first layer gives the inputs"):
        task.load_weights(str(path))
    with pytest.raises(ModelError, match=r"does not fit this run's sizes|is another network"):
        WavernnTask(WavernnModel()).load_weights(str(upstream))


def test_a_model_file_goes_on_as_it_speaks(tmp_path: Path) -> None:
    """Its batch norms, folded, begin as the first batch has it: training hears the same network."""
    path = tmp_path / "model.gguf"
    FILES.save(path, arrays("raw.f32"), tiny_settings("raw.f32"))
    task = WavernnTask(of_shape(WavernnShape.of(arrays("raw.f32"), metadata("raw.f32"))))
    task.load_weights(str(path))
    resnet, shape = task.network.resnet, task.network.shape
    mel = torch.from_numpy(np.random.default_rng(1).uniform(0, 1, (8, shape.bands, 40))).float()
    spoken = resnet.eval()(mel)
    close = {"rtol": 0, "atol": 1e-4 * float(spoken.detach().abs().max())}
    torch.testing.assert_close(resnet.train()(mel), spoken, **close)
    torch.testing.assert_close(resnet.eval()(mel), spoken, rtol=0, atol=10 * close["atol"])
    other = torch.flip(mel, (0,)) * 0.5  # a batch after the first has statistics of its own
    assert (resnet.train()(other) - resnet.eval()(other)).abs().max() > 100 * close["atol"]
    theirs = tmp_path / "wave_step1K_weights.pyt"
    torch.save({key: torch.from_numpy(a) for key, a in state_dict("raw.f32").items()}, theirs)
    task.load_weights(str(path))
    task.load_weights(str(theirs))
    norm = resnet.get_submodule("in").norm
    resnet.train()(mel)
    gamma = state_dict("raw.f32")["upsample.resnet.batch_norm.weight"]
    np.testing.assert_array_equal(norm.weight.detach(), gamma)


def test_mels_made_elsewhere(speech: Path, tmp_path: Path) -> None:
    """Their values are what is trained on."""
    runs = runs_of("raw", speech, tmp_path)
    recipe = tiny_model("raw").mel_recipe()
    folder = tmp_path / "gta"
    folder.mkdir()
    for path in sorted(speech.glob("*.wav")):
        rows = features.extract(0.5 * pyvoc.audio.read(path)[0], recipe=recipe)
        np.save(folder / f"{path.stem}.npy", rows.T)
    plain = figures(runs.run("plain", "--steps-per-epoch=2"))
    given = figures(runs.run("given", "--steps-per-epoch=2", "--mels", str(folder)))
    assert plain != given and np.isfinite(given).all()


def test_rows_are_the_clips_samples(speech: Path) -> None:
    """What is heard is the label before; frames and samples belong together."""
    data = {"path": str(speech)}
    model = tiny_model("raw")
    values = {name: value for name, value in asdict(model).items() if name != "mixtures"}
    _, found = build(TrainConfig.of("wavernn", data=data, model=values, batch_size=4))
    assert found.samples_per_row == 5 * 40
    batch = found.batch(3, range(4))
    assert batch["mel"].shape == (4, 8, 9) and batch["label"].shape == (4, 200)
    heard = (2 * batch["label"] / 63 - 1).astype(np.float32)
    np.testing.assert_array_equal(batch["x"][:, 1:], heard[:, :-1])
    again = found.batch(3, range(2, 3))
    for name, array in batch.items():
        np.testing.assert_array_equal(again[name], array[2:3])
    clips = [read_int16(p, rate=RATE) for p in sorted(speech.glob("*.wav"))]
    places = 0
    for row in range(4):
        for pcm in clips:
            labels = labels_of(pcm / 32768, 64, mu_law=True)
            windows = np.lib.stride_tricks.sliding_window_view(labels, 200)
            places += len(np.flatnonzero((windows == batch["label"][row]).all(1)))
    assert places >= 4


def test_a_loss_that_is_not_finite_stops_the_run(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = runs_of("mol", speech, tmp_path)
    assert main(["train", *runs.arguments("run", "--steps-per-epoch=9", "--lr=1e30")]) != 0
    assert "training stopped" in capsys.readouterr().err
    assert not (tmp_path / "run" / "wavernn.gguf").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"upsample_factors": [5, 5]}, "make a hop of 25 samples, the mel's is 40"),
        ({"res_out_dims": 10}, "has no four quarters"),
        ({"sparsity": 0.9, "rnn_dims": 20}, "do not divide 20 units"),
        ({"sparsity": 1.0}, "expected 0 to below 1"),
        ({"bits": 17}, "expected 1 to 16"),
        ({"mode": "gauss"}, "'mode' is 'gauss'"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, Any], message: str) -> None:
    with pytest.raises(Error, match=message):
        WavernnTask(tiny_model("raw", **values))


def test_mixture_is_the_exact_one_where_parts_are_wide() -> None:
    """Against the oracle of `evaluate --nll`, which has no shortcuts."""
    from pyvoc.families.wavernn.likelihood import mixture_nats

    rng = np.random.default_rng(1)
    outputs = rng.normal(size=(300, 30)).astype(np.float32)
    outputs[:, 20:] -= 4
    labels = rng.integers(0, 65536, 300)
    labels[:2] = 0, 65535
    found = losses.mixture_nats(
        torch.from_numpy(outputs)[None].double(), torch.from_numpy(labels)[None]
    )
    np.testing.assert_allclose(found[0], mixture_nats(outputs, labels), rtol=0, atol=0.02)
