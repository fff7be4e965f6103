#!/usr/bin/env python3
"""A small HiFi-GAN or MelGAN, taught by a large HiFi-GAN stage by stage.

    python teach.py hifigan-universal data/22050/train/kathleen --hidden 48 32 32 32 -o small.gguf

The pupil's stages are as wide as the teacher's, so that each can be given what the teacher's was
given and learn to say what that said: no stage waits for another, and what is copied is not only
how the sound seems but the sound itself. What is smaller is the inside: channels before the first
stage (``--first``), channels between the two convolutions of a HiFi-GAN's block (``--hidden``), or
a MelGAN's blocks in the place of a HiFi-GAN's. ``--from`` goes on with a pupil.

What the inside cannot tell, a stage leaves out, and so do those behind it. ``--listen`` steps then
let the whole pupil sound as the teacher does: by distances of spectra, which know no phases.

What counts is how the next layer weighs a channel, and directions of little power count more than
their power: what is high and quiet in speech lies there.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

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
from pyvoc.files.outputs import check_outputs, check_place
from pyvoc.quant import encode
from pyvoc.train.ear import Distances, Ear

PIECES = ((16, 80, 10), (12, 24, 3), (12, 16, 2))
"""Of a step, for each stage (and those after the last one here): how many, of how many frames, and
how many of these at either end lack what lies beyond."""
WHOLE = (8, 44, 10)
"""The same of a step of the whole pupil."""
QUIET = 0.1
"""A piece's error counts relative to its energy, and to this part of the mean piece's."""
LEVELLED, FLOOR, ROWS = 0.5, 1e-5, 40_000
"""Power of a direction's variance by which it is divided, what is added to it relative to the
greatest, and how many rows the directions are found from."""
LAST_ROWS = 200_000
"""From which the last layer is fitted."""
WARM_UP = 30
"""Steps."""
SECONDS_OF_ONE = 5.0

Network = Hifigan | Melgan


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

    def draw(
        self, which: Sequence[int], pieces: tuple[int, int, int], drawn: np.random.Generator
    ) -> list[Tensor]:
        """A batch of the same pieces of each of `which`, of those in `said`."""
        count, length, _ = pieces
        begins = np.concatenate([[0], np.cumsum(self.frames)])
        long = [i for i, frames in enumerate(self.frames) if frames > length]
        starts = [
            begins[i] + int(drawn.integers(self.frames[i] - length))
            for i in drawn.choice(long, count)
        ]
        return [
            torch.stack(
                [
                    self.said[k][:, start * self.rows[k] : (start + length) * self.rows[k]].float()
                    for start in starts
                ]
            )
            for k in which
        ]


class Yardstick:
    """How far a stage is from what the teacher's said.

    Parameters
    ----------
    said
        ``[channels, rows]``.
    power
        Of each channel, how much the next layer makes of it.
    """

    def __init__(self, said: Tensor, power: Tensor) -> None:
        weight = (power / power.sum()).sqrt()
        some = torch.from_numpy(np.random.default_rng(0).integers(0, said.shape[1], ROWS))
        rows = said[:, some].float()
        self.mean = rows.mean(1, keepdim=True)
        rows = (rows - self.mean) * weight[:, None]
        variances, directions = torch.linalg.eigh(rows @ rows.T / rows.shape[1])
        levels = (variances.clamp(min=0) + FLOOR * variances[-1]) ** (-LEVELLED / 2)
        self.matrix = (directions * levels).T * weight

    def __call__(self, found: Tensor, said: Tensor) -> Tensor:
        """Of ``[batch, channels, rows]``; 1: as if the mean were said."""
        off, power = (
            (self.matrix @ x).square().sum(1).mean(1) for x in (found - said, said - self.mean)
        )
        return (off / (power + QUIET * power.mean())).mean() * (1 + QUIET)


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


def yardsticks(teacher: Hifigan, lessons: Lessons) -> list[Yardstick]:
    """Of each stage."""
    powers = [_power(stage.up.weight, 0).detach() for stage in list(teacher.stage)[1:]]
    powers.append(_power(teacher.conv_out.weight, 1).detach())
    return [Yardstick(said, power) for said, power in zip(lessons.said[1:], powers, strict=True)]


def teach(
    stage: nn.Module,
    k: int,
    lessons: Lessons,
    measure: Yardstick,
    *,
    steps: int,
    lr: float,
    seed: int,
) -> None:
    """Let a stage say what the teacher's said, given what that was given."""
    pieces = PIECES[min(k, len(PIECES) - 1)]
    _, length, edge = pieces
    drawn = np.random.default_rng((seed, k))
    inner = slice(edge * lessons.rows[k + 1], (length - edge) * lessons.rows[k + 1])

    def loss() -> Tensor:
        heard, said = lessons.draw((k, k + 1), pieces, drawn)
        with torch.autocast("cpu", torch.bfloat16):
            found = stage(heard)
        return measure(found[..., inner].float(), said[..., inner])

    learn(f"stage {k}", stage, loss, steps=steps, lr=lr)


def listen(
    teacher: Hifigan, pupil: Network, lessons: Lessons, *, steps: int, lr: float, seed: int
) -> None:
    """Let the whole pupil sound as the teacher does."""
    ear = Ear(Distances(mel=1.0, spectral=1.0), teacher.shape.settings.recipe)
    _, length, edge = WHOLE
    drawn, last = np.random.default_rng((seed, len(lessons.said))), len(lessons.said) - 1
    inner = slice(edge * lessons.rows[last], (length - edge) * lessons.rows[last])

    def loss() -> Tensor:
        mel, said = lessons.draw((0, last), WHOLE, drawn)
        with torch.no_grad():
            wanted = torch.tanh(_last(teacher, said))[:, 0]
        with torch.autocast("cpu", torch.bfloat16):
            made = pupil(mel)[:, 0]
        return ear.compare(made[:, inner].float(), wanted[:, inner])[0]

    learn("all stages", pupil, loss, steps=steps, lr=lr)


def learn(
    name: str, module: nn.Module, loss: Callable[[], Tensor], *, steps: int, lr: float
) -> None:
    """Minimise a loss, which is another one in each step."""
    optimizer = torch.optim.Adam(module.parameters(), lr, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lr, total_steps=steps, pct_start=min(WARM_UP / steps, 0.3), final_div_factor=4
    )
    begun, past = time.monotonic(), list[float]()
    for step in range(1, steps + 1):
        value = loss()
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        past.append(float(value.detach()))
        if step % 100 == 0 or step == steps:
            left, took = np.mean(past[-100:]), (time.monotonic() - begun) / step
            text = f"{name}: step {step} of {steps}, {left:.4f} left, {took:.2f} s a step"
            print(text, file=sys.stderr, flush=True)


def _last(network: Network, said: Tensor) -> Tensor:
    """What the last layer makes of what the last stage said, before it is squashed."""
    settings = network.shape.settings
    leak = settings.leak if isinstance(settings, MelganSettings) else settings.last_leak
    return network.conv_out(functional.leaky_relu(said, leak))


def fit_last(teacher: Hifigan, pupil: Melgan, said: Tensor) -> None:
    """The last layer of a pupil, in front of which there is another rectifier: by least squares."""
    said = said[:, :LAST_ROWS].float()
    with torch.no_grad():
        wanted = _last(teacher, said[None])[0, 0].double()
        leak, taps = pupil.shape.settings.leak, pupil.conv_out.weight.shape[2]
        heard = functional.pad(functional.leaky_relu(said, leak), (taps // 2, taps // 2))
        columns = heard.unfold(1, taps, 1).permute(1, 0, 2).flatten(1).double()
        columns = torch.cat([columns, torch.ones(len(columns), 1)], 1)
        squares = columns.T @ columns
        squares += 1e-6 * squares.diagonal().mean() * torch.eye(len(squares))
        found = torch.linalg.solve(squares, columns.T @ wanted)
        pupil.conv_out.weight.copy_(found[:-1].reshape(pupil.conv_out.weight.shape))
        pupil.conv_out.bias.copy_(found[-1:])


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
            try:
                mel = pyvoc.features.extract(speech.clip(-1, 1), recipe=recipe)
            except pyvoc.Error as error:
                raise pyvoc.Error(f"'{path}': {error}") from error
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
    parser.add_argument(
        "--family",
        choices=("hifigan", "melgan"),
        default="hifigan",
        help="of the pupil (default: hifigan)",
    )
    parser.add_argument(
        "--first", type=int, default=96, help="channels before the first stage (default: 96)"
    )
    parser.add_argument("--hidden", nargs="+", type=int, default=[], help="of each stage's blocks")
    parser.add_argument("--blocks", type=int, default=3, help="of a MelGAN's stages (default: 3)")
    parser.add_argument("--seconds", type=float, default=600, help="of speech (default: 600)")
    parser.add_argument("--steps", type=int, default=2000, help="of each stage (default: 2000)")
    parser.add_argument(
        "--listen",
        type=int,
        default=0,
        metavar="STEPS",
        help="of all stages together then, at a third of --lr (default: none)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (default: 0)")
    parser.add_argument("--from", dest="begun", metavar="GGUF", help="a pupil to go on with")
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate (default: 0.001)")
    parser.add_argument("-o", "--output", type=Path, required=True)
    wanted = parser.parse_args(arguments)
    for name in ("seconds", "steps", "blocks", "lr"):
        if not 0 < getattr(wanted, name) < math.inf:
            parser.error(f"--{name}: expected a number above 0")
    for name in ("seed", "listen"):
        if getattr(wanted, name) < 0:
            parser.error(f"--{name}: expected 0 or more")
    try:
        run(parser, wanted)
    except pyvoc.Error as error:
        print(f"teach: {error}", file=sys.stderr)
        return 1
    return 0


def run(parser: argparse.ArgumentParser, wanted: argparse.Namespace) -> None:
    """Teach what is asked for, and write it.

    Raises
    ------
    Error
        A file is not what it must be, or the output cannot be written.
    """
    check_outputs([wanted.output], inputs=[voices.resolve(wanted.teacher)])
    check_place(wanted.output)
    checkpoint = read_weights(HIFIGAN, voices.resolve(wanted.teacher))
    teacher = Hifigan.from_arrays(checkpoint.arrays, checkpoint.metadata)
    shape = teacher.shape
    if not shape.settings.paired or shape.normalised or shape.reflect:
        parser.error(f"{wanted.teacher}: expected pairs of convolutions, zeros around, plain mels")
    channels = (wanted.first, *shape.channels[1:])
    if not 0 < wanted.first <= shape.channels[0]:
        parser.error(f"--first: expected 1 to {shape.channels[0]}")
    spec = MELGAN if wanted.family == "melgan" else HIFIGAN
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
    warnings.filterwarnings("ignore", ".*has nothing above", pyvoc.InputWarning)  # known, of many
    mels = recordings(wanted.recordings, teacher, wanted.seconds, np.random.default_rng(0))
    if not mels:
        parser.error(f"no wavs in {', '.join(map(str, wanted.recordings))}")
    longest = max(length for _, length, _ in (*PIECES, WHOLE))
    if not any(mel.shape[1] > longest for mel in mels):
        parser.error(f"no recording is longer than {longest} frames")
    if wanted.begun is None:
        with torch.no_grad():
            begin(teacher, pupil)
    else:
        begun = read_weights(spec, wanted.begun).arrays
        for name, array in pupil.to_arrays().items():
            if name not in begun or begun[name].shape != array.shape:
                parser.error(f"{wanted.begun}: {name} is not of the sizes that are asked for here")
        pupil.fill(begun)
    told = lessons(teacher, mels)
    if isinstance(pupil, Melgan) and wanted.begun is None:
        fit_last(teacher, pupil, told.said[-1])
    stages = [nn.Sequential(pupil.conv_in, pupil.stage[0]), *list(pupil.stage)[1:]]
    measures = yardsticks(teacher, told)
    for k, (stage, measure, width) in enumerate(zip(stages, measures, channels[1:], strict=True)):
        if not (wanted.hidden and k > 0 and wanted.hidden[k] == width):  # as the teacher's
            teach(stage, k, told, measure, steps=wanted.steps, lr=wanted.lr, seed=wanted.seed)
    if wanted.listen:
        listen(teacher, pupil, told, steps=wanted.listen, lr=wanted.lr / 3, seed=wanted.seed)
    metadata = {
        **pupil.shape.settings.metadata(),
        "general.name": f"{checkpoint.metadata['general.name']}, taught to a small one",
        "pyvoc.source.format": "pyvoc.teach",
        "pyvoc.source.sha256": checkpoint.metadata["pyvoc.source.sha256"],
    }
    container = encode(spec, pupil.to_arrays(), metadata=metadata, precision="f32")
    write_container(wanted.output, container, spec=spec)


if __name__ == "__main__":
    sys.exit(main())
