"""WaveRNN checkpoints of fatchord and torchaudio to our tensors; what is wrong with others."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lpcnet_files import make_tiny
from melgan_checkpoints import write_safetensors
from torch_files import legacy_bytes, save_zip
from wavernn_files import GOLDEN, arrays, reference, state_dict, tiny_wavernn, torchaudio

from pyvoc.cli import convert as command
from pyvoc.container import read_container
from pyvoc.container.mel import FATCHORD, MelRecipe
from pyvoc.convert import convert
from pyvoc.convert.detect import detect
from pyvoc.errors import Error, ModelError
from pyvoc.families.wavernn.hoist import fold_batch_norm
from pyvoc.families.wavernn.names import find_network
from pyvoc.families.wavernn.spec import WAVERNN
from pyvoc.pickles import load_torch
from pyvoc.quant import decode

CHECKPOINTS = sorted(GOLDEN.glob("*weights*.pyt"))
MODELS = ("mol.f32", "raw.f32", "odd.f32")
UPSTREAMS = {"fatchord": dict, "torchaudio": torchaudio}
RESNET = "upsample.resnet"


def read(path: Path, arch: str = "auto", mode: str | None = None) -> Any:
    options = {} if mode is None else {"mode": mode}
    return detect(path, arch, options=options)(path)


def same(found: Any, expected: dict[str, np.ndarray], tolerance: float = 1e-7) -> None:
    assert found.arrays.keys() == expected.keys()
    for name, values in expected.items():
        assert found.arrays[name].shape == values.shape, name
        np.testing.assert_allclose(
            found.arrays[name], values, rtol=0, atol=tolerance * np.abs(values).max(), err_msg=name
        )


def prefixed(state: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {prefix + name: array for name, array in state.items()}


def broken(changes: dict[str, Any], name: str = "raw.f32") -> dict[str, np.ndarray]:
    """fatchord's state dict with other entries, None for those left out."""
    state = {**state_dict(name), **changes}
    return {key: value for key, value in state.items() if value is not None}


def other(**changes: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """A tiny model of other sizes, and its state dict."""
    tiny = dataclasses.replace(tiny_wavernn().MOL, **changes)
    state = tiny_wavernn().state_dict(tiny, make_tiny().Draws(tiny.seed))
    return tiny, {name: array.astype("<f4") for name, array in state.items()}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("prefix", ["", "module.", "vocoder.model."])
def test_names_and_containers(tmp_path: Path, upstream: str, name: str, prefix: str) -> None:
    state = prefixed(UPSTREAMS[upstream](state_dict(name)), prefix)
    legacy = tmp_path / "y.pyt"
    legacy.write_bytes(legacy_bytes(state))
    for path in (
        save_zip(tmp_path / "latest_weights.pyt", state),
        legacy,
        write_safetensors(tmp_path / "x.safetensors", state),
    ):
        found = read(path)
        kind = "safetensors" if path.suffix == ".safetensors" else "torch"
        assert found.format == f"{upstream}.{kind}"
        same(found, arrays(name))


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_bookkeeping_and_company(tmp_path: Path, upstream: str) -> None:
    """What training counts may be there or not; an optimiser and others are left out."""
    state = UPSTREAMS[upstream](state_dict("raw.f32"))
    norms = [n.removesuffix(".running_var") for n in state if n.endswith(".running_var")]
    counted = state | {f"{n}.num_batches_tracked": np.array(7, "<i8") for n in norms}
    counted["step"] = np.array([123000], "<i8")
    found = read(save_zip(tmp_path / "wave_step123K_weights.pyt", counted))
    same(found, arrays("raw.f32"))
    assert not found.notes
    company = {
        "step": 3,
        "model_state": counted | {"speaker.weight": np.ones((3, 4), "<f4")},
        "optimizer_state": {"state": {0: {"exp_avg": np.zeros(5, "<f4")}}, "param_groups": []},
    }
    found = read(save_zip(tmp_path / "x.pt", company))
    same(found, arrays("raw.f32"))
    assert found.notes[0] == "1 tensors that are not the network's were left out"


def test_half_precision_is_widened(tmp_path: Path) -> None:
    state = {name: array.astype("<f2") for name, array in state_dict("odd.f32").items()}
    same(read(save_zip(tmp_path / "x.pt", state)), arrays("odd.f32"), 2**-10)


def test_batch_norm_is_folded_in_double() -> None:
    rng = np.random.default_rng(2)
    w = rng.normal(size=(6, 5, 3)).astype("<f4")
    norm = {leaf: rng.normal(size=6).astype("<f4") for leaf in ("weight", "bias", "running_mean")}
    norm["running_var"] = np.array([0, 1e-6, 1e-3, 1, 50, 1e4], "<f4")
    weight, bias = fold_batch_norm(w, norm)
    assert weight.dtype == bias.dtype == np.float64
    x = rng.normal(size=(9, 5))
    wide = {leaf: a.astype(np.float64) for leaf, a in norm.items()}
    plain = reference().conv(x, w.astype(np.float64))
    expected = (plain - wide["running_mean"]) / np.sqrt(wide["running_var"] + 1e-5)
    expected = expected * wide["weight"] + wide["bias"]
    np.testing.assert_allclose(reference().conv(x, weight, bias), expected, rtol=1e-11, atol=1e-11)


def test_leftover_outputs_of_the_residual_network_are_dropped(tmp_path: Path) -> None:
    """Upstream cuts them in four quarters of equal size."""
    state = state_dict("odd.f32")
    for leaf in ("weight", "bias"):
        array = state[f"{RESNET}.conv_out.{leaf}"]
        state[f"{RESNET}.conv_out.{leaf}"] = np.concatenate([array, 9 * array[:3]])
    same(read(save_zip(tmp_path / "x.pt", state)), arrays("odd.f32"))


@pytest.mark.parametrize(("bits", "mode"), [(1, None), (9, None), (10, "raw"), (12, "linear")])
def test_labels_of_any_bits(tmp_path: Path, bits: int, mode: str | None) -> None:
    settings = dataclasses.replace(tiny_wavernn().MOL.settings, mode="raw", bits=bits)
    _, state = other(settings=settings, outputs=1 << bits)
    assert len(state["fc3.bias"]) == 1 << bits
    found = read(save_zip(tmp_path / "x.pt", state), mode=mode)
    assert found.metadata["wavernn.mode"] == "raw" and found.metadata["wavernn.bits"] == bits
    assert found.metadata["wavernn.mu_law"] is (mode != "linear")


def test_a_mixture_is_told_by_its_outputs(tmp_path: Path) -> None:
    for mode in (None, "mol"):
        found = read(save_zip(tmp_path / "x.pt", state_dict("mol.f32")), mode=mode)
        assert found.metadata["wavernn.mode"] == "mol" and found.metadata["wavernn.bits"] == 16
        assert found.metadata["wavernn.mu_law"] is False


@pytest.mark.parametrize(
    ("name", "mode", "match"),
    [
        ("raw.f32", "mol", "fc3 has 256 outputs, expected three for each of 1 to 64 logistics"),
        ("mol.f32", "raw", "fc3 has 30 outputs, expected 16 for labels of 4 bits"),
        ("mol.f32", "linear", "fc3 has 30 outputs"),
    ],
)
def test_a_wrong_mode(tmp_path: Path, name: str, mode: str, match: str) -> None:
    with pytest.raises(ModelError, match=match):
        read(save_zip(tmp_path / "x.pt", state_dict(name)), mode=mode)


def test_outputs_of_no_kind(tmp_path: Path) -> None:
    changes = {"fc3.weight": np.ones((100, 12), "<f4"), "fc3.bias": np.ones(100, "<f4")}
    with pytest.raises(ModelError, match="fc3 has 100 outputs, expected three for each"):
        read(save_zip(tmp_path / "x.pt", broken(changes)))


def test_recipes(tmp_path: Path) -> None:
    """fatchord's, with the bands and the hop that the tensors say."""

    def recipe(bands: int, stretches: tuple[int, ...]) -> tuple[MelRecipe, tuple[str, ...]]:
        settings = tiny_wavernn().MOL.settings
        changed = dataclasses.replace(settings.recipe, bands=bands)
        tiny = dataclasses.replace(settings, recipe=changed)
        _, state = other(settings=tiny, stretches=stretches)
        found = read(save_zip(tmp_path / "x.pt", torchaudio(state)))
        return MelRecipe.from_metadata(found.metadata), found.notes

    assert recipe(80, (5, 5, 11)) == (FATCHORD, ())
    default, notes = recipe(128, (5, 5, 11))  # torchaudio's default
    assert default == dataclasses.replace(FATCHORD, name="custom", bands=128) and not notes
    other_hop, notes = recipe(80, (4, 8, 8))
    assert (other_hop.hop_length, other_hop.window_length) == (256, 1024)
    assert "the hop is 256 samples: the mel recipe of fatchord" in notes[0]
    long, _ = recipe(80, (16, 16, 4))
    assert (long.window_length, long.fft_length, long.pad) == (4096, 4096, 2048)
    with pytest.raises(ModelError, match="the mel recipe: metadata 'pyvoc"):
        recipe(80, (200, 200))


def test_upsampling_that_looks_too_far(tmp_path: Path) -> None:
    _, state = other(pad=1)
    with pytest.raises(ModelError, match="looks 2 frames ahead, but the residual network 1"):
        read(save_zip(tmp_path / "x.pt", state))
    _, state = other()
    state[f"{RESNET}.conv_in.weight"] = state[f"{RESNET}.conv_in.weight"][:, :, :4]
    with pytest.raises(ModelError, match="reads 4 frames at once, expected odd"):
        read(save_zip(tmp_path / "x.pt", state))


def test_all_problems_at_once(tmp_path: Path) -> None:
    state = broken(
        {
            f"{RESNET}.layers.1.conv2.weight": np.ones((8, 8, 3), "<f4"),
            f"{RESNET}.layers.0.batch_norm1.running_var": np.full(8, -1, "<f4"),
            f"{RESNET}.layers.2.batch_norm2.running_mean": None,
            f"{RESNET}.batch_norm.weight": np.ones(9, "<f4"),
            "upsample.up_layers.3.weight": np.ones((1, 11), "<f4"),
            "upsample.up_layers.5.weight": np.ones((1, 1, 2, 23), "<f4"),
            "I.weight": np.ones((16, 7), "<f4"),
            "rnn1.weight_ih_l0": np.full((48, 16), np.nan, "<f4"),
            "rnn1.bias_hh_l0": np.ones(47, "<f4"),
            "rnn2.weight_ih_l0": np.ones((48, 16), "<f4"),
            "rnn2.weight_hh_l1": np.ones((48, 16), "<f4"),
            "fc1.bias": np.ones(12, "<i8"),
            "fc4.bias": np.ones(12, "<f4"),
        }
    )
    path = save_zip(tmp_path / "x.pt", prefixed(state, "module."))
    with pytest.raises(ModelError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    for expected in (
        f"'module.{RESNET}.layers.1.conv2.weight' has shape [8, 8, 3], expected [8, 8, 1]",
        f"'module.{RESNET}.layers.0.batch_norm1.running_var' has negative variances",
        f"'module.{RESNET}.layers.2.batch_norm2.running_mean' is missing",
        f"'module.{RESNET}.batch_norm.weight' has shape [9], expected [8]",
        "'module.upsample.up_layers.3.weight' has shape [1, 11], expected [?, ?, ?, ?]",
        "'module.upsample.up_layers.5.weight' has shape [1, 1, 2, 23], expected [1, 1, 1, ?]",
        "'module.I.weight' has shape [16, 7], expected [16, 27]",
        "'module.rnn1.weight_ih_l0' has values that are NaN or infinite",
        "'module.rnn1.bias_hh_l0' has shape [47], expected [48]",
        "'module.rnn2.weight_hh_l1' is unexpected",
        "'module.fc1.bias' holds int64, expected floats",
        "'module.fc4.bias' is unexpected",
    ):
        assert expected in text, text
    assert "'module.rnn2.weight_ih_l0' has shape [48, 16], expected [48, 18]" in text


def test_torchaudio_is_told_in_its_own_names(tmp_path: Path) -> None:
    state = torchaudio(state_dict("raw.f32"))
    state[f"{RESNET}.melresnet_model.4.resblock_model.3.weight"] = np.ones((8, 9, 1), "<f4")
    del state[f"{RESNET}.melresnet_model.6.bias"], state["fc.bias"]
    with pytest.raises(ModelError) as caught:
        read(save_zip(tmp_path / "x.pt", state))
    for expected in (
        f"'{RESNET}.melresnet_model.4.resblock_model.3.weight' has shape [8, 9, 1], expected [8, 8",
        f"'{RESNET}.melresnet_model.6.bias' is missing",
        "'fc.bias' is missing",
    ):
        assert expected in str(caught.value)


def test_absurd_numbers_of_layers(tmp_path: Path) -> None:
    for name in (f"{RESNET}.layers.9999.conv1.weight", "upsample.up_layers.9999.weight"):
        with pytest.raises(ModelError, match=rf"'{name}' is unexpected"):
            read(save_zip(tmp_path / "x.pt", broken({name: np.ones((8, 8, 1), "<f4")})))


def test_layers_that_are_empty(tmp_path: Path) -> None:
    """No shape, however degenerate, gets further than a sentence."""
    rng = np.random.default_rng(11)
    names = list(state_dict())
    for _ in range(150):
        state = state_dict()
        for name in rng.choice(names, 2):
            shape = list(state[name].shape)
            axis = rng.integers(len(shape))
            shape[axis] = int(rng.choice([0, shape[axis] + 1, 1 if shape[axis] > 1 else 3]))
            state[name] = np.ones(shape, "<f4")
        with pytest.raises(ModelError):
            read(save_zip(tmp_path / "x.pt", state))


def test_other_waverns_are_refused_by_name(tmp_path: Path) -> None:
    gru = {
        "state_dict": {
            "autoregressive.gru.weight_hh_l0": np.ones((6, 2), "<f4"),
            "domain.embedding.weight": np.ones((256, 2), "<f4"),
        }
    }
    with pytest.raises(ModelError, match=r"x\.pt: it is a WaveRNN with a single GRU \(gibiansky"):
        read(save_zip(tmp_path / "x.pt", gru))
    deepmind = {"R.weight": np.ones((6, 2), "<f4"), "O4.weight": np.ones((256, 2), "<f4")}
    with pytest.raises(ModelError, match=r"two softmax layers .*which is not supported"):
        read(save_zip(tmp_path / "x.pt", deepmind))
    optimiser = {"state": {0: {"exp_avg": np.ones(3, "<f4")}}, "param_groups": [{"lr": 1e-4}]}
    with pytest.raises(ModelError, match="wavernn model that is known: it has the entries 'state'"):
        read(save_zip(tmp_path / "latest_optim.pyt", optimiser))


def test_the_network_is_found_among_others() -> None:
    names = list(prefixed(state_dict(), "a.vocoder."))
    moments = list(prefixed(state_dict(), "optimizer.exp_avg.vocoder."))
    named = find_network([*moments, *names, "encoder.weight", "step"])
    assert named is not None and named.prefix == "a.vocoder." and named.others == 1 + len(moments)
    assert find_network([]) is None and find_network(["I.weight", "rnn1.weight_hh_l0"]) is None


def test_arch_and_mode_force(tmp_path: Path) -> None:
    path = save_zip(tmp_path / "x.pt", state_dict("raw.f32"))
    same(read(path, "wavernn"), arrays("raw.f32"))
    with pytest.raises(ModelError, match="holds no melgan model that is known"):
        read(path, "melgan")
    with pytest.raises(Error, match="option mode is 'softmax', expected mol or raw or linear"):
        convert(path, tmp_path / "m.gguf", mode="softmax")
    with pytest.raises(Error, match=r"'halves' is an option of WaveGlow; .* is a WaveRNN"):
        convert(path, tmp_path / "m.gguf", halves="first")
    blob = tmp_path / "y"
    blob.write_bytes(b"DNNw" + bytes(60))
    with pytest.raises(Error, match=r"'mode' is an option of WaveRNN; .* is an LPCNet"):
        read(blob, mode="raw")


@pytest.mark.parametrize("precision", ["f32", "bf16", "int8"])
@pytest.mark.parametrize("name", MODELS)
def test_conversion(tmp_path: Path, name: str, precision: str) -> None:
    path = save_zip(tmp_path / "voice.pyt", state_dict(name))
    result = convert(path, tmp_path / "m.gguf", precision=precision)
    assert result.architecture == "pyvoc.wavernn" and result.precision == precision
    container = read_container(tmp_path / "m.gguf")
    WAVERNN.validate(container, "m")
    assert container.metadata["general.name"] == "voice"
    assert container.metadata["pyvoc.source.format"] == "fatchord.torch"
    assert (
        MelRecipe.from_metadata(container.metadata).bands == arrays(name)["rnn1.input.mel"].shape[1]
    )
    for key, values in decode(WAVERNN, container).items():
        scale = container.tensors.get(f"{key}.scale")
        exact = arrays(name)[key]
        bound = 2**-8 * np.abs(exact) if scale is None else 1.01 * scale.data[:, None]
        assert (np.abs(values - exact) <= bound).all(), key


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def instead(source: str, target: str, **options: Any) -> Any:
        given.update(options)
        raise Error("enough")

    monkeypatch.setattr(command, "convert", instead)
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    arguments = ["convert", "x.pyt", "-o", "m.gguf", "--arch", "wavernn", "--mode", "linear"]
    pytest.importorskip("pyvoc._pyvoc")
    with pytest.raises(Error, match="enough"):
        command.run(parser.parse_args(arguments))
    assert given["arch"] == "wavernn" and given["mode"] == "linear" and "halves" not in given
    with pytest.raises(SystemExit):
        parser.parse_args([*arguments, "--mode", "softmax"])


@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda p: p.stem)
def test_upstreams_own_checkpoints(path: Path, tmp_path: Path) -> None:
    found = read(path)
    mode, bits = (
        ("mol", 16)
        if "_mol_" in path.name
        else ("raw", int(path.name.split("raw")[1].split("_")[0]))
    )
    assert (found.metadata["wavernn.mode"], found.metadata["wavernn.bits"]) == (mode, bits)
    assert found.format == "fatchord.torch" and not found.notes
    assert MelRecipe.from_metadata(found.metadata) == FATCHORD
    again = read(save_zip(tmp_path / "x.pt", torchaudio(_tensors(path))))
    assert again.format == "torchaudio.torch"
    for name, values in found.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], values, name)


def _tensors(path: Path) -> dict[str, np.ndarray]:
    """A checkpoint without what torchaudio names otherwise and nobody reads."""
    state = load_torch(path)
    return {k: v for k, v in state.items() if "." in k and not k.endswith("num_batches_tracked")}


def test_the_legacy_container_holds_the_same() -> None:
    legacy = [p for p in CHECKPOINTS if p.stem.endswith("_legacy")]
    if not legacy:
        pytest.skip("no golden data")
    for path in legacy:
        found, expected = read(path), read(path.with_name(path.name.replace("_legacy", "")))
        for name, values in expected.arrays.items():
            np.testing.assert_array_equal(found.arrays[name], values, name)
