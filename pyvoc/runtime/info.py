"""What a loaded model is and reads: what everything else of the runtime is told of it."""

from __future__ import annotations

from dataclasses import dataclass

from pyvoc.container.mel import MelRecipe

__all__ = ["ModelInfo"]


@dataclass(frozen=True)
class ModelInfo:
    """What a model is and reads.

    Attributes
    ----------
    path
        File that it was loaded from.
    architecture, precision
        Name of the family; ``f32``, ``bf16`` or ``int8``: what the file holds.
    feature_layout, layout_dims
        Layout of the model's feature files, and its floats per frame.
    feature_dims
        How many of them, from the first, the model reads.
    sample_rate
        Hz.
    hop_length
        Samples per frame.
    lookahead_frames, latency_samples
        What must be pushed beyond the frame that is being heard; how far the output lags the input
        (FARGAN: half a frame more).
    draws_per_sample
        Draws that a sample takes when they are given from outside.
    noise_channels
        Channels of each draw of a model that starts from noise, in the order in which synthesis
        needs them; together the samples of a step. Empty: draws are uniform.
    distribution_size
        Numbers per sample of :meth:`Model.predict`.
    prime_samples, prime_frames
        What :meth:`Stream.prime` wants; 0: the model cannot go on where a signal ended.
    pitch_network
        The file brings a network for the pitch in features that are extracted from audio;
        otherwise the search of the layout's extractor finds it.
    mel
        How the mel frames that the model reads are computed; None for other features.
    """

    path: str
    architecture: str
    precision: str
    feature_layout: str
    layout_dims: int
    feature_dims: int
    sample_rate: int
    hop_length: int
    lookahead_frames: int
    latency_samples: int
    draws_per_sample: int
    distribution_size: int
    prime_samples: int = 0
    prime_frames: int = 0
    pitch_network: bool = False
    mel: MelRecipe | None = None
    noise_channels: tuple[int, ...] = ()
