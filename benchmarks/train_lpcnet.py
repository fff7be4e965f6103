#!/usr/bin/env python3
"""Training speed of LPCNet: pyvoc's recurrent kernels against stock PyTorch layers, in one run.

    python train_lpcnet.py [--units 384] [--rows 32] [--frames 3] [--density 1.0] [--rounds 5]

Both compute the same loss and gradients from the same batch (the tests say so); only the recurrent
layers and the tree's loss differ. Ours, stock float32, stock bfloat16 (autocast), ours, ...:
forward, backward, Adam. The figure is the median; the last columns say how much of the matrix
product's own speed (torch.mm on this machine, the same threads) GRU A's multiply-adds amount to.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from pyvoc.families.lpcnet.torch_model import Lpcnet
from pyvoc.families.lpcnet.train.mulaw import HOP
from pyvoc.families.lpcnet.train.settings import LpcnetModel
from pyvoc.families.lpcnet.train.sparsify import block_mask, elements


class Stock(Lpcnet):
    """The network without our kernels."""

    def _is_native(self, units: int) -> bool:
        return False


def batch_of(rows: int, frames: int) -> dict[str, torch.Tensor]:
    steps = frames * HOP
    return {
        "features": 0.3 * torch.randn(rows, frames + 4, 20),
        "codes": torch.randint(0, 256, (rows, 3, steps)).float(),
        "target": torch.randint(0, 256, (rows, steps)),
        "reset": torch.zeros(rows, dtype=torch.bool),
        "seed": torch.arange(rows),
    }


def step_of(model: Lpcnet, batch: dict[str, torch.Tensor], autocast: bool) -> Callable[[], None]:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    state = model.initial_state(len(batch["features"]))

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            loss, _, _ = model(batch, state)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def product_rate(units: int) -> float:
    """GMAC/s of torch.mm on a matrix of the recurrent layer's size."""
    a, b = torch.randn(3 * units, units), torch.randn(units, 2048)
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return 3 * units * units * 2048 / best / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--units", type=int, default=384, help="GRU A (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=32, help="of the batch (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=3, help="of a row (default: %(default)s)")
    parser.add_argument("--density", type=float, default=1.0, help="of GRU A (default: dense)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    options = parser.parse_args()
    torch.manual_seed(0)
    config = LpcnetModel(gru_a=options.units, jitter=0.0, state_noise=0.0, interpolate=False)
    ours, stock = Lpcnet(config), Stock(config)
    if options.density < 1:
        ours.mask.copy_(block_mask(ours.gru_a.weight_hh, (options.density,) * 3, ours.mask))
        ours.gru_a.weight_hh.data.mul_(elements(ours.mask))
        ours.pruned = True
    stock.load_state_dict(ours.state_dict())
    batch = batch_of(options.rows, options.frames)
    contenders = {
        "pyvoc float32": step_of(ours, batch, False),
        "stock float32": step_of(stock, batch, False),
        "stock bfloat16": step_of(stock, batch, True),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(options.rounds + 1):
        for name, step in contenders.items():
            start = time.perf_counter()
            step()
            if round_ > 0:  # the first one warms up
                seconds[name].append(time.perf_counter() - start)
    samples = options.rows * options.frames * HOP
    macs = 3 * 3 * options.units**2 * options.density  # forward, towards the state, weights
    peak = product_rate(options.units)
    mine = statistics.median(seconds["pyvoc float32"])
    print(
        f"GRU A {options.units}, density {options.density:g}, {options.rows} rows of "
        f"{options.frames * 10} ms, {torch.get_num_threads()} threads; torch.mm {peak:.0f} GMAC/s"
    )
    for name, found in seconds.items():
        median = statistics.median(found)
        rate = samples / median
        print(
            f"{name:15} {rate / 1e3:7.1f} k samples/s  {rate / 16000:5.1f} x real time  "
            f"ours is {median / mine:5.2f} x as fast  GRU A {macs * rate / 1e9:5.1f} GMAC/s "
            f"({macs * rate / 1e9 / peak:4.0%} of torch.mm)"
        )


if __name__ == "__main__":
    main()
