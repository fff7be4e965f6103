"""The sizes of one WaveGlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyvoc.container.layout import shapes_of
from pyvoc.container.tensors import Scalar
from pyvoc.families.waveglow.spec import WaveglowSettings, apart, count, tensors


@dataclass(frozen=True)
class WaveglowShape:
    """What a WaveGlow looks like.

    Parameters
    ----------
    settings
        What the tensors do not say.
    flows, layers
        Of the model, of a flow.
    hidden
        Channels within a flow.
    taps
        Of the upsampling, in samples.
    apart
        Whether each mel band is upsampled by itself, not all into all as upstream has it.
    """

    settings: WaveglowSettings
    flows: int
    layers: int
    hidden: int
    taps: int
    apart: bool = False

    @classmethod
    def of(
        cls, arrays: Mapping[str, npt.NDArray[np.floating]], metadata: Mapping[str, Scalar]
    ) -> WaveglowShape:
        """The shape that a valid model's tensors and metadata tell."""
        shapes = {name: array.shape for name, array in arrays.items()}
        flows, layers = count(shapes)
        return cls(
            settings=WaveglowSettings.from_metadata(metadata),
            flows=flows,
            layers=layers,
            hidden=arrays["flow.0.start.weight"].shape[0],
            taps=arrays["upsample.weight"].shape[2],
            apart=apart(shapes),
        )

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the spec, in its order, and its shape."""
        dims = {"mels": self.bands, "taps": self.taps, "C": self.hidden, "2C": 2 * self.hidden}
        dims["mels/apart"] = 1 if self.apart else self.bands
        dims["mels*groups"] = self.bands * self.settings.groups
        for k, channels in enumerate(self.channels):
            dims |= {f"c{k}": channels, f"c{k}/2": channels // 2}
        return shapes_of(tensors(self.flows, self.layers), dims)

    @property
    def bands(self) -> int:
        """Mel bands."""
        return self.settings.recipe.bands

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return self.settings.recipe.hop_length

    @property
    def channels(self) -> list[int]:
        """Of each flow, flow 0 first."""
        return self.settings.channels(self.flows)

    def joins(self, flow: int) -> bool:
        """Whether channels join after a flow is undone, as they left before it."""
        return flow > 0 and flow % self.settings.early_every == 0 and self.settings.early_size > 0

    def reads_second(self, flow: int) -> bool:
        """Whether a flow reads the second half of its channels and changes the first."""
        return self.settings.alternate and flow % 2 == 1
