"""DistillMOS: the opinion of listeners on a recording, predicted by a network; package distillmos.

Stahl and Gamper, "Distillation and Pruning for Scalable Self-Supervised Representation-Based
Speech Quality Assessment" (ICASSP 2025). The weights come in its wheel.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FIGURES", "PACKAGE", "RECIPE", "load"]

Float32 = npt.NDArray[np.float32]

PACKAGE = "distillmos"
FIGURES = ("distillmos",)
WINDOW = 122880
"""Samples at 16 kHz that the network hears at once: 7.68 s."""
_HOP = 16000
RECIPE = (
    "DistillMOS: package distillmos {version}, opinion predicted without reference, 1..5; each "
    "whole file at 16 kHz (soxr VHQ), mean over windows of 7.68 s, at most 1 s apart and evenly "
    "from start to end, each at full scale; shorter files are followed by zeros"
)


def load() -> Callable[[Float32], dict[str, float]]:
    """The network, ready to score float32 [samples] at 16 kHz.

    Raises
    ------
    ImportError
        The package or one that it needs is missing.
    """
    import torch

    network = _package().ConvTransformerSQAModel
    with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights lie
        model = network(segmenting_in_forward=False).eval()

    def score(samples: Float32) -> dict[str, float]:
        # One window at a time: the package would hold all windows' layers, 30 MB each, at once.
        with torch.inference_mode():
            found = [float(model(torch.from_numpy(part)[None])) for part in windows(samples)]
        return {"distillmos": float(np.mean(found))}

    return score


def windows(samples: Float32) -> list[Float32]:
    """What of a signal the network hears, as the package itself cuts it: float32 [WINDOW] each."""
    over = len(samples) - WINDOW
    if over <= 0:
        return [np.pad(samples, (0, -over))]
    places = np.linspace(0, 1, -(-over // _HOP) + 1)
    starts = [int(place * over) for place in places]
    return [np.ascontiguousarray(samples[start : start + WINDOW]) for start in starts]


def _package() -> Any:
    """Import the package, where need be without torchaudio.

    It imports torchaudio to read files for its own command line. That is not used here, and a
    torchaudio that was built for another PyTorch (with CUDA, beside one without) cannot be loaded.
    """
    try:
        import distillmos
    except (ImportError, OSError):
        if "torchaudio" in sys.modules:
            raise
        sys.modules["torchaudio"] = ModuleType("torchaudio")
        try:
            import distillmos
        finally:
            del sys.modules["torchaudio"]
    return distillmos
