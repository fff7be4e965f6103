"""The training kernels behind autograd: against float64 PyTorch, sequences and gradients."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from pyvoc.errors import Error
from pyvoc.families.lpcnet.torch_model import tree_nll
from pyvoc.families.lpcnet.train.native import tree_loss
from pyvoc.families.lpcnet.train.sparsify import elements
from pyvoc.train.recurrent import gru_sequence

BOUND = 2e-6  # of the largest value of each array
LEVELS = 256


def reference_gru(gates, weight, bias, state, steps, codes, tables):
    """The recurrence written out, float64."""
    x = gates.repeat_interleave(steps // gates.shape[1], 1)
    for k, table in enumerate(tables):
        low = codes[:, k].floor().long()
        part = (codes[:, k] - low).double().unsqueeze(-1)
        high = (low + 1).clamp(max=LEVELS - 1)
        x = x + table[low] * (1 - part) + table[high] * part
    out = []
    for t in range(steps):
        xr, xz, xn = x[:, t].chunk(3, 1)
        mr, mz, mn = (state @ weight.T + bias).chunk(3, 1)
        z = torch.sigmoid(xz + mz)
        n = torch.tanh(xn + torch.sigmoid(xr + mr) * mn)
        state = n + z * (state - n)
        out.append(state)
    return torch.stack(out, 1)


@pytest.mark.parametrize(
    ("rows", "steps", "units", "hop", "masked", "with_tables"),
    [
        (16, 20, 16, 1, False, False),
        (5, 40, 32, 20, False, True),
        (33, 40, 64, 40, True, True),
        (16, 35, 96, 5, True, False),
        (1, 1, 16, 1, False, True),
    ],
)
def test_gru_sequence_and_its_gradients(rows, steps, units, hop, masked, with_tables) -> None:
    torch.manual_seed(rows)
    gates = torch.randn(rows, steps // hop, 3 * units)
    weight = torch.randn(3 * units, units) / units**0.5
    bias, state = torch.randn(3 * units), torch.randn(rows, units)
    tables = [torch.randn(LEVELS, 3 * units) for _ in range(3 if with_tables else 0)]
    codes = torch.rand(rows, 3, steps) * 255
    codes[0] = codes[0].round()
    codes[-1, :, 0] = 255.0
    used = torch.ones_like(weight)
    mask = None
    if masked:
        mask = (torch.rand(3 * units // 8, units // 4) < 0.3).to(torch.uint8)
        used = elements(mask).float()
        weight = weight * used
    weighting = torch.randn(rows, steps, units)

    def run(dtype, compute):
        leaves = [
            t.detach().to(dtype, copy=True).requires_grad_() for t in (gates, weight, bias, *tables)
        ]
        out = compute(leaves[0], leaves[1], leaves[2], leaves[3:])
        (out * weighting).sum().backward()
        return [out.detach(), *(leaf.grad for leaf in leaves)]

    found = run(
        torch.float32,
        lambda g, w, b, t: gru_sequence(
            g, w, b, state, steps=steps, mask=mask, codes=codes if t else None, tables=t
        ),
    )
    expected = run(
        torch.float64,
        lambda g, w, b, t: reference_gru(g, w, b, state.double(), steps, codes, t),
    )
    expected[2] = expected[2] * used
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine - theirs).abs().max() <= BOUND * max(float(theirs.abs().max()), 1.0)


def test_gru_sequence_does_not_depend_on_threads() -> None:
    torch.manual_seed(1)
    gates, weight = torch.randn(40, 2, 96), torch.randn(96, 32) / 6
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            leaf = weight.clone().requires_grad_()
            out = gru_sequence(gates, leaf, torch.zeros(96), torch.zeros(40, 32), steps=20)
            out.square().sum().backward()
            results.append((out.detach(), leaf.grad))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("units", [16, 32])
def test_tree_loss_and_its_gradients(units: int) -> None:
    torch.manual_seed(units)
    leaves = [torch.randn(500, units), torch.randn(2, 256, units), torch.randn(2, 256)]
    leaves.append(torch.randn(2, 256))
    symbols = torch.randint(0, 256, (500,))
    weights = torch.rand(500)

    single = [t.clone().requires_grad_() for t in leaves]
    mine = tree_loss(*single, symbols.to(torch.uint8), weights)
    mine.backward()
    double = [t.detach().double().requires_grad_() for t in leaves]
    x, weight, bias, factor = double
    logits = (torch.tanh(torch.einsum("nm,ckm->nck", x, weight) + bias) * factor).sum(1)
    theirs = (tree_nll(logits, symbols) * weights).sum()
    theirs.backward()
    assert mine.item() == pytest.approx(theirs.item(), rel=1e-6)
    for a, b in zip(single, double, strict=True):
        # tanh is good to 1.1e-6, its slope to twice that, and a gradient is a sum of such terms.
        assert (a.grad - b.grad).abs().max() <= 2e-5 * b.grad.abs().max()


def test_tree_loss_without_gradients_is_the_same() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(64, 16), torch.randn(2, 256, 16)
    bias, factor = torch.randn(2, 256), torch.randn(2, 256)
    symbols, weights = torch.randint(0, 256, (64,)).to(torch.uint8), torch.rand(64)
    with torch.no_grad():
        alone = tree_loss(x, weight, bias, factor, symbols, weights)
    assert alone == tree_loss(x.requires_grad_(), weight, bias, factor, symbols, weights)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("gates", (2, 3, 48)), ("weight", (48, 17)), ("bias", (47,)), ("state", (1, 16))],
)
def test_wrong_shapes_are_refused(name: str, shape: tuple[int, ...]) -> None:
    arguments = {
        "gates": torch.zeros(2, 2, 48),
        "weight": torch.zeros(48, 16),
        "bias": torch.zeros(48),
        "state": torch.zeros(2, 16),
    }
    arguments[name] = torch.zeros(shape)
    with pytest.raises(Error, match=f"{name} has an unexpected shape"):
        gru_sequence(**arguments, steps=10)
