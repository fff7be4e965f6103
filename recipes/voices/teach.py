#!/usr/bin/env python3
"""A small HiFi-GAN or MelGAN, taught by a large HiFi-GAN stage by stage: where training begins.

    python teach.py hifigan-universal data/22050/train/kathleen --hidden 16 32 32 32 -o start.gguf

The pupil's stages are as wide as the teacher's, so that each can be given what the teacher's was
given and learn to say what that said: no stage waits for another, and what is copied is not only
how the sound seems but the sound itself. What is smaller is the inside: channels before the first
stage (``--first``), channels between the two convolutions of a HiFi-GAN's block (``--hidden``), or
a MelGAN's blocks in the place of a HiFi-GAN's.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import pyvoc
from pyvoc import voices
from pyvoc.container import write_container
from pyvoc.convert.model_file import read_weights
from pyvoc.families.hifigan.spec import HIFIGAN
from pyvoc.families.hifigan.torch_model import Hifigan
from pyvoc.families.melgan.shape import MelganShape
from pyvoc.families.melgan.spec import MELGAN, MelganSettings
from pyvoc.families.melgan.torch_model import Melgan
from pyvoc.files import audio
from pyvoc.quant import encode

PIECES = ((16, 80), (12, 24), (12, 16))
"""Of a step, for each stage (and those after the last one here): how many, and of how many frames.
"""
EDGES = (10, 3, 2)
"""Frames at either end of a piece that lack what lies beyond."""
QUIET = 0.1
"""A piece's error counts relative to its energy, and to this part of the mean piece's."""
SECONDS_OF_ONE = 5.0

Network = Hifigan | Melgan


def first_stage(network: Network) -> nn.Sequential:
    """From the mel to what the first stage says."""
    return nn.Sequential(network.conv_in, network.stage[0])


def begin(teacher: Hifigan, pupil: Network) -> None:
    """What the teacher has and the pupil has room for."""
    ups = teacher.stage[0].up
    kept = _most(_power(teacher.conv_in.weight, 0) * _power(ups.weight, 0), pupil.conv_in)
    pupil.conv_in.weight.copy_(teacher.conv_in.weight[kept])
    pupil.conv_in.bias.copy_(teacher.conv_in.bias[kept])
    for k, (theirs, own) in enumerate(zip(teacher.stage, pupil.stage, strict=True)):
        own.up.weight.copy_(theirs.up.weight[kept] if k == 0 else theirs.up.weight)
        own.up.bias.copy_(theirs.up.bias)
        if isinstance(pupil, Melgan):
            for block in own.block:
                nn.init.dirac_(block.shortcut.weight)
                block.out.weight.mul_(0.1)
            continue
        for chain, copy in zip(theirs.chain, own.chain, strict=True):
            for block, few in zip(chain.block, copy.block, strict=True):
                first, second = block.first, block.second
                some = _most(_power(first.weight, 0) * _power(second.weight, 1), few.first)
                few.first.weight.copy_(first.weight[some])
                few.first.bias.copy_(first.bias[some])
                few.second.weight.copy_(second.weight[:, some])
                few.second.bias.copy_(second.bias)
    pupil.conv_out.weight.copy_(teacher.conv_out.weight)
    pupil.conv_out.bias.copy_(teacher.conv_out.bias)


def _power(weight: Tensor, along: int) -> Tensor:
    return weight.square().sum([axis for axis in range(3) if axis != along])


def _most(power: Tensor, layer: nn.Conv1d) -> Tensor:
    """The channels of most power, as many as a layer has outputs."""
    return power.topk(layer.out_channels).indices.sort().values


@dataclasses.dataclass
class Lessons:
    """What the teacher heard and said, half precision, one recording after the other.

    Parameters
    ----------
    frames
        Of each recording.
    said
        ``[channels, rows]``: the mel, then what each stage said.
    rows
        Of each of these, how many are a frame.
    """

    frames: list[int]
    said: list[Tensor]
    rows: list[int]

    def draw(self, k: int, drawn: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A batch of what stage k heard, and said."""
        count, length = PIECES[min(k, len(PIECES) - 1)]
        begins = np.concatenate([[0], np.cumsum(self.frames)])
        long = [i for i, frames in enumerate(self.frames) if frames > length]
        starts = [
            begins[i] + int(drawn.integers(self.frames[i] - length))
            for i in drawn.choice(long, count)
        ]
        heard, said = (
            torch.stack(
                [signal[:, start * rows : (start + length) * rows] for start in starts]
            ).float()
            for signal, rows in zip(self.said[k : k + 2], self.rows[k : k + 2], strict=True)
        )
        return heard, said


def lessons(teacher: Hifigan, mels: Sequence[Tensor]) -> Lessons:
    """Let the teacher speak."""
    said: list[list[Tensor]] = [[] for _ in range(len(teacher.stage) + 1)]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for mel in mels:
            said[0].append(mel.half())
            x = teacher.conv_in(mel[None])
            for k, stage in enumerate(teacher.stage):
                x = stage(x)
                said[k + 1].append(x[0].half())
    rows = np.cumprod([1, *teacher.shape.ratios]).tolist()
    return Lessons([mel.shape[1] for mel in mels], [torch.cat(parts, 1) for parts in said], rows)


def teach(
    teacher: Hifigan, pupil: Network, k: int, lessons: Lessons, steps: int, lr: float
) -> None:
    """Let a stage say what the teacher's said; a channel counts as the next layer weighs it."""
    stage: nn.Module = first_stage(pupil) if k == 0 else pupil.stage[k]
    after = teacher.stage[k + 1].up if k + 1 < len(teacher.stage) else teacher.conv_out
    weight = _power(after.weight, int(k + 1 == len(teacher.stage))).detach()
    weight = (weight / weight.sum())[None, :, None]
    optimizer = torch.optim.Adam(stage.parameters(), lr, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, 0.02 * lr)
    drawn = np.random.default_rng(k)
    edge = EDGES[min(k, len(EDGES) - 1)] * lessons.rows[k + 1]
    begun, past = time.monotonic(), list[float]()
    for step in range(1, steps + 1):
        heard, said = lessons.draw(k, drawn)
        with torch.autocast("cpu", torch.bfloat16):
            found = stage(heard)
        said = said[..., edge:-edge]
        off = (weight * (found[..., edge:-edge].float() - said).square()).sum(1).mean(1)
        power = (weight * (said - said.mean((0, 2), keepdim=True)).square()).sum(1).mean(1)
        loss = (off / (power + QUIET * power.mean())).mean() * (1 + QUIET)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(stage.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        past.append(float(loss.detach()))
        if step % 100 == 0 or step == steps:
            took = (time.monotonic() - begun) / step
            text = (
                f"stage {k}: {step}/{steps}, {np.mean(past[-100:]):.4f} left, {took:.2f} s a step"
            )
            print(text, file=sys.stderr, flush=True)


def recordings(
    folders: Sequence[Path], teacher: Hifigan, seconds: float, generator: np.random.Generator
) -> list[Tensor]:
    """Mels ``[bands, frames]`` of pieces of recordings at many levels, folder by folder in turn."""
    recipe, found, have = teacher.shape.settings.recipe, list[Tensor](), 0.0
    files = [sorted(folder.glob("*.wav")) for folder in folders]
    orders = [[paths[i] for i in generator.permutation(len(paths))] for paths in files]
    for turn in range(max(map(len, orders))):
        for path in (order[turn] for order in orders if turn < len(order)):
            speech, _ = audio.read(path, rate=recipe.sample_rate)
            speech = speech[: int(SECONDS_OF_ONE * recipe.sample_rate)]
            speech = speech * np.float32(10.0 ** generator.uniform(-0.4, 0.1))
            mel = pyvoc.features.extract(speech.clip(-1, 1), recipe=recipe)
            found.append(torch.from_numpy(mel.copy()).T)
            have += len(speech) / recipe.sample_rate
            if have > seconds:
                return found
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("teacher", help="a HiFi-GAN: a voice or a GGUF")
    parser.add_argument("recordings", nargs="+", type=Path, help="folders of wavs")
    parser.add_argument("--family", choices=("hifigan", "melgan"), default="hifigan")
    parser.add_argument("--first", type=int, default=96, help="channels before the first stage")
    parser.add_argument("--hidden", nargs="+", type=int, default=[], help="of each stage's blocks")
    parser.add_argument("--blocks", type=int, default=3, help="of a MelGAN's stages")
    parser.add_argument("--seconds", type=float, default=600, help="of speech (default: 600)")
    parser.add_argument("--steps", type=int, default=2000, help="of each stage (default: 2000)")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("-o", "--output", type=Path, required=True)
    wanted = parser.parse_args(arguments)
    checkpoint = read_weights(HIFIGAN, voices.resolve(wanted.teacher))
    teacher = Hifigan.from_arrays(checkpoint.arrays, checkpoint.metadata)
    shape = teacher.shape
    if not shape.settings.paired or shape.normalised or shape.reflect:
        parser.error(f"{wanted.teacher}: expected pairs of convolutions, zeros around, plain mels")
    channels = (wanted.first, *shape.channels[1:])
    if not 0 < wanted.first <= shape.channels[0]:
        parser.error(f"--first: expected 1 to {shape.channels[0]}")
    pupil: Network
    if wanted.family == "melgan":
        if [2 * ratio for ratio in shape.ratios] != list(shape.up_kernels):
            parser.error(f"{wanted.teacher}: a MelGAN has kernels of twice the ratio")
        settings = MelganSettings(shape.settings.recipe, "zero", leak=shape.settings.leak)
        pupil = Melgan(MelganShape(settings, channels, tuple(shape.ratios), wanted.blocks))
    else:
        if len(wanted.hidden) != len(shape.ratios) or min(wanted.hidden) < 1:
            parser.error(f"--hidden: expected {len(shape.ratios)} numbers above 0")
        if any(few > many for few, many in zip(wanted.hidden, channels[1:], strict=True)):
            parser.error(f"--hidden: the teacher has no more than {channels[1:]}")
        small = dataclasses.replace(shape, channels=channels, hidden=tuple(wanted.hidden))
        pupil = Hifigan(small)
    mels = recordings(wanted.recordings, teacher, wanted.seconds, np.random.default_rng(0))
    if not mels:
        parser.error(f"no wavs in {', '.join(map(str, wanted.recordings))}")
    with torch.no_grad():
        begin(teacher, pupil)
    heard = lessons(teacher, mels)
    for k, channel in enumerate(shape.channels[1:]):
        if not (wanted.hidden and k > 0 and wanted.hidden[k] == channel):
            teach(teacher, pupil, k, heard, wanted.steps, wanted.lr)
    metadata = {
        **pupil.shape.settings.metadata(),
        "general.name": f"{checkpoint.metadata['general.name']}, taught to a small one",
        "pyvoc.source.format": "pyvoc.teach",
        "pyvoc.source.sha256": checkpoint.metadata["pyvoc.source.sha256"],
    }
    spec = MELGAN if wanted.family == "melgan" else HIFIGAN
    container = encode(spec, pupil.to_arrays(), metadata=metadata, precision="f32")
    write_container(wanted.output, container, spec=spec)
    return 0


if __name__ == "__main__":
    sys.exit(main())
