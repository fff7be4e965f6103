"""What the benchmark of one model family needs to know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.bench.seeded import Seeded
from pyvoc.container.tensors import Scalar

Array = npt.NDArray[np.float32]

PEERS = (
    ("onnxruntime", "f32"),
    ("onnxruntime", "int8"),
    ("torch", "f32"),
    ("torch", "bf16"),
    ("openvino", "f32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
)
"""Every runtime and precision that networks from mel to audio are measured beside."""


def no_noise(frames: int, metadata: Mapping[str, Scalar]) -> Array | None:
    """For models that start from none."""
    return None


@dataclass(frozen=True)
class Family:
    """One model family.

    Parameters
    ----------
    name
        Of the architecture.
    title
        For people.
    peers
        Runtimes and precisions to measure beside ours.
    seeded
        A model of the published size with random weights.
    mel
        (frames, metadata of the model file) -> a mel spectrogram [frames, bands].
    macs
        (description of the model) -> multiply-adds per frame, group by group.
    size
        Where several published sizes are measured: which this is.
    noise
        (frames, metadata) -> what synthesis starts from, sigma included, [channels, steps]; None
        for models that start from none.
    kernel
        Most multiply-adds are in kernels of this name: whose tier is named.
    """

    name: str
    title: str
    peers: tuple[tuple[str, str], ...]
    seeded: Seeded
    mel: Callable[[int, Mapping[str, Scalar]], Array]
    macs: Callable[[Mapping[str, Any]], dict[str, int]]
    size: str = ""
    noise: Callable[[int, Mapping[str, Scalar]], Array | None] = no_noise
    kernel: str = "conv"

    @property
    def measured(self) -> str:
        """What is measured, for tables."""
        return f"{self.name}-{self.size}" if self.size else self.name
