"""The sizes of one HiFi-GAN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from pyvoc.container.layout import shapes_of
from pyvoc.container.tensors import Scalar
from pyvoc.families.hifigan.spec import ENDS_KERNEL, HifiganSettings, chains_of, numbers, tensors


@dataclass(frozen=True)
class HifiganShape:
    """What a HiFi-GAN looks like.

    Parameters
    ----------
    settings
        What the tensors do not say.
    channels
        Of ``conv_in``, then of each stage.
    up_kernels
        Taps of each stage's transposed convolution.
    kernels
        Taps of each chain's convolutions.
    normalised
        Whether the mel is brought to mean 0 and variance 1 first.
    hidden
        Channels between the two convolutions of each stage's blocks; empty: as many as the stage
        has, as upstream's networks. With fewer a block costs less, and the stage keeps its width.
    """

    settings: HifiganSettings
    channels: tuple[int, ...]
    up_kernels: tuple[int, ...]
    kernels: tuple[int, ...]
    normalised: bool = False
    hidden: tuple[int, ...] = ()

    @classmethod
    def of(
        cls, arrays: Mapping[str, npt.NDArray[np.floating]], metadata: Mapping[str, Scalar]
    ) -> HifiganShape:
        """The shape that a valid model's tensors and metadata tell."""
        settings = HifiganSettings.from_metadata(metadata)
        stages = len(numbers(settings.ratios) or ())
        chains = len(chains_of(settings.dilations) or ())
        ups = [arrays[f"stage.{k}.up.weight"].shape for k in range(stages)]
        return cls(
            settings,
            (arrays["conv_in.weight"].shape[0], *(up[1] for up in ups)),
            tuple(up[2] for up in ups),
            tuple(
                arrays[f"stage.0.chain.{j}.block.0.first.weight"].shape[2] for j in range(chains)
            ),
            "input.mean" in arrays,
            tuple(
                arrays[f"stage.{k}.chain.0.block.0.first.weight"].shape[0] for k in range(stages)
            ),
        )

    def inside(self, stage: int) -> int:
        """Channels between the two convolutions of a stage's blocks."""
        return self.hidden[stage] if self.hidden else self.channels[stage + 1]

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the spec, in its order, and its shape."""
        dims = {"mels": self.bands}
        dims |= {f"C{k}": channels for k, channels in enumerate(self.channels)}
        dims |= {f"H{k}": self.inside(k) for k in range(len(self.ratios))}
        dims |= {f"U{k}": kernel for k, kernel in enumerate(self.up_kernels)}
        dims |= {f"K{j}": kernel for j, kernel in enumerate(self.kernels)}
        blocks = [len(chain) for chain in self.dilations]
        specs = tensors(
            len(self.ratios), blocks, paired=self.settings.paired, normalised=self.normalised
        )
        return shapes_of(specs, dims)

    @property
    def ratios(self) -> list[int]:
        """Upsampling ratio of each stage."""
        return numbers(self.settings.ratios) or []

    @property
    def cuts(self) -> list[int]:
        """Samples that each transposed convolution loses at its start."""
        return numbers(self.settings.cuts) or []

    @property
    def dilations(self) -> list[list[int]]:
        """Of the blocks of each chain."""
        return chains_of(self.settings.dilations) or []

    @property
    def bands(self) -> int:
        """Mel bands."""
        return self.settings.recipe.bands

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return prod(self.ratios)

    @property
    def reflect(self) -> bool:
        """Whether convolutions reflect at the ends; otherwise there are zeros."""
        return self.settings.padding == "reflect"

    @property
    def least_frames(self) -> int:
        """The fewest frames that every reflection has enough samples for: more than it adds."""
        if not self.reflect:
            return 1
        least, samples = ENDS_KERNEL // 2 + 1, 1
        widest = max(
            kernel // 2 * max(chain)
            for kernel, chain in zip(self.kernels, self.dilations, strict=True)
        )
        for ratio in self.ratios:
            samples *= ratio
            least = max(least, -(-(widest + 1) // samples))
        return max(least, -(-(ENDS_KERNEL // 2 + 1) // samples))
