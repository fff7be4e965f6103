"""Linear layers with pruned blocks: values and gradients against PyTorch in float64."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from torch.nn import functional

from pyvoc.train import blocks
from pyvoc.train.pruning import whole_blocks

BOUND = 2e-6  # of the largest value of each array


def problem(density: float, *, beside: bool):
    torch.manual_seed(2)
    widths = (48, 5, 3) if beside else (48,)
    parts = [torch.randn(3, 70, width, requires_grad=True) for width in widths]
    mask = (torch.rand(4, 12) < density).to(torch.uint8)
    weight = torch.randn(32, sum(widths))
    weight[:, :48] *= whole_blocks(mask, (8, 4))
    return parts, weight.requires_grad_(), torch.randn(32, requires_grad=True), mask


def results(parts, weight, bias, compute):
    out = compute(parts, weight, bias)
    generator = torch.Generator().manual_seed(3)
    weighting = torch.randn(out.shape, generator=generator).to(out.dtype)
    leaves = [*parts, weight, bias]
    return [out.detach(), *torch.autograd.grad((out * weighting).sum(), leaves)]


def in_double(parts, weight, bias, mask):
    leaves = [t.detach().double().requires_grad_() for t in (*parts, weight, bias)]
    found = results(
        leaves[:-2], *leaves[-2:], lambda x, w, b: functional.linear(torch.cat(x, -1), w, b)
    )
    found[-2][:, :48] *= whole_blocks(mask, (8, 4))
    return found


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside others"])
def test_blocks_are_multiplied_and_their_gradients_given(beside: bool) -> None:
    parts, weight, bias, mask = problem(0.4, beside=beside)
    found = results(parts, weight, bias, lambda x, w, b: blocks.linear(x, w, b, mask))
    for mine, theirs in zip(found, in_double(parts, weight, bias, mask), strict=True):
        assert (mine - theirs).abs().max() <= BOUND * max(float(theirs.abs().max()), 1.0)
    assert not (found[-2][:, :48] * ~whole_blocks(mask, (8, 4))).any()


def test_of_many_blocks_the_product_is_pytorchs() -> None:
    parts, weight, bias, mask = problem(0.9, beside=True)
    expected = functional.linear(torch.cat(parts, -1), weight, bias)
    for given in (mask, None):
        assert torch.equal(blocks.linear(parts, weight, bias, given), expected)


def test_threads_do_not_matter() -> None:
    parts, weight, bias, mask = problem(0.4, beside=False)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(results(parts, weight, bias, lambda x, w, b: blocks.linear(x, w, b, mask)))
    finally:
        torch.set_num_threads(before)
    for one, three in zip(*found, strict=True):
        assert torch.equal(one, three)
