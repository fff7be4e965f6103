"""The sample rate and the mel recipe: who says them, in which order; averaged weights."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wavernn_files
from melgan_checkpoints import state_dict, write_safetensors
from melgan_files import arrays
from torch_files import Raw, Writer, build, encode, glob, save_zip

from pyvoc.cli import main
from pyvoc.container import read_container
from pyvoc.container.mel import DESCRIPT, FATCHORD, NVIDIA, MelRecipe
from pyvoc.convert import convert
from pyvoc.convert.run import Conversion
from pyvoc.errors import Error, ModelError, OptionError


@functools.cache
def net(upstream: str = "descript") -> dict[str, np.ndarray]:
    """80 bands, hop 256."""
    weights = {key: value.astype("<f4") for key, value in arrays("zero.f32").items()}
    return state_dict(weights, upstream)


def converted(path: Path, **told: Any) -> tuple[MelRecipe, Conversion]:
    target = path.with_name("m.gguf")
    done = convert(path, target, **told)
    return MelRecipe.from_metadata(read_container(target).metadata), done


def test_nobody_says_it(tmp_path: Path) -> None:
    recipe, done = converted(save_zip(tmp_path / "x.pt", net()))
    assert recipe == DESCRIPT and done.sample_rate == 22050 and done.rate_from == ""
    assert done.notes[-1].startswith(
        "nothing in or beside the checkpoint says the sample rate: 22050"
    )


@pytest.mark.parametrize(
    "said",
    [
        {"config": {"audio": {"sample_rate": 16000, "hop_length": 256}}},
        {"hparams": {"sampling_rate": 16000, "num_mels": 80, "fmax": None}},
        {"hp_str": "audio:\n  sampling_rate: 16000 # Hz\n  hop_length: 256\n"},
        {"sr": 16000.0},
        {
            "args": Raw(
                build(Raw(encode(glob("argparse", "Namespace")) + b")\x81"), {"sr": 16000}).code
            )
        },
        {
            "h": {
                "loss": {"n_mels": 128, "deeper": {"hop_size": 100}},
                "num_mels": 80,
                "hop_length": 256,
                "fs": 16000,
            }
        },
    ],
)
def test_the_checkpoint_says_it(tmp_path: Path, said: dict[str, Any]) -> None:
    writer = Writer(legacy=False)
    path = save_zip(tmp_path / "x.pt", writer.tree({"netG": net(), **said}), writer=writer)
    recipe, done = converted(path)
    assert recipe == replace(DESCRIPT, name="custom", sample_rate=16000, fmax=8000.0)
    assert (done.sample_rate, done.rate_from) == (16000, "the checkpoint") and not done.notes


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", json.dumps({"audio": {"sampling_rate": 16000, "fmax": 7600}})),
        ("config.yaml", "audio:\n  sample_rate: 16000\n  fmax: 7600\n"),
        ("hparams.py", "import os\nos.abort()\nsample_rate = 16000  # Hz\nfmax = 7600,\n"),
        ("x.pt.json", '{"sample_rate": 16000, "mel_fmax": 7600.0}'),
        ("x_config.json", '{"sample_rate": 16000, "mel_fmax": 7600.0}'),
        ("args.yml", "!!python/object:argparse.Namespace\nsample_rate: 16000\nmel_fmax: 7600\n"),
    ],
)
def test_a_file_beside_it_says_it(tmp_path: Path, name: str, text: str) -> None:
    stem = "x_y.pt" if name.startswith("x_") else "x.pt"
    path = save_zip(tmp_path / stem, net())
    (tmp_path / name).write_text(text)
    recipe, done = converted(path)
    assert recipe == replace(DESCRIPT, name="custom", sample_rate=16000, fmax=7600.0)
    assert done.rate_from == name and not done.notes


def test_lightnings_folders(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "hparams.yaml").write_text("sample_rate: 16000\n")
    recipe, done = converted(
        save_zip(tmp_path / "checkpoints" / "last.ckpt", {"state_dict": net()})
    )
    assert recipe.sample_rate == 16000 and done.rate_from == "hparams.yaml"


def test_who_comes_first(tmp_path: Path) -> None:
    """The user, the checkpoint, the file of its own name, the file of the folder."""
    (tmp_path / "config.json").write_text('{"sample_rate": 24000, "fmin": 20}')
    path = save_zip(tmp_path / "x.pt", net())
    assert converted(path)[0].sample_rate == 24000
    (tmp_path / "x.json").write_text('{"sample_rate": 32000}')
    recipe, done = converted(path)
    assert (recipe.sample_rate, recipe.fmin, recipe.fmax) == (32000, 20.0, 16000.0)
    assert done.rate_from == "x.json"
    path = save_zip(tmp_path / "x.pt", {"netG": net(), "sample_rate": 8000})
    assert converted(path)[1].rate_from == "the checkpoint"
    recipe, done = converted(path, rate=16000)
    assert recipe.sample_rate == 16000 and done.rate_from == "the given rate"
    assert done.notes == ("the checkpoint says 8000 Hz; the given rate of 16000 Hz is taken",)
    recipe, done = converted(path, recipe="nvidia")
    assert recipe == NVIDIA and done.rate_from == "the recipe nvidia" and not done.notes
    recipe, done = converted(path, recipe="nvidia", rate=8000)
    assert recipe == replace(NVIDIA, name="custom", sample_rate=8000, fmax=4000.0)
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "audio:\n  sample_rate: 48000\n  n_fft: 2048\n  win_length: 1200\n  fmax: null\n"
    )
    recipe, done = converted(path, recipe=mine)
    expected = replace(DESCRIPT, name="custom", sample_rate=48000, fft_length=2048, pad=896)
    assert recipe == replace(expected, window_length=1200, fmax=24000.0)
    assert done.rate_from == str(mine)


def test_tensors_are_not_contradicted(tmp_path: Path) -> None:
    path = save_zip(tmp_path / "x.pt", {"netG": net(), "config": {"hop_size": 200}})
    with pytest.raises(
        ModelError, match=r"x\.pt: its settings say hop_size 200, but its tensors 256"
    ):
        convert(path, tmp_path / "m.gguf")
    path = save_zip(tmp_path / "x.pt", net())
    (tmp_path / "config.json").write_text('{"sample_rate": 16000, "num_mels": 100}')
    recipe, done = converted(path)
    assert recipe == DESCRIPT
    assert done.notes[0] == (
        "config.json belongs to another model: its settings say num_mels 100, but its tensors 80"
    )
    mine = tmp_path / "mine.yaml"
    mine.write_text("hop_length: 100\n")
    with pytest.raises(ModelError, match=r"the recipe '.*mine\.yaml' says hop_length 100, but its"):
        convert(path, tmp_path / "n.gguf", recipe=mine)
    mine.write_text("lr: 0.1\n")
    with pytest.raises(Error, match="holds none of a mel recipe's settings"):
        convert(path, tmp_path / "n.gguf", recipe=mine)
    with pytest.raises(
        Error, match="'absent' is neither a file that can be read nor one of nvidia"
    ):
        convert(path, tmp_path / "n.gguf", recipe="absent")
    with pytest.raises(Error, match="rate is 1, expected 1000"):
        convert(path, tmp_path / "n.gguf", rate=1)
    assert not (tmp_path / "n.gguf").exists()


def test_a_transform_that_is_no_power_of_two(tmp_path: Path) -> None:
    settings = {"sample_rate": 16000, "n_fft": 800, "win_size": 800}
    recipe, done = converted(save_zip(tmp_path / "x.pt", {"netG": net(), "h": settings}))
    assert (recipe.fft_length, recipe.window_length) == (1024, 800)
    assert "says transforms of 800 points" in done.notes[0]


def test_a_16_khz_wavernn(tmp_path: Path) -> None:
    """Its window follows the hop, where nobody says otherwise."""
    state = wavernn_files.state_dict()
    said = {"config": {"audio": {"sample_rate": 16000}}}
    recipe, done = converted(save_zip(tmp_path / "x.pt", {"model_state": state, **said}))
    hop = recipe.hop_length
    assert recipe.sample_rate == 16000 and recipe.fmax == 8000.0 and done.rate_from
    assert recipe.window_length == (4 * hop if hop != FATCHORD.hop_length else 1100)


def test_hostile_settings(tmp_path: Path) -> None:
    for text in ("{", "[" * 100_000, "null", '{"sample_rate": 1e400, "fmax": [1]}', "\0" * 9):
        (tmp_path / "config.json").write_text(text)
        recipe, done = converted(save_zip(tmp_path / "x.pt", net()))
        assert recipe == DESCRIPT and done.rate_from in ("", "config.json")
    (tmp_path / "config.json").write_text('{"sample_rate": 99999999}')
    with pytest.raises(
        ModelError, match=r"the mel recipe: metadata .pyvoc\.features\.sample_rate. is"
    ):
        convert(tmp_path / "x.pt", tmp_path / "m.gguf")


def averages(plus: float = 0.5) -> dict[str, np.ndarray]:
    return {name: array + np.float32(plus) for name, array in net().items()}


def bias(path: Path) -> np.ndarray:
    return read_container(path).tensors["conv_in.bias"].data.copy()


@pytest.mark.parametrize(
    ("tree", "name"),
    [
        (lambda: {"generator_ema": averages(), "generator": net()}, "generator_ema"),
        (lambda: {"ema": averages(), "model_state": net()}, "ema"),
        (lambda: {"g": net(), "ema": {"decay": 0.9, "shadow": averages()}}, "ema"),
        (lambda: {"model": {"model_ema": averages(), "net": net()}}, "model.model_ema"),
        (
            lambda: {
                "state_dict": {f"generator.{k}": v for k, v in net().items()}
                | {f"generator_ema.{k}": v for k, v in averages().items()}
            },
            "state_dict.generator_ema",
        ),
    ],
)
def test_averaged_weights(tmp_path: Path, tree: Any, name: str) -> None:
    convert(save_zip(tmp_path / "bare.pt", net()), tmp_path / "bare.gguf")
    plain = bias(tmp_path / "bare.gguf")
    path = save_zip(tmp_path / "x.pt", tree() | {"sample_rate": 16000})
    recipe, done = converted(path)
    np.testing.assert_array_equal(bias(tmp_path / "m.gguf"), plain)
    assert done.weights == "plain"
    assert f"averaged over training ('{name}'): --weights ema" in done.notes[0]
    assert converted(path, weights="plain")[1].notes == ()
    for weights in ("ema", name):
        recipe, done = converted(path, weights=weights)
        np.testing.assert_array_equal(bias(tmp_path / "m.gguf"), plain + np.float32(0.5))
        assert done.weights == name and recipe.sample_rate == 16000
    with pytest.raises(ModelError, match=f"weights 'swa', but it holds plain ones and '{name}'"):
        convert(path, tmp_path / "n.gguf", weights="swa")
    assert not (tmp_path / "n.gguf").exists()


def test_several_averages_and_none(tmp_path: Path) -> None:
    tree = {"g": net(), "g_ema": averages(0.25), "g_swa": averages(0.5)}
    path = save_zip(tmp_path / "x.pt", tree)
    with pytest.raises(ModelError, match="'ema', but it holds plain ones and 'g_ema', 'g_swa'"):
        convert(path, tmp_path / "m.gguf", weights="ema")
    assert converted(path, weights="g_swa")[1].weights == "g_swa"
    with pytest.raises(ModelError, match=r"asked for the weights .ema., but it holds plain ones$"):
        convert(save_zip(tmp_path / "x.pt", net()), tmp_path / "m.gguf", weights="ema")
    done = converted(save_zip(tmp_path / "x.pt", {"ema": averages()}))[1]
    assert done.weights == "ema" and done.notes[0].endswith("were taken: it has no others")


def test_lists_of_averages_of_safetensors(tmp_path: Path) -> None:
    both = {f"model.{k}": v for k, v in net().items()}
    both |= {f"ema.{k}": v for k, v in averages().items()}
    done = converted(write_safetensors(tmp_path / "x.safetensors", both), weights="ema")[1]
    assert done.weights == "ema"


def test_wavernns_averages_are_not_taken_for_it(tmp_path: Path) -> None:
    state = wavernn_files.state_dict()
    both = {f"ema.{k}": v + np.float32(1) for k, v in state.items()}
    both |= {f"network.{k}": v for k, v in state.items()}
    first = converted(save_zip(tmp_path / "x.pt", state))
    data = {k: t.data.copy() for k, t in read_container(tmp_path / "m.gguf").tensors.items()}
    second = converted(save_zip(tmp_path / "x.pt", both))
    assert first[0] == second[0] and second[1].weights == "plain"
    for name, tensor in read_container(tmp_path / "m.gguf").tensors.items():
        np.testing.assert_array_equal(tensor.data, data[name], name)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyvoc._pyvoc")
    path = save_zip(tmp_path / "x.pt", {"g": net(), "g_ema": averages(), "sample_rate": 24000})
    command = ["convert", str(path), "-o", str(tmp_path / "m.gguf")]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert "24000 Hz (from the checkpoint)" in out and "note" not in out
    assert "pyvoc: note: it also holds weights averaged over training ('g_ema')" in err
    assert main([*command, "--json", "--rate", "16000", "--weights", "ema"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["sample_rate"], found["rate_from"]) == (16000, "the given rate")
    assert found["weights"] == "g_ema" and len(found["notes"]) == 2
    with pytest.raises(SystemExit):
        main([*command, "--rate", "zero"])


def test_families_that_leave_no_choice(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"DNNw" + bytes(60))
    with pytest.raises(OptionError, match="whose rate, features and weights leave no choice"):
        convert(tmp_path / "w.bin", tmp_path / "m.gguf", rate=16000)
