"""Networks with a single GRU, embedded in the one with two; a trained one where it is at hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from libwavernn_files import matrix_bytes, model_bytes, single
from torch_files import save_zip
from wavernn_files import GOLDEN, reference

import pyvoc
from pyvoc.container.mel import MelRecipe
from pyvoc.convert import convert
from pyvoc.convert.detect import detect
from pyvoc.errors import ModelError
from pyvoc.evaluate.spectra import log_spectral_distance

TRAINED = GOLDEN.parent / "wavernn_trained"
NO_TRAINED = pytest.mark.skipif(not TRAINED.is_dir(), reason="no golden data")


def read(path: Path, **options: Any) -> Any:
    return detect(path, options=options)(path)


@pytest.mark.parametrize("name", ["odd.f32", "raw.f32", "mol.f32"])
def test_the_same_function(tmp_path: Path, name: str) -> None:
    state = single(name)
    found = read(save_zip(tmp_path / "x.pth", {"state_dict": state, "global_step": 7}))
    assert found.format == "geneing.torch"
    ours = reference().Wavernn(found.arrays, found.metadata)
    theirs = reference().SingleGru(state, mode=ours.mode, bits=ours.bits)
    rng = np.random.default_rng(3)
    bands = state["upsample.resnet.conv_in.weight"].shape[1]
    mel = rng.uniform(0, 1, (3 + 2 * ours.pad, bands))
    x = rng.uniform(-1, 1, 2 * ours.hop + 5)
    expected = theirs.teacher_forced(8 * mel - 4, x).logits
    forced = ours.teacher_forced(mel, x)
    np.testing.assert_allclose(forced.logits, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    assert expected.std(axis=0).max() > 0.1 and not forced.h2.any()


def pruned(name: str = "odd.f32") -> dict[str, np.ndarray]:
    """The same with groups of zeros."""
    state = single(name)
    rng = np.random.default_rng(5)
    for key in ("I.weight", "rnn1.weight_ih_l0", "rnn1.weight_hh_l0", "fc1.weight", "fc3.weight"):
        rows, columns = state[key].shape
        group = 4 if columns % 4 == 0 else 1
        kept = rng.uniform(size=(rows, columns // group)) < 0.3
        kept[1] = False
        state[key] = state[key] * np.repeat(kept, group, axis=1)
    return state


@pytest.mark.parametrize("name", ["odd.f32", "raw.f32", "mol.f32"])
def test_its_model_bin_is_the_same(tmp_path: Path, name: str) -> None:
    state = pruned(name)
    (tmp_path / "model.bin").write_bytes(model_bytes(state))
    one = read(tmp_path / "model.bin")
    two = read(save_zip(tmp_path / "x.pth", state))
    assert one.format == "geneing.bin" and one.metadata == two.metadata
    assert one.arrays.keys() == two.arrays.keys()
    for key, values in two.arrays.items():
        np.testing.assert_array_equal(one.arrays[key], values, err_msg=key)


def twice(data: bytes, matrix: bytes) -> bytes:
    """The same with a group of a matrix that has the place of the one before it."""
    begin = 4 + 4 * int.from_bytes(matrix[:4], "little") + 4
    index = bytearray(matrix[begin:])
    k = next(k for k in range(1, len(index)) if 255 not in index[k - 1 : k + 1])
    index[k] = index[k - 1]
    return data.replace(matrix, matrix[:begin] + index)


def test_a_damaged_model_bin(tmp_path: Path) -> None:
    """Cut anywhere, it is refused; and so are counts and indices that do not fit."""
    path, data = tmp_path / "model.bin", model_bytes(pruned())
    for cut in [*range(40, len(data), 97), len(data) - 1]:
        path.write_bytes(data[:cut])
        with pytest.raises(ModelError, match=r"model\.bin: .*truncated"):
            read(path)
    gate = matrix_bytes(pruned()["fc3.weight"])
    at = data.index(gate)
    many = (2**30).to_bytes(4, "little")
    for changed, what in (
        (data + b"x", "1 bytes follow the last layer"),
        (many + data[4:], "counts 1073741824 blocks"),
        (data[:16] + b"\1\0\0\0" + data[20:84] + b"\2" + data[85:], "numbers of 2 bytes"),
        (data[: at - 8] + many + data[at - 4 :], "larger than any"),
        (data[: at - 80] + b"\5" + data[at - 79 :], "layer fc3 is GRU, expected Linear"),
        (data[: at + len(gate) - 1] + b"\0" + data[at + len(gate) :], "the indices of fc3"),
        (data[:at] + b"\0\0\0\0" + data[at + 4 :], "fc3"),
        (data[:at] + b"\xff" * 4 + data[at + 4 :], "fc3 counts -1 values"),
        (data[:8] + many + data[12:], "stretches make 6 samples a frame, expected 1073741824"),
        (twice(data, gate), "the indices of fc3"),
    ):
        path.write_bytes(changed)
        with pytest.raises(ModelError, match=what):
            read(path)


def test_what_it_is_said_to_be(tmp_path: Path) -> None:
    found = read(save_zip(tmp_path / "x.pth", single("raw.f32")))
    assert (found.metadata["wavernn.mode"], found.metadata["wavernn.mu_law"]) == ("raw", False)
    assert "one GRU" in found.notes[0] and "(m + 4) / 8" in found.notes[0]
    recipe = MelRecipe.from_metadata(found.metadata)
    assert (recipe.sample_rate, recipe.ref_db, recipe.fmin, recipe.fmax) == (16000, 20, 95, 7600)
    assert read(save_zip(tmp_path / "y.pth", single("mol.f32"))).metadata["wavernn.mode"] == "mol"
    with pytest.raises(ModelError, match="mode is raw, expected linear or mol"):
        read(tmp_path / "x.pth", mode="raw")


def test_problems_are_those_of_its_own_shapes(tmp_path: Path) -> None:
    state = single("odd.f32")
    state["I.weight"] = np.ones((13, 9), "<f4")
    state["fc1.weight"] = state["fc1.weight"][:, 1:]
    del state["rnn1.bias_hh_l0"]
    with pytest.raises(ModelError) as caught:
        read(save_zip(tmp_path / "x.pth", state))
    assert str(caught.value).count("\n") == 3
    for expected in (
        "'I.weight' has shape [13, 9], expected [13, 10]",
        "'fc1.weight' has shape [11, 15], expected [11, 16]",
        "'rnn1.bias_hh_l0' is missing",
    ):
        assert expected in str(caught.value)


@NO_TRAINED
def test_a_trained_one_is_its_two_gru_form() -> None:
    one = read(TRAINED / "e4e1217b_single_gru.pyt")
    two = read(TRAINED / "e4e1217b.pyt", mode="linear")
    assert one.arrays.keys() == two.arrays.keys()
    for name, values in two.arrays.items():
        bound = 1e-7 * np.abs(values).max()  # the other form was folded, then rounded to float32
        np.testing.assert_allclose(one.arrays[name], values, rtol=0, atol=bound, err_msg=name)


@cache
def upstream_said() -> tuple[np.ndarray, np.ndarray]:
    """A second of a mel in 0..1, and what upstream's own program made of it."""
    mel = np.load(TRAINED / "mel-northandsouth_52_f000076.npy")
    audio, rate = pyvoc.audio.read(TRAINED / "upstream_output.wav")
    assert rate == 16000 and len(audio) == 200 * len(mel)
    return ((mel[:80] + 4) / 8).astype("<f4"), audio[: 200 * 80]


@NO_TRAINED
def test_a_trained_one_speaks(tmp_path: Path) -> None:
    convert(TRAINED / "e4e1217b_single_gru.pyt", tmp_path / "m.gguf")
    model = pyvoc.load(tmp_path / "m.gguf")
    assert (model.info.sample_rate, model.info.hop_length) == (16000, 200)
    mel, said = upstream_said()
    audio = model.synthesize(mel)
    assert abs(20 * np.log10(np.std(audio) / np.std(said))) < 2
    # Two draws of one model are 8 dB apart, other speech 15 and more.
    assert log_spectral_distance(audio.astype(float), said.astype(float), 16000) < 10


@NO_TRAINED
def test_a_trained_ones_mels_are_not_preemphasised(tmp_path: Path) -> None:
    convert(TRAINED / "e4e1217b_single_gru.pyt", tmp_path / "m.gguf")
    model = pyvoc.load(tmp_path / "m.gguf")
    given = (np.load(TRAINED / "mel-northandsouth_52_f000076.npy") + 4) / 8
    said, _ = pyvoc.audio.read(TRAINED / "upstream_output.wav")
    higher = said - np.float32(0.97) * np.append(np.float32(0), said[:-1])
    for audio, least, most in ((said, -5, 5), (higher, 20, 40)):
        found = pyvoc.features.extract(audio, model=model)[: len(given)]
        off = 100 * (found - given).mean(axis=0)  # dB, band by band
        assert least < off[-8:].mean() - off[:8].mean() < most
