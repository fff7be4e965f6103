"""WaveGlow checkpoints that are not whole, or contradict themselves: what is said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_files import save_zip
from waveglow_checkpoints import config, module_file, read, same, state_dict, weights
from waveglow_files import settings

from pyvoc.errors import Error, ModelError


def test_all_problems_at_once(tmp_path: Path) -> None:
    state = state_dict(weights(), norm="g", prefix="module.")
    del state["module.WN.1.end.bias"], state["module.convinv.2.conv.weight"]
    state["module.WN.0.start.weight_v"] = np.ones((8, 4), "<f4")
    state["module.WN.2.cond_layer.bias"] = np.ones(47, "<f4")
    state["module.WN.3.in_layers.0.bias"] = np.full(16, np.nan, "<f4")
    state["module.WN.3.strange.weight"] = np.ones(3, "<f4")
    state["module.convinv.3.conv.weight"] = np.ones((6, 6, 3), "<f4")
    path = save_zip(tmp_path / "x.pt", state)
    with pytest.raises(ModelError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    for expected in (
        "'module.WN.1.end.bias' is missing",
        "'module.convinv.2.conv.weight' is missing",
        "'module.WN.0.start.weight_v' has shape [8, 4], expected [?, ?, ?]",
        "'module.WN.2.cond_layer.bias' has 47 outputs, which do not divide by the 3 layers",
        "'module.WN.3.in_layers.0.bias' has values that are NaN or infinite",
        "'module.WN.3.strange.weight' is unexpected",
        "'module.convinv.3.conv.weight' has shape [6, 6, 3], expected [?, ?, 1]",
    ):
        assert expected in text, text


@pytest.mark.parametrize(
    ("tensor", "shape", "expected"),
    [
        ("WN.2.in_layers.1.weight", (16, 8, 5), "' has shape [16, 8, 5], expected [16, 8, 3]"),
        (
            "WN.1.cond_layer.weight",
            (48, 30, 1),
            " of each layer' has shape [16, 30, 1], expected [16, 40, 1]",
        ),
        ("WN.0.cond_layer.weight", (48, 30, 1), "conditioned on 30 values, expected 40"),
        ("WN.1.res_skip_layers.2.weight", (16, 8, 1), "' has shape [16, 8, 1], expected [8, 8, 1]"),
        ("convinv.1.conv.weight", (4, 4, 1), "the flows have 8, 4, 6, 6 channels: expected the sa"),
        ("convinv.1.conv.weight", (8, 7, 1), "' has shape [8, 7], expected [8, 8]"),
        ("convinv.1.conv.weight", (8, 8, 1), "flow 1 ('convinv.1.conv') has no inverse"),
        ("upsample.weight", (4, 5, 128), "' has shape [4, 5, 128], expected [5, 5, 128]"),
        ("upsample.weight", (5, 4, 128), "'upsample' gives 4 bands, but the flows are condition"),
    ],
)
def test_tensors_that_contradict_each_other(
    tmp_path: Path, tensor: str, shape: tuple[int, ...], expected: str
) -> None:
    state = state_dict(weights()) | {tensor: np.ones(shape, "<f4")}
    with pytest.raises(ModelError) as caught:
        read(save_zip(tmp_path / "x.pt", state))
    prefix = f"'{tensor}" if "has shape" in expected else ""
    assert f"{prefix}{expected}" in str(caught.value)


def test_old_layers_that_do_not_fit_together(tmp_path: Path) -> None:
    state = state_dict(weights(), outputs="separate")
    state["WN.0.res_layers.0.weight"] = np.ones((7, 8, 1), "<f4")
    with pytest.raises(ModelError, match=r"res_layers\.0\.weight' has shape \[7, 8, 1\], expec"):
        read(save_zip(tmp_path / "x.pt", state))
    del state["WN.0.res_layers.0.weight"]
    with pytest.raises(ModelError, match=r"'WN\.0\.res_layers\.0\.weight' is missing"):
        read(save_zip(tmp_path / "x.pt", state))


@pytest.mark.parametrize(
    ("numbers", "match"),
    [
        ({"n_group": 4}, "its settings say n_group 4, but its tensors 8"),
        ({"n_flows": 12}, "its settings say n_flows 12, but its tensors 4"),
        ({"n_mel_channels": 80}, "its settings say n_mel_channels 80, but its tensors 5"),
        ({"n_early_every": 4}, "say n_early_every 4 and n_early_size 2, but the flows of its tens"),
        ({"n_early_size": 0}, r"n_early_size 0, but the flows of its tensors have 8, 8, 6, 6 chan"),
        (
            {"WN_config": {"n_layers": 8, "n_channels": 8}},
            "its settings say n_layers 8, but its tensors 3",
        ),
    ],
)
def test_settings_that_contradict_the_tensors(
    tmp_path: Path, numbers: dict[str, Any], match: str
) -> None:
    with pytest.raises(ModelError, match=match):
        read(module_file(tmp_path / "x.pt", "early.f32", numbers=numbers))
    value = {"state_dict": state_dict(weights()), "config": config(weights(), settings()) | numbers}
    with pytest.raises(ModelError, match=match):
        read(save_zip(tmp_path / "x.pt", value))


def test_modules_that_no_waveglow_has(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'WN\.0\.in_layers\.1' has a dilation of 3, expected 2"):
        read(module_file(tmp_path / "x.pt", "early.f32", dilation_base=3))
    with pytest.raises(ModelError, match="has 128 taps, expected a multiple of the hop of 48"):
        read(module_file(tmp_path / "x.pt", "early.f32", hop=48))
    with pytest.raises(ModelError, match="the hop of 64 samples is not a multiple of the 6"):
        read(module_file(tmp_path / "x.pt", "alternate.f32", hop=64))

    def with_config(model: Any) -> dict[str, Any]:
        return {"model": model, "config": {"n_flows": 5, "hop_length": 64}}

    with pytest.raises(ModelError) as caught:
        read(module_file(tmp_path / "x.pt", "early.f32", wrap=with_config))
    assert "its module has n_flows 4, but its settings say 5" in str(caught.value)
    assert "'upsample' has a stride of 32, but its settings say a hop of 64" in str(caught.value)


def test_arch_forces(tmp_path: Path) -> None:
    path = save_zip(tmp_path / "x.pt", state_dict(weights()))
    same(read(path, "waveglow"), weights())
    with pytest.raises(ModelError, match="holds no melgan model that is known"):
        read(path, "melgan")
    with pytest.raises(ModelError, match="holds no melgan model that is known"):
        read(module_file(tmp_path / "y.pt", "early.f32"), "melgan")
    with pytest.raises(Error, match="option halves is 'second', expected first or alternate"):
        read(path, halves="second")
    melgan = {"model.1.weight": np.ones(1, "<f4"), "model.4.shortcut.weight": np.ones(1, "<f4")}
    with pytest.raises(Error, match=r"'halves' is an option of WaveGlow; .* is a MelGAN"):
        read(save_zip(tmp_path / "z.pt", melgan), halves="first")
    (tmp_path / "blob").write_bytes(b"DNNw" + bytes(60))
    with pytest.raises(Error, match=r"'halves' is an option of WaveGlow; .*blob is an LPCNet"):
        read(tmp_path / "blob", halves="first")


def test_others_are_left_out(tmp_path: Path) -> None:
    state = state_dict(weights()) | {"denoiser.bias_spec": np.ones(3, "<f4")}
    state |= {f"optim.{n}": a for n, a in state_dict(weights()).items()}
    found = read(save_zip(tmp_path / "x.pt", state))
    same(found, weights())
    assert f"{len(state_dict(weights())) + 1} tensors that are not the model's" in found.notes[0]
    with pytest.raises(ModelError, match=r"holds no (?:\w+ or )+\w+ model"):
        read(save_zip(tmp_path / "x.pt", {k: v for k, v in state.items() if "optim" in k}))
