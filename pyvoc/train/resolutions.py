"""Distances of spectra at many resolutions, as FARGAN's first stage minimises them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WINDOWS = (2560, 1280, 640, 320, 160, 80)
"""Samples; each hops by a quarter."""
_LEAST = 1e-7
_FAINT = 1e-2
_SILENT = 1e-4
PREEMPHASIS = 0.85


def magnitudes(audio: Tensor, window: Tensor) -> Tensor:
    """``[rows, bins, frames]`` of ``[rows, samples]``, Hann window, a hop of a quarter, both ends
    mirrored; always float32 or better."""
    size = len(window)
    with torch.autocast(audio.device.type, enabled=False):
        edge = size // 2
        padded = functional.pad(audio[:, None], (edge, edge), mode="reflect")[:, 0]
        bins = torch.stft(
            padded, size, size // 4, window=window.to(audio), center=False, return_complex=True
        )
        return (bins.real.square() + bins.imag.square() + _LEAST**2).sqrt()


class Windows(nn.Module):
    """Hann windows, which move with the module and are not in its checkpoint."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self._names = [f"window{size}" for size in sizes]
        for name, size in zip(self._names, sizes, strict=True):
            self.register_buffer(name, torch.hann_window(size), persistent=False)

    def all(self) -> list[Tensor]:
        """In the order given."""
        return [getattr(self, name) for name in self._names]


def spectral_distance(made: Tensor, true: Tensor, windows: Windows) -> Tensor:
    """Sum of differences of magnitudes' roots over the sum of the true ones, averaged.

    Upstream's sums go over a batch; here over a row, so that a batch may be divided among
    processes. A row with a mean root below 1 / 100 (near digital silence) counts as if it had that.

    Parameters
    ----------
    made, true
        ``[rows, samples]``, more than half the longest window.
    windows
        Of `WINDOWS`.
    """
    found = []
    for window in windows.all():
        with torch.no_grad():
            expected = magnitudes(true, window).sqrt()
            scale = expected.mean((1, 2)).clamp(min=_FAINT)
        difference = (magnitudes(made, window).sqrt() - expected).abs().mean((1, 2))
        found.append((difference / scale).mean())
    return torch.stack(found).mean()


def signal_distance(made: Tensor, true: Tensor) -> Tensor:
    """Mean absolute difference of signals ``[rows, samples]`` over the true ones' mean absolute
    value, after pre-emphasis (which gives the higher harmonics a say), averaged over rows.

    A row below 1 / 10000 counts as if it had that.
    """
    wanted = true[:, 1:] - PREEMPHASIS * true[:, :-1]
    found = made[:, 1:] - PREEMPHASIS * made[:, :-1]
    scale = wanted.abs().mean(1).clamp(min=_SILENT)
    return ((found - wanted).abs().mean(1) / scale).mean()


def waveform_distance(made: Tensor, true: Tensor) -> Tensor:
    """1 - the cosine of the angle between signals ``[rows, samples]``, averaged."""
    return 1.0 - functional.cosine_similarity(made, true, eps=1e-12).mean()
