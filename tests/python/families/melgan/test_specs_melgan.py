"""MelGAN's layout contract: its tensors depend on the model, its int8 rules on the layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from containers import changed, replace_data
from melgan_files import TINY, arrays, int8_container, settings

from pyvoc.container import Container, ElementType, Tensor, read_container, write_container
from pyvoc.container.mel import MelRecipe
from pyvoc.errors import ModelError
from pyvoc.families.melgan.spec import MELGAN, count, ratios, size_problems
from pyvoc.quant import decode

MODELS = sorted(TINY.glob("*.gguf"))


@pytest.fixture
def container() -> Container:
    return read_container(TINY / "odd.f32.gguf")


@pytest.fixture
def int8() -> Container:
    return int8_container()


def test_layout_follows_the_model(container: Container) -> None:
    layout = MELGAN.layout_of(container)
    assert len(layout.tensors) == 4 + 3 * (2 + 4 * 6)
    assert [layout.dims[f"C{k}"] for k in range(4)] == [12, 9, 7, 5]
    assert ratios(layout.dims) == [5, 3, 2]
    assert MelRecipe.from_metadata(container.metadata) == settings().recipe


def test_values_survive(container: Container) -> None:
    exact = arrays()
    found = decode(MELGAN, container)
    assert found.keys() == exact.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, exact[name].astype(np.float32), name)
    rounded = decode(MELGAN, read_container(TINY / "odd.bf16.gguf"))
    for name, values in rounded.items():
        np.testing.assert_allclose(values, exact[name], rtol=2**-8, err_msg=name)
        assert name.endswith(".bias") or (values != exact[name]).any()


def test_int8_round_trip(tmp_path: Path, int8: Container) -> None:
    write_container(tmp_path / "m.gguf", int8, spec=MELGAN)
    found, exact = decode(MELGAN, read_container(tmp_path / "m.gguf")), arrays()
    for name, values in found.items():
        scale = int8.tensors.get(f"{name}.scale")
        step = 1e-6 if scale is None else float(scale.data.max()) / 0.03
        np.testing.assert_allclose(values, exact[name], rtol=0, atol=0.51 * step, err_msg=name)
    assert int8.tensors["conv_in.weight"].type is ElementType.F32
    assert int8.tensors["stage.1.up.weight"].type is ElementType.I8
    assert int8.tensors["stage.1.up.weight.scale"].shape == (7,)


def scaled(container: Container, name: str, factor: float) -> dict[str, Tensor]:
    return replace_data(container, name, (container.tensors[name].data * factor).astype("<f4"))


def entry(container: Container, name: str, scale: float, zero: float) -> dict[str, Tensor]:
    """The quantisation of a layer's input with another third channel."""
    data = container.tensors[name].data.copy()
    data[:, 2] = scale, zero
    return replace_data(container, name, data)


def test_int8_weights_are_not_bounded_in_pairs(int8: Container) -> None:
    """Convolutions sum in 32 bits; -128 has no counterpart and is refused."""
    for name in ("stage.0.up.weight", "stage.0.block.1.conv.weight", "stage.0.block.0.out.weight"):
        q = np.full_like(int8.tensors[name].data, 127)
        assert not MELGAN.problems(changed(int8, tensors=replace_data(int8, name, q)))
        q[0, 1] = -128
        found = MELGAN.problems(changed(int8, tensors=replace_data(int8, name, q)))
        assert found == [f"tensor '{name}' has the int8 value -128, expected -127 to 127"]


def test_int8_companions_are_checked(int8: Container) -> None:
    up, out = "stage.1.up.weight", "stage.2.block.0.out.weight"
    for tensors, expected in (
        (entry(int8, f"{up}.input", 0.0, 3), "expected a positive scale and a zero among 0, 1 .."),
        (entry(int8, f"{up}.input", 0.1, 255), "with [0.1, 255], expected a positive scale"),
        (entry(int8, f"{up}.input", 0.1, 2.5), "with [0.1, 2.5], expected a positive scale"),
        (scaled(int8, f"{up}.scale", -1), "has scales that are not positive"),
        ({f"{up}.scale": Tensor(ElementType.F32, np.ones(9, "<f4"))}, "has shape [9], expected [7"),
        (scaled(int8, f"{out}.scale", 1.001), "'stage.2.block.0': the scales of 'out' and"),
        (
            {f"{up}.input": Tensor(ElementType.F32, np.ones(2, "<f4"))},
            "expected [2, ",
        ),
    ):
        found = MELGAN.problems(changed(int8, tensors=tensors))
        assert len(found) == 1 and expected in found[0], found
    shortcut = out.replace("out", "shortcut")
    both = {**scaled(int8, f"{out}.scale", 0.5), **scaled(int8, f"{shortcut}.scale", 0.5)}
    assert not MELGAN.problems(changed(int8, tensors=both))
    assert not MELGAN.problems(changed(int8, tensors=entry(int8, f"{out}.input", 0.04, 9)))
    for name in (f"{up}.input", f"{up}.scale"):
        found = MELGAN.problems(changed(int8, remove=(name,)))
        assert len(found) == 1 and f"tensor '{name}'" in found[0] and "is missing" in found[0]


def test_all_types_are_the_precisions(int8: Container, container: Container) -> None:
    name = "stage.0.block.0.conv.weight"
    mixed = changed(container, metadata={"pyvoc.precision": "bf16"})
    assert len(MELGAN.problems(mixed)) == sum(n.endswith(".weight") for n in container.tensors)
    some = changed(
        int8,
        tensors={name: container.tensors[name]},
        remove=(f"{name}.scale", f"{name}.input"),
    )
    assert MELGAN.problems(some) == []  # a layer of an int8 model may read floats
    name = "conv_in.weight"
    half = Tensor(ElementType.BF16, np.zeros(int8.tensors[name].shape, "<u2"))
    odd = changed(int8, tensors={name: half})
    assert MELGAN.problems(odd) == [f"tensor '{name}' is BF16, expected F32 at precision int8"]


def test_validation_lists_everything_at_once(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyvoc.errors._MOST_LINES", 200)
    broken = changed(
        container,
        tensors={
            "stage.1.block.2.conv.weight": Tensor(ElementType.F32, np.zeros((7, 7, 5), "<f4")),
            "stage.1.block.2.conv.weight.input": Tensor(ElementType.F32, np.zeros(2, "<f4")),
            "stage.0.block.9.conv.weight": Tensor(ElementType.F32, np.zeros((9, 9, 3), "<f4")),
        },
        metadata={
            "melgan.padding": "mirror",
            "melgan.leak": 0,
            "pyvoc.features.bands": 40,
            "pyvoc.features.hop_length": 32,
            "pyvoc.features.fft_length": 255,
        },
        remove=("stage.2.up.bias", "melgan.input_scale"),
    )
    with pytest.raises(ModelError) as caught:
        MELGAN.validate(broken, "broken.gguf")
    text = str(caught.value)
    for expected in (
        "tensor 'stage.1.block.2.conv.weight' has shape [7, 7, 5], expected [7, 7, 3]",
        "tensor 'stage.1.block.2.conv.weight.input' is unexpected",
        "tensor 'stage.2.up.bias' [C3] is missing",
        "metadata 'melgan.padding' is 'mirror', expected 'reflect' or 'zero'",
        "metadata 'melgan.leak' is int, expected float",
        "metadata 'melgan.input_scale' (float) is missing",
        "'pyvoc.features.bands' is 40, but conv_in reads 20 bands",
        "'pyvoc.features.hop_length' is 32, but the stages multiply to 30",
        "the mel recipe: the transform has 255 points, expected a power of two",
    ):
        assert expected in text
    # A block 9 is beyond what a model may have: every stage is asked for the eight before it.
    assert "tensor 'stage.0.block.9.conv.weight' is unexpected" in text
    assert "tensor 'stage.2.block.7.out.weight' [C3, C3, 1] is missing" in text


def test_sizes_are_bounded(container: Container) -> None:
    assert count({}) == (1, 1)
    assert count({"stage.8.up.weight": (1,), "stage.12.up.weight": (1,)}) == (8, 1)
    dims = {"stages": 2, "blocks": 1, "C0": 4097, "2r0": 5, "2r1": 130}
    assert len(size_problems(dims)) == 3
    tall = Tensor(ElementType.F32, np.zeros((7, 5, 130), "<f4"))
    broken = changed(container, tensors={"stage.2.up.weight": tall})
    assert any("stage 2 has an upsampling kernel of 130" in p for p in MELGAN.problems(broken))
