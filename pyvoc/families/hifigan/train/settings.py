"""What a HiFi-GAN training run may choose: the ``model:`` section of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pyvoc.families.hifigan.shape import HifiganShape
from pyvoc.families.hifigan.spec import HifiganSettings, written
from pyvoc.train.gan import Hearing, channel_problems, channels_of
from pyvoc.train.mel_choice import MelChoice

_DILATIONS = ((1, 3, 5),) * 3
_SIZES: dict[str, dict[str, Any]] = {
    "v1": {"upsample_initial_channel": 512},
    "v2": {"upsample_initial_channel": 128},
    "v3": {
        "upsample_initial_channel": 256,
        "resblock": "2",
        "upsample_rates": (8, 8, 4),
        "upsample_kernel_sizes": (16, 16, 8),
        "resblock_kernel_sizes": (3, 5, 7),
        "resblock_dilation_sizes": ((1, 2), (2, 6), (3, 12)),
    },
}
_USUAL: dict[str, Any] = {
    "resblock": "1",
    "upsample_rates": (8, 8, 2, 2),
    "upsample_kernel_sizes": (16, 16, 4, 4),
    "resblock_kernel_sizes": (3, 7, 11),
    "resblock_dilation_sizes": _DILATIONS,
}


@dataclass(frozen=True)
class HifiganModel(MelChoice):
    """Sizes, and what is learned from; names and defaults are upstream's where it has them.

    Parameters
    ----------
    version
        ``v1``, ``v2`` or ``v3`` of the paper: the sizes, where they are not given.
    resblock
        ``1``: blocks of two convolutions; ``2``: of one.
    upsample_rates, upsample_kernel_sizes, upsample_initial_channel
        Ratio and taps of each transposed convolution, and channels before the first.
    stage_channels
        Of each stage; empty: each halves them.
    hidden_channels
        Between the two convolutions of each stage's blocks; empty: the stage's.
    resblock_kernel_sizes, resblock_dilation_sizes
        Taps of each chain of a stage, and the dilations of its blocks.
    recipe, mel
        See `MelChoice`.
    loss_fmax
        Hz up to which the loss listens; None: half the sample rate.
    periods, mpd_channels
        Discriminators of periods: which (none: empty), and channels of their convolutions.
    scales, msd_channels, msd_groups
        Discriminators of scales: how many, channels and groups of their seven convolutions.
    mel_weight, feature_weight
        Of the mel's and of the activations' difference in the generator's loss.
    spectral_weight, waveform_weight, critic_from
        As in `pyvoc.train.gan.Hearing`; upstream has neither.
    adam_b1, adam_b2, weight_decay
        Of AdamW.
    """

    version: Literal["v1", "v2", "v3"] = "v1"
    resblock: Literal["", "1", "2"] = ""
    upsample_rates: tuple[int, ...] = ()
    upsample_kernel_sizes: tuple[int, ...] = ()
    upsample_initial_channel: int = 0
    stage_channels: tuple[int, ...] = ()
    hidden_channels: tuple[int, ...] = ()
    resblock_kernel_sizes: tuple[int, ...] = ()
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ()
    recipe: str = "hifigan"
    loss_fmax: float | None = None
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    mpd_channels: tuple[int, ...] = (32, 128, 512, 1024, 1024)
    scales: int = 3
    msd_channels: tuple[int, ...] = (128, 128, 256, 512, 1024, 1024, 1024)
    msd_groups: tuple[int, ...] = (1, 4, 16, 16, 16, 16, 1)
    mel_weight: float = 45.0
    feature_weight: float = 2.0
    spectral_weight: float = 0.0
    waveform_weight: float = 0.0
    critic_from: int = 0
    adam_b1: float = 0.8
    adam_b2: float = 0.99
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        """Fill in the version's sizes; raise ValueError for values that cannot be."""
        for name, value in {**_USUAL, **_SIZES[self.version]}.items():
            if not getattr(self, name):
                object.__setattr__(self, name, value)
        found, stages = [], len(self.upsample_rates)
        if stages != len(self.upsample_kernel_sizes):
            found.append("upsample_rates and upsample_kernel_sizes differ in number")
        found += channel_problems(self.stage_channels, stages)
        found += channel_problems(self.hidden_channels, stages, "hidden_channels")
        if self.hidden_channels and self.resblock != "1":
            found.append("hidden_channels are between two convolutions: resblock is 2, expected 1")
        for rate, kernel in zip(self.upsample_rates, self.upsample_kernel_sizes, strict=False):
            if kernel < rate or (kernel - rate) % 2:
                found.append(
                    f"an upsampling kernel of {kernel} does not suit the rate {rate}: expected as "
                    "much or more, by an even number"
                )
        if len(self.resblock_kernel_sizes) != len(self.resblock_dilation_sizes):
            found.append("resblock_kernel_sizes and resblock_dilation_sizes differ in number")
        if any(period < 2 for period in self.periods) or not 0 <= self.scales <= 8:
            found.append("periods are less than 2, or scales not 0 to 8")
        if not self.periods and not self.scales:
            found.append("without periods and scales there is nothing to learn from")
        if not self.mpd_channels or min(self.mpd_channels) < 1:
            found.append("mpd_channels are not positive")
        found += self._scale_problems()
        for name in ("adam_b1", "adam_b2"):
            if not 0 <= getattr(self, name) < 1:
                found.append(f"{name} is {getattr(self, name)}, expected 0 to below 1")
        for name in ("feature_weight", "weight_decay"):
            if getattr(self, name) < 0:
                found.append(f"{name} is negative")
        found += self.hearing.problems()
        if found:
            raise ValueError("; ".join(found))

    def _scale_problems(self) -> list[str]:
        channels, groups = (1, *self.msd_channels), self.msd_groups
        if len(self.msd_channels) != 7 or len(groups) != 7:
            return ["msd_channels and msd_groups are not seven numbers each"]
        return [
            f"msd_channels {inputs} and {outputs} cannot be divided in {group} groups"
            for inputs, outputs, group in zip(channels, channels[1:], groups, strict=False)
            if group < 1 or outputs < 1 or inputs % group or outputs % group
        ]

    @property
    def hearing(self) -> Hearing:
        """What the generator learns from besides its critic."""
        return Hearing(
            self.mel_weight, self.spectral_weight, self.waveform_weight, self.critic_from
        )

    def shape(self) -> HifiganShape:
        """The generator's."""
        pairs = list(zip(self.upsample_rates, self.upsample_kernel_sizes, strict=True))
        settings = HifiganSettings(
            self.mel_recipe(),
            paired=self.resblock == "1",
            ratios=written(self.upsample_rates),
            cuts=written([(kernel - rate) // 2 for rate, kernel in pairs]),
            dilations=", ".join(map(written, self.resblock_dilation_sizes)),
        )
        channels = channels_of(self.upsample_initial_channel, self.stage_channels, len(pairs))
        return HifiganShape(
            settings,
            channels,
            self.upsample_kernel_sizes,
            self.resblock_kernel_sizes,
            hidden=self.hidden_channels,
        )
