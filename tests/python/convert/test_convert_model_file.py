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
from pyvoc.quant.calibrate import quantize

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
    convert(small, wide, precision="int8", tables="int16")
    assert {read_container(wide).tensors[name].type for name in TABLES} == {ElementType.I16}
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
    with pytest.raises(OptionError, match="tables are integers at precision int8 only, not at f32"):
        convert(path, tmp_path / "a.gguf", tables="int8")
    # In 16 bits they are the same numbers again.
    convert(tmp_path / "int8.gguf", tmp_path / "wide.gguf", precision="int8", tables="int16")
    small, wide = (read_container(tmp_path / f"{n}.gguf") for n in ("int8", "wide"))
    assert wide.tensors[TABLES[0]].type is ElementType.I16
    for name in TABLES:
        np.testing.assert_array_equal(decode(LPCNET, small)[name], decode(LPCNET, wide)[name])


class Lax:
    """A spec that takes anything."""

    def validate(self, container: Container, source: str) -> None:
        pass


@pytest.mark.parametrize("damage", ["ratio", "zero", "value", "mixed", "finer", "huge"])
def test_the_runtime_refuses_tables_that_do_not_add_up(damage: str, tmp_path: Path) -> None:
    container = read_container(GOLDEN / "tree_bytes.int8.gguf")
    tensors = dict(container.tensors)
    name = TABLES[1]
    scale, q = tensors[f"{name}.scale"].data.copy(), tensors[name].data.copy()
    if damage == "ratio":
        scale[5] *= 3
    elif damage == "zero":
        scale[5] = 0
    elif damage == "finer":
        scale *= np.float32(1 + 2**-12)
    elif damage == "huge":
        scale *= np.float32(2) ** 120
    elif damage == "value":
        q[3, 3] = -128
    tensors[f"{name}.scale"] = Tensor(ElementType.F32, scale)
    kind = ElementType.I16 if damage == "mixed" else ElementType.I8
    tensors[name] = Tensor(kind, q.astype("<i2") if damage == "mixed" else q)
    path = tmp_path / "m.gguf"
    broken = Container(container.metadata, tensors)
    assert LPCNET.problems(broken)
    write_container(path, broken, spec=Lax())
    tables = r"embed_pred|scales of the three|not of one type"
    with pytest.raises(ModelError, match=tables) as caught:
        pyvoc.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("scale", [0.0, -1.0, 2.0**101, 1 + 2.0**-12])
@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("tree_sparse.int8", "gru_a.weight_hh.scale"),
        ("tree_sparse.int8", "gru_b.weight_ih.scale"),
        ("tree_sparse.int8", "gru_a.embed_sig.scale"),
        ("fargan/even.int8", "gru1.weight_hh.scale"),
        ("wavernn/mol.int8", "fc1.weight.scale"),
    ],
)
def test_python_and_the_runtime_refuse_the_same_scales(
    model: str, name: str, scale: float, tmp_path: Path
) -> None:
    container = read_container(GOLDEN / f"{model}.gguf")
    tensors = dict(container.tensors)
    everywhere = np.full_like(tensors[name].data, scale)
    tensors[name] = Tensor(ElementType.F32, everywhere)
    broken = Container(container.metadata, tensors)
    expected = f"'?{name}'? has scales that are not positive( bf16)? numbers up to 2\\^100"
    spec = spec_of(broken, model)
    write_container(tmp_path / "m.gguf", broken, spec=Lax())
    if "fargan" in model and scale == 1 + 2.0**-12:  # Opus's scales are no bf16 numbers
        spec.validate(broken, model)
        pyvoc.load(tmp_path / "m.gguf")
        return
    with pytest.raises(ModelError, match=expected):
        spec.validate(broken, model)
    with pytest.raises(ModelError, match=expected):
        pyvoc.load(tmp_path / "m.gguf")


@pytest.mark.parametrize("said", ["f32", "bf16", "int4"])
def test_python_and_the_runtime_refuse_another_precision(said: str, tmp_path: Path) -> None:
    for name in ("tree_bytes.int8", "tree_sparse.int8"):
        container = read_container(GOLDEN / f"{name}.gguf")
        broken = Container({**container.metadata, "pyvoc.precision": said}, container.tensors)
        assert LPCNET.problems(broken)
        write_container(tmp_path / "m.gguf", broken, spec=Lax())
        with pytest.raises(ModelError, match="precision"):
            pyvoc.load(tmp_path / "m.gguf")


def test_why_it_was_not_measured(tmp_path: Path) -> None:
    def load(path: str) -> object:
        raise UnsupportedError(f"{path}: this build has no WaveNet")

    result = convert(GOLDEN / "tree_sparse.f32.gguf", tmp_path / "m.gguf", load=load)
    what = "pyvoc.lpcnet at f32 does not run here"
    assert result.notes == (f"not measured: {what}: this build has no WaveNet",)


def test_an_int8_model_of_convolutions_says_what_it_was_measured_on(tmp_path: Path) -> None:
    quantized = tmp_path / "q.gguf"
    source = next((GOLDEN / "melgan").glob("*.f32.gguf"))
    mel = np.random.default_rng(4).normal(0, 1, (60, pyvoc.load(source).info.feature_dims))
    quantize(source, quantized, [mel.astype("<f4")], any_sound=True, min_snr_db=0.0)
    result = convert(quantized, tmp_path / "m.gguf", precision="int8", load=pyvoc.load)
    assert "--mel MEL measures on speech" in result.notes[-1]
    assert (tmp_path / "m.gguf").read_bytes() == quantized.read_bytes()


@pytest.mark.parametrize(
    ("asked", "error", "expected"),
    [
        ({"rate": 16000}, OptionError, "is a model file, which says its rate"),
        ({"halves": "first"}, OptionError, "'halves' is an option of WaveGlow"),
        ({"arch": "melgan"}, ModelError, "is a model file of LPCNet, expected a melgan checkpoint"),
        ({"sparsity": 0.5}, OptionError, "'sparsity' is an option of WaveRNN"),
        (
            {"tables": "int4", "precision": "int8"},
            Error,
            "option tables is 'int4', expected int16 or int8",
        ),
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


def test_a_voice_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "m.gguf"
    assert main(["convert", "default", "-o", str(target), "--precision", "bf16"]) == 0
    assert "pyvoc.fargan, bf16" in capsys.readouterr().out
    voice = pyvoc.load("default").info.path
    mine, theirs = read_container(target).metadata, read_container(voice).metadata
    assert {k: v for k, v in mine.items() if k != "pyvoc.precision"} == {
        k: v for k, v in theirs.items() if k != "pyvoc.precision"
    }
    bundled = tmp_path / "same.gguf"
    assert main(["convert", "default", "-o", str(bundled), "--precision", "int8"]) == 0
    assert bundled.read_bytes() == Path(voice).read_bytes()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "default").mkdir()  # what is there comes first, as with every checkpoint
    assert main(["convert", "default", "-o", str(target)]) == 3
    assert "default: is a folder, expected a DNNw" in capsys.readouterr().err
    assert main(["convert", "nobody", "-o", str(target)]) == 3
    assert "'nobody' is no voice and no file" in capsys.readouterr().err
