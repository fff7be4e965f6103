"""The sizes of one MelGAN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from pyvoc.container.layout import shapes_of
from pyvoc.container.tensors import Scalar
from pyvoc.families.melgan.spec import ENDS_KERNEL, MelganSettings, tensors


@dataclass(frozen=True)
class MelganShape:
    """What a MelGAN looks like.

    Parameters
    ----------
    settings
        What the tensors do not say.
    channels
        Of ``conv_in``, then of each stage.
    ratios
        Upsampling ratio of each stage.
    blocks
        Residual blocks per stage.
    """

    settings: MelganSettings
    channels: tuple[int, ...]
    ratios: tuple[int, ...]
    blocks: int

    @classmethod
    def of(
        cls, arrays: Mapping[str, npt.NDArray[np.floating]], metadata: Mapping[str, Scalar]
    ) -> MelganShape:
        """The shape that a valid model's tensors and metadata tell."""
        channels = [arrays["conv_in.weight"].shape[0]]
        ratios: list[int] = []
        while (up := arrays.get(f"stage.{len(ratios)}.up.weight")) is not None:
            channels.append(up.shape[1])
            ratios.append(up.shape[2] // 2)
        blocks = 0
        while f"stage.0.block.{blocks}.conv.weight" in arrays:
            blocks += 1
        settings = MelganSettings.from_metadata(metadata)
        return cls(settings, tuple(channels), tuple(ratios), blocks)

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the spec, in its order, and its shape."""
        dims = {"mels": self.bands}
        dims |= {f"C{k}": channels for k, channels in enumerate(self.channels)}
        dims |= {f"2r{k}": 2 * ratio for k, ratio in enumerate(self.ratios)}
        return shapes_of(tensors(len(self.ratios), self.blocks), dims)

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

    def dilation(self, block: int) -> int:
        """Of a block, the first one being 0."""
        return int(self.settings.dilation_base**block)

    @property
    def least_frames(self) -> int:
        """The fewest frames that every reflection has enough samples for: more than it adds."""
        if not self.reflect:
            return 1
        edge = ENDS_KERNEL // 2
        least, samples = edge + 1, 1
        for ratio in self.ratios:
            samples *= ratio
            widest = self.dilation(self.blocks - 1) if self.blocks else 0
            least = max(least, -(-(widest + 1) // samples))
        return max(least, -(-(edge + 1) // samples))
