"""`pyvoc convert` of a model file: another precision of what is there, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import ROOT, Upstream

import pyvoc
from pyvoc.cli import main
from pyvoc.container import Container, ElementType, Tensor, read_container, write_container
from pyvoc.convert import convert
from pyvoc.errors import Error, ModelError, OptionError, UnsupportedError
from pyvoc.families import spec_of
from pyvoc.families.lpcnet.spec import LPCNET
from pyvoc.quant import decode

GOLDEN = ROOT / "tests" / "golden"
TABLES = ("gru_a.embed_sig", "gru_a.embed_pred", "gru_a.embed_exc")


def precision_of(path: Path) -> str:
    return str(read_container(path).metadata["pyvoc.precision"])


@pytest.mark.parametrize(
    "path", sorted(GOLDEN.rglob("*.gguf")), ids=lambda p: str(p.relative_to(GOLDEN))
)
def test_the_same_precision_changes_no_byte(path: Path, tmp_path: Path) -> None:
    result = convert(path, tmp_path / "m.gguf", precision=precision_of(path))
    assert result.format == "gguf" and not result.notes
    assert (tmp_path / "m.gguf").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["tree_sparse", "softmax_sparse", "fargan/even", "wavernn/mol"])
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_as_if_it_had_been_converted_so_at_once(name: str, precision: str, tmp_path: Path) -> None:
    source = GOLDEN / f"{name}.f32.gguf"
    convert(source, tmp_path / "m.gguf", precision=precision, load=pyvoc.load)
    found = read_container(tmp_path / "m.gguf")
    assert found.metadata["pyvoc.precision"] == precision
    spec = spec_of(found, "m.gguf")
    exact, rounded = decode(spec, read_container(source)), decode(spec, found)
    assert exact.keys() == rounded.keys()
    assert any(not np.array_equal(exact[k], rounded[k]) for k in exact)
    for name in exact:
        bound = np.abs(exact[name]).max() * (2**-8 if precision == "bf16" else 2**-6)
        np.testing.assert_allclose(rounded[name], exact[name], rtol=0, atol=bound, err_msg=name)


def test_back_to_floats_says_the_same(tmp_path: Path) -> None:
    source = GOLDEN / "fargan" / "even.int8.gguf"
    convert(source, tmp_path / "m.gguf", precision="f32", load=pyvoc.load)
    spec = spec_of(read_container(source), "even")
    integers, floats = (decode(spec, read_container(p)) for p in (source, tmp_path / "m.gguf"))
    for name in integers:
        np.testing.assert_array_equal(integers[name].astype("<f4"), floats[name], err_msg=name)


def test_tables_of_bytes_add_up_as_those_of_words(tmp_path: Path) -> None:
    small, wide = GOLDEN / "tree_bytes.int8.gguf", tmp_path / "wide.gguf"
    container = read_container(small)
    tensors = dict(container.tensors)
    least = min(tensors[f"{name}.scale"].data.min() for name in TABLES)
    for name in TABLES:
        shifts = tensors[f"{name}.scale"].data / least
        q = tensors[name].data * shifts
        tensors[name] = Tensor(ElementType.I16, q.astype("<i2"))
        tensors[f"{name}.scale"] = Tensor(ElementType.F32, np.array([least], "<f4"))
    write_container(wide, Container(container.metadata, tensors), spec=LPCNET)
    models = [pyvoc.load(path) for path in (small, wide)]
    features = np.fromfile(ROOT / "pyvoc" / "voices" / "demo.f32", "<f4").reshape(-1, 20)[:40]
    first, second = (model.synthesize(features) for model in models)
    assert np.abs(first).max() > 1e-3
    np.testing.assert_array_equal(first, second)


def test_small_tables_of_a_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    path = Upstream().write_h5(tmp_path / "voice.h5")
    sizes = {}
    for tables in ("int16", "int8"):
        target = tmp_path / f"{tables}.gguf"
        report = convert(path, target, precision="int8", tables=tables, load=pyvoc.load).report
        assert report is not None and 0 < report.kl_mean < 2e-2
        sizes[tables] = target.stat().st_size
    assert sizes["int8"] < sizes["int16"]
    types = {read_container(tmp_path / "int8.gguf").tensors[name].type for name in TABLES}
    assert types == {ElementType.I8}
    # They do nothing at other precisions.
    convert(path, tmp_path / "a.gguf", tables="int8")
    convert(path, tmp_path / "b.gguf")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


class Lax:
    """A spec that takes anything."""

    def validate(self, container: Container, source: str) -> None:
        pass


@pytest.mark.parametrize("damage", ["ratio", "zero", "value", "mixed"])
def test_the_runtime_refuses_tables_that_do_not_add_up(damage: str, tmp_path: Path) -> None:
    container = read_container(GOLDEN / "tree_bytes.int8.gguf")
    tensors = dict(container.tensors)
    name = TABLES[1]
    scale, q = tensors[f"{name}.scale"].data.copy(), tensors[name].data.copy()
    if damage == "ratio":
        scale[5] *= 3
    elif damage == "zero":
        scale[5] = 0
    elif damage == "value":
        q[3, 3] = -128
    tensors[f"{name}.scale"] = Tensor(ElementType.F32, scale)
    kind = ElementType.I16 if damage == "mixed" else ElementType.I8
    tensors[name] = Tensor(kind, q.astype("<i2") if damage == "mixed" else q)
    path = tmp_path / "m.gguf"
    write_container(path, Container(container.metadata, tensors), spec=Lax())
    tables = r"embed_pred|scales of the three|not of one type"
    with pytest.raises(ModelError, match=tables) as caught:
        pyvoc.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "error", "expected"),
    [
        ({"rate": 16000}, OptionError, "is a model file, which says its rate"),
        ({"halves": "first"}, OptionError, "'halves' is an option of WaveGlow"),
        ({"arch": "melgan"}, ModelError, "is a model file of LPCNet, expected a melgan checkpoint"),
        ({"sparsity": 0.5}, OptionError, "'sparsity' is an option of WaveRNN"),
        ({"tables": "int4"}, Error, "option tables is 'int4', expected int16 or int8"),
    ],
)
def test_what_a_model_file_is_not_told(
    asked: dict[str, object], error: type[Exception], expected: str, tmp_path: Path
) -> None:
    source = GOLDEN / "tree_sparse.f32.gguf"
    with pytest.raises(error, match=expected):
        convert(source, tmp_path / "m.gguf", **asked)
    assert not (tmp_path / "m.gguf").exists()


def test_int8_of_a_convolutional_model_is_still_for_quantize(tmp_path: Path) -> None:
    source = next((GOLDEN / "hifigan").glob("*.f32.gguf"))
    with pytest.raises(UnsupportedError, match="use `pyvoc quantize`"):
        convert(source, tmp_path / "m.gguf", precision="int8")


def test_damaged(tmp_path: Path) -> None:
    whole = (GOLDEN / "tree_sparse.f32.gguf").read_bytes()
    path = tmp_path / "x.gguf"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"x\.gguf"):
        convert(path, tmp_path / "m.gguf")
    with pytest.raises(Error, match="would overwrite the input"):
        convert(path, path)
    assert not (tmp_path / "m.gguf").exists()


def test_a_voice_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "m.gguf"
    assert main(["convert", "default", "-o", str(target), "--precision", "bf16"]) == 0
    assert "pyvoc.fargan, bf16" in capsys.readouterr().out
    voice = pyvoc.load("default").info.path
    mine, theirs = read_container(target).metadata, read_container(voice).metadata
    assert {k: v for k, v in mine.items() if k != "pyvoc.precision"} == {
        k: v for k, v in theirs.items() if k != "pyvoc.precision"
    }
    assert main(["convert", "nobody", "-o", str(target)]) == 3
    assert "'nobody' is no voice and no file" in capsys.readouterr().err
