"""MelGAN checkpoints of every upstream and spelling to our tensors; what is wrong with others."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from melgan_checkpoints import mindspore_bytes, state_dict, write_safetensors
from melgan_files import arrays, reference
from torch_files import Writer, encode, legacy_bytes, pickled, save_zip

from pyvoc.cli import convert as command
from pyvoc.container import read_container
from pyvoc.container.mel import DESCRIPT, NVIDIA, MelRecipe
from pyvoc.convert import convert
from pyvoc.convert.detect import detect
from pyvoc.convert.settings import number, scalars, whole
from pyvoc.errors import Error, ModelError, UnsupportedError
from pyvoc.families.melgan.names import find_generator
from pyvoc.families.melgan.spec import MELGAN
from pyvoc.quant import decode

HP = """
audio:
  n_mel_channels: 80  # bands
  hop_length: 256 # WARNING: this can't be changed.
  filter_length: 1024
  win_length: 1024
  sampling_rate: {rate}
  mel_fmin: 0.0
  mel_fmax: {fmax}
"""


def weights(name: str = "zero.f32") -> dict[str, np.ndarray]:
    """A small model's arrays, float32 as in a checkpoint; 80 bands, ratios 8 8 2 2."""
    return {key: value.astype("<f4") for key, value in arrays(name).items()}


def read(path: Path, arch: str = "auto") -> Any:
    return detect(path, arch)(path)


def same(found: Any, expected: dict[str, np.ndarray], exact: bool = True) -> None:
    assert found.arrays.keys() == expected.keys()
    for name, values in expected.items():
        assert found.arrays[name].shape == values.shape, name
        if exact:
            np.testing.assert_array_equal(found.arrays[name], values, name)
        else:
            np.testing.assert_allclose(
                found.arrays[name], values, rtol=0, atol=4e-7 * np.abs(values).max(), err_msg=name
            )


@pytest.mark.parametrize("upstream", ["seungwonpark", "descript", "mindspore"])
@pytest.mark.parametrize("norm", ["", "g", "parametrized"])
@pytest.mark.parametrize("prefix", ["", "module.", "generator.", "module.netG."])
def test_names_and_weight_norm(tmp_path: Path, upstream: str, norm: str, prefix: str) -> None:
    if upstream == "mindspore" and norm:
        return  # it has none
    expected = weights()
    state = state_dict(expected, upstream, norm=norm, prefix=prefix)
    for path in (
        save_zip(tmp_path / "x.pt", state),
        write_safetensors(tmp_path / "x.safetensors", state),
    ):
        found = read(path)
        assert found.format == f"{upstream}.{'torch' if path.suffix == '.pt' else 'safetensors'}"
        same(found, expected, exact=not norm)


@pytest.mark.parametrize("name", ["reflect.f32", "zero.f32", "odd.f32"])
@pytest.mark.parametrize("upstream", ["seungwonpark", "descript", "mindspore"])
def test_any_size(tmp_path: Path, upstream: str, name: str) -> None:
    """Two to four blocks, three and four stages, odd ratios."""
    expected = weights(name)
    found = read(save_zip(tmp_path / "x.pt", state_dict(expected, upstream)))
    same(found, expected)
    recipe = MelRecipe.from_metadata(found.metadata)
    assert recipe.hop_length == (30 if name == "odd.f32" else 256)
    assert recipe.bands == (20 if name == "odd.f32" else 80)
    assert any("the hop is 30 samples" in note for note in found.notes) == (name == "odd.f32")


def test_transposed_convolutions_are_normed_over_their_inputs(tmp_path: Path) -> None:
    state = state_dict(weights(), "descript", norm="g")
    assert state["model.3.weight_g"].shape == (16, 1, 1)
    state["model.3.weight_g"] = np.ones((12, 1, 1), "<f4")
    with pytest.raises(
        ModelError, match=r"'model\.3\.weight_g' has shape \[12, 1, 1\], expected \["
    ):
        read(save_zip(tmp_path / "x.pt", state))


def test_folding_is_done_in_double(tmp_path: Path) -> None:
    state = state_dict(weights(), "descript", norm="g")
    found = read(save_zip(tmp_path / "x.pt", state)).arrays["conv_in.weight"]
    g, v = (state[f"model.1.weight_{k}"].astype(np.float64) for k in "gv")
    np.testing.assert_allclose(
        found, g * v / np.sqrt((v**2).sum((1, 2), keepdims=True)), rtol=1e-15
    )
    assert found.dtype == np.float64


def test_seungwonpark_checkpoint(tmp_path: Path) -> None:
    expected = weights()
    value = {
        "model_g": state_dict(expected, "seungwonpark", norm="g"),
        "model_d": {"discriminators.0.discriminator.0.1.weight_g": np.ones(3, "<f4")},
        "optim_g": {"state": {0: {"exp_avg": np.zeros(5, "<f4")}}, "param_groups": []},
        "step": 3,
        "hp_str": HP.format(rate=22050, fmax=8000.0),
        "githash": "abc",
    }
    for found in (
        read(save_zip(tmp_path / "x.pt", value)),
        read(_bytes(tmp_path / "y.pt", legacy_bytes(value))),
    ):
        same(found, expected, exact=False)
        assert MelRecipe.from_metadata(found.metadata) == NVIDIA
        assert found.metadata["melgan.input_scale"] == 0.2
        assert found.metadata["melgan.input_shift"] == 1.0
        assert found.metadata["melgan.padding"] == "reflect" and not found.notes


def test_seungwonpark_settings_decide(tmp_path: Path) -> None:
    state = state_dict(weights(), "seungwonpark")
    value = {"model_g": state, "hp_str": HP.format(rate=24000, fmax="null")}
    recipe = MelRecipe.from_metadata(read(save_zip(tmp_path / "x.pt", value)).metadata)
    assert recipe.name == "custom" and recipe.sample_rate == 24000 and recipe.fmax == 12000
    wrong = HP.format(rate=22050, fmax=8000).replace("256", "200")
    with pytest.raises(ModelError, match="its settings say hop_length 200, but its tensors 256"):
        read(save_zip(tmp_path / "x.pt", {"model_g": state, "hp_str": wrong}))
    with pytest.raises(ModelError, match="the mel recipe: the bands go from 0 to 20000 Hz"):
        value["hp_str"] = HP.format(rate=22050, fmax=20000)
        read(save_zip(tmp_path / "x.pt", value))


def _bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_descript_reads_what_lies_beside(tmp_path: Path) -> None:
    path = save_zip(tmp_path / "best_netG.pt", state_dict(weights(), "descript"))
    found = read(path)
    assert MelRecipe.from_metadata(found.metadata) == DESCRIPT and not found.notes
    assert found.metadata["melgan.input_scale"] == 1.0
    text = "!!python/object/apply:os.system\nargs: ['touch pwned']\nngf: {}\nn_residual_layers: 2\n"
    (tmp_path / "args.yml").write_text(text.format(1))
    assert not read(path).notes
    (tmp_path / "args.yml").write_text(text.format(32))
    assert read(path).notes == (
        "args.yml belongs to another model: its settings say ngf 32, but its tensors 1",
    )
    assert not Path("pwned").exists()


def test_mindspore_training_checkpoint(tmp_path: Path) -> None:
    expected = weights()
    state = state_dict(expected, "mindspore")
    everything = {f"moment1.{k}": np.zeros_like(v) for k, v in state.items()}
    everything |= {"dis1.conv1.conv.weight": np.ones((16, 1, 1, 15), "<f4")}
    everything |= state | {f"adam_v.{k}": np.ones_like(v) for k, v in state.items()}
    everything |= {"learning_rate": np.array(1e-4, "<f4"), "global_step": np.array([7], "<i4")}
    found = read(_bytes(tmp_path / "x.ckpt", mindspore_bytes(everything, crc=True, split=999)))
    same(found, expected)
    assert found.format == "mindspore.ckpt"
    assert found.metadata["melgan.padding"] == "zero"
    assert found.metadata["melgan.input_scale"] == 0.2
    assert any("(mel + 5) / 5" in note for note in found.notes)
    assert any(f"{2 * len(state) + 3} tensors that are not" in note for note in found.notes)


def test_the_generator_is_found_among_others() -> None:
    names = list(state_dict(weights(), "descript", prefix="a.generator."))
    moments = list(state_dict(weights(), "descript", prefix="moment1.generator."))
    named = find_generator([*moments, *names, "disc.model.0.weight"])
    assert named is not None and named.prefix == "a.generator." and named.others == 1 + len(moments)
    assert find_generator(moments) is None and find_generator([]) is None
    assert find_generator(["model.1.weight", "generator.1.bias"]) is None


def test_all_problems_at_once(tmp_path: Path) -> None:
    state = state_dict(weights(), "seungwonpark", norm="g", prefix="module.")
    name = "module.generator"
    del state[f"{name}.4.blocks.1.2.bias"], state[f"{name}.7.shortcuts.0.weight_v"]
    state[f"{name}.10.blocks.0.2.weight_v"] = np.ones((5, 5, 9), "<f4")
    state[f"{name}.6.weight_v"] = np.ones((12, 8), "<f4")
    state[f"{name}.1.bias"] = np.full(16, np.nan, "<f4")
    state[f"{name}.13.blocks.0.4.weight_v"] = np.zeros((3, 3, 1), "<f4")
    state[f"{name}.13.blocks.0.4.bias"] = np.ones(3, "<i8")
    state[f"{name}.99.weight"] = np.ones(3, "<f4")
    path = save_zip(tmp_path / "x.pt", state)
    with pytest.raises(ModelError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    for expected in (
        f"'{name}.4.blocks.1.2.bias' is missing",
        f"'{name}.7.shortcuts.0.weight_v' is missing",
        f"'{name}.10.blocks.0.2.weight' has shape [5, 5, 9], expected [5, 5, 3]",
        f"'{name}.6.weight_v' has shape [12, 8], expected [?, ?, ?]",
        f"'{name}.1.bias' has values that are NaN",
        f"'{name}.13.blocks.0.4' has weight norm of a direction that is zero",
        f"'{name}.13.blocks.0.4.bias' holds int64, expected floats",
        f"'{name}.99.weight' is unexpected",
    ):
        assert expected in text, text


def test_plain_and_normed_at_once_is_unexpected(tmp_path: Path) -> None:
    state = state_dict(weights(), "descript", norm="g")
    state["model.1.weight"] = np.ones((16, 80, 7), "<f4")
    with pytest.raises(ModelError, match=r"'model\.1\.weight' is unexpected"):
        read(save_zip(tmp_path / "x.pt", state))


def test_absurd_numbers_of_layers(tmp_path: Path) -> None:
    state = state_dict(weights(), "descript")
    state["model.9999.block.2.weight"] = np.ones((3, 3, 3), "<f4")
    with pytest.raises(ModelError, match=r"'model\.9999\.block\.2\.weight' is unexpected"):
        read(save_zip(tmp_path / "x.pt", state))


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ({}, "it is empty"),
        ([1, 2], "it is a list"),
        (np.ones((80, 5), "<f4"), r"it is one tensor \[80, 5\]"),
        ({"state_dict": {"conv.weight": np.ones(3, "<f4")}}, r"it has the entries 'state_dict'"),
        ({f"w{i}": np.ones(1, "<f4") for i in range(9)}, r"'w4' and 4 more"),
    ],
)
def test_other_tensors(tmp_path: Path, value: Any, match: str) -> None:
    path = save_zip(tmp_path / "x.pt", value)
    for arch in ("auto", "melgan"):
        with pytest.raises(ModelError, match=f"holds no .*melgan.* model that is known: .*{match}"):
            read(path, arch)


def test_arch_forces(tmp_path: Path) -> None:
    path = save_zip(tmp_path / "x.pt", state_dict(weights(), "descript"))
    same(read(path, "melgan"), weights())
    with pytest.raises(ModelError, match="is a torch file, expected a Keras HDF5 checkpoint or a"):
        read(path, "lpcnet")
    with pytest.raises(ModelError, match="a DNNw weight blob of LPCNet, expected a melgan"):
        read(_bytes(tmp_path / "y", b"DNNw" + bytes(60)), "melgan")
    with pytest.raises(Error, match="expected auto, fargan, hifigan, lpcnet, melgan"):
        convert(path, tmp_path / "m.gguf", arch="nobody")


def test_hostile_checkpoints_are_refused_by_name(tmp_path: Path) -> None:
    code = b"\x80\x02cposix\nsystem\n" + encode(("touch pwned",)) + b"R."
    with pytest.raises(ModelError, match=r"mentions 'posix\.system', which is refused"):
        convert(save_zip(tmp_path / "x.pt", code), tmp_path / "m.gguf")
    writer = Writer(legacy=False)
    tensor = writer.tensor(np.ones(4, "<f4"), shape=(1 << 30,), strides=(0,))
    path = save_zip(tmp_path / "x.pt", pickled({"generator.1.bias": tensor}), writer=writer)
    with pytest.raises(ModelError, match="leaves its storage"):
        convert(path, tmp_path / "m.gguf")
    assert not (tmp_path / "m.gguf").exists() and not Path("pwned").exists()


def test_one_table_many_times_is_searched_once(tmp_path: Path) -> None:
    """A dict of 20,000 times a dict of 20,000 times the same names."""
    names = b"".join(encode(f"x.{i}.bias") + b"h\x00" for i in range(20_000))
    inner = b"]q\x000}q\x01(" + names + b"u0"
    middle = b"}q\x02(" + b"".join(encode(i) + b"h\x01" for i in range(20_000)) + b"u0"
    outer = b"}(" + b"".join(encode(i) + b"h\x02" for i in range(20_000)) + b"u."
    path = save_zip(tmp_path / "x.pt", b"\x80\x02" + inner + middle + outer)
    begin = time.monotonic()
    with pytest.raises(ModelError, match=r"holds no (?:\w+ or )+\w+ model"):
        read(path)
    assert time.monotonic() - begin < 20


def test_settings_text() -> None:
    text = "a: 1 # one\n  b:  2.5\nc: 'x'\n- d: 4\ne: nan\nf: 1e400\na: 9\nlong: " + "9" * 100
    found = scalars(text)
    assert found == {"a": "1", "b": "2.5", "e": "nan", "f": "1e400"}
    assert whole(found, "a") == 1 and number(found, "b") == 2.5 and whole(found, "b") is None
    assert number(found, "e") is None and number(found, "f") is None and number(found, "z") is None
    assert scalars("x: 1\n" * 100_000) == {"x": "1"}


class Oracle:
    """Stands in for the runtime: the float64 oracle on a model file."""

    def __init__(self, path: str) -> None:
        container = read_container(path)
        MELGAN.validate(container, path)
        self.net = reference().Melgan(decode(MELGAN, container), container.metadata)

    def synthesize(self, features: np.ndarray) -> np.ndarray:
        return self.net.forward(features).audio.astype(np.float32)


class Short(Oracle):
    """A runtime that is broken."""

    def synthesize(self, features: np.ndarray) -> np.ndarray:
        return super().synthesize(features)[:-1]


class Loud(Oracle):
    """Another."""

    def synthesize(self, features: np.ndarray) -> np.ndarray:
        return super().synthesize(features) + 2


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return save_zip(tmp_path / "voice.pt", state_dict(weights("reflect.f32"), "descript", norm="g"))


def test_conversion_and_report(tmp_path: Path, checkpoint: Path) -> None:
    pytest.importorskip("pyvoc._pyvoc")
    exact = convert(checkpoint, tmp_path / "f32.gguf", load=Oracle).report
    assert exact is not None and exact.snr_db is None and exact.log_spectral_distance_db == 0
    result = convert(checkpoint, tmp_path / "bf16.gguf", precision="bf16", load=Oracle)
    report = result.report
    assert report is not None and report.probe == "synthetic"
    assert report.frames == 129 and 1.4 < report.seconds < 1.6
    assert report.snr_db is not None and 30 < report.snr_db < 70
    assert 0 < report.log_spectral_distance_db < 1
    container = read_container(tmp_path / "bf16.gguf")
    assert container.architecture == "pyvoc.melgan"
    assert container.metadata["pyvoc.source.format"] == "descript.torch"
    np.save(tmp_path / "mel.npy", np.full((20, 80), -2, np.float32))
    given = convert(
        checkpoint,
        tmp_path / "m.gguf",
        precision="bf16",
        load=Oracle,
        mel=tmp_path / "mel.npy",
    ).report
    assert given is not None and given.probe == "given" and given.frames == 20


@pytest.mark.parametrize(("runtime", "match"), [(Short, "has shape"), (Loud, "is not audio")])
def test_a_broken_runtime_fails_the_conversion(
    tmp_path: Path, checkpoint: Path, runtime: Any, match: str
) -> None:
    with pytest.raises(Error, match=match):
        convert(checkpoint, tmp_path / "m.gguf", load=runtime)
    assert not (tmp_path / "m.gguf").exists()


def test_int8_needs_calibration(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(UnsupportedError, match="needs calibration"):
        convert(checkpoint, tmp_path / "m.gguf", precision="int8")


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(["convert", *arguments])


def test_command_line(
    tmp_path: Path,
    checkpoint: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("pyvoc._pyvoc")
    import pyvoc

    monkeypatch.setattr(pyvoc, "load", Oracle, raising=False)
    target = str(tmp_path / "m.gguf")
    arguments = (str(checkpoint), "-o", target, "--arch", "melgan", "--precision", "bf16")
    assert command.run(parse(*arguments)) == 0
    text = capsys.readouterr().out
    assert "(descript.torch)" in text and "pyvoc.melgan, bf16" in text
    assert "s of audio from a synthetic mel: SNR" in text and "log-spectral distance" in text
    assert command.run(parse(*arguments, "--json")) == 0
    assert json.loads(capsys.readouterr().out)["report"]["probe"] == "synthetic"
