"""int8 WaveGlow in the runtime against an oracle that rounds inputs to bytes; damaged files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from test_runtime_waveglow import noise
from tier_worker import run, tiers
from voices import make_mel
from waveglow_files import int8_container, reference

import pyvoc
from pyvoc.container import Container, write_container
from pyvoc.families.waveglow.spec import WAVEGLOW as SPEC
from pyvoc.quant import decode

INT8_DB = 40.0


def byte_oracle(container: Container) -> Any:
    """The oracle with inputs rounded to bytes where int8 layers read them."""
    arrays = decode(SPEC, container)
    base = reference().Waveglow

    class Bytes(base):  # type: ignore[misc, valid-type]
        def _conv(self, name: str, x: np.ndarray, dilation: int = 1) -> np.ndarray:
            entry = container.tensors.get(f"{name}.weight.input")
            if entry is None:
                return super()._conv(name, x, dilation)
            step, zero = entry.data.astype(np.float64)[..., None]
            rounded = (np.clip(np.rint(x / step + zero), 0, 254) - zero) * step
            y = super()._conv(name, rounded, dilation)
            if name.endswith(".out"):  # the part that is skipped stays float
                hidden = x.shape[0]
                y[-hidden:] = super()._conv(name, x, dilation)[-hidden:]
            return y

    return Bytes(arrays, container.metadata)


@pytest.mark.parametrize("name", ["early.f32", "alternate.f32", "plain.f32", "apart.f32"])
def test_int8_is_the_byte_oracles(name: str, tmp_path: Path) -> None:
    container = int8_container(name)
    write_container(tmp_path / "int8.gguf", container, spec=SPEC)
    model, net = pyvoc.load(tmp_path / "int8.gguf"), byte_oracle(container)
    for n in (1, 7, 40):
        mel = make_mel(n, bands=model.info.feature_dims, seed=n)
        draws = noise(tmp_path / "int8.gguf", n, seed=n)
        expected = net.infer(mel, draws, 0.6)
        found = model.synthesize(mel, draws=draws, sigma=0.6)
        error = 10 * np.log10(np.square(expected).sum() / np.square(expected - found).sum())
        assert error >= INT8_DB  # the fast tanh, and roundings that go the other way
        with model.stream(sigma=0.6) as stream:
            stream.set_draws(draws)
            pieces = []
            for row in mel:
                stream.push(row[None])
                pieces.append(stream.pull(7))
            stream.flush()
            pieces.append(stream.pull())
        np.testing.assert_array_equal(np.concatenate(pieces), found)


def test_int8_on_every_tier(tmp_path: Path) -> None:
    """Integer sums are exact; what is around them differs in rounding."""
    write_container(tmp_path / "int8.gguf", int8_container("plain.f32"), spec=SPEC)
    mel = make_mel(20, bands=3)
    own = pyvoc.load(tmp_path / "int8.gguf").synthesize(mel)
    for tier in tiers():
        found = run(tmp_path / "int8.gguf", tier, tmp_path, mel=mel)["mel"]
        np.testing.assert_allclose(found, own, rtol=0, atol=0.01)


def damage(tensor: str, change: Callable[[np.ndarray], None], path: Path) -> None:
    """An int8 model in which one tensor is another, past the spec's checks."""
    container = int8_container()
    array = container.tensors[tensor].data.copy()
    change(array)
    changed = {**container.tensors, tensor: replace(container.tensors[tensor], data=array)}
    with mock.patch("pyvoc.container.writer._verify"), mock.patch.object(type(SPEC), "validate"):
        write_container(path, replace(container, tensors=changed), spec=SPEC)


def test_bad_int8(tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"

    def first(value: float) -> Callable[[np.ndarray], None]:
        return lambda array: array.reshape(-1).__setitem__(0, value)

    for tensor, value, match in (
        ("flow.1.layer.0.cond.weight.input", 0.5, "all layers read the same bytes"),
        ("flow.0.layer.1.conv.weight.scale", 0.5, "sums in different units"),
        ("flow.0.layer.1.out.weight.scale", -1.0, "scales that are not positive numbers"),
        ("flow.0.layer.1.conv.weight.input", 0.0, "positive scales and whole numbers"),
        ("flow.2.layer.0.conv.weight", -128, "int8 value -128"),
    ):
        damage(tensor, first(value), path)
        with pytest.raises(pyvoc.ModelError, match=match):
            pyvoc.load(path)
