#!/usr/bin/env python3
"""Training speed of WaveRNN: its GRUs on pyvoc's kernels against PyTorch's own, in one run.

    python train_wavernn.py [--rows 16] [--frames 2] [--threads 1] [--sparsity 0.9] [--rounds 4]

A full-size network of 9-bit labels; a step is forward, backward, Adam (and, pruned, the masks).
PyTorch's GRU, ours, ours with pruned blocks, PyTorch's, ...: seconds of the processor, which other
programs disturb less than those of the clock. The figures are medians, the ratios paired.
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


def step_of(rows: int, frames: int, sparsity: float) -> Callable[[bool], float]:
    """A step on our kernels or not, and the seconds of the processor that it took."""
    pruned = {"sparsity": sparsity, "sparsify_from": 0, "sparsify_to": 0} if sparsity else {}
    model = WavernnModel(mode="raw", bits=9, **pruned)
    task = WavernnTask(model)
    task.module.train()
    task.after_update(0)
    (optimizer,) = task.optimizers(1e-4).values()
    samples = frames * task.network.shape.hop
    batch = {
        "x": torch.rand(rows, samples) - 0.5,
        "label": torch.randint(0, 512, (rows, samples)),
        "mel": torch.rand(rows, 80, frames + 2 * model.pad),
    }

    def step(ours: bool) -> float:
        torch_model.STEP = STEP if ours else 1 << 30  # no layer is a multiple of that
        start = time.process_time()
        (loss,) = task.losses(batch, {})
        optimizer.zero_grad()
        loss.value.backward()
        optimizer.step()
        task.after_update(1)
        return time.process_time() - start

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rows", type=int, default=16, help="of the batch (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=2, help="of a row (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--sparsity", type=float, default=0.9, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=4, help="default: %(default)s")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    dense = step_of(options.rows, options.frames, 0.0)
    sparse = step_of(options.rows, options.frames, options.sparsity)
    found = []
    for _ in range(options.rounds + 1):
        found.append((dense(False), dense(True), sparse(True)))
    stock, ours, pruned = zip(*found[1:], strict=True)  # the first round warms up
    samples = options.rows * options.frames * 275
    for name, seconds in (("PyTorch", stock), ("pyvoc", ours), ("pyvoc, pruned", pruned)):
        middle = statistics.median(seconds)
        ratio = statistics.median(a / b for a, b in zip(stock, seconds, strict=True))
        print(f"{name:14} {middle:6.2f} s  {samples / middle:8.0f} samples/s  {ratio:5.2f} x")


if __name__ == "__main__":
    main()
