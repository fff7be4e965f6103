"""The container in Python: specs, writer, reader, and the `gguf` package's view of our files."""

from __future__ import annotations

import builtins
import os
from pathlib import Path

import numpy as np
import pytest
from containers import changed, replace_data
from lpcnet_files import ROOT, make_tiny

from pyvoc.container import Container, ElementType, Tensor, read_container, write_container
from pyvoc.container.reader import parse_container
from pyvoc.errors import Error, ModelError, UnsupportedError
from pyvoc.families.lpcnet.spec import LPCNET
from pyvoc.quant import decode

MODELS = sorted((ROOT / "tests" / "golden").glob("*.gguf"))
INT8 = ROOT / "tests" / "golden" / "tree_sparse.int8.gguf"


@pytest.fixture
def container() -> Container:
    return read_container(INT8)


def test_there_are_models() -> None:
    assert len(MODELS) == 9


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_our_models_follow_the_spec_and_their_script(path: Path, tmp_path: Path) -> None:
    found = read_container(path)
    LPCNET.validate(found, str(path))
    tiny = make_tiny()
    tiny.write(tmp_path / path.name, *tiny.MODELS[path.stem])
    again = read_container(tmp_path / path.name)
    assert dict(found.metadata) == dict(again.metadata)
    assert found.tensors.keys() == again.tensors.keys()
    ours, theirs = decode(LPCNET, found), decode(LPCNET, again)
    for name in ours:  # other processors' exp and log may move a last bit
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-2, err_msg=name)
        assert np.mean(ours[name] != theirs[name]) < 0.01, name


def test_the_gguf_package_reads_our_files() -> None:
    gguf = pytest.importorskip("gguf")
    container = read_container(INT8)
    reader = gguf.GGUFReader(INT8)
    assert reader.alignment == 64
    assert {t.name for t in reader.tensors} == container.tensors.keys()
    for tensor in reader.tensors:
        ours = container.tensors[tensor.name]
        assert tensor.tensor_type.value == ours.type.value
        theirs = np.asarray(tensor.data)
        np.testing.assert_array_equal(
            theirs.view(np.uint8).ravel(), ours.data.view(np.uint8).ravel()
        )
    assert reader.get_field("lpcnet.sampling").contents() == "tree"


def test_writing_is_repeatable(tmp_path: Path, container: Container) -> None:
    for name in ("a.gguf", "b.gguf"):
        write_container(tmp_path / name, container, spec=LPCNET)
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()
    assert (tmp_path / "a.gguf").read_bytes() == INT8.read_bytes()


def test_a_failed_save_leaves_what_was_there(
    tmp_path: Path, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "m.gguf"
    target.write_bytes(b"before")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Error, match=r"cannot write '.*m\.gguf': No space left on device"):
        write_container(target, container, spec=LPCNET)
    assert target.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["m.gguf"]


def test_an_interrupted_save_leaves_nothing(
    tmp_path: Path, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*paths: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_container(tmp_path / "m.gguf", container, spec=LPCNET)
    assert os.listdir(tmp_path) == []


def test_saving_where_one_cannot(tmp_path: Path, container: Container) -> None:
    with pytest.raises(Error, match=r"cannot create '.*m\.gguf': No such file or directory"):
        write_container(tmp_path / "absent" / "m.gguf", container, spec=LPCNET)
    (tmp_path / "folder").mkdir()
    with pytest.raises(Error, match=r"cannot write '.*folder': it is a directory"):
        write_container(tmp_path / "folder", container, spec=LPCNET)
    assert os.listdir(tmp_path) == ["folder"]


def test_saved_files_have_ordinary_permissions(tmp_path: Path, container: Container) -> None:
    mask = os.umask(0o022)
    try:
        write_container(tmp_path / "m.gguf", container, spec=LPCNET)
    finally:
        os.umask(mask)
    assert (tmp_path / "m.gguf").stat().st_mode & 0o777 == 0o644


def test_without_the_gguf_package(
    tmp_path: Path, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "gguf":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert read_container(INT8).tensors.keys() == container.tensors.keys()
    with pytest.raises(UnsupportedError, match=r"pip install pyvoc-vocoder\[convert\]"):
        write_container(tmp_path / "m.gguf", container, spec=LPCNET)
    assert os.listdir(tmp_path) == []


def test_validation_lists_everything_at_once(container: Container) -> None:
    index = container.tensors["gru_a.weight_hh.block_index"].data.copy()
    index[[0, 1]] = index[[1, 0]]
    bias = container.tensors["gru_a.bias_ih"].data.copy()
    bias[0] = np.nan
    scale = container.tensors["gru_b.weight_hh.scale"].data * np.float32(1.001)
    broken = changed(
        container,
        tensors={
            **replace_data(container, "gru_a.weight_hh.block_index", index),
            **replace_data(container, "gru_a.bias_ih", bias),
            **replace_data(container, "gru_b.weight_hh.scale", scale),
            "conv1.bias": Tensor(ElementType.F32, np.zeros(15, "<f4")),
            "conv2.weight": Tensor(ElementType.I32, np.zeros((16, 16, 3), "<i4")),
            "stranger": Tensor(ElementType.F32, np.zeros(1, "<f4")),
        },
        metadata={
            "lpcnet.sampling": "dice",
            "lpcnet.lookahead": 2.0,
            "lpcnet.lpc_gamma": 3.0,
            "pyvoc.format_version": 2,
            "lpcnet.temperature": 1.0,
        },
        remove=("dense1.bias", "gru_a.embed_sig.scale", "general.name"),
    )
    with pytest.raises(ModelError) as caught:
        LPCNET.validate(broken, "broken.gguf")
    text = str(caught.value)
    assert text.startswith("broken.gguf: 14 problems:")
    for expected in (
        "tensor 'gru_a.weight_hh.block_index' is not sorted",
        "tensor 'gru_a.bias_ih' has values that are NaN",
        "tensor 'gru_b.weight_hh.scale' has scales that are not positive bf16 numbers",
        "tensor 'conv1.bias' has shape [15], expected [16]",
        "tensor 'conv2.weight' is I32, expected BF16, F32",
        "tensor 'stranger' is unexpected",
        "tensor 'dense1.bias' [C] is missing",
        "tensor 'gru_a.embed_sig.scale' [1] is missing",
        "metadata 'general.name' (str) is missing",
        "metadata 'lpcnet.sampling' is 'dice', expected 'tree' or 'softmax'",
        "metadata 'lpcnet.lookahead' is float, expected int",
        "metadata 'lpcnet.lpc_gamma' is 3.0, expected 0.5 to 1.0",
        "metadata 'pyvoc.format_version' is 2, expected 1 to 1",
        "metadata 'lpcnet.temperature' is unexpected",
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("value", "expected"),
    [(-128, "has the int8 value -128"), (127, "neighbours that add to")],
)
def test_int8_rules_are_checked(container: Container, value: int, expected: str) -> None:
    q = container.tensors["gru_b.weight_hh"].data.copy()
    q[0, :2] = value
    broken = changed(container, tensors=replace_data(container, "gru_b.weight_hh", q))
    assert any(expected in p for p in LPCNET.problems(broken))


def test_int16_tables_must_add_up(container: Container) -> None:
    name = "gru_a.embed_pred"
    q = container.tensors[name].data.copy()
    q[7, 7] = -10923
    scale = container.tensors[f"{name}.scale"].data * 2
    broken = changed(
        container,
        tensors={
            **replace_data(container, name, q),
            **replace_data(container, f"{name}.scale", scale),
        },
    )
    assert LPCNET.problems(broken) == [
        "tensor 'gru_a.embed_pred' has the value 10923, at most 10922 may be",
        "the int16 tables have different scales, expected one for all",
    ]


def test_int8_tables_must_add_up() -> None:
    whole = read_container(INT8.with_name("tree_bytes.int8.gguf"))
    name = "gru_a.embed_pred"
    steps = whole.tensors[f"{name}.scale"].data
    least = min(whole.tensors[f"gru_a.embed_{k}.scale"].data.min() for k in ("sig", "pred", "exc"))

    def problems(scale: float) -> list[str]:
        mended = np.where(np.arange(len(steps)) == 5, np.float32(scale), steps)
        changes = replace_data(whole, f"{name}.scale", mended)
        return LPCNET.problems(changed(whole, tensors=changes))

    assert problems(least * 64) == problems(least) == []
    other = "the int8 tables have other scales than the least times 1, 2, 4 .. 64, so that they do "
    for scale in (least * 128, least * 3, least / 2**20):
        assert problems(scale) == [other + "not add up as integers"], scale
    for scale in (0.0, -least, least * (1 + 2**-20)):
        assert f"'{name}.scale' has scales that are not positive bf16" in problems(scale)[0]
    q = whole.tensors[name].data.copy()
    q[3, 3] = -128
    broken = changed(whole, tensors=replace_data(whole, name, q))
    assert LPCNET.problems(broken)[0].endswith("has the int8 value -128, expected -127 to 127")
    wide = Tensor(ElementType.I16, whole.tensors[name].data.astype("<i2"))
    one = Tensor(ElementType.F32, steps[:1].copy())
    broken = changed(whole, tensors={name: wide, f"{name}.scale": one})
    assert "some of the tables are int16 and some int8, expected all of one type" in " ".join(
        LPCNET.problems(broken)
    )


def test_sparse_diagonal_and_blocks_are_checked(container: Container) -> None:
    name = "gru_a.weight_hh"
    q, index = container.tensors[name].data.copy(), container.tensors[f"{name}.block_index"].data
    on_diagonal = next(i for i, (r, c) in enumerate(index) if (8 * r) % 32 == 4 * c)
    q[on_diagonal, 0, 0] = 1
    broken = changed(container, tensors=replace_data(container, name, q))
    assert any("not zero where 'gru_a.diag'" in p for p in LPCNET.problems(broken))
    outside = index.copy()
    outside[-1] = (12, 0)
    broken = changed(container, tensors=replace_data(container, f"{name}.block_index", outside))
    assert any("outside of the matrix's 12 x 8 blocks" in p for p in LPCNET.problems(broken))
    wrong = Tensor(ElementType.I8, np.zeros((4, 4, 4), np.int8))
    broken = changed(container, tensors={name: wrong})
    assert any("is I8 in blocks of [4, 4], expected [8, 4]" in p for p in LPCNET.problems(broken))


def test_another_architecture(container: Container) -> None:
    broken = changed(container, metadata={"general.architecture": "pyvoc.other"})
    assert "architecture is 'pyvoc.other', expected 'pyvoc.lpcnet'" in LPCNET.problems(broken)[0]


def test_reader_refuses_damage() -> None:
    whole = INT8.read_bytes()
    rng = np.random.default_rng(11)
    refused = 0
    for trial in range(400):
        data = bytearray(whole)
        if trial % 4 == 0:
            del data[int(rng.integers(4, 6000)) :]
        else:
            for at in rng.integers(4, 5000, 2):
                data[at] ^= 1 << int(rng.integers(8))
        try:
            found = parse_container(bytes(data), "m.gguf")
        except ModelError as error:
            refused += 1
            assert str(error).startswith("m.gguf: ")
        else:
            LPCNET.problems(found)
    assert refused >= 150
    with pytest.raises(ModelError, match="does not begin with 'GGUF'"):
        parse_container(b"", "m.gguf")


def test_reader_names_what_it_cannot_open(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"cannot read .*: No such file"):
        read_container(tmp_path / "m.gguf")
    with pytest.raises(Error, match=r"cannot read .*: Is a directory"):
        read_container(tmp_path)
