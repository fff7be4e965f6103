#!/usr/bin/env python3
"""Training speed of a family from mel to sound: pyvoc against the same step in eager PyTorch.

    python train_mel.py hifigan|melgan|waveglow [--rows 4] [--threads 2] [--rounds 3] [--cpu]

The plain loop (``plain/``) has upstream's networks in float32, in the order of upstream's trainer,
with what that computes and throws away. Both begin with the same weights, and their first step must
have the same losses. Then plain, pyvoc, pyvoc in mixed bfloat16, plain, ...: medians, and ratios
pair by pair. Sizes: HiFi-GAN V2 with the published discriminators, the published MelGAN, a WaveGlow
of 6 flows of 64 channels. Memory is the peak of a child process that takes three steps (Linux). A
run of `pyvoc train` on made sound tells how long steps wait for data.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pyvoc.train import TrainConfig, train

SIZES: dict[str, dict[str, Any]] = {
    "hifigan": {"version": "v2"},
    "melgan": {},
    "waveglow": {"n_flows": 6, "n_channels": 64},
}
CLASSES = {"hifigan": "Hifigan", "melgan": "Melgan", "waveglow": "Waveglow"}
SEGMENT = {"hifigan": 8192, "melgan": 63 * 256, "waveglow": 63 * 256}
HOP, RATE = 256, 22050
PLAIN, OURS, LOW = "PyTorch float32", "pyvoc float32", "pyvoc bfloat16"


def made_batch(family: str, rows: int) -> dict[str, torch.Tensor]:
    segment = SEGMENT[family]
    batch = {
        "mel": torch.randn(rows, 80, segment // HOP) - 5.0,
        "audio": 0.2 * torch.randn(rows, segment),
    }
    return {**batch, **{f"other_{name}": value.flip(0) for name, value in batch.items()}}


def contenders(
    family: str, rows: int, wanted: tuple[str, ...] = (PLAIN, OURS, LOW)
) -> dict[str, Callable[[], dict[str, float]]]:
    """A step of each, which tells its losses."""
    name = CLASSES[family]
    settings = import_module(f"pyvoc.families.{family}.train.settings")
    config = getattr(settings, f"{name}Model")(**SIZES[family])
    task = getattr(import_module(f"pyvoc.families.{family}.train.task"), f"{name}Task")(config)
    batch = made_batch(family, rows)
    found: dict[str, Callable[[], dict[str, float]]] = {}
    if PLAIN in wanted:
        plain = import_module(f"plain.{family}").Plain(config)
        plain.take(task)
        prepared = plain.prepare(batch)
        found[PLAIN] = lambda: plain.step(prepared)
    task.module.train()
    optimizers = task.optimizers(1e-4) if {OURS, LOW} & {*wanted} else {}

    def step(low: bool) -> dict[str, float]:
        """As the training loop makes one."""
        losses, values = task.losses(batch, {}), {}
        while True:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
                loss = next(losses, None)
            if loss is None:
                return values
            optimizer = optimizers[loss.optimizer]
            optimizer.zero_grad(set_to_none=True)
            loss.value.backward()
            values[loss.optimizer] = float(loss.value.detach())
            gradients = [p.grad for g in optimizer.param_groups for p in g["params"]]
            torch.nn.utils.get_total_norm([g for g in gradients if g is not None])
            optimizer.step()

    if OURS in wanted:
        found[OURS] = lambda: step(False)
    if LOW in wanted:
        found[LOW] = lambda: step(True)
    return found


def peak_of(family: str, rows: int, threads: int, name: str) -> float:
    """Peak resident memory of three steps in a process of their own, 10^6 bytes."""
    command = [sys.executable, __file__, family, f"--rows={rows}", f"--threads={threads}"]
    told = subprocess.run([*command, "--only", name], check=True, capture_output=True, text=True)
    return float(told.stdout)


def waiting(family: str, rows: int, threads: int, steps: int = 8) -> float:
    """Part of the steps' time in which a training run waits for data."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        sounds = Path(folder, "wavs")
        sounds.mkdir()
        for k in range(4 * rows):
            with wave.open(str(sounds / f"{k}.wav"), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                sound = random.normal(0, 3000, 4 * RATE).clip(-32767, 32767)
                file.writeframes(sound.astype("<i2").tobytes())
        config = TrainConfig.of(
            family,
            data={"path": str(sounds), "segment": SEGMENT[family]},
            model=SIZES[family],
            batch_size=rows,
            epochs=1,
            steps_per_epoch=steps,
            threads=threads,
            device="cpu",
            samples=False,
            model_dir=str(Path(folder, "run")),
        )
        found = train(config).performance
        return found.data_wait_s / found.step_s


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("family", choices=sorted(SIZES))
    parser.add_argument("--rows", type=int, default=4, help="of the batch (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument(
        "--cpu", action="store_true", help="seconds of the processor, not the clock"
    )
    parser.add_argument("--no-memory", action="store_true", help="leave memory and data out")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    family, rows = options.family, options.rows
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    if options.only:
        (step,) = contenders(family, rows, (options.only,)).values()
        for _ in range(3):
            step()
        # Not getrusage: after fork and exec that still knows the parent's peak.
        status = Path("/proc/self/status").read_text()
        print(int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6)
        return
    steps = contenders(family, rows)
    clock = time.process_time if options.cpu else time.perf_counter
    first = {name: step() for name, step in steps.items()}  # warms up, too
    for name, value in first[PLAIN].items():
        ours = first[OURS].get(name, next(iter(first[OURS].values())))
        if abs(ours - value) > 1e-4 * abs(value):
            raise SystemExit(f"the first step's losses differ: {json.dumps(first)}")
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.rounds):
        for name, step in steps.items():
            start = clock()
            step()
            seconds[name].append(clock() - start)
    samples = rows * SEGMENT[family]
    print(f"{family}, {rows} rows of {SEGMENT[family]} samples, {options.threads} threads")
    for name, found in seconds.items():
        middle = statistics.median(found)
        pairs = [a / b for a, b in zip(seconds[PLAIN], found, strict=True)]
        line = f"{name:15}  {middle:7.3f} s  {samples / middle / 1e3:7.1f} k samples/s"
        line += f"  {statistics.median(pairs):5.2f} x ({min(pairs):.2f}..{max(pairs):.2f})"
        if not options.no_memory:
            line += f"  peak {peak_of(family, rows, options.threads, name):6.0f} MB"
        print(line, flush=True)
    if not options.no_memory:
        print(f"waiting for data: {waiting(family, rows, options.threads):.2%} of the steps' time")


if __name__ == "__main__":
    main()
