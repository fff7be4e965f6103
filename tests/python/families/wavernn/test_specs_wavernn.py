"""WaveRNN's layout contract: its tensors depend on the model, its last layer's type on the mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from containers import changed, replace_data
from wavernn_files import TINY, arrays, settings, tiny_wavernn

import pyvoc
from pyvoc.container import Container, ElementType, Tensor, read_container, write_container
from pyvoc.container.mel import MelRecipe
from pyvoc.errors import ModelError
from pyvoc.families.wavernn.spec import (
    WAVERNN,
    count,
    derived_dimensions,
    output_problems,
    reach,
    size_problems,
    stretches_of,
)
from pyvoc.quant import decode

MODELS = sorted(TINY.glob("*.gguf"))
LOOP = (
    "rnn1.hidden.weight",
    "rnn2.input.weight",
    "rnn2.hidden.weight",
    "fc1.weight",
    "fc2.weight",
    "fc3.weight",
)


@pytest.fixture
def container() -> Container:
    return read_container(TINY / "odd.f32.gguf")


@pytest.fixture
def int8() -> Container:
    return read_container(TINY / "raw.int8.gguf")


def of_a_frame(name: str) -> bool:
    """Whether it is a matrix that a frame, not every sample, is multiplied with."""
    return (name.startswith("resnet") and name.endswith("weight")) or name.endswith(
        (".mel", ".aux")
    )


def single(*shape: int) -> Tensor:
    return Tensor(ElementType.F32, np.zeros(shape, "<f4"))


@pytest.mark.parametrize("name", ["mol.f32", "raw.f32", "odd.f32"])
def test_layout_follows_the_model(name: str) -> None:
    tiny = tiny_wavernn().MODELS[name][0]
    container = read_container(TINY / f"{name}.gguf")
    layout = WAVERNN.layout_of(container)
    assert len(layout.tensors) == 4 + 4 * tiny.blocks + len(tiny.stretches) + 23
    sizes = {"R": tiny.rnn, "F": tiny.fc, "D": tiny.hidden, "A": tiny.aux, "taps": 2 * tiny.pad + 1}
    sizes |= {"mels": tiny.settings.recipe.bands, "outputs": tiny.outputs}
    assert {symbol: layout.dims[symbol] for symbol in sizes} == sizes
    assert stretches_of(layout.dims) == list(tiny.stretches)
    assert MelRecipe.from_metadata(container.metadata) == settings(name).recipe


@pytest.mark.parametrize("kind", ["mol", "raw"])
def test_types_of_the_precisions(kind: str) -> None:
    """The loop's products are narrow, at int8 a mixture's last layer is not; others are bf16."""
    for precision in ("bf16", "int8"):
        container = read_container(TINY / f"{kind}.{precision}.gguf")
        found = {
            element: {name for name, tensor in container.tensors.items() if tensor.type is element}
            for element in (ElementType.BF16, ElementType.I8)
        }
        frame = {name for name in container.tensors if of_a_frame(name)}
        assert len(frame) > 8
        if precision == "bf16":
            assert found == {ElementType.BF16: set(LOOP) | frame, ElementType.I8: set()}
            continue
        loop = set(LOOP) - ({"fc3.weight"} if kind == "mol" else set())
        assert found == {ElementType.BF16: frame, ElementType.I8: loop}
        scales = {name for name in container.tensors if name.endswith(".scale")}
        assert scales == {f"{name}.scale" for name in loop}


@pytest.mark.parametrize("name", ["mol", "raw", "odd"])
def test_values_survive(name: str) -> None:
    exact = arrays(f"{name}.f32")
    found = decode(WAVERNN, read_container(TINY / f"{name}.f32.gguf"))
    assert found.keys() == exact.keys()
    for key, values in found.items():
        np.testing.assert_array_equal(values, exact[key].astype(np.float32), key)
    int8 = read_container(TINY / f"{name}.int8.gguf")
    for key, values in decode(WAVERNN, int8).items():
        scale = int8.tensors.get(f"{key}.scale")
        wanted = exact[key].astype(np.float32)
        step = 2**-8 * np.abs(wanted) if of_a_frame(key) else 0
        step = step if scale is None else scale.data[:, None]
        error = np.abs(values - wanted)
        assert (error <= 1.01 * step).all(), key  # mending a pair costs up to a whole step
        assert scale is None or np.median(error / step) < 0.5


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_what_is_of_a_frame_may_be_in_floats(tmp_path: Path, precision: str) -> None:
    """As files of older versions have it."""
    given = read_container(TINY / f"raw.{precision}.gguf")
    exact = decode(WAVERNN, given)
    floats = {
        name: Tensor(ElementType.F32, exact[name].astype("<f4"))
        for name in given.tensors
        if of_a_frame(name)
    }
    older = changed(given, tensors=floats)
    assert WAVERNN.problems(older) == []
    write_container(tmp_path / "older.gguf", older, spec=WAVERNN)
    models = [
        pyvoc.load(path) for path in (tmp_path / "older.gguf", TINY / f"raw.{precision}.gguf")
    ]
    mel = np.random.default_rng(1).random((4, settings("raw.f32").recipe.bands), np.float32)
    one, two = (model.synthesize(mel, seed=3) for model in models)
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-6)


def test_type_problems(int8: Container, container: Container) -> None:
    mixed = changed(container, metadata={"pyvoc.precision": "bf16"})
    assert len(WAVERNN.problems(mixed)) == len(LOOP)
    name = "rnn2.input.weight"
    odd = changed(
        int8, tensors={name: single(*int8.tensors[name].shape)}, remove=(f"{name}.scale",)
    )
    assert WAVERNN.problems(odd) == [f"tensor '{name}' is F32, expected I8 at precision int8"]
    narrow = Tensor(ElementType.BF16, np.zeros(13 * 3, "<u2"))
    found = WAVERNN.problems(changed(container, tensors={"rnn1.input.bias": narrow}))
    assert found == ["tensor 'rnn1.input.bias' is BF16, expected F32"]


def test_int8_rules(int8: Container) -> None:
    name = "rnn1.hidden.weight"
    q = int8.tensors[name].data.copy()
    q[3, 4:6] = 70, 60
    found = WAVERNN.problems(changed(int8, tensors=replace_data(int8, name, q)))
    assert found == [f"tensor '{name}' has neighbours that add to 130, at most 129 may"]
    scale = int8.tensors[f"{name}.scale"].data.copy()
    scale[0] = np.nextafter(scale[0], np.float32(1))
    found = WAVERNN.problems(changed(int8, tensors=replace_data(int8, f"{name}.scale", scale)))
    sound = "positive bf16 numbers up to 2^100"
    assert found == [f"tensor '{name}.scale' has scales that are not {sound}"]
    found = WAVERNN.problems(changed(int8, remove=(f"{name}.scale",)))
    assert found == [f"tensor '{name}.scale' [3R] is missing"]


def test_validation_lists_everything_at_once(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyvoc.errors._MOST_LINES", 200)
    broken = changed(
        container,
        tensors={
            "resnet.0.b.weight": single(5, 5, 3),
            "resnet.3.a.weight": single(5, 5, 1),
            "rnn2.input.aux": single(39, 3),
            "fc1.weight.scale": single(11),
            "upsample.1.weight": single(6),
        },
        metadata={
            "wavernn.mode": "softmax",
            "wavernn.mu_law": 1,
            "wavernn.bits": 17,
            "wavernn.pad": 2,
            "pyvoc.features.bands": 40,
            "pyvoc.features.fft_length": 33,
        },
        remove=("fc2.input.bias",),
    )
    with pytest.raises(ModelError) as caught:
        WAVERNN.validate(broken, "broken.gguf")
    text = str(caught.value)
    for expected in (
        "tensor 'resnet.0.b.weight' has shape [5, 5, 3], expected [5, 5, 1]",
        "tensor 'resnet.2.a.weight' [D, D, 1] is missing",
        "tensor 'rnn2.input.aux' has shape [39, 3], expected [39, 6]",
        "tensor 'fc1.weight.scale' is unexpected",
        "stretch 1 has a kernel of 6, expected 2 s + 1",
        "tensor 'fc2.input.bias' [F] is missing",
        "metadata 'wavernn.mode' is 'softmax', expected 'mol' or 'raw'",
        "metadata 'wavernn.mu_law' is int, expected bool",
        "metadata 'wavernn.bits' is 17, expected 1 to 16",
        "metadata 'wavernn.pad' is unexpected",
        "'pyvoc.features.bands' is 40, but resnet.in reads 7 bands",
        "the mel recipe: the transform has 33 points",
    ):
        assert expected in text, text


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"wavernn.bits": 6}, "fc3 has 32 outputs, expected 64 for labels of 6 bits"),
        (
            {"wavernn.mode": "mol", "wavernn.bits": 16},
            "fc3 has 32 outputs, expected three for each of 1 to 64 logistics",
        ),
        ({"pyvoc.features.hop_length": 7}, "is 7, but the stretches multiply to 6"),
    ],
)
def test_metadata_against_tensors(
    container: Container, entries: dict[str, object], expected: str
) -> None:
    found = WAVERNN.problems(changed(container, metadata=entries))
    assert len(found) == 1 and expected in found[0]


def test_a_mixture_has_no_mu_law() -> None:
    mol = read_container(TINY / "mol.f32.gguf")
    found = WAVERNN.problems(changed(mol, metadata={"wavernn.mu_law": True, "wavernn.bits": 9}))
    assert found == [
        "metadata 'wavernn.mu_law' is True, expected False for mode mol",
        "metadata 'wavernn.bits' is 9, expected 16 for mode mol",
    ]


def test_sizes_are_bounded(container: Container) -> None:
    assert count({}) == (0, 1)
    absurd = {"resnet.99.a.weight": (1,), "resnet.100.a.weight": (1,), "upsample.9.weight": (1,)}
    assert count(absurd) == (64, 8)
    fine = {"stretches": 2, "2s0+1": 7, "2s1+1": 5, "taps": 5}
    assert not size_problems(fine)
    sizes = {"D": 1025, "A": 0, "R": 4097, "F": 4097, "taps": 19, "2s0+1": 515}
    assert len(size_problems({**fine, **sizes})) == 6
    assert size_problems({**fine, "taps": 3}) == [
        "upsampling looks 2 frames ahead, but the residual network 1: expected no more than that"
    ]
    assert reach([5, 5, 11]) == 2 and reach([2]) == 1
    assert derived_dimensions({"A": 2}) == {"A": 2, "2A": 4, "4A": 8}
    for outputs, mode, bits, wrong in (
        (30, "mol", 16, 0),
        (3, "mol", 16, 0),
        (195, "mol", 16, 1),
        (0, "mol", 16, 1),
        (65536, "raw", 16, 0),
        (65536, "raw", 99, 0),  # said elsewhere
        (2, "raw", 2, 1),
    ):
        entries = {"wavernn.mode": mode, "wavernn.bits": bits}
        assert len(output_problems(entries, {"outputs": outputs})) == wrong, (outputs, mode)
    three = changed(container, tensors={"rnn1.hidden.bias": single(38)})
    assert any("has shape [38], expected three gates" in p for p in WAVERNN.problems(three))
