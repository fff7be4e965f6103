"""Checkpoints with what training leaves beside the weights."""

from __future__ import annotations

import collections
import functools
import pathlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from melgan_checkpoints import state_dict
from melgan_files import arrays
from torch_files import Writer, call, glob, pid, save_zip

from pyvoc.container import read_container
from pyvoc.convert import convert
from pyvoc.convert.detect import detect
from pyvoc.errors import ModelError


@functools.cache
def weights() -> dict[str, np.ndarray]:
    return {key: value.astype("<f4") for key, value in arrays("zero.f32").items()}


def same(path: Path) -> None:
    found = detect(path)(path).arrays
    assert found.keys() == weights().keys()
    for name, values in weights().items():
        np.testing.assert_array_equal(found[name], values, name)


class AttributeDict(dict):  # type: ignore[type-arg]
    """Lightning's, which is a dictionary with another name."""


def test_of_torch(tmp_path: Path) -> None:
    """The same tensors, bit for bit, as from the bare state dict."""
    torch = pytest.importorskip("torch")
    net = {name: torch.tensor(a) for name, a in state_dict(weights(), "descript").items()}
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.Adam([parameter])
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [200000, 400000])
    trees: list[Any] = [
        {"model": {"generator": net}, "scheduler": schedule.state_dict()},
        {"state_dict": net, "hyper_parameters": {"data": pathlib.PosixPath("wavs")}},
        {"state_dict": net, "done": frozenset([1]), "counts": collections.Counter("aab")},
        {"state_dict": net, "hyper_parameters": AttributeDict(lr=1e-4)},
        AttributeDict(model=AttributeDict(net), optimiser=optimiser, schedule=schedule),
    ]
    for tree in trees:
        torch.save(tree, tmp_path / "x.pt")
        same(tmp_path / "x.pt")


def test_a_whole_module(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    whole = torch.nn.Module()
    for name, array in state_dict(weights(), "seungwonpark").items():
        module = whole
        *path, leaf = name.split(".")
        for part in path:
            if part not in module._modules:
                module.add_module(part, torch.nn.Module())
            module = module._modules[part]
        module.register_parameter(leaf, torch.nn.Parameter(torch.tensor(array)))
    torch.save({"generator": whole, "epoch": 3}, tmp_path / "x.pt")
    same(tmp_path / "x.pt")


def test_a_tensor_that_would_need_a_call(tmp_path: Path) -> None:
    writer = Writer(legacy=False)
    net = {k: writer.tensor(v) for k, v in state_dict(weights(), "descript").items()}
    strange = call(
        glob("torch._utils", "_rebuild_qtensor"),
        pid("storage", glob("torch", "QInt8Storage"), "q", "cpu", 4),
    )
    same(save_zip(tmp_path / "x.pt", {"netG": net, "other": {"w": strange}}, writer=writer))
    name = next(iter(net))
    path = save_zip(tmp_path / "y.pt", {"netG": {**net, name: strange}}, writer=writer)
    with pytest.raises(ModelError, match=r"y\.pt: a tensor is made by 'torch\._utils\._rebuild_q"):
        convert(path, tmp_path / "m.gguf")
    assert not (tmp_path / "m.gguf").exists()


def test_what_was_converted_is_the_model_alone(tmp_path: Path) -> None:
    writer = Writer(legacy=False)
    net = {k: writer.tensor(v) for k, v in state_dict(weights(), "descript").items()}
    bait = tmp_path / "bait"
    run = call(glob("numpy.testing._private.utils", "runstring"), f"open({str(bait)!r}, 'w')", {})
    path = save_zip(tmp_path / "x.pt", {"netG": net, "hook": run}, writer=writer)
    convert(path, tmp_path / "m.gguf")
    assert not bait.exists() and b"runstring" not in (tmp_path / "m.gguf").read_bytes()
    assert read_container(tmp_path / "m.gguf").tensors.keys() == weights().keys()
