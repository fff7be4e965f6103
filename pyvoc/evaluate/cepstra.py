"""Spectral envelopes, mel-cepstra and their distortion."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pyvoc.evaluate import frames
from pyvoc.evaluate.f0 import LOWEST, Track, world

__all__ = ["RECIPE", "envelope", "envelope_name", "mel_cepstra", "mel_cepstral_distortion"]

Float64 = npt.NDArray[np.float64]

WARP = 0.42  # all-pass constant nearest to the mel scale at 16 kHz
ORDER = 24
UNVOICED_F0 = 500.0  # sets the window of unvoiced frames; Morise 2015
_COMPENSATION = -0.15  # Morise 2015: undoes the smoothing of the spectral peaks
_LEAST_POWER = 1e-16
RECIPE = (
    f"mel-cepstral distortion: {{envelope}} envelope every {frames.FRAME_MS} ms from each "
    f"signal's own F0, all-pass warp {WARP}, c_m = inverse DFT of the log amplitude, "
    f"m = 1-{ORDER}, no time warping, 10/ln 10 sqrt(2 sum d^2), mean over frames within "
    f"{frames.ACTIVE_RANGE_DB:g} dB of the reference's 95th percentile level; with the one-sided "
    "cepstra of SPTK (ln |H| = sum c_m cos mw), as many papers, it is twice that"
)


def envelope_name() -> str:
    """Which estimator :func:`envelope` uses here."""
    return "CheapTrick (pyworld)" if world() is not None else "CheapTrick (pyvoc's numpy)"


def envelope(signal: Float64, rate: int, track: Track) -> Float64:
    """Power spectral envelope [frames, bins], pitch-adaptive (Morise 2015)."""
    size = _fft_size(rate)
    pyworld = world()
    if pyworld is None:
        return cheaptrick(signal, rate, track.f0)
    times = np.arange(len(track.f0)) * (frames.hop_length(rate) / rate)
    found: Float64 = pyworld.cheaptrick(
        np.ascontiguousarray(signal), np.ascontiguousarray(track.f0), times, rate, fft_size=size
    )
    return found


def _fft_size(rate: int) -> int:
    return int(2 ** np.ceil(np.log2(3 * rate / LOWEST + 1)))


def cheaptrick(signal: Float64, rate: int, f0: Float64) -> Float64:
    """CheapTrick (Morise 2015) in numpy: power envelope [frames, bins].

    Parameters
    ----------
    signal
        [samples].
    rate
        Hz.
    f0
        [frames] in Hz; 0 where unvoiced.
    """
    size = _fft_size(rate)
    hop = frames.hop_length(rate)
    padded = np.pad(signal, size)
    return np.stack(
        [
            _envelope_frame(padded, size + i * hop, rate, value or UNVOICED_F0, size)
            for i, value in enumerate(f0.tolist())
        ]
    )


def _envelope_frame(signal: Float64, centre: int, rate: int, f0: float, size: int) -> Float64:
    half = round(1.5 * rate / f0)
    at = np.arange(-half, half + 1)
    window = 0.5 + 0.5 * np.cos(np.pi * at * f0 / (1.5 * rate))
    window /= np.sqrt((window**2).sum())
    wave = signal[centre - half : centre + half + 1] * window
    wave = wave - window * (wave.sum() / window.sum())
    power = np.abs(np.fft.rfft(wave, size)) ** 2 + _LEAST_POWER
    hertz = np.arange(len(power)) * (rate / size)
    low = hertz < f0  # the window takes the constant away: put back what mirrors there
    power[low] += np.interp(f0 - hertz[low], hertz, power)
    smooth = _box(power, hertz, 2 * f0 / 3)
    quefrency = np.arange(size) / rate
    quefrency = np.minimum(quefrency, size / rate - quefrency)
    lifter = np.sinc(f0 * quefrency) * (
        1 - 2 * _COMPENSATION + 2 * _COMPENSATION * np.cos(2 * np.pi * f0 * quefrency)
    )
    cepstrum = np.fft.irfft(np.log(np.maximum(smooth, _LEAST_POWER)), size)
    return np.asarray(np.exp(np.fft.rfft(cepstrum * lifter).real))


def _box(power: npt.NDArray[np.floating], hertz: npt.NDArray[np.floating], width: float) -> Float64:
    """Mean over `width` Hz around each bin, mirrored at both ends."""
    step = hertz[1]
    reach = int(np.ceil(width / step)) + 1
    mirrored = np.concatenate([power[reach:0:-1], power, power[-2 : -reach - 2 : -1]])
    edges = (np.arange(len(mirrored) + 1) - 0.5 - reach) * step
    integral = np.concatenate([[0.0], np.cumsum(mirrored) * step])
    upper = np.interp(hertz + width / 2, edges, integral)
    return np.asarray((upper - np.interp(hertz - width / 2, edges, integral)) / width)


def mel_cepstra(power: Float64) -> Float64:
    """Warped cepstra [frames, ORDER + 1] of power envelopes [frames, bins].

    ``ln |H| = c_0 + 2 sum c_m cos(m w)``: the inverse DFT of the log amplitude.
    """
    bins = power.shape[1]
    warped = np.linspace(0, np.pi, bins)
    straight = warped - 2 * np.arctan2(WARP * np.sin(warped), 1 + WARP * np.cos(warped))
    at = straight * ((bins - 1) / np.pi)
    below = np.minimum(at.astype(np.int64), bins - 2)
    share = at - below
    log_amplitude = 0.5 * np.log(np.maximum(power, _LEAST_POWER))
    resampled = log_amplitude[:, below] * (1 - share) + log_amplitude[:, below + 1] * share
    return np.asarray(np.fft.irfft(resampled, axis=1)[:, : ORDER + 1])


def mel_cepstral_distortion(
    reference: Float64, output: Float64, rate: int, tracks: tuple[Track, Track]
) -> float:
    """Distortion in dB of aligned signals [samples]; see :data:`RECIPE`."""
    left = mel_cepstra(envelope(reference, rate, tracks[0]))
    right = mel_cepstra(envelope(output, rate, tracks[1]))
    n = min(len(left), len(right))
    kept = frames.active(reference, rate)[:n]
    difference = (left[:n] - right[:n])[kept, 1:]
    distance = np.sqrt(2 * (difference**2).sum(axis=1))
    return float(10 / np.log(10) * distance.mean())
