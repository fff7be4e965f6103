"""How far made sound is from true sound, for training: what a network learns from by itself."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pyvoc.container.mel import MelRecipe
from pyvoc.errors import Error
from pyvoc.train.resolutions import WINDOWS, Windows, signal_distance, spectral_distance
from pyvoc.train.spectra import MelSpectrogram

__all__ = ["Distances", "Ear"]


@dataclass(frozen=True)
class Distances:
    """What is compared.

    Parameters
    ----------
    mel, spectral, waveform
        Weights of the distances of mels, of spectra at many resolutions
        (`pyvoc.train.resolutions`) and of the signals themselves; 0: it is not computed. The last
        is for sound that the mel determines, phases and all: what another vocoder made of it.
    """

    mel: float = 0.0
    spectral: float = 0.0
    waveform: float = 0.0

    @property
    def any(self) -> bool:
        """Whether anything is compared."""
        return self.mel + self.spectral + self.waveform > 0


class Ear:
    """Compares sound ``[batch, samples]``.

    Parameters
    ----------
    distances
        What is compared.
    recipe
        Of the mels.
    """

    def __init__(self, distances: Distances, recipe: MelRecipe) -> None:
        self._distances = distances
        self._mel = MelSpectrogram(recipe)
        self._windows = Windows(WINDOWS)

    def check(self, segment: int) -> None:
        """Refuse segments of so many samples that are too short to be compared.

        Raises
        ------
        Error
            The longest window does not fit.
        """
        least = max(WINDOWS) // 2
        if self._distances.spectral and segment <= least:
            raise Error(f"'segment' is {segment} samples; spectral_weight needs more than {least}")

    def compare(self, made: Tensor, audio: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted distances, and their parts."""
        wanted, metrics = self._distances, {}
        total = made.new_zeros(())
        if wanted.mel:
            mel = self.mel_distance(made, audio)
            total, metrics["mel"] = total + wanted.mel * mel, mel.detach()
        if wanted.spectral:
            windows = self._windows.to(audio.device)
            spectral = spectral_distance(made.float(), audio, windows)
            total = total + wanted.spectral * spectral
            metrics["spectral"] = spectral.detach()
        if wanted.waveform:
            waveform = signal_distance(made.float(), audio)
            total = total + wanted.waveform * waveform
            metrics["waveform"] = waveform.detach()
        return total, metrics

    def mel_distance(self, made: Tensor, audio: Tensor) -> Tensor:
        """Mean absolute difference of the mels."""
        mel = self._mel.to(audio.device)
        distance: Tensor = (mel(audio) - mel(made)).abs().mean()
        return distance
