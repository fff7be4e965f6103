"""Keras checkpoints of LPCNet: layouts, variants, and everything that can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import Upstream

from pyvoc.errors import ModelError
from pyvoc.families.lpcnet.from_h5 import read_lpcnet_h5
from pyvoc.families.lpcnet.spec import LPCNET
from pyvoc.quant import decode, encode

h5py = pytest.importorskip("h5py")


def assert_arrays(found, expected) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize("cudnn", [True, False])
@pytest.mark.parametrize("block", [None, (8, 4), (16, 1)])
def test_layouts_give_the_same_tensors(tmp_path: Path, cudnn: bool, block) -> None:
    upstream = Upstream(n=48, m=24, c=13, p=5, block=block)
    checkpoint = read_lpcnet_h5(upstream.write_h5(tmp_path / "m.h5", cudnn=cudnn))
    assert_arrays(checkpoint.arrays, upstream.arrays())
    metadata = {
        "general.name": "m",
        "pyvoc.source.format": checkpoint.format,
        "pyvoc.source.sha256": "none",
        **checkpoint.metadata,
    }
    container = encode(LPCNET, checkpoint.arrays, metadata=metadata, precision="f32")
    stored = container.tensors["gru_a.weight_hh"].shape
    assert stored[1:] == block if block else stored == (144, 48)
    assert_arrays(decode(LPCNET, container), upstream.arrays())


def test_latest_settings(tmp_path: Path) -> None:
    settings = {"lpc_gamma": 0.9, "lookahead": np.int32(1), "flag_e2e": False}
    m = read_lpcnet_h5(Upstream().write_h5(tmp_path / "m.h5", settings=settings)).metadata
    assert m["lpcnet.sampling"] == "tree"
    assert m["pyvoc.features.layout"] == "lpcnet36"
    assert m["lpcnet.lookahead"] == 1
    assert m["lpcnet.lpc_gamma"] == pytest.approx(0.9)
    assert m["lpcnet.end_to_end"] is False


def test_2019_settings(tmp_path: Path) -> None:
    upstream = Upstream(features=38)
    path = upstream.write_h5(tmp_path / "m.h5", activation="softmax", embed="embeddings:0")
    m = read_lpcnet_h5(path).metadata
    assert m["lpcnet.sampling"] == "softmax"
    assert m["lpcnet.feature_dims"] == 38
    assert m["pyvoc.features.layout"] == "lpcnet55"


@pytest.mark.parametrize("how", [{"layers": ("rc2lpc",)}, {"settings": {"flag_e2e": True}}])
def test_end_to_end_is_recognised(tmp_path: Path, how) -> None:
    path = Upstream(c=16).write_h5(tmp_path / "m.h5", **how)
    assert read_lpcnet_h5(path).metadata["lpcnet.end_to_end"] is True


def test_sampling_is_assumed_and_said_without_a_configuration(tmp_path: Path) -> None:
    checkpoint = read_lpcnet_h5(Upstream().write_h5(tmp_path / "m.h5", activation=None))
    assert checkpoint.metadata["lpcnet.sampling"] == "tree"
    assert "tree is assumed" in " ".join(checkpoint.notes)


def test_all_problems_come_in_one_error(tmp_path: Path) -> None:
    upstream = Upstream()
    del upstream.w["feature_dense1/kernel:0"]
    del upstream.w["embed_sig/Variable:0"]
    upstream.w["dual_fc/factor:0"] = np.zeros((255, 2), np.float32)
    upstream.w["feature_conv2/bias:0"][3] = np.nan
    upstream.w["gru_b/bias:0"] = np.zeros(48, np.float32)
    path = upstream.write_h5(tmp_path / "m.h5", settings={"lpc_gamma": 7.0, "lookahead": "two"})
    with pytest.raises(ModelError) as caught:
        read_lpcnet_h5(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    for expected in (
        "'kernel:0' of 'feature_dense1' is missing",
        "of 'embed_sig' is missing",
        "'dual_fc/factor:0' has shape [255, 2], expected [256, 2]",
        "'feature_conv2/bias:0' has values that are NaN",
        "'gru_b/bias:0' has shape [48], expected [96] or [2, 48]: a GRU without reset_after",
        "'lpc_gamma' is 7.0",
        "'top_level_model_weights/lookahead:0' is not a number",
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("gru_a/recurrent_kernel:0", (32, 95), "'gru_a/recurrent_kernel:0' has shape [32, 95]"),
        ("gru_a/recurrent_kernel:0", (33, 99), "GRU A has size 33, expected a multiple of 8"),
        ("gru_a/kernel:0", (31, 96), "'gru_a/kernel:0' has shape [31, 96], expected [32, 96]"),
        ("feature_conv1/kernel:0", (3, 25, 8), "21 features beside the pitch embedding's 4"),
        ("feature_conv1/kernel:0", (2, 24, 8), "conv1 has kernel size 2"),
        ("embed_pitch/embeddings:0", (256,), "'embed_pitch/embeddings:0' has shape [256]"),
        ("gru_b/kernel:0", (39, 48), "'gru_b/kernel:0' has shape [39, 48], expected [40, 48]"),
        ("dual_fc/kernel:0", (256, 2, 16), "'dual_fc/kernel:0' has shape [256, 2, 16]"),
        ("feature_dense2/bias:0", (0,), "'feature_dense2/bias:0' has shape (0,), which no LPCNet"),
    ],
)
def test_wrong_shapes(tmp_path: Path, name: str, shape, expected: str) -> None:
    upstream = Upstream()
    upstream.w[name] = np.zeros(shape, np.float32)
    path = upstream.write_h5(tmp_path / "m.h5", cudnn=False)
    with pytest.raises(ModelError) as caught:
        read_lpcnet_h5(path)
    assert expected in str(caught.value)


def test_wrong_types(tmp_path: Path) -> None:
    path = Upstream().write_h5(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        weights = file["model_weights"]
        del weights["dual_fc/dual_fc/bias:0"], weights["gru_b/gru_b/bias:0"]
        weights["dual_fc/dual_fc/bias:0"] = np.array([b"text"] * 3)
        weights.create_group("gru_b/gru_b/bias:0")
        file.attrs["model_config"] = "{not json"
    with pytest.raises(ModelError) as caught:
        read_lpcnet_h5(path)
    assert "'dual_fc/bias:0' is not an array of floats" in str(caught.value)
    assert "'gru_b/bias:0' is not an array of floats" in str(caught.value)
    assert "'model_config' is not JSON" in str(caught.value)


def test_a_dataset_that_announces_terabytes_is_not_read(tmp_path: Path) -> None:
    path = Upstream().write_h5(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        group = file["model_weights/dual_fc/dual_fc"]
        del group["bias:0"]
        group.create_dataset("bias:0", shape=(1 << 40, 2), dtype="f4", chunks=(1 << 10, 2))
    with pytest.raises(ModelError, match="which no LPCNet has"):
        read_lpcnet_h5(path)


def test_data_of_other_files_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(np.zeros((256, 2), "<f4").tobytes())
    other = Upstream(seed=2).write_h5(tmp_path / "other.h5")
    path = Upstream().write_h5(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        dual, dense = file["model_weights/dual_fc/dual_fc"], file["model_weights/feature_dense1"]
        del dual["bias:0"], dense["feature_dense1"]
        dual.create_dataset("bias:0", (256, 2), "f4", external=[(str(secret), 0, 2048)])
        inside = "model_weights/feature_dense1/feature_dense1"
        dense["feature_dense1"] = h5py.ExternalLink(str(other), inside)
    with pytest.raises(ModelError) as caught:
        read_lpcnet_h5(path)
    assert "'dual_fc/bias:0' has its data in another file" in str(caught.value)
    assert "'kernel:0' of 'feature_dense1' is missing" in str(caught.value)


def test_another_hdf5_file_lists_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file["model_weights"] = 3
    with pytest.raises(ModelError, match="'model_weights' is not a group"):
        read_lpcnet_h5(path)
    with h5py.File(path, "w"):
        pass
    with pytest.raises(ModelError, match="19 problems"):
        read_lpcnet_h5(path)
    with h5py.File(path, "w") as file:
        file["model_weights/conv1d/kernel:0"] = np.zeros(3)
    with pytest.raises(
        ModelError, match=r"m\.h5: is of another network, with 'conv1d'; expected an"
    ):
        read_lpcnet_h5(path)


def test_damaged_files_never_escape(tmp_path: Path) -> None:
    """Truncations and scribbles give a ModelError, or tensors of a sound model."""
    whole = Upstream().write_h5(tmp_path / "m.h5").read_bytes()
    path = tmp_path / "damaged.h5"
    rng = np.random.default_rng(3)
    refused = 0
    for trial in range(150):
        data = bytearray(whole)
        if trial % 3 == 0:
            del data[int(rng.integers(8, len(data))) :]
        else:
            for at in rng.integers(8, 6000, 12):
                data[at] = rng.integers(256)
        path.write_bytes(data)
        try:
            checkpoint = read_lpcnet_h5(path)
        except ModelError as error:
            refused += 1
            assert str(path) in str(error)
        else:
            assert checkpoint.arrays.keys() == Upstream().arrays().keys()
    assert refused >= 50
