"""WaveGlow's layout contract: sizes of flows from the metadata, inverses, int8 rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from containers import changed, replace_data
from waveglow_files import TINY, arrays, int8_container, settings

from pyvoc.container import Container, ElementType, Tensor, read_container, write_container
from pyvoc.container.mel import MelRecipe
from pyvoc.errors import ModelError
from pyvoc.families.waveglow.spec import (
    WAVEGLOW,
    WaveglowSettings,
    count,
    inverse_problem,
    size_problems,
)
from pyvoc.quant import decode

MODELS = sorted(TINY.glob("*.gguf"))
INNER = ("conv.weight", "cond.weight", "out.weight")


@pytest.fixture
def container() -> Container:
    return read_container(TINY / "early.f32.gguf")


@pytest.fixture
def int8() -> Container:
    return int8_container()


def test_layout_follows_the_model(container: Container) -> None:
    layout = WAVEGLOW.layout_of(container)
    assert len(layout.tensors) == 2 + 4 * (6 + 3 * 6)
    assert [layout.dims[f"c{k}"] for k in range(4)] == [8, 8, 6, 6]
    assert layout.dims["mels*groups"] == 40 and layout.dims["taps"] == 128
    assert container.tensors["flow.2.layer.1.out.weight"].shape == (16, 8, 1)
    assert container.tensors["flow.2.layer.2.out.weight"].shape == (8, 8, 1)
    assert container.tensors["flow.3.start.weight"].shape == (8, 3, 1)
    assert MelRecipe.from_metadata(container.metadata) == settings().recipe
    assert WaveglowSettings().channels(12) == [8] * 4 + [6] * 4 + [4] * 4
    assert settings("plain.f32").channels(3) == [2, 2, 2]


def test_values_survive(container: Container) -> None:
    exact = arrays()
    found = decode(WAVEGLOW, container)
    assert found.keys() == exact.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, exact[name].astype(np.float32), name)
    rounded = decode(WAVEGLOW, read_container(TINY / "early.bf16.gguf"))
    for name, values in rounded.items():
        loose = name.endswith(INNER) or name == "upsample.weight"
        np.testing.assert_allclose(values, exact[name], rtol=2**-8 if loose else 2**-24)
        assert loose == (values != exact[name].astype(np.float32)).any(), name


def test_int8_round_trip(tmp_path: Path, int8: Container) -> None:
    write_container(tmp_path / "m.gguf", int8, spec=WAVEGLOW)
    found, exact = decode(WAVEGLOW, read_container(tmp_path / "m.gguf")), arrays()
    for name, values in found.items():
        scale = int8.tensors.get(f"{name}.scale")
        assert (scale is not None) == name.endswith(INNER)
        step = 1e-6 if scale is None else float(scale.data.max()) / 0.03
        step = 1e-2 if name == "upsample.weight" else step
        np.testing.assert_allclose(values, exact[name], rtol=0, atol=0.51 * step, err_msg=name)
    assert int8.tensors["upsample.weight"].type is ElementType.BF16
    assert int8.tensors["flow.0.start.weight"].type is ElementType.F32
    assert int8.tensors["flow.1.layer.0.cond.weight.scale"].shape == (16,)
    assert int8.tensors["flow.1.layer.0.cond.weight.input"].shape == (2, 40)


def scaled(container: Container, name: str, factor: float) -> dict[str, Tensor]:
    return replace_data(container, name, (container.tensors[name].data * factor).astype("<f4"))


def test_int8_companions_are_checked(int8: Container) -> None:
    conv, cond, out = (f"flow.1.layer.2.{n}" for n in INNER)
    inputs = int8.tensors[f"{conv}.input"].data.copy()
    inputs[:, 2] = 0.1, 255
    for tensors, expected in (
        (replace_data(int8, f"{conv}.input", inputs), "with [0.1, 255], expected a positive scale"),
        (scaled(int8, f"{out}.scale", -1), "has scales that are not positive"),
        (scaled(int8, f"{conv}.scale", 1.001), "'flow.1.layer.2': the scales of 'conv' and"),
        (scaled(int8, "flow.2.layer.0.cond.weight.input", 2.0), "both layers read the same"),
        (
            {f"{out}.scale": Tensor(ElementType.F32, np.ones(9, "<f4"))},
            "has shape [9], expected [8",
        ),
        ({f"{cond}.input": Tensor(ElementType.F32, np.ones(2, "<f4"))}, "expected [2, 40]"),
    ):
        found = WAVEGLOW.problems(changed(int8, tensors=tensors))
        assert len(found) == 1 and expected in found[0], found
    both = {**scaled(int8, f"{conv}.scale", 0.5), **scaled(int8, f"{cond}.scale", 0.5)}
    assert not WAVEGLOW.problems(changed(int8, tensors=both))
    q = np.full_like(int8.tensors[conv].data, 127)
    assert not WAVEGLOW.problems(changed(int8, tensors=replace_data(int8, conv, q)))
    q[0, 1] = -128
    found = WAVEGLOW.problems(changed(int8, tensors=replace_data(int8, conv, q)))
    assert found == [f"tensor '{conv}' has the int8 value -128, expected -127 to 127"]
    for name in (f"{cond}.input", f"{conv}.scale"):
        found = WAVEGLOW.problems(changed(int8, remove=(name,)))
        assert len(found) == 1 and f"tensor '{name}'" in found[0] and "is missing" in found[0]


def test_all_types_are_the_precisions(int8: Container, container: Container) -> None:
    mixed = changed(container, metadata={"pyvoc.precision": "bf16"})
    names = [n for n in container.tensors if n.endswith(INNER) or n == "upsample.weight"]
    assert len(WAVEGLOW.problems(mixed)) == len(names)
    name = "flow.0.layer.0.out.weight"
    odd = changed(
        int8,
        tensors={name: container.tensors[name]},
        remove=(f"{name}.scale", f"{name}.input"),
    )
    assert WAVEGLOW.problems(odd) == [f"tensor '{name}' is F32, expected I8 at precision int8"]


def test_inverses_are_checked(container: Container) -> None:
    name = "flow.2.unmix.weight"
    wrong = container.tensors[name].data.copy()
    wrong[0, 0] += np.float32(1e-4)
    found = WAVEGLOW.problems(changed(container, tensors=replace_data(container, name, wrong)))
    assert len(found) == 1 and "flow 2: 'unmix' is not the inverse of 'mix' (off by" in found[0]
    assert inverse_problem(0, np.eye(3), np.eye(3)) is None
    assert "off by" in str(inverse_problem(0, np.eye(3), np.full((3, 3), np.inf)))
    ill = np.array([[1, 1], [1, 1 + 1e-3]])
    assert inverse_problem(0, ill, np.linalg.inv(ill).astype("<f4")) is None


def test_validation_lists_everything_at_once(container: Container) -> None:
    broken = changed(
        container,
        tensors={
            "flow.1.layer.2.conv.weight": Tensor(ElementType.F32, np.zeros((16, 8, 5), "<f4")),
            "flow.2.start.weight": Tensor(ElementType.F32, np.zeros((8, 4, 1), "<f4")),
            "flow.0.layer.9.conv.weight": Tensor(ElementType.F32, np.zeros((9, 9, 3), "<f4")),
        },
        metadata={
            "waveglow.alternate": 1,
            "waveglow.sigma": 9.0,
            "waveglow.extra": 1,
            "pyvoc.features.bands": 40,
            "pyvoc.features.hop_length": 36,
        },
        remove=("flow.2.end.bias", "flow.1.unmix.weight"),
    )
    with pytest.raises(ModelError) as caught:
        WAVEGLOW.validate(broken, "broken.gguf")
    text = str(caught.value)
    for expected in (
        "tensor 'flow.1.layer.2.conv.weight' has shape [16, 8, 5], expected [16, 8, 3]",
        "tensor 'flow.2.start.weight' has shape [8, 4, 1], expected [8, 3, 1]",
        "tensor 'flow.0.layer.9.conv.weight' is unexpected",
        "tensor 'flow.2.end.bias' [c2] is missing",
        "tensor 'flow.1.unmix.weight' [c1, c1] is missing",
        "metadata 'waveglow.alternate' is int, expected bool",
        "metadata 'waveglow.sigma' is 9.0, expected 0.0 to 4.0",
        "metadata 'waveglow.extra' is unexpected",
        "'pyvoc.features.bands' is 40, but upsample reads 5 bands",
        "'upsample' has 128 taps, expected a multiple of the hop of 36 samples",
        "the hop of 36 samples is not a multiple of the 8 samples of a group",
    ):
        assert expected in text, text


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("groups", 7, "flow 0 has 7 channels, expected an even number from 2 on"),
        ("groups", 1 << 40, "metadata 'waveglow.groups' is 1099511627776, expected 2 to 256"),
        ("groups", True, "metadata 'waveglow.groups' is bool, expected int"),
        ("early_size", 8, "flow 2 has 0 channels, expected an even number from 2 on"),
        ("early_size", -1, "metadata 'waveglow.early_size' is -1, expected 0 to 256"),
        ("early_every", 0, "metadata 'waveglow.early_every' is 0, expected 1 to 64"),
        ("early_every", 3, "tensor 'flow.2.mix.weight' has shape [6, 6], expected [8, 8]"),
    ],
)
def test_settings_must_fit(container: Container, key: str, value: object, expected: str) -> None:
    found = WAVEGLOW.problems(changed(container, metadata={f"waveglow.{key}": value}))
    assert expected in found


def test_sizes_are_bounded() -> None:
    assert count({}) == (1, 1)
    names = {"flow.99.start.bias": (1,), "flow.1.layer.77.conv.bias": (1,)}
    assert count(names) == (1, 1)
    names = {f"flow.{k}.start.bias": (1,) for k in range(99)}
    assert count(names | {f"flow.0.layer.{i}.conv.bias": (1,) for i in range(99)}) == (64, 16)
    dims = {"flows": 2, "layers": 1, "C": 4097, "c0": 0, "c1": 3, "taps": 0, "groups": 3}
    assert len(size_problems(dims, 256)) == 5
    assert not size_problems({"flows": 1, "layers": 1}, None)
