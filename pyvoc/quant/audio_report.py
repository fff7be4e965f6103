"""What a precision costs a model whose output is audio: two models on one mel spectrogram.

Without a mel of the user's the probe is a synthetic one, speech-like and deterministic: voiced and
noisy stretches and pauses under moving formants, in the units of the model's recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyvoc import families
from pyvoc.container.mel import MelRecipe
from pyvoc.container.tensors import Scalar
from pyvoc.errors import Error
from pyvoc.files import mels
from pyvoc.quant.reports import decibels, in_decibels

SECONDS = 1.5
"""Of the synthetic probe."""
BUNDLED = "bundled"
"""`AudioReport.probe` of a family without mels: features that come with the package."""
_PITCH, _LOUDEST = 120.0, 3.0
_FORMANTS = ((600.0, 200.0, 1.3), (1500.0, 450.0, 0.9), (2800.0, 300.0, 0.7))


@dataclass(frozen=True)
class AudioReport:
    """Error of a model's audio against that of its float form.

    Parameters
    ----------
    frames
        Of the mel spectrogram, or of other features.
    seconds
        Of audio that was compared.
    probe
        Where they are from: ``synthetic`` or ``given``, of a mel; ``bundled``, of other features.
    snr_db
        Power of float's audio over the power of the difference; None when there is none.
    log_spectral_distance_db
        As `pyvoc.evaluate.spectra` measures it.
    """

    frames: int
    seconds: float
    probe: str
    snr_db: float | None
    log_spectral_distance_db: float

    def line(self) -> str:
        """The figures in one line."""
        source = f"{BUNDLED} features" if self.probe == BUNDLED else f"a {self.probe} mel"
        return (
            f"against float, {self.seconds:.2f} s of audio from {source}: "
            f"SNR {in_decibels(self.snr_db)}, "
            f"log-spectral distance {self.log_spectral_distance_db:.3f} dB"
        )


def probe_mel(recipe: MelRecipe) -> NDArray[np.float32]:
    """A synthetic mel spectrogram ``[frames, bands]`` of a recipe, `SECONDS` long."""
    rng = np.random.Generator(np.random.PCG64(20191008))
    frames = max(8, round(SECONDS * recipe.sample_rate / recipe.hop_length))
    time = np.arange(frames)[:, None] * recipe.hop_length / recipe.sample_rate
    edges = 2595 * np.log10(1 + np.array([recipe.fmin, recipe.fmax]) / 700)
    centres = 700 * (10 ** (np.linspace(edges[0], edges[1], recipe.bands + 2)[1:-1] / 2595) - 1)
    voiced = 0.5 + 0.5 * np.tanh(4 * np.sin(2 * np.pi * time / 0.45))
    pitch = _PITCH * (1 + 0.15 * np.sin(2 * np.pi * time / 0.8))
    envelope = np.full((frames, recipe.bands), 0.01)
    for i, (centre, width, speed) in enumerate(_FORMANTS):
        moving = centre * (1 + 0.25 * np.sin(2 * np.pi * time * speed + i))
        envelope = envelope + np.exp(-0.5 * ((centres - moving) / width) ** 2)
    harmonics = 0.6 + 0.4 * np.cos(2 * np.pi * centres / pitch)
    noise = np.exp(0.4 * rng.standard_normal((frames, recipe.bands)))
    tilt = 1 / (1 + centres / 2000)
    voice = envelope * np.where(centres < 3000, harmonics, 0.6) * tilt
    hiss = 0.15 * np.minimum(centres / 4000, 1.0)
    loudness = np.clip(np.sin(2 * np.pi * time / 1.1 + 0.3) + 0.7, 0.0, None)
    amplitude = _LOUDEST * loudness * (voiced * voice + (1 - voiced) * hiss) * noise
    return mels.of_amplitudes(amplitude, recipe)


def compare_audio(
    exact: Any,
    model: Any,
    *,
    metadata: Mapping[str, Scalar],
    mel: NDArray[np.float32] | None = None,
) -> AudioReport:
    """Run both models on one mel spectrogram and compare their audio.

    Parameters
    ----------
    exact
        The float form.
    model
        The model to judge.
    metadata
        Of the model: the mel recipe.
    mel
        ``[frames, bands]``; None takes `probe_mel`.

    Raises
    ------
    Error
        A model's output is not audio of the right length.
    """
    recipe = MelRecipe.from_metadata(metadata)
    features, probe = (probe_mel(recipe), "synthetic") if mel is None else (mel, "given")
    return compare_on(features, exact, model, metadata=metadata, probe=probe)


def compare_on(
    features: NDArray[np.float32],
    exact: Any,
    model: Any,
    *,
    metadata: Mapping[str, Scalar],
    probe: str,
) -> AudioReport:
    """Run both models on the same features [frames, dims] and compare their audio.

    Parameters
    ----------
    features
        As the model reads them.
    exact, model, metadata
        As for `compare_audio`.
    probe
        For the report.

    Raises
    ------
    Error
        A model's output is not audio of the right length.
    """
    rate, hop = (int(metadata[f"pyvoc.features.{k}"]) for k in ("sample_rate", "hop_length"))
    samples = len(features) * hop
    family = families.get(str(metadata["general.architecture"]))
    peak = family.resolve(family.spec).peak
    reference, found = (_audio(m, features, samples, peak) for m in (exact, model))
    return AudioReport(
        len(features),
        samples / rate,
        probe,
        *measure_audio(reference, found, rate),
    )


def measure_audio(
    reference: NDArray[np.float64], found: NDArray[np.float64], rate: int
) -> tuple[float | None, float]:
    """Signal-to-noise ratio (None: no difference) and log-spectral distance, both in dB."""
    from pyvoc.evaluate.spectra import log_spectral_distance

    noise, power = float(((reference - found) ** 2).sum()), float((reference**2).sum())
    return decibels(power, noise), log_spectral_distance(reference, found, rate)


def _audio(model: Any, mel: NDArray[np.float32], samples: int, peak: float) -> NDArray[np.float64]:
    audio = np.asarray(model.synthesize(mel), np.float64)
    if audio.shape != (samples,):
        raise Error(f"the model's audio has shape {audio.shape}, expected {(samples,)}")
    if not np.isfinite(audio).all() or np.abs(audio).max(initial=0) > peak + 1e-3:
        raise Error("the model's output on the probe is not audio")
    return audio
