"""What a WaveGlow training run may choose: the ``model:`` section of a configuration."""

from __future__ import annotations

from dataclasses import dataclass

from pyvoc.families.waveglow.settings import TAPS_PER_HOP
from pyvoc.families.waveglow.shape import WaveglowShape
from pyvoc.families.waveglow.spec import DEFAULT_SIGMA, MAX_SIGMA, WaveglowSettings
from pyvoc.train.ear import Distances
from pyvoc.train.mel_choice import MelChoice


@dataclass(frozen=True)
class WaveglowModel(MelChoice):
    """Sizes and the noise; names and defaults are upstream's where it has them.

    Parameters
    ----------
    n_flows, n_group, n_early_every, n_early_size
        Flows; samples of a step; before every so manieth flow so many channels leave.
    n_layers, n_channels
        Dilated layers of a flow, and channels within.
    apart
        Whether each mel band is upsampled by itself, not all into all, which is most of the weights
        of a small network.
    sigma
        Standard deviation that the noise is held against.
    synthesis_sigma
        That of the noise which exported models start from, unless told otherwise.
    likelihood_weight, mel_weight, spectral_weight
        What is minimised: the first times the negative log-likelihood, as upstream, and the others
        times the distances of what the network says, from noise of `synthesis_sigma`, from what
        was said: of mels and of spectra at many resolutions. 0: not computed.
    recipe, mel
        See `MelChoice`.
    """

    n_flows: int = 12
    n_group: int = 8
    n_early_every: int = 4
    n_early_size: int = 2
    n_layers: int = 8
    n_channels: int = 256
    apart: bool = False
    sigma: float = 1.0
    synthesis_sigma: float = DEFAULT_SIGMA
    likelihood_weight: float = 1.0
    mel_weight: float = 0.0
    spectral_weight: float = 0.0
    recipe: str = "nvidia"

    def __post_init__(self) -> None:
        """Raise ValueError for values that cannot be."""
        found = [
            f"{name} is {getattr(self, name)}, expected at least 1"
            for name in ("n_flows", "n_group", "n_early_every", "n_layers", "n_channels")
            if getattr(self, name) < 1
        ]
        if self.n_early_size < 0:
            found.append("n_early_size is negative")
        if not found:
            left = self.n_group - self.n_early_size * ((self.n_flows - 1) // self.n_early_every)
            if left < 2 or left % 2 or self.n_group % 2:
                found.append(f"{left} channels are left for the last flow, expected an even number")
        if not 0 < self.sigma <= MAX_SIGMA or not 0 <= self.synthesis_sigma <= MAX_SIGMA:
            found.append(f"sigma and synthesis_sigma are not within 0..{MAX_SIGMA:g}")
        weights = (self.likelihood_weight, self.mel_weight, self.spectral_weight)
        if not min(weights) >= 0 or not sum(weights) > 0:
            found.append(
                "likelihood_weight, mel_weight and spectral_weight are not 0 or more, and one above"
            )
        if found:
            raise ValueError("; ".join(found))

    @property
    def distances(self) -> Distances:
        """What is compared of what the network says."""
        return Distances(mel=self.mel_weight, spectral=self.spectral_weight)

    def shape(self) -> WaveglowShape:
        """The network's."""
        recipe = self.mel_recipe()
        return WaveglowShape(
            settings=WaveglowSettings(
                recipe,
                groups=self.n_group,
                early_every=self.n_early_every,
                early_size=self.n_early_size,
                sigma=self.synthesis_sigma,
            ),
            flows=self.n_flows,
            layers=self.n_layers,
            hidden=self.n_channels,
            taps=TAPS_PER_HOP * recipe.hop_length,
            apart=self.apart,
        )
