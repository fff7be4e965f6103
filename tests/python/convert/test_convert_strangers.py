"""Checkpoints that no family reads are named for the networks that they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from melgan_checkpoints import write_safetensors
from torch_files import save_zip

from pyvoc import families
from pyvoc.convert import convert
from pyvoc.convert.describe import describe
from pyvoc.convert.tensors import UnknownNetwork
from pyvoc.errors import ModelError
from pyvoc.families.strangers import whose

NAMES = {
    "MelGAN of ParallelWaveGAN": ["melgan.1.weight_g", "melgan.4.stack.2.weight"],
    "Parallel WaveGAN": [
        "first_conv.bias",
        "conv_layers.0.conv1x1_aux.weight",
        "upsample_net.conv_in.weight",
    ],
    "Vocos": ["backbone.embed.weight", "backbone.convnext.0.dwconv.weight", "head.out.weight"],
    "BigVGAN": ["conv_pre.bias", "ups.0.0.bias", "resblocks.0.activations.0.act.alpha"],
}


@pytest.mark.parametrize("network", NAMES)
def test_strangers(network: str, tmp_path: Path) -> None:
    state = {f"generator.{name}": np.ones(2, "<f4") for name in NAMES[network]}
    for path in (
        save_zip(tmp_path / "g_1", {"model": state, "steps": 4}),
        write_safetensors(tmp_path / "x.safetensors", state),
    ):
        with pytest.raises(
            UnknownNetwork, match=f"model that is known: it is {network}$"
        ) as caught:
            convert(path, tmp_path / "m.gguf")
        assert str(caught.value).startswith(f"{path}: ")
    assert not (tmp_path / "m.gguf").exists()


def test_only_strangers_are() -> None:
    assert whose([]) is None and whose(["conv_pre.bias", "x" * 1000]) is None
    assert whose(["generator.1.weight", "rnn1.weight_ih_l0"]) is None


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("model.keras", "a Keras 3 model"),
        ("weights.h5", "a Keras 3 weights file"),
        ("mel.h5", "feats"),
    ],
)
def test_keras_3_and_mels(name: str, what: str, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    import zipfile

    path = tmp_path / name
    if name.endswith(".keras"):
        with zipfile.ZipFile(path, "w") as file:
            for member in ("metadata.json", "config.json", "model.weights.h5"):
                file.writestr(member, "{}")
    else:
        with h5py.File(path, "w") as file:
            file["feats" if name == "mel.h5" else "layers/gru_a/vars/0"] = np.zeros((3, 4))
    with pytest.raises(
        ModelError, match=rf"{name}: is .*{what}.*; expected .*a Keras HDF5 checkpoint"
    ):
        convert(path, tmp_path / "m.gguf")


def test_a_description_of_every_family(tmp_path: Path) -> None:
    """Of those whose upstream's files are at hand."""
    from melgan_files import GOLDEN

    found = set()
    for pattern in (
        "lpcnet/lpcnet_seed1.h5",
        "lpcnet/*_int8.bin",
        "melgan_descript/*netG.pt",
        "waveglow/tiny_pickled_zip.pt",
        "wavernn/small_mol_weights.pyt",
    ):
        for path in GOLDEN.glob(pattern):
            told = describe(path)
            found.add(told["family"])
            assert told["tensors"] > 10 and told["parameters"] > 10_000 and told["sizes"]
            assert told["precisions"][0] == "f32"
    if not found:
        pytest.skip("no golden data")
    assert found <= {family.title for family in families.everyone()} and len(found) == 4
