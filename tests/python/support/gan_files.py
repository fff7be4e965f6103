"""What the tests of adversarial training share: seeded weights, tiny corpora, runs."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sounds import speechlike

from pyvoc import audio
from pyvoc.train.log import read_log

RATE = 22050


def seeded(names: Iterable[tuple[str, Iterable[int]]], seed: int) -> dict[str, np.ndarray]:
    """Discriminators' weights as the golden data has them (its README): by name, from a seed."""
    shapes = {name: tuple(shape) for name, shape in names}
    found = {}
    for name, shape in shapes.items():
        generator = np.random.Generator(np.random.PCG64([seed, zlib.crc32(name.encode())]))
        x = generator.standard_normal(shape, dtype=np.float32)
        layer, _, leaf = name.rpartition(".")
        if leaf == "bias":
            x = np.float32(0.05) * x
        elif leaf == "weight_g":
            x = np.float32(1.4) * (1 + np.float32(0.1) * x)
        elif f"{layer}.weight_orig" in shapes and leaf in ("weight_u", "weight_v"):
            x = x / np.linalg.norm(x)
        found[name] = x
    return found


def write_corpus(folder: Path, *, clips: int = 4, seconds: float = 0.9, rate: int = RATE) -> Path:
    """Speech-like clips clip0.wav, clip1.wav, ... of slightly different lengths."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(clips):
        pcm = speechlike(seconds + 0.1 * k, rate=rate, seed=k, f0=100.0 + 25 * k)
        audio.write_wav(folder / f"clip{k}.wav", pcm.astype(np.float32), rate)
    return folder


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [e for e in read_log(folder / "log.jsonl") if e["event"] == kind]


def figures(folder: Path, name: str = "loss") -> list[float]:
    return [e[name] for e in events(folder, "step")]


def torchrun(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """``pyvoc train`` in two processes."""
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "pyvoc"]
    return subprocess.run(
        [sys.executable, *launch, "train", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=500,
    )


def assert_same_state(one: Mapping[str, Any], two: Mapping[str, Any]) -> None:
    """Nested dicts, lists and tensors: equal bit for bit."""
    import torch

    assert type(one) is type(two)
    if isinstance(one, dict):
        assert one.keys() == two.keys()
        for key in one:
            assert_same_state(one[key], two[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(two)
        for a, b in zip(one, two, strict=True):
            assert_same_state(a, b)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, two)
    else:
        assert one == two
