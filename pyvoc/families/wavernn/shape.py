"""The sizes of one WaveRNN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from pyvoc.container.tensors import Scalar
from pyvoc.families.wavernn.spec import WavernnSettings, count


@dataclass(frozen=True)
class WavernnShape:
    """What a WaveRNN looks like.

    Parameters
    ----------
    settings
        What the tensors do not say.
    rnn, fc
        Sizes of the GRUs and of the fully connected layers.
    hidden, aux
        Sizes of the residual network and of a quarter of its output.
    blocks
        Of the residual network.
    stretches
        Their product is the hop.
    pad
        Frames that the residual network sees on each side.
    outputs
        Of the last layer: three for each logistic, or one for each label.
    """

    settings: WavernnSettings
    rnn: int
    fc: int
    hidden: int
    aux: int
    blocks: int
    stretches: tuple[int, ...]
    pad: int
    outputs: int

    @classmethod
    def of(
        cls, arrays: Mapping[str, npt.NDArray[np.floating]], metadata: Mapping[str, Scalar]
    ) -> WavernnShape:
        """The shape that a valid model's tensors and metadata tell."""
        blocks, stretches = count({name: array.shape for name, array in arrays.items()})
        return cls(
            settings=WavernnSettings.from_metadata(metadata),
            rnn=arrays["rnn1.hidden.weight"].shape[1],
            fc=arrays["fc1.weight"].shape[0],
            hidden=arrays["resnet.in.weight"].shape[0],
            aux=arrays["fc2.input.aux"].shape[1],
            blocks=blocks,
            stretches=tuple(len(arrays[f"upsample.{k}.weight"]) // 2 for k in range(stretches)),
            pad=arrays["resnet.in.weight"].shape[2] // 2,
            outputs=len(arrays["fc3.bias"]),
        )

    @property
    def bands(self) -> int:
        """Mel bands."""
        return self.settings.recipe.bands

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return prod(self.stretches)

    @property
    def draws(self) -> int:
        """Uniform numbers that drawing a sample takes."""
        return self.outputs // 3 + 1 if self.settings.mode == "mol" else 1
