"""The loop's kernel behind autograd: against the same loop in PyTorch, in float32 and float64."""

from __future__ import annotations

import copy
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from pyvoc._pyvoc import training
from pyvoc.errors import Error
from pyvoc.families.fargan.torch_model import Fargan
from pyvoc.families.fargan.train import native
from pyvoc.families.fargan.train.settings import FarganModel
from pyvoc.train.recurrent import as_array

SMALL = {"pitch_embedding": 3, "cond1": 5, "cond2": 6}
ODD = {**SMALL, "cond": 7, "fwc": 9, "gru1": 8, "gru2": 37, "gru3": 6, "skip": 10}
WHOLE = {**SMALL, "cond": 16, "fwc": 48, "gru1": 32, "gru2": 16, "gru3": 16, "skip": 32}


def network(sizes: dict[str, Any], loud: float = 3.0) -> Fargan:
    """One whose samples are not small."""
    torch.manual_seed(3)
    model = Fargan(FarganModel(**sizes), normed=True)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(("gru", "skip", "out")):
                parameter.mul_(loud)
    return model


def inputs(rows: int, frames: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Features; true signal, of which some is limited where it is heard; weights of the samples."""
    generator = torch.Generator().manual_seed(seed)
    sizes = ((rows, frames + 2, 20), (rows, 320), (rows, 160 * frames))
    features, true, weights = (torch.randn(size, generator=generator) for size in sizes)
    return features, 0.7 * true, weights


def run(model: Fargan, given: tuple[Tensor, ...], seeds: Tensor | None) -> dict[str, Tensor]:
    """Samples and gradients, in the model's precision; on the kernel in float32."""
    features, true, weights = (t.to(model.out.weight.dtype) for t in given)
    for parameter in model.parameters():
        parameter.grad = None
    samples = model(features, true, seeds)
    (samples * weights).sum().backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return {"samples": samples.detach(), **found}


def largest_difference(one: Tensor, two: Tensor) -> float:
    """Of the largest value."""
    return float((one.double() - two).abs().max() / two.abs().max())


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows the kernel was given, each time."""
    found: list[int] = []
    write = native.write

    def counted(cond: Tensor, *rest: Any) -> Tensor:
        found.append(len(cond))
        return write(cond, *rest)

    monkeypatch.setattr(native, "write", counted)
    return found


@pytest.mark.parametrize(
    ("sizes", "rows", "frames", "noisy"),
    [(ODD, 3, 6, True), (ODD, 1, 3, False), (WHOLE, 40, 4, True), ({}, 5, 5, True)],
)
def test_samples_and_gradients(
    sizes: dict[str, Any], rows: int, frames: int, noisy: bool, calls: list[int]
) -> None:
    model, given = network(sizes), inputs(rows, frames)
    seeds = torch.arange(rows) if noisy else None
    found = run(model, given, seeds)
    assert calls == [rows]
    exact = run(copy.deepcopy(model).double(), given, seeds)
    assert calls == [rows] and found.keys() == exact.keys()
    assert found["samples"][:, 320:].abs().max() > 0.1
    for name, array in exact.items():
        if name == "samples":
            assert largest_difference(found[name], array) < 1e-5
        elif float(array.abs().max()) > 0:
            assert largest_difference(found[name], array) < 1e-4, name
        else:
            assert not found[name].any(), name


def loop(rows: int, frames: int) -> dict[str, Any]:
    """Arguments of the loop on its own."""
    generator = torch.Generator().manual_seed(1)

    def some(*shape: int) -> Tensor:
        return 0.5 * torch.randn(shape, generator=generator)

    model = network(WHOLE)
    return {
        "cond": some(rows, 4 * frames, 16),
        "gains": torch.ones(rows, 4 * frames),
        "scales": torch.ones(rows, 4 * frames),
        "places": torch.randint(0, 256, (rows, frames, 44), generator=generator),
        "history": some(rows, 256),
        "forced": some(rows, 80),
        "noise": None,
        "bias": some(4),
        "matrices": [matrix.detach() for matrix in model._matrices()],
    }


def test_what_is_written_is_what_pytorch_writes() -> None:
    """In float32, without gradients and with them."""
    given = loop(4, 6)
    model = network(WHOLE)
    with torch.no_grad():
        model.pitch_gates.bias.copy_(given["bias"])
        names = ("cond", "gains", "scales", "places", "history", "forced")
        expected = model._write(*(given[name] for name in names), None)
        alone = native.write(**given)
    assert largest_difference(alone, expected) < 1e-5
    given["cond"].requires_grad_()
    assert torch.equal(native.write(**given).detach(), alone)


def test_neither_threads_nor_other_rows_change_a_bit() -> None:
    given = loop(50, 3)
    leaves = [given["cond"], given["gains"], given["scales"], *given["matrices"]]
    of_all = ("noise", "bias", "matrices")
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            for leaf in leaves:
                leaf.requires_grad_().grad = None
            written = native.write(**given)
            written.square().sum().backward()
            results.append([written.detach(), *(leaf.grad for leaf in leaves)])
            some = {k: value if k in of_all else value[7:9] for k, value in given.items()}
            assert torch.equal(native.write(**some), written[7:9])
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        assert torch.equal(one, two) and one.abs().max() > 0


def test_all_of_it_is_given() -> None:
    """Nothing is the network's own: samples are what they were, and no gradient flows."""
    given = loop(2, 1)
    given["forced"] = torch.randn(2, 160)
    given["cond"].requires_grad_()
    written = native.write(**given)
    assert torch.equal(written, given["forced"])
    written.sum().backward()
    assert not given["cond"].grad.any()


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("cond", (2, 7, 16)),
        ("gains", (2, 7)),
        ("scales", (3, 8)),
        ("places", (2, 2, 43)),
        ("history", (2, 255)),
        ("forced", (2, 81)),
        ("bias", (5,)),
    ],
)
def test_wrong_shapes_are_refused(name: str, shape: tuple[int, ...]) -> None:
    given = loop(2, 2)
    given[name] = torch.zeros(shape)
    with pytest.raises(Error, match=f"{name} has an unexpected shape"):
        native.write(**given)
    given = loop(2, 2)
    given["places"][0, 0, 0] = 256
    with pytest.raises(Error, match="places has an unexpected shape"):
        native.write(**given)
    given = loop(2, 2)
    given["matrices"][4] = torch.zeros(3, 3)
    with pytest.raises(Error, match="a matrix has an unexpected shape"):
        native.write(**given)


def passed(given: dict[str, Any]) -> Any:
    """The compiled pass of a loop, as autograd makes it."""
    arrays = {name: as_array(value) for name, value in given.items() if torch.is_tensor(value)}
    arrays["places"] = arrays["places"].astype("int32")
    matrices = [as_array(matrix) for matrix in given["matrices"]]
    return training.FarganPass(**arrays, noise=None, noise_at=0, matrices=matrices, kept=True)


@pytest.mark.parametrize("threads", [0, -1, 1000])
def test_any_number_of_threads(threads: int) -> None:
    given = loop(2, 2)
    written = torch.full((2, 320), torch.nan)
    passed(given).forward(written.numpy(), threads)
    assert torch.equal(written, native.write(**given))


def test_backward_goes_once_and_after_forward() -> None:
    """What was kept is used up by it."""
    given = loop(2, 2)
    leaves = [given[name] for name in ("cond", "gains", "scales")]
    gradients = [torch.empty_like(t).numpy() for t in (*leaves, *given["matrices"], given["bias"])]
    arguments = (*gradients[:3], gradients[3:-1], gradients[-1], 1)
    once, ones = passed(given), torch.ones(2, 320).numpy()
    for _ in range(2):
        with pytest.raises(Error, match="backward goes once, after forward"):
            once.backward(ones, *arguments)
        once.forward(torch.empty(2, 320).numpy(), 1)
        once.backward(ones, *arguments)
