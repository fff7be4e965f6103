"""WaveGlow checkpoints of every container and generation to our tensors."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from melgan_checkpoints import write_safetensors
from torch_files import Writer, pickled, save_zip
from waveglow_checkpoints import (
    GLOW,
    GLOW_OLD,
    Modules,
    config,
    module_file,
    read,
    same,
    state_dict,
    weights,
)
from waveglow_files import GOLDEN, TINY, reference, settings

from pyvoc.cli import convert as command
from pyvoc.container import read_container
from pyvoc.container.mel import NVIDIA, MelRecipe
from pyvoc.convert import convert
from pyvoc.errors import UnsupportedError
from pyvoc.families.waveglow.spec import WAVEGLOW
from pyvoc.quant import decode

NAMES = ("early.f32", "alternate.f32", "plain.f32")
CHECKPOINTS = sorted(GOLDEN.glob("*.pt"))


# ---- containers and generations ------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("norm", ["", "g", "parametrized"])
@pytest.mark.parametrize("prefix", ["", "module.", "waveglow.module."])
def test_state_dicts(tmp_path: Path, name: str, norm: str, prefix: str) -> None:
    """Of any size; groups and early outputs are read off the shapes."""
    expected = weights(name)
    state = state_dict(expected, norm=norm, prefix=prefix)
    for path in (
        save_zip(tmp_path / "x.pt", state),
        write_safetensors(tmp_path / "x.safetensors", state),
    ):
        found = read(path)
        assert found.format == f"nvidia.{'torch' if path.suffix == '.pt' else 'safetensors'}"
        same(found, expected, exact=not norm)
        ours = settings(name)
        assert found.metadata["waveglow.groups"] == ours.groups
        assert found.metadata["waveglow.early_size"] == ours.early_size
        assert found.metadata["waveglow.alternate"] is False
        assert found.metadata["waveglow.sigma"] == 0.6
        if ours.early_size:
            assert found.metadata["waveglow.early_every"] == ours.early_every


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_pickled_modules(tmp_path: Path, name: str, legacy: bool) -> None:
    path = module_file(tmp_path / "x.pt", name, legacy=legacy, norm="g", inverted=True)
    found = read(path)
    same(found, weights(name), exact=False)
    recipe = MelRecipe.from_metadata(found.metadata)
    assert recipe.hop_length == settings(name).recipe.hop_length and not found.notes
    assert recipe.bands == settings(name).recipe.bands and recipe.name == "custom"


def test_pickled_modules_elsewhere(tmp_path: Path) -> None:
    """Saved on their own, under other names, within DataParallel, from another module."""
    expected = weights()

    def parallel(model: Any) -> dict[str, Any]:
        home = "torch.nn.parallel.data_parallel"
        modules = Modules(Writer(legacy=False))
        return {"net": modules.part("DataParallel", home=home, children={"module": model})}

    for wrap in (lambda model: {"waveglow": {"ema": model}}, parallel):
        same(read(module_file(tmp_path / "x.pt", "early.f32", wrap=wrap)), expected)
    same(read(module_file(tmp_path / "x.pt", "early.f32", module="nets.waveglow.model")), expected)
    writer = Writer(legacy=False)
    model = Modules(writer).waveglow(
        state_dict(expected), config(expected, settings()), hop=32, inverted=True
    )
    same(read(save_zip(tmp_path / "x.pt", pickled(model), writer=writer)), expected)


@pytest.mark.parametrize("sources", [{"WaveGlow": GLOW, "WN": "x"}, {"WaveGlow": GLOW_OLD}])
def test_embedded_sources(tmp_path: Path, sources: dict[str, str]) -> None:
    """Old files carry their classes' source; it is text, and tells the generations apart."""
    path = module_file(tmp_path / "x.pt", "alternate.f32", legacy=True, sources=sources)
    found = read(path)
    same(found, weights("alternate.f32"))
    assert found.metadata["waveglow.alternate"] is (sources["WaveGlow"] is GLOW_OLD)


@pytest.mark.parametrize("outputs", ["fused", "separate"])
@pytest.mark.parametrize("conditioning", ["fused", "separate"])
@pytest.mark.parametrize("norm", ["", "g"])
def test_older_layers(tmp_path: Path, outputs: str, conditioning: str, norm: str) -> None:
    state = state_dict(weights(), norm=norm, outputs=outputs, conditioning=conditioning)
    found = read(save_zip(tmp_path / "x.pt", {"state_dict": state}))
    same(found, weights(), exact=not norm)
    old = "separate" in (outputs, conditioning)
    assert any("of the older generation" in note for note in found.notes) == old


def test_alternate_halves_where_the_file_says_so(tmp_path: Path) -> None:
    old = {"outputs": "separate", "conditioning": "separate", "norm": "g"}
    for legacy in (False, True):
        path = module_file(
            tmp_path / "x.pt", "alternate.f32", legacy=legacy, module="glow_old", **old
        )
        found = read(path)
        same(found, weights("alternate.f32"), exact=False)
        assert found.metadata["waveglow.alternate"] is True
        assert found.notes == ("odd flows read the second half (the generation of glow_old)",)
        forced = read(path, halves="first")
        assert forced.metadata["waveglow.alternate"] is False and "was told not" in forced.notes[0]
    state = state_dict(weights())
    saying = {"state_dict": state, "config": {"model": "glow_old.WaveGlow"}}
    assert read(save_zip(tmp_path / "y.pt", saying)).metadata["waveglow.alternate"] is True
    silent = save_zip(tmp_path / "z.pt", state)
    assert read(silent).metadata["waveglow.alternate"] is False
    assert read(silent, halves="alternate").metadata["waveglow.alternate"] is True


@pytest.mark.parametrize("prefix", ["", "module."])
def test_deep_learning_examples(tmp_path: Path, prefix: str) -> None:
    expected = weights()
    value = {
        "epoch": 1001,
        "cuda_rng_state_all": np.zeros(9, "|u1"),
        "config": config(expected, settings()),
        "state_dict": state_dict(expected, norm="g", prefix=prefix),
        "optimizer": {"state": {0: {"exp_avg": np.zeros(5, "<f4")}}, "param_groups": []},
    }
    found = read(save_zip(tmp_path / "x.pt", value))
    same(found, expected, exact=False)
    hop = settings().recipe.hop_length
    assert found.notes == (
        f"'upsample' has {4 * hop} taps and nothing says the hop: {hop} samples are assumed",
    )


def test_the_usual_size_has_the_usual_recipe(tmp_path: Path) -> None:
    expected = weights()
    expected["upsample.weight"] = np.ones((5, 5, 1024), "<f4")
    found = read(save_zip(tmp_path / "x.pt", state_dict(expected)))
    recipe = MelRecipe.from_metadata(found.metadata)
    assert recipe.hop_length == 256 and recipe.differences(NVIDIA) == ("bands",)
    assert not found.notes


def test_settings_beside_the_checkpoint(tmp_path: Path) -> None:
    path = save_zip(tmp_path / "x.pt", state_dict(weights()))
    data = {"hop_length": 32, "sampling_rate": 8000, "win_length": 128, "filter_length": 128}
    data |= {"mel_fmin": 20.0, "mel_fmax": 3900.0}
    ours = config(weights(), settings())
    beside = tmp_path / "config.json"
    beside.write_text(json.dumps({"data_config": data, "waveglow_config": ours}))
    recipe = MelRecipe.from_metadata(read(path).metadata)
    assert (recipe.hop_length, recipe.sample_rate, recipe.pad) == (32, 8000, 64)
    assert (recipe.fmin, recipe.fmax) == (20.0, 3900.0) and not read(path).notes
    beside.write_text(json.dumps({"data_config": data, "waveglow_config": ours | {"n_flows": 12}}))
    assert read(path).notes[0] == (
        "config.json belongs to another model: its settings say n_flows 12, but its tensors 4"
    )
    for text in ("{", "[" * 100_000, "[1]", '{"data_config": {"hop_length": 1e400}}', "null"):
        beside.write_text(text)
        assert "nothing says the hop" in read(path).notes[0]


def test_inverses_are_in_double(tmp_path: Path) -> None:
    found = read(save_zip(tmp_path / "x.pt", state_dict(weights()))).arrays
    for k in range(4):
        mix, unmix = (found[f"flow.{k}.{n}.weight"] for n in ("mix", "unmix"))
        assert unmix.dtype == np.float64
        np.testing.assert_allclose(mix @ unmix, np.eye(len(mix)), rtol=0, atol=1e-14)


def test_half_precision(tmp_path: Path) -> None:
    state = {name: a.astype("<f2") for name, a in state_dict(weights()).items()}
    found = read(save_zip(tmp_path / "x.pt", state))
    name = "flow.0.layer.0.conv.weight"
    np.testing.assert_array_equal(found.arrays[name], weights()[name].astype("<f2").astype("<f4"))


# ---- the whole way -------------------------------------------------------------------------------


class Oracle:
    """Stands in for the runtime: the float64 oracle on a model file."""

    def __init__(self, path: str) -> None:
        container = read_container(path)
        WAVEGLOW.validate(container, path)
        self.net = reference().Waveglow(decode(WAVEGLOW, container), container.metadata)

    def synthesize(self, features: np.ndarray) -> np.ndarray:
        draws = self.net.draws(len(features), np.random.default_rng(0))
        return self.net.infer(features, draws, 2.0).astype(np.float32)  # beyond -1..1


def test_conversion_and_report(tmp_path: Path) -> None:
    pytest.importorskip("pyvoc._pyvoc")
    path = module_file(tmp_path / "voice.pt", "early.f32", norm="g")
    exact = convert(path, tmp_path / "f32.gguf", load=Oracle).report
    assert exact is not None and exact.snr_db is None
    report = convert(path, tmp_path / "bf16.gguf", precision="bf16", load=Oracle).report
    assert report is not None and 30 < report.snr_db < 70
    container = read_container(tmp_path / "bf16.gguf")
    assert container.architecture == "pyvoc.waveglow"
    assert container.metadata["pyvoc.source.format"] == "nvidia.torch"
    with pytest.raises(UnsupportedError, match="needs calibration"):
        convert(path, tmp_path / "m.gguf", precision="int8")


def test_a_build_without_the_model_converts_and_says_so(tmp_path: Path) -> None:
    def refuse(path: str) -> Any:
        raise UnsupportedError(f"{path}: architecture unknown")

    path = module_file(tmp_path / "voice.pt", "early.f32")
    result = convert(path, tmp_path / "m.gguf", load=refuse)
    assert result.report is None
    what = "pyvoc.waveglow at f32 does not run here"
    assert result.notes[-1] == f"not measured: {what}: architecture unknown"
    WAVEGLOW.validate(read_container(tmp_path / "m.gguf"), "m")


def test_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyvoc._pyvoc")
    import pyvoc

    monkeypatch.setattr(pyvoc, "load", Oracle, raising=False)
    source, target = save_zip(tmp_path / "x.pt", state_dict(weights())), tmp_path / "m.gguf"
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = [str(source), "-o", str(target), "--arch", "waveglow", "--halves", "alternate"]
    assert command.run(parser.parse_args(["convert", *args])) == 0
    text = capsys.readouterr().out
    assert "(nvidia.torch)" in text and "pyvoc.waveglow, f32" in text and "SNR exact" in text
    assert read_container(target).metadata["waveglow.alternate"] is True


@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda p: p.stem)
def test_golden_checkpoints_give_the_same_tensors(path: Path, tmp_path: Path) -> None:
    size = path.name.split("_")[0]
    first = read(next(p for p in CHECKPOINTS if p.name.startswith(f"{size}_")))
    found = read(path)
    assert not found.notes and found.metadata == first.metadata
    assert found.arrays.keys() == first.arrays.keys()
    for name, values in first.arrays.items():
        np.testing.assert_allclose(
            found.arrays[name], values, rtol=0, atol=1e-6 * np.abs(values).max(), err_msg=name
        )
    numbers = json.loads((GOLDEN / f"{size}_config.json").read_text())["waveglow_config"]
    for ours, theirs in (("groups", "n_group"), ("early_every", "n_early_every")):
        assert found.metadata[f"waveglow.{ours}"] == numbers[theirs]
    result = convert(path, tmp_path / "m.gguf")
    assert result.architecture == "pyvoc.waveglow" and result.format == "nvidia.torch"


def test_there_is_something_in_the_golden_folder() -> None:
    if not GOLDEN.is_dir():
        pytest.skip("no golden data")
    assert {p.name.split("_")[1] for p in CHECKPOINTS} == {"pickled", "state"}
    assert TINY.is_dir()
