"""What a FARGAN training run may choose: the ``model:`` section of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyvoc.container.tensors import AnyArray, Scalar
from pyvoc.families.fargan.spec import MAX_SIZE

_SIZES = ("pitch_embedding", "cond1", "cond2", "cond", "fwc", "gru1", "gru2", "gru3", "skip")
FFT_SIZES = (64, 128, 256, 512, 1024, 2048)


@dataclass(frozen=True)
class FarganModel:
    """Sizes, and what is learned from; defaults are upstream's.

    Parameters
    ----------
    pitch_embedding, cond1, cond2, cond
        Of the conditioning: the period's embedding, the first layer, the convolution, and what each
        subframe is given.
    fwc, gru1, gru2, gru3, skip
        Of the network that runs every 40 samples: the framewise convolution, the GRUs, the layer
        that gathers.
    noise
        Spread of the uniform noise on what int8 layers read, in the steps of their inputs (1 / 127;
        upstream 1: half a step either way); 0 for none.
    continuity_weight
        Of the distance in waveform of the first 10 ms after the true signal (upstream .03).
    teacher
        A FARGAN of the same sizes (a voice's name, a GGUF, upstream's files) whose layers are
        imitated, in place of the losses of the first stage; empty: none.
    adversarial
        Whether a discriminator teaches too (upstream's second stage); the conditioning and the gain
        are then kept as they are.
    spectral_weight, feature_weight
        Of the spectra's and of the activations' difference in the loss of the second stage.
    critic_steps
        First steps of the second stage, in which the discriminator alone learns (upstream 400).
    fft_sizes
        One discriminator for each.
    critic_channels, critic_most_channels, critic_layers
        Of a discriminator: channels of the first layer, the most, and layers before the last.
    adam_b1, adam_b2, weight_decay
        Of AdamW; b2 None: .95, in the second stage .99, as upstream.
    """

    pitch_embedding: int = 12
    cond1: int = 64
    cond2: int = 128
    cond: int = 80
    fwc: int = 192
    gru1: int = 160
    gru2: int = 128
    gru3: int = 128
    skip: int = 128
    noise: float = 1.0
    continuity_weight: float = 0.03
    teacher: str = ""
    adversarial: bool = False
    spectral_weight: float = 5.0
    feature_weight: float = 1.0
    critic_steps: int = 400
    fft_sizes: tuple[int, ...] = FFT_SIZES
    critic_channels: int = 16
    critic_most_channels: int = 256
    critic_layers: int = 5
    adam_b1: float = 0.8
    adam_b2: float | None = None
    weight_decay: float = 0.01

    @classmethod
    def of(cls, arrays: Mapping[str, AnyArray], metadata: Mapping[str, Scalar]) -> FarganModel:
        """The sizes that a valid model's tensors tell."""
        return cls(
            pitch_embedding=arrays["embed_pitch.weight"].shape[1],
            cond1=arrays["cond.dense1.weight"].shape[0],
            cond2=arrays["cond.conv.weight"].shape[0],
            cond=arrays["gain.weight"].shape[1],
            fwc=arrays["fwc.weight"].shape[0],
            gru1=arrays["gru1.weight_hh"].shape[1],
            gru2=arrays["gru2.weight_hh"].shape[1],
            gru3=arrays["gru3.weight_hh"].shape[1],
            skip=arrays["skip.weight"].shape[0],
        )

    @property
    def betas(self) -> tuple[float, float]:
        """Of AdamW."""
        usual = 0.99 if self.adversarial else 0.95
        return self.adam_b1, usual if self.adam_b2 is None else self.adam_b2

    def __post_init__(self) -> None:
        """Raise ValueError for values that cannot be."""
        found = [
            f"{name} is {getattr(self, name)}, expected 1 to {MAX_SIZE}"
            for name in _SIZES
            if not 1 <= getattr(self, name) <= MAX_SIZE
        ]
        if self.teacher and self.adversarial:
            found.append("teacher and adversarial are two stages of training, not one")
        if not 0 <= self.noise <= 127:
            found.append(f"noise is {self.noise:g}, expected 0 to 127")
        for name in ("continuity_weight", "spectral_weight", "feature_weight", "weight_decay"):
            if getattr(self, name) < 0:
                found.append(f"{name} is negative")
        if not self.fft_sizes or not all(16 <= n <= 4096 and n % 4 == 0 for n in self.fft_sizes):
            found.append(f"fft_sizes are {self.fft_sizes}, expected multiples of 4, 16 to 4096")
        if self.critic_steps < 0 or self.critic_layers < 1 or self.critic_channels < 1:
            found.append("critic_steps, critic_layers or critic_channels are too few")
        if self.critic_most_channels < self.critic_channels:
            found.append("critic_most_channels is less than critic_channels")
        if not all(0 <= b < 1 for b in self.betas):
            found.append(f"Adam's betas are {self.betas}, expected 0 to below 1")
        if found:
            raise ValueError("; ".join(found))
