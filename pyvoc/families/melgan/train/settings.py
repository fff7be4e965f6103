"""What a MelGAN training run may choose: the ``model:`` section of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from pyvoc.families.melgan.shape import MelganShape
from pyvoc.families.melgan.spec import MelganSettings
from pyvoc.train.gan import Hearing, channel_problems, channels_of
from pyvoc.train.mel_choice import MelChoice

SCALE, SHIFT = 0.2, 1.0
"""(mel + 5) / 5, as seungwonpark's network does it and MindSpore's callers do."""


@dataclass(frozen=True)
class Usual:
    """What an upstream does, where a run does not say.

    Parameters
    ----------
    recipe, scaled, padding
        The mel, whether it is brought to about -1..1 first, and what is beyond the sound's ends.
    normed
        Whether both networks have weight norm; without it they begin as MindSpore's do (Glorot).
    hinge
        Hinge losses, discriminator first; otherwise squares, generator first.
    learned_pooling
        Whether the sound for the next scale is a learned convolution, and the discriminator's
        convolutions have no groups.
    betas
        Of Adam.
    data
        Of ``data:``.
    """

    recipe: str
    scaled: bool
    padding: str
    normed: bool
    hinge: bool
    learned_pooling: bool
    betas: tuple[float, float]
    data: Mapping[str, Any]


UPSTREAMS = {
    "seungwonpark": Usual(
        *("nvidia", True, "reflect", True, False, False, (0.5, 0.9)),
        data={"segment": 63 * 256, "noise": 1.0},
    ),
    "descript": Usual(
        *("descript", False, "reflect", True, True, False, (0.5, 0.9)),
        data={"segment": 8192, "peak": 0.95, "gain": (0.3, 1.0)},
    ),
    "mindspore": Usual(
        *("nvidia", True, "zero", False, False, True, (0.9, 0.999)),
        data={"segment": 64 * 256},
    ),
}


@dataclass(frozen=True)
class MelganModel(MelChoice):
    """Sizes, and what is learned from.

    Parameters
    ----------
    upstream
        Whose network and losses: ``seungwonpark``, ``descript`` or ``mindspore``.
    channels
        Before the first stage.
    stage_channels
        Of each stage; empty: each halves them.
    ratios, blocks
        Upsampling ratio of each stage, and residual blocks in each.
    leak
        Slope of the leaky ReLU below zero.
    recipe, mel
        See `MelChoice`; empty: upstream's.
    scales, discriminator_channels
        Discriminators, and channels of their convolutions before the last one: all but the first
        and the last of these divide the time by four.
    feature_weight
        Of the activations' difference in the generator's loss.
    mel_weight, spectral_weight, waveform_weight, critic_from
        As in `pyvoc.train.gan.Hearing`; the upstreams have none of them.
    discriminator_steps
        Updates of the discriminator in a step, where the generator's comes first.
    discriminator_lr
        Its learning rate over the generator's.
    adam_b1, adam_b2
        Of Adam; None: upstream's.
    weight_decay
        Of Adam, added to the gradient.
    """

    upstream: Literal["seungwonpark", "descript", "mindspore"] = "seungwonpark"
    channels: int = 512
    stage_channels: tuple[int, ...] = ()
    ratios: tuple[int, ...] = (8, 8, 2, 2)
    blocks: int = 3
    leak: float = 0.2
    recipe: str = ""
    scales: int = 3
    discriminator_channels: tuple[int, ...] = (16, 64, 256, 1024, 1024, 1024)
    feature_weight: float = 10.0
    mel_weight: float = 0.0
    spectral_weight: float = 0.0
    waveform_weight: float = 0.0
    critic_from: int = 0
    discriminator_steps: int = 1
    discriminator_lr: float = 1.0
    adam_b1: float | None = None
    adam_b2: float | None = None
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        """Fill in upstream's recipe; raise ValueError for values that cannot be."""
        if not self.recipe:
            object.__setattr__(self, "recipe", self.usual.recipe)
        found = []
        found += channel_problems(self.stage_channels, len(self.ratios))
        halves = 1 if self.stage_channels else 1 << len(self.ratios)
        if self.channels < 1 or self.channels % halves:
            found.append(
                f"channels is {self.channels}, which {len(self.ratios)} stages cannot halve"
            )
        if not self.ratios or min(self.ratios) < 1 or self.blocks < 1:
            found.append("ratios and blocks are not positive")
        if not 1 <= self.scales <= 8 or len(self.discriminator_channels) < 3:
            found.append("scales is not 1 to 8, or discriminator_channels are less than three")
        elif not self.usual.learned_pooling:
            for inputs, outputs in self.strided:
                if inputs % 4 or outputs % (inputs // 4):
                    found.append(
                        f"discriminator_channels {inputs} and {outputs} cannot be divided in "
                        "groups of 4 inputs"
                    )
        if self.discriminator_steps < 1 or not self.discriminator_lr > 0:
            found.append("discriminator_steps and discriminator_lr are not positive")
        if self.feature_weight < 0 or self.weight_decay < 0:
            found.append("feature_weight or weight_decay is negative")
        found += self.hearing.problems()
        if not all(0 <= beta < 1 for beta in self.betas):
            found.append(f"adam_b1 and adam_b2 are {self.betas}, expected 0 to below 1")
        if found:
            raise ValueError("; ".join(found))

    @property
    def usual(self) -> Usual:
        """What the upstream does."""
        return UPSTREAMS[self.upstream]

    @property
    def betas(self) -> tuple[float, float]:
        """Of Adam."""
        first, second = self.usual.betas
        return (
            first if self.adam_b1 is None else self.adam_b1,
            second if self.adam_b2 is None else self.adam_b2,
        )

    @property
    def strided(self) -> list[tuple[int, int]]:
        """Channels into and out of the discriminator's convolutions that divide the time."""
        inner = self.discriminator_channels[:-1]
        return list(pairwise(inner))

    @property
    def hearing(self) -> Hearing:
        """What the generator learns from besides its critic."""
        return Hearing(
            self.mel_weight, self.spectral_weight, self.waveform_weight, self.critic_from
        )

    def shape(self) -> MelganShape:
        """The generator's."""
        usual = self.usual
        scale, shift = (SCALE, SHIFT) if usual.scaled else (1.0, 0.0)
        settings = MelganSettings(self.mel_recipe(), usual.padding, scale, shift, leak=self.leak)
        channels = channels_of(self.channels, self.stage_channels, len(self.ratios))
        return MelganShape(settings, channels, self.ratios, self.blocks)
