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


def seed_of(names: Iterable[tuple[str, Iterable[int]]], sums: np.ndarray) -> int:
    """The seed that weights of these sums were drawn from: other sets of data have others."""
    shapes = [(name, tuple(shape)) for name, shape in names]
    (first, second), (a, b) = shapes[:2], sums[:2]
    for seed in range(10_000):
        if abs(seeded([first], seed)[first[0]].sum(dtype=np.float64) - a) < 1e-5 and (
            abs(seeded([second], seed)[second[0]].sum(dtype=np.float64) - b) < 1e-4
        ):
            return seed
    raise AssertionError("no seed gives these weights")


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


def torchrun(arguments: list[str], *, command: str = "train") -> subprocess.CompletedProcess[str]:
    """``pyvoc train`` (or another command) in two processes."""
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "pyvoc"]
    return subprocess.run(
        [sys.executable, *launch, command, *arguments],
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


class Runs:
    """Runs of one tiny configuration.

    Parameters
    ----------
    family
        What is trained.
    settings
        YAML.
    speech
        Folder of recordings, ``clip0`` of which is held out.
    folder
        Where configuration and runs go.
    losses
        Names of losses in the log.
    parts
        What tensors' names begin with, of each of which most must move.
    """

    def __init__(
        self,
        family: str,
        settings: str,
        speech: Path,
        folder: Path,
        *,
        losses: tuple[str, ...] = ("loss", "loss_discriminator"),
        parts: tuple[str, ...] = ("generator", "discriminator"),
    ) -> None:
        self.losses, self.parts = losses, parts
        self.family, self.folder = family, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "tiny.yaml"
        self.config.write_text(settings)
        self.speech = speech

    def arguments(self, name: str, *more: str) -> list[str]:
        data = ["--data", str(self.speech), "--set", "data.validation_names=[clip0]"]
        where = ["--config", str(self.config), "--model-dir", str(self.folder / name)]
        return [self.family, *data, *where, *more]

    def run(self, name: str, *more: str) -> Path:
        from pyvoc.cli import main

        assert main(["train", *self.arguments(name, *more)]) == 0
        return self.folder / name

    def state(self, name: str, step: int) -> dict[str, Any]:
        import torch

        path = self.folder / name / f"checkpoint-{step:09d}.pt"
        found: dict[str, Any] = torch.load(path, weights_only=True)
        return found

    def check_resume(self, *more: str) -> Path:
        """Interrupted after 3 of 7 steps and resumed: as if it had not been, bit for bit."""
        whole = self.run("whole", "--checkpoint-every=3", "--steps-per-epoch=7", *more)
        parts = self.run("parts", "--checkpoint-every=3", "--steps-per-epoch=3", *more)
        begun = self.state("parts", 3)
        self.run("parts", "--checkpoint-every=3", "--steps-per-epoch=7", "--resume", *more)
        for name in self.losses:
            assert figures(whole, name) == figures(parts, name)
            assert len(set(figures(whole, name))) == 7
        one, two = self.state("whole", 7), self.state("parts", 7)
        for part in ("module", "optimizers", "task", "state"):
            assert_same_state(one[part], two[part])
        for network in self.parts:
            moved = [
                name
                for name, tensor in one["module"].items()
                if name.startswith(network) and not tensor.equal(begun["module"][name])
            ]
            assert len(moved) > 0.9 * sum(n.startswith(network) for n in one["module"])
        return whole

    def check_two_processes(self) -> None:
        """Two processes do what one does: 20 steps, losses within 1e-5 (of their size)."""
        more = ["--steps-per-epoch=20", "--checkpoint-every=20", "--set", "samples=false"]
        one = self.run("one", *more)
        done = torchrun(self.arguments("two", *more))
        assert done.returncode == 0, done.stderr[-2000:]
        two = self.folder / "two"
        for name in (*self.losses, "grad_norm"):
            a, b = figures(one, name), figures(two, name)
            assert len(a) == len(b) == 20
            tolerance = 1e-5 if name != "grad_norm" else 1e-3
            np.testing.assert_allclose(b, a, rtol=tolerance, atol=1e-5)
