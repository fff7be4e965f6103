#!/usr/bin/env python3
"""Training speed of WaveRNN: its GRUs on pyvoc's kernels against PyTorch's own, in one run.

    python train_wavernn.py [--rows 16] [--frames 2] [--threads 1] [--sparsity 0.9] [--rounds 4]

A full-size network of 9-bit labels; a step is forward, backward, Adam (and, pruned, the masks).
PyTorch's GRU and Adam; ours, in float32 and in mixed bfloat16; both with pruned blocks; PyTorch's,
...: seconds of the processor, which other programs disturb less than those of the clock. The
figures are medians, the ratios paired.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from pyvoc.families.wavernn import torch_model
from pyvoc.families.wavernn.train.settings import WavernnModel
from pyvoc.families.wavernn.train.task import WavernnTask
from pyvoc.train.recurrent import STEP


def step_of(
    rows: int, frames: int, sparsity: float, clock: Callable[[], float]
) -> Callable[[bool, bool], float]:
    """A step on our kernels or not, in bfloat16 or not: seconds of the processor that it takes."""
    pruned = {"sparsity": sparsity, "sparsify_from": 0, "sparsify_to": 0} if sparsity else {}
    model = WavernnModel(mode="raw", bits=9, **pruned)
    task = WavernnTask(model)
    task.module.train()
    task.after_update(0)
    (optimizer,) = task.optimizers(1e-4).values()
    stock = torch.optim.Adam(task.module.parameters(), lr=1e-4)
    samples = frames * task.network.shape.hop
    batch = {
        "x": torch.rand(rows, samples) - 0.5,
        "label": torch.randint(0, 512, (rows, samples)),
        "mel": torch.rand(rows, 80, frames + 2 * model.pad),
    }

    def step(ours: bool, low: bool = False) -> float:
        torch_model.STEP = STEP if ours else 1 << 30  # no layer is a multiple of that
        start = clock()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
            (loss,) = task.losses(batch, {})
        optimizer.zero_grad()
        loss.value.backward()
        (optimizer if ours else stock).step()
        task.after_update(1)
        return clock() - start

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=16, help="of the batch (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=2, help="of a row (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--sparsity", type=float, default=0.9, help="default: %(default)s")
    parser.add_argument("--clock", action="store_true", help="seconds of the clock instead")
    parser.add_argument("--rounds", type=int, default=4, help="default: %(default)s")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    clock = time.perf_counter if options.clock else time.process_time
    dense = step_of(options.rows, options.frames, 0.0, clock)
    sparse = step_of(options.rows, options.frames, options.sparsity, clock)
    steps: dict[str, Callable[[], float]] = {
        "PyTorch": lambda: dense(False),
        "pyvoc": lambda: dense(True),
        "pyvoc bfloat16": lambda: dense(True, True),
        "pyvoc, pruned": lambda: sparse(True),
        "pyvoc bfloat16, pruned": lambda: sparse(True, True),
    }
    found = [[step() for step in steps.values()] for _ in range(options.rounds + 1)]
    samples = options.rows * options.frames * 275
    columns = list(zip(*found[1:], strict=True))  # the first round warms up
    stock = columns[0]
    for name, seconds in zip(steps, columns, strict=True):
        middle = statistics.median(seconds)
        ratio = statistics.median(a / b for a, b in zip(stock, seconds, strict=True))
        print(f"{name:22} {middle:6.2f} s  {samples / middle:8.0f} samples/s  {ratio:5.2f} x")


if __name__ == "__main__":
    main()
