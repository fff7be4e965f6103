"""Upstream's weight blobs: both builds, and everything that can be wrong with them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import Upstream, quantise, write_blob

from pyvoc.errors import Error, ModelError
from pyvoc.families.lpcnet.from_dnnw import read_lpcnet_dnnw
from pyvoc.families.lpcnet.spec import LPCNET
from pyvoc.quant import encode

GRU_A = "sparse_gru_a_recurrent_weights"
MATRICES = ("gru_a.weight_hh", "gru_b.weight_ih", "gru_b.weight_hh")


def test_float_blob(tmp_path: Path) -> None:
    upstream = Upstream()
    path = write_blob(tmp_path / "w.bin", upstream.blob_records(int8=False))
    checkpoint = read_lpcnet_dnnw(path)
    assert checkpoint.format == "dnnw.float"
    assert not checkpoint.kept
    for name, expected in upstream.arrays().items():
        np.testing.assert_array_equal(checkpoint.arrays[name], expected, err_msg=name)


def test_int8_blob_keeps_its_integers(tmp_path: Path) -> None:
    upstream = Upstream()
    path = write_blob(tmp_path / "w.bin", upstream.blob_records(int8=True))
    checkpoint = read_lpcnet_dnnw(path)
    assert checkpoint.format == "dnnw.int8"
    diagonal = np.arange(96), np.arange(96) % 32
    for name, expected in upstream.arrays().items():
        if name in MATRICES:
            q = quantise(expected)
            exact = q.astype(np.float32) / 128
            if name == "gru_a.weight_hh":
                exact[diagonal] = expected[diagonal]  # upstream's diagonal stays float
            np.testing.assert_array_equal(checkpoint.arrays[name], exact, err_msg=name)
        else:
            np.testing.assert_array_equal(checkpoint.arrays[name], expected, err_msg=name)
    metadata = {
        "general.name": "m",
        "pyvoc.source.format": checkpoint.format,
        "pyvoc.source.sha256": "none",
        **checkpoint.metadata,
    }
    container = encode(
        LPCNET, checkpoint.arrays, metadata=metadata, precision="int8", kept=checkpoint.kept
    )
    LPCNET.validate(container, "w")
    for name in MATRICES:
        np.testing.assert_array_equal(container.tensors[f"{name}.scale"].data, 1 / 128)
    np.testing.assert_array_equal(
        container.tensors["gru_b.weight_ih"].data, quantise(upstream.arrays()["gru_b.weight_ih"])
    )
    assert container.tensors["gru_a.weight_hh"].data.ndim == 3


def test_int8_weights_beyond_the_rules_are_quantised_anew(tmp_path: Path) -> None:
    upstream = Upstream()
    upstream.w["gru_b/recurrent_kernel:0"][:2, 5] = 0.9  # neighbours that add to 230
    checkpoint = read_lpcnet_dnnw(write_blob(tmp_path / "w.bin", upstream.blob_records(int8=True)))
    metadata = {
        "general.name": "m",
        "pyvoc.source.format": checkpoint.format,
        "pyvoc.source.sha256": "none",
        **checkpoint.metadata,
    }
    container = encode(
        LPCNET, checkpoint.arrays, metadata=metadata, precision="int8", kept=checkpoint.kept
    )
    LPCNET.validate(container, "w")
    assert (container.tensors["gru_b.weight_hh.scale"].data != 1 / 128).any()
    assert (container.tensors["gru_b.weight_ih.scale"].data == 1 / 128).all()


def test_arrays_of_other_upstream_models_are_ignored(tmp_path: Path) -> None:
    records = Upstream().blob_records(int8=False)
    records["plc_dense1_weights"] = (0, bytes(64))
    read_lpcnet_dnnw(write_blob(tmp_path / "w.bin", records))


def damage_index(position: int, value: int):
    def apply(records) -> None:
        kind, data = records[f"{GRU_A}_idx"]
        index = np.frombuffer(data, "<i4").copy()
        index[position] = value
        records[f"{GRU_A}_idx"] = (kind, index.tobytes())

    return apply


def remove(*names: str):
    def apply(records) -> None:
        for name in names:
            del records[name]

    return apply


def retype(name: str, kind: int):
    def apply(records) -> None:
        records[name] = (kind, records[name][1])

    return apply


def resize(name: str, change: int):
    def apply(records) -> None:
        kind, data = records[name]
        records[name] = (kind, data[:change] if change < 0 else data + bytes(change))

    return apply


def poison(name: str):
    def apply(records) -> None:
        kind, data = records[name]
        records[name] = (kind, np.float32(np.inf).tobytes() + data[4:])

    return apply


def duplicate_block(records) -> None:
    kind, data = records[f"{GRU_A}_idx"]
    index = np.frombuffer(data, "<i4").copy()
    assert index[0] >= 2
    index[2] = index[1]
    records[f"{GRU_A}_idx"] = (kind, index.tobytes())


def value_on_the_diagonal(records) -> None:
    index = np.frombuffer(records[f"{GRU_A}_idx"][1], "<i4")
    at, block = 0, 0
    for row in range(12):
        offsets = list(index[at + 1 : at + 1 + index[at]])
        for k, offset in enumerate(offsets):
            if offset == (8 * row) % 32:
                kind, data = records[GRU_A]
                weights = np.frombuffer(data, "<f4").copy()
                weights[(block + k) * 32] = 1.0  # first output and input of the block
                records[GRU_A] = (kind, weights.tobytes())
                return
        block += len(offsets)
        at += 1 + len(offsets)
    raise AssertionError("no block holds the diagonal")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (remove(f"{GRU_A}_idx"), f"array '{GRU_A}_idx' is missing"),
        (remove("gru_b_weights_idx", "dual_fc_bias"), "array 'gru_b_weights_idx' is missing"),
        (remove(GRU_A), f"array '{GRU_A}' is missing"),
        (remove("gru_b_recurrent_weights"), "array 'gru_b_recurrent_weights' is missing"),
        (remove("gru_b_bias"), "array 'gru_b_bias' is missing"),
        (damage_index(0, -1), "has the count -1 at position 0"),
        (damage_index(0, 1 << 30), "has the count 1073741824 at position 0"),
        (damage_index(1, -4), "has the input offset -4 in block row 0"),
        (damage_index(1, 32), "has the input offset 32 in block row 0"),
        (damage_index(1, 2), "has the input offset 2 in block row 0"),
        (damage_index(1, 2**31 - 4), "has the input offset 2147483644"),
        (duplicate_block, "names a block twice in block row 0"),
        (resize(f"{GRU_A}_idx", -4), f"array '{GRU_A}_idx'"),
        (resize(f"{GRU_A}_idx", 4), "has 1 values more than its rows of blocks"),
        (resize(f"{GRU_A}_idx", 2), "not a number of int32"),
        (resize(GRU_A, -4), f"array '{GRU_A}' has"),
        (resize(GRU_A, 4), f"array '{GRU_A}' has"),
        (resize("gru_b_recurrent_weights", 64), "array 'gru_b_recurrent_weights' has"),
        (resize("dual_fc_weights", -4), "array 'dual_fc_weights' has 32764 bytes, expected"),
        (resize("feature_conv1_weights", 4), "array 'feature_conv1_weights' has"),
        (resize(f"{GRU_A}_diag", 12), "GRU A has size 33, expected a multiple of 8"),
        (retype("gru_b_bias", 1), "array 'gru_b_bias' is of type int32, expected float"),
        (retype(f"{GRU_A}_idx", 0), f"array '{GRU_A}_idx' is of type float, expected int32"),
        (retype(GRU_A, 3), "of type int8"),
        (poison("sparse_gru_a_bias"), "'sparse_gru_a_bias' has values that are NaN or infinite"),
        (poison(GRU_A), f"'{GRU_A}' has values that are NaN or infinite"),
        (value_on_the_diagonal, "not zero on the diagonal"),
        (lambda r: r.update(stranger=(0, bytes(64))), "array 'stranger' is unexpected"),
        (lambda r: r.clear(), "the file is empty"),
    ],
)
def test_damaged_contents(tmp_path: Path, damage, expected: str) -> None:
    records = Upstream().blob_records(int8=False)
    damage(records)
    path = write_blob(tmp_path / "w.bin", records)
    with pytest.raises(ModelError) as caught:
        read_lpcnet_dnnw(path)
    assert str(caught.value).startswith(str(path))
    assert expected in str(caught.value)


def test_all_problems_come_in_one_error(tmp_path: Path) -> None:
    records = Upstream().blob_records(int8=False)
    remove(f"{GRU_A}_idx", "gru_b_weights", "dual_fc_bias")(records)
    retype("feature_dense1_bias", 2)(records)
    with pytest.raises(ModelError) as caught:
        read_lpcnet_dnnw(write_blob(tmp_path / "w.bin", records))
    for name in (f"{GRU_A}_idx", "gru_b_weights", "dual_fc_bias", "feature_dense1_bias"):
        assert f"'{name}'" in str(caught.value)


def patched(data: bytes, at: int, format: str, value: object) -> bytes:
    return data[:at] + struct.pack(format, value) + data[at + struct.calcsize(format) :]


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda d: d[:-1], "truncated or damaged"),
        (lambda d: d[: len(d) // 2], "truncated"),
        (lambda d: d[:40], "of a header's 64 bytes are left"),
        (lambda d: d + b"DNN", "of a header's 64 bytes are left"),
        (lambda d: d + bytes(64), "expected b'DNNw'"),
        (lambda d: patched(d, 4, "<i", 1), "version 1, expected 0"),
        (lambda d: patched(d, 8, "<i", 9), "type 9, expected 0 to 3"),
        (lambda d: patched(d, 8, "<i", -1), "type -1, expected 0 to 3"),
        (lambda d: patched(d, 12, "<i", -4), "-4 bytes in a block"),
        (lambda d: patched(d, 12, "<i", 2**31 - 1), "truncated or damaged"),
        (lambda d: patched(d, 16, "<i", 0), "in a block of 0"),
        (lambda d: patched(d, 16, "<i", -64), "in a block of -64"),
        (lambda d: patched(d, 20, "44s", b"x" * 44), "its name"),
        (lambda d: patched(d, 20, "44s", b""), "its name"),
        (lambda d: patched(d, 20, "44s", b"\xff\xfe"), "its name"),
        (lambda d: d + d, "occurs twice"),
    ],
)
def test_damaged_records(tmp_path: Path, damage, expected: str) -> None:
    path = write_blob(tmp_path / "w.bin", Upstream().blob_records(int8=True))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelError) as caught:
        read_lpcnet_dnnw(path)
    assert str(caught.value).startswith(str(path))
    assert expected in str(caught.value)


def test_random_damage_never_escapes(tmp_path: Path) -> None:
    whole = write_blob(tmp_path / "w.bin", Upstream().blob_records(int8=True)).read_bytes()
    path = tmp_path / "damaged.bin"
    rng = np.random.default_rng(5)
    starts = [i for i in range(0, len(whole), 64) if whole[i : i + 4] == b"DNNw"]
    refused = 0
    for trial in range(200):
        data = bytearray(whole)
        if trial % 4 == 0:
            del data[int(rng.integers(4, len(data))) :]
        else:
            at = int(rng.choice(starts)) + int(rng.integers(64))
            data[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            read_lpcnet_dnnw(path)
        except ModelError:
            refused += 1
    assert refused >= 100


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(Error, match="cannot read"):
        read_lpcnet_dnnw(tmp_path / "absent.bin")
