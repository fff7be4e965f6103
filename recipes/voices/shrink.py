#!/usr/bin/env python3
"""A small HiFi-GAN or MelGAN, fitted to a large HiFi-GAN layer by layer: where training begins.

    python shrink.py hifigan-universal data/22050/train/kathleen --channels 96 96 64 48 24 -o s.gguf

Of each layer of the teacher those channels are kept that explain the others best; then each
convolution of the small network is the least-squares answer to: given what the small network hears,
what did the teacher say in the channels that are kept? No weight of the teacher is copied. What is
lost in one layer the next ones are fitted to make good. Then the convolutions of each stage learn
together to say what the teacher's stage said (``--steps``), by gradient, one stage after another.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import pyvoc
from pyvoc import voices
from pyvoc.container import write_container
from pyvoc.container.mel import DESCRIPT
from pyvoc.convert.model_file import read_weights
from pyvoc.families.hifigan.spec import HIFIGAN
from pyvoc.families.hifigan.torch_model import Hifigan
from pyvoc.families.melgan.shape import MelganShape
from pyvoc.families.melgan.spec import MELGAN, MelganSettings
from pyvoc.families.melgan.torch_model import Melgan
from pyvoc.files import audio
from pyvoc.quant import encode

RIDGE = 1e-5
"""Added to the diagonal of the normal equations, times its mean."""
FULL_RATE_SECONDS = 40
"""Of sound, at most, for layers that see every sample: enough for their few weights."""

RATE, LR = 22050, 1e-3
CROP, ROWS = 512, 8
"""Of a step: samples after the stage, and how many pieces; twice as many for each stage more."""
EDGE = 64
"""Samples at either end of a piece that lack what lies beyond."""

Signals = list[Tensor]


def best_channels(moments: Tensor, count: int) -> list[int]:
    """Those that explain all the best: greedy, by what variance they leave in the others.

    Parameters
    ----------
    moments
        Second moments, ``[channels, channels]``.
    """
    rest, found = moments.double().clone(), list[int]()
    for _ in range(count):
        gain = rest.square().sum(0) / rest.diag().clamp(min=1e-12)
        gain[found] = -1.0
        k = int(gain.argmax())
        found.append(k)
        rest -= rest[:, k : k + 1] @ rest[k : k + 1] / rest[k, k].clamp(min=1e-12)
    return sorted(found)


def least_squares(pairs: Iterator[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Weight ``[outputs, inputs]`` and bias of rows ``[n, inputs]`` and ``[n, outputs]``."""
    square = product = torch.zeros(())
    for x, y in pairs:
        x = torch.cat((x, x.new_ones(len(x), 1)), 1)
        xx, xy = (x.T @ x).double(), (x.T @ y).double()
        square, product = square + xx, product + xy
    square.diagonal().add_(RIDGE * square.diagonal().mean())
    found = torch.linalg.solve(square, product).float().T
    return found[:, :-1], found[:, -1]


def fit_conv(conv: nn.Conv1d, heard: Signals, wanted: Signals) -> None:
    """A convolution with what surrounds it (zeros), by least squares."""
    taps, dilation = conv.kernel_size[0], conv.dilation[0]
    reach = dilation * (taps // 2)

    def rows() -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in zip(heard, wanted, strict=True):
            padded = functional.pad(x, (reach, reach))
            parts = [padded[:, d * dilation : d * dilation + y.shape[1]] for d in range(taps)]
            yield torch.cat(parts).T, y.T

    weight, bias = least_squares(rows())
    conv.weight.copy_(weight.view(len(weight), taps, -1).transpose(1, 2))
    conv.bias.copy_(bias)


def fit_up(up: nn.ConvTranspose1d, cut: int, heard: Signals, wanted: Signals) -> None:
    """A transposed convolution: for each place between two inputs a product of its own."""
    ratio, taps = up.stride[0], up.kernel_size[0]
    biases = []
    for place in range(ratio):
        which = [k for k in range(taps) if k % ratio == (place + cut) % ratio]

        def rows(
            place: int = place, which: Sequence[int] = tuple(which)
        ) -> Iterator[tuple[Tensor, Tensor]]:
            for x, y in zip(heard, wanted, strict=True):
                parts = []
                for k in which:  # output ratio t + place is input t + (place + cut - k) / ratio
                    ago = (k - place - cut) // ratio
                    parts.append(functional.pad(x, (max(ago, 0), max(-ago, 0))))
                    parts[-1] = parts[-1][:, max(-ago, 0) :][:, : x.shape[1]]
                yield torch.cat(parts).T, y[:, place::ratio].T

        weight, bias = least_squares(rows())
        for k, part in zip(which, weight.chunk(len(which), 1), strict=True):
            up.weight[:, :, k] = part.T
        biases.append(bias)
    up.bias.copy_(torch.stack(biases).mean(0))


def moments(signals: Signals) -> Tensor:
    """Sum of second moments of ``[channels, samples]``."""
    return torch.stack([x @ x.T for x in signals]).sum(0)


def each(layer: Callable[[Tensor], Tensor], signals: Signals) -> Signals:
    """A layer of every signal ``[channels, samples]``."""
    return [layer(x[None])[0] for x in signals]


def unexplained(wanted: Signals, found: Signals) -> float:
    """The energy of what differs, over that of what was wanted."""
    off = sum(float((a - b).square().sum()) for a, b in zip(wanted, found, strict=True))
    return off / sum(float(a.square().sum()) for a in wanted)


def polish(
    parts: Callable[[Tensor], list[Tensor]],
    stage: nn.Module,
    ratio: int,
    heard: Signals,
    wanted: list[Signals],
    *,
    rows: int,
    steps: int,
) -> None:
    """Teach a stage's convolutions together.

    Parameters
    ----------
    parts
        What the stage says of ``[rows, channels, samples]``, in parts.
    heard
        The small network's, before the stage.
    wanted
        Of each part, what the teacher says in the channels that are kept.
    """
    edge = -(-EDGE // ratio)
    inputs = max(4 * edge, CROP // ratio)
    usable = [k for k, x in enumerate(heard) if x.shape[1] > inputs]
    sizes = np.array([heard[k].shape[1] for k in usable], float)
    drawn = np.random.default_rng(0)
    optimizer = torch.optim.Adam(stage.parameters(), lr=LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1), 0.01 * LR)
    inner = slice(edge * ratio, (inputs - edge) * ratio)
    scale = [float(torch.cat([y.abs().mean(1) for y in part]).mean()) for part in wanted]
    for step in range(steps):
        picks = drawn.choice(usable, rows, p=sizes / sizes.sum())
        begins = [int(drawn.integers(heard[k].shape[1] - inputs)) for k in picks]
        spans = list(zip(picks, begins, strict=True))
        x = torch.stack([heard[k][:, b : b + inputs] for k, b in spans])
        loss = torch.zeros(())
        for said, part, size in zip(parts(x), wanted, scale, strict=True):
            y = torch.stack([part[k][:, b * ratio : (b + inputs) * ratio] for k, b in spans])
            loss = loss + (said - y)[..., inner].abs().mean() / size / len(wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"  step {step}: {float(loss.detach()):.4f}", file=sys.stderr, flush=True)


@dataclasses.dataclass
class Lesson:
    """What a stage of the teacher did.

    Parameters
    ----------
    guide
        The stage.
    up
        Signals after its transposed convolution.
    chains
        And after each of its chains.
    kept
        Channels that the small network has.
    """

    guide: nn.Module
    up: Signals
    chains: list[Signals]
    kept: list[int]

    def mean(self) -> Signals:
        """After the stage."""
        return [torch.stack(parts).mean(0) for parts in zip(*self.chains, strict=True)]


class HifiganPupil:
    """Fits a HiFi-GAN: its blocks say what the teacher's blocks say."""

    def __init__(self, network: Hifigan) -> None:
        self.network = network
        self.leak = network.shape.settings.leak
        self.last_leak = network.shape.settings.last_leak

    def parts(self, k: int, x: Tensor) -> list[Tensor]:
        """Each chain's."""
        stage, samples = self.network.stage[k], self.network.stage[k].ratio * x.shape[-1]
        x = stage.up(functional.leaky_relu(x, self.leak))[..., stage.cut : stage.cut + samples]
        return [chain(x) for chain in stage.chain]

    def aims(self, lesson: Lesson) -> list[Signals]:
        """Of each part."""
        return [[x[lesson.kept] for x in chain] for chain in lesson.chains]

    def begin(self, k: int, lesson: Lesson, before: Signals) -> None:
        """Fit a stage by least squares."""
        stage = self.network.stage[k]
        fit_up(stage.up, stage.cut, leaky(before, self.leak), [x[lesson.kept] for x in lesson.up])
        up = [
            y[:, stage.cut : stage.cut + x.shape[1]]
            for x, y in zip(lesson.up, each(stage.up, leaky(before, self.leak)), strict=True)
        ]
        for guides, chain in zip(lesson.guide.chain, stage.chain, strict=True):
            x, y = lesson.up, up
            for guide, own in zip(guides.block, chain.block, strict=True):
                hidden = each(guide.first, leaky(x, self.leak))
                chosen = best_channels(moments(leaky(hidden, self.leak)), len(lesson.kept))
                fit_conv(own.first, leaky(y, self.leak), [h[chosen] for h in hidden])
                theirs = each(guide.second, leaky(hidden, self.leak))
                x = [a + b for a, b in zip(x, theirs, strict=True)]
                ours = leaky(each(own.first, leaky(y, self.leak)), self.leak)
                fit_conv(own.second, ours, [a[lesson.kept] - b for a, b in zip(x, y, strict=True)])
                y = [a + b for a, b in zip(y, each(own.second, ours), strict=True)]


class MelganPupil:
    """Fits a MelGAN: each of a stage's blocks comes as near as it can to what the teacher's stage
    says in the end."""

    def __init__(self, network: Melgan) -> None:
        self.network = network
        self.leak = self.last_leak = network.shape.settings.leak

    def parts(self, k: int, x: Tensor) -> list[Tensor]:
        """One: the stage's."""
        return [self.network.stage[k](x)]

    def aims(self, lesson: Lesson) -> list[Signals]:
        """Of the part."""
        return [[x[lesson.kept] for x in lesson.mean()]]

    def begin(self, k: int, lesson: Lesson, before: Signals) -> None:
        """Fit a stage by least squares."""
        stage, (wanted,) = self.network.stage[k], self.aims(lesson)
        heard = leaky(before, self.leak)
        fit_up(stage.up, stage.up.padding[0], heard, [x[lesson.kept] for x in lesson.up])
        x = each(stage.up, heard)
        for block in stage.block:
            fit_conv(block.conv, leaky(x, self.leak), wanted)
            hidden = leaky(each(block.conv, leaky(x, self.leak)), self.leak)
            pairs = zip(x, hidden, wanted, strict=True)
            weight, bias = least_squares((torch.cat((a, h)).T, y.T) for a, h, y in pairs)
            shortcut, out = weight[:, :, None].split(len(lesson.kept), 1)
            block.shortcut.weight.copy_(shortcut)
            block.out.weight.copy_(out)
            block.shortcut.bias.copy_(bias / 2)
            block.out.bias.copy_(bias / 2)
            x = each(block, x)


def leaky(signals: Signals, leak: float) -> Signals:
    """Of every signal."""
    return [functional.leaky_relu(x, leak) for x in signals]


def fit(
    teacher: Hifigan,
    pupil: HifiganPupil | MelganPupil,
    told: Signals,
    mels: Signals,
    steps: int,
) -> None:
    """Fit a whole network; how much of each stage's teacher is left unexplained is printed.

    Parameters
    ----------
    told, mels
        What the teacher and the pupil are given, of the same sound.
    steps
        That each stage learns after it was fitted.
    """

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    small, shape, leak = pupil.network, teacher.shape, teacher.shape.settings.leak
    theirs = each(teacher.conv_in, told)
    kept = best_channels(moments(leaky(theirs, leak)), small.shape.channels[0])
    fit_conv(small.conv_in, mels, [x[kept] for x in theirs])
    ours = each(small.conv_in, mels)
    for k, guide in enumerate(teacher.stage):
        if k >= 2:
            samples = np.cumsum([x.shape[1] * np.prod(shape.ratios[k:]) for x in theirs])
            count = 1 + int(np.searchsorted(samples, FULL_RATE_SECONDS * RATE))
            theirs, ours = theirs[:count], ours[:count]
        up = [
            y[:, guide.cut : guide.cut + guide.ratio * x.shape[1]]
            for x, y in zip(theirs, each(guide.up, leaky(theirs, leak)), strict=True)
        ]
        spread, chains = moments(leaky(up, leak)), [each(chain, up) for chain in guide.chain]
        spread /= spread.trace()
        for chain in chains:
            added = moments(leaky(chain, leak))
            spread += added / added.trace()
        kept = best_channels(spread, small.shape.channels[k + 1])
        lesson = Lesson(guide, up, chains, kept)
        pupil.begin(k, lesson, ours)
        theirs, aims = lesson.mean(), pupil.aims(lesson)
        del lesson, chains, up
        wanted = [x[kept] for x in theirs]
        say(f"stage {k}: {unexplained(wanted, each(small.stage[k], ours)):.3f} unexplained")
        if steps:
            with torch.enable_grad():
                polish(
                    partial(pupil.parts, k),
                    small.stage[k],
                    guide.ratio,
                    ours,
                    aims,
                    rows=ROWS << k,
                    steps=steps,
                )
        ours = each(small.stage[k], ours)
        say(f"stage {k}: {unexplained(wanted, ours):.3f} after learning")
    heard = leaky(ours, pupil.last_leak)
    said = each(teacher.conv_out, leaky(theirs, shape.settings.last_leak))
    fit_conv(small.conv_out, heard, said)
    made = [x.tanh() for x in each(small.conv_out, heard)]
    say(f"sound: {unexplained([x.tanh() for x in said], made):.3f} unexplained")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("teacher", help="a HiFi-GAN: a voice or a GGUF")
    parser.add_argument("recordings", nargs="+", type=Path, help="folders of wavs")
    parser.add_argument("--family", choices=("hifigan", "melgan"), default="hifigan")
    parser.add_argument("--channels", nargs="+", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=120, help="of speech (default: 120)")
    parser.add_argument("--steps", type=int, default=0, help="that each stage learns (default: 0)")
    parser.add_argument("-o", "--output", type=Path, required=True)
    wanted = parser.parse_args(arguments)
    checkpoint = read_weights(HIFIGAN, voices.resolve(wanted.teacher))
    teacher = Hifigan.from_arrays(checkpoint.arrays, checkpoint.metadata)
    shape, channels = teacher.shape, tuple(wanted.channels)
    if shape.settings.padding != "zero" or not shape.settings.paired or shape.normalised:
        parser.error(
            f"{wanted.teacher}: expected pairs of convolutions with zeros around, plain mels"
        )
    if len(channels) != len(shape.channels) or min(channels) < 1:
        parser.error(
            f"--channels: expected {len(shape.channels)} numbers above 0, found {channels}"
        )
    if any(few > many for few, many in zip(channels, shape.channels, strict=True)):
        parser.error(f"--channels: the teacher has no more than {shape.channels}")
    pupil: HifiganPupil | MelganPupil
    if wanted.family == "melgan":
        if any(
            2 * ratio != taps for ratio, taps in zip(shape.ratios, shape.up_kernels, strict=True)
        ):
            parser.error(f"{wanted.teacher}: a MelGAN has kernels of twice the ratio")
        settings = MelganSettings(DESCRIPT, "reflect")
        pupil = MelganPupil(Melgan(MelganShape(settings, channels, tuple(shape.ratios), 3)))
    else:
        pupil = HifiganPupil(Hifigan(dataclasses.replace(shape, channels=channels)))
    own = pupil.network.shape.settings.recipe
    files = sorted(path for folder in wanted.recordings for path in folder.glob("*.wav"))
    if not files:
        parser.error(f"no wavs in {', '.join(map(str, wanted.recordings))}")
    told, mels, seconds, generator = [], [], 0.0, np.random.default_rng(0)
    for path in generator.permutation(np.array(files, dtype=object)):
        speech, rate = audio.read(path)
        speech = speech * np.float32(10.0 ** generator.uniform(-0.6, 0.1))
        for found, recipe in ((told, shape.settings.recipe), (mels, own)):
            found.append(torch.from_numpy(pyvoc.features.extract(speech, recipe=recipe).copy()).T)
        seconds += len(speech) / rate
        if seconds > wanted.seconds:
            break
    with torch.no_grad():
        fit(teacher, pupil, told, mels, wanted.steps)
    metadata = {
        **pupil.network.shape.settings.metadata(),
        "general.name": f"{checkpoint.metadata['general.name']}, shrunk",
        "pyvoc.source.format": "pyvoc.shrink",
        "pyvoc.source.sha256": checkpoint.metadata["pyvoc.source.sha256"],
    }
    spec = MELGAN if wanted.family == "melgan" else HIFIGAN
    container = encode(spec, pupil.network.to_arrays(), metadata=metadata, precision="f32")
    write_container(wanted.output, container, spec=spec)
    return 0


if __name__ == "__main__":
    sys.exit(main())
