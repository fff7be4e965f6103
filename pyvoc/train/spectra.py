"""Mel spectrograms in PyTorch, for losses: the recipe's frames, with a gradient.

For features there is the runtime's extractor, which this is tested against.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from pyvoc.container.mel import MelRecipe

__all__ = ["MelSpectrogram", "mel_filters"]

_LINEAR_HZ = 200.0 / 3.0  # Slaney, Auditory Toolbox, 1998: a mel below 1 kHz
_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0
_LEAST_POWER = 1e-20
"""Of a bin; far below every recipe's floor."""
_STEP = np.log(6.4) / 27.0  # of the logarithm of a frequency above


def _to_mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _LINEAR_HZ
    return float(_BREAK_MEL + np.log(hz / _BREAK_HZ) / _STEP)


def mel_filters(recipe: MelRecipe) -> npt.NDArray[np.float32]:
    """A recipe's triangles of unit area on Slaney's scale: float32 [bands, fft_length // 2 + 1]."""
    mels = np.linspace(_to_mel(recipe.fmin), _to_mel(recipe.fmax), recipe.bands + 2)
    above = _BREAK_HZ * np.exp((mels - _BREAK_MEL) * _STEP)
    edges = np.where(mels < _BREAK_MEL, mels * _LINEAR_HZ, above)
    bins = np.arange(recipe.fft_length // 2 + 1) * (recipe.sample_rate / recipe.fft_length)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    slopes = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    triangles = np.maximum(slopes, 0.0) * (2.0 / (high - low))
    return np.asarray(triangles, np.float32)


class MelSpectrogram(nn.Module):
    """The frames of a recipe.

    Parameters
    ----------
    recipe
        Any; ``fmax`` and ``bands`` may be others than a model reads.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, recipe: MelRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        window = torch.hann_window(recipe.window_length, periodic=True)
        self.register_buffer("window", window, persistent=False)
        filters = torch.from_numpy(mel_filters(recipe))
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Frames of whole signals, always in float32.

        Parameters
        ----------
        audio
            ``[batch, samples]`` in -1..1; with reflection more samples than the recipe's ``pad``.

        Returns
        -------
        Tensor
            ``[batch, bands, frames]``, as many as `MelRecipe.frames` says.
        """
        recipe = self.recipe
        with torch.autocast(audio.device.type, enabled=False):
            mode = "reflect" if recipe.padding == "reflect" else "constant"
            padded = functional.pad(audio.float(), (recipe.pad, recipe.pad), mode=mode)
            bins = torch.stft(
                padded,
                recipe.fft_length,
                recipe.hop_length,
                recipe.window_length,
                self.window,
                center=False,
                return_complex=True,
            )
            power = bins.real.square() + bins.imag.square() + recipe.epsilon
            # The root's slope at zero is infinite, and times the floor's slope, zero, no number.
            spectrum = power if recipe.power == 2 else power.clamp(min=_LEAST_POWER).sqrt()
            return self.logarithm(torch.matmul(self.filters, spectrum))

    def logarithm(self, mel: Tensor) -> Tensor:
        """What the recipe makes of bands' amplitudes or powers."""
        recipe = self.recipe
        mel = mel.clamp(min=recipe.floor)
        if recipe.log == "ln":
            return mel.log()
        values = mel.log10()
        if recipe.log == "db":
            values = values * (20.0 / recipe.power)
        if recipe.normalized:
            values = ((values - recipe.ref_db - recipe.min_db) / -recipe.min_db).clamp(0.0, 1.0)
        return values
