#!/usr/bin/env python3
"""Training speed of FARGAN: its loop on pyvoc's kernel against PyTorch, in one run.

    python train_fargan.py [--rows 16 64 128] [--frames 15] [--threads 2] [--rounds 5] [--loop]

The network at full size, in float32. A step is forward, loss, backward, AdamW (first stage of
training); with --loop only the loop over subframes, forward and back. PyTorch's is the same loop
written plainly and left to autograd. They take turns: PyTorch's, ours, PyTorch's, ...; figures are
medians, ratios are paired, of seconds of the clock and of the processor. The memory is that of a
process of its own for each, at its most, less what it has before the first step.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from pyvoc.families.fargan.spec import SUBFRAME, SUBFRAMES
from pyvoc.families.fargan.torch_model import HOP, PRIMING, Fargan, Noise, places_of
from pyvoc.families.fargan.train.settings import FarganModel
from pyvoc.families.fargan.train.task import FarganTask


class Plain(Fargan):
    """The loop of `Fargan.write` as one would write it."""

    def write(
        self,
        cond: Tensor,
        periods: Tensor,
        history: Tensor,
        forced: Tensor,
        noise: Noise | None = None,
    ) -> Tensor:
        """As it says there."""

        def noisy(x: Tensor) -> Tensor:
            return x if noise is None else (x + noise.draw(x.shape[1])).clamp(-1.0, 1.0)

        def gated(x: Tensor, weight: Tensor) -> Tensor:
            return x * torch.sigmoid(noisy(x) @ weight.T)

        cond = cond.flatten(1, 2)
        gains = torch.exp(self.gain(cond))
        places = places_of(periods)
        cells = (self.gru1, self.gru2, self.gru3)
        grus = [(gru.weight_ih, gru.weight_hh, gru.gate.weight) for gru in cells]
        fwc, fwc_gate = self.fwc.weight, self.fwc.gate.weight
        skip, skip_gate, out = self.skip.weight, self.skip.gate.weight, self.out.weight
        states = [cond.new_zeros(len(cond), weight.shape[1]) for _, weight, _ in grus]
        before = cond.new_zeros(len(cond), fwc.shape[1] // 2)
        written = []
        for t in range(cond.shape[1]):
            past = torch.cat((history.gather(1, places[:, t // SUBFRAMES]), history[:, -40:]), 1)
            past = (past / (1e-5 + gains[:, t])).clamp(-1.0, 1.0)
            x = torch.cat((cond[:, t], past), 1)
            f = gated(torch.tanh(noisy(torch.cat((before, x), 1)) @ fwc.T), fwc_gate)
            before = x
            pitch = torch.sigmoid(self.pitch_gates(f)).chunk(4, 1)
            last, outputs = f, []
            for k, (inputs, recurrent, gate) in enumerate(grus):
                heard = torch.cat((last, pitch[k] * past[:, 2:42], past[:, 44:]), 1)
                a = (noisy(heard) @ inputs.T).chunk(3, 1)
                b = (noisy(states[k]) @ recurrent.T).chunk(3, 1)
                r, z = torch.sigmoid(a[0] + b[0]), torch.sigmoid(a[1] + b[1])
                n = torch.tanh(a[2] + r * b[2])
                states[k] = n + z * (states[k] - n)
                last = gated(states[k], gate)
                outputs.append(last)
            together = torch.cat((*outputs, f, pitch[3] * past[:, 2:42], past[:, 44:]), 1)
            y = torch.tanh(gated(torch.tanh(noisy(together) @ skip.T), skip_gate) @ out.T)
            y = y * gains[:, t]
            if (t + 1) * SUBFRAME <= forced.shape[1]:
                y = forced[:, t * SUBFRAME : (t + 1) * SUBFRAME]
            history = torch.cat((history[:, SUBFRAME:], y), 1)
            written.append(y)
        return torch.cat(written, 1)


def batch_of(rows: int, frames: int) -> dict[str, Tensor]:
    return {
        "features": torch.randn(rows, frames + 2, 20),
        "audio": 0.1 * torch.randn(rows, HOP * frames),
        "seed": torch.arange(rows),
        "long": torch.zeros(rows, dtype=torch.bool),
        "step": torch.zeros(rows, dtype=torch.int64),
    }


def training_step(plain: bool, rows: int, frames: int) -> Callable[[], None]:
    """A whole step."""
    torch.manual_seed(0)
    task = FarganTask(FarganModel())
    if plain:
        task.network.__class__ = Plain
    task.module.train()
    (optimizer,) = task.optimizers(1e-4).values()
    batch = batch_of(rows, frames)

    def step() -> None:
        (loss,) = task.losses(batch, {})
        optimizer.zero_grad()
        loss.value.backward()
        optimizer.step()

    return step


def loop_step(plain: bool, rows: int, frames: int) -> Callable[[], None]:
    """The loop alone."""
    torch.manual_seed(0)
    network = (Plain if plain else Fargan)(FarganModel(), normed=True)
    frames -= PRIMING - 1
    cond = torch.tanh(torch.randn(rows, frames, SUBFRAMES, network.config.cond)).requires_grad_()
    periods = torch.randint(32, 257, (rows, frames))
    history, forced = 0.1 * torch.randn(rows, 256), 0.1 * torch.randn(rows, HOP)
    noise = Noise(torch.arange(rows), 1 / 127, torch.float32)

    def step() -> None:
        network.zero_grad()
        cond.grad, noise._at = None, 0
        network.write(cond, periods, history, forced, noise).square().sum().backward()

    return step


def timed(step: Callable[[], None]) -> tuple[float, float]:
    """Seconds of the clock and of the processor."""
    begin = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - begin[0], time.process_time() - begin[1]


def most_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def memory_of(rows: int, name: str) -> int:
    """MB that steps take, in a process of their own."""
    command = [sys.executable, *sys.argv, "--memory-of", name, "--rows", str(rows)]
    return int(subprocess.check_output(command, text=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[16, 64, 128], help="of the batch (16 64 128)"
    )
    parser.add_argument("--frames", type=int, default=15, help="of a row (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--loop", action="store_true", help="the loop alone")
    parser.add_argument("--memory-of", choices=("pytorch", "pyvoc"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    make = loop_step if options.loop else training_step
    if options.memory_of:
        step = make(options.memory_of == "pytorch", options.rows[0], options.frames)
        before = most_memory()
        for _ in range(3):
            step()
        print(most_memory() - before)
        return
    names = ("pytorch", "pyvoc")
    # Before this process grows: a child's most memory is at least what its parent has.
    memory = {(n, name): memory_of(n, name) for n in options.rows for name in names}
    for n in options.rows:
        steps = [make(plain, n, options.frames) for plain in (True, False)]
        found = [[timed(step) for step in steps] for _ in range(options.rounds + 1)][1:]
        print(f"{n} rows of {options.frames} frames, {options.threads} threads")
        for k, name in enumerate(names):
            clock, processor = (statistics.median(turn[k][i] for turn in found) for i in (0, 1))
            ratios = [statistics.median(turn[0][i] / turn[k][i] for turn in found) for i in (0, 1)]
            print(
                f"  {name:8} {1e3 * clock:7.0f} ms ({1e3 * processor:.0f} of the processor)  "
                f"{n * HOP * options.frames / clock:8.0f} samples/s  "
                f"{ratios[0]:5.2f} x ({ratios[1]:.2f})  {memory[n, name]:5} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
