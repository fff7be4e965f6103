"""Denoising: a model's own hum, taken out of its speech by spectral subtraction.

As the denoiser of NVIDIA's WaveGlow: what the model makes of frames of zeros is its hum; the
magnitudes of the hum's first frame, times a strength, are subtracted from those of every frame of a
short-time Fourier transform of the speech, down to zero; the phases stay.
"""

from __future__ import annotations

import operator

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc
from pyvoc.errors import AudioError, Error
from pyvoc.runtime.inputs import as_pcm
from pyvoc.runtime.model import Model

__all__ = ["BIAS_FRAMES", "FFT_LENGTH", "STRENGTH", "Denoiser", "bias_of"]

Float32 = npt.NDArray[np.float32]

FFT_LENGTH = 1024
"""Samples under a window, upstream's."""
BIAS_FRAMES = 88
"""Frames of zeros that a model's hum is made of, upstream's."""
STRENGTH = 0.1
"""Upstream's."""
_FFT_LENGTHS = frozenset(1 << k for k in range(4, 15))
_RATES = (1000, 384000)


def bias_of(hum: npt.ArrayLike, *, fft_length: int = FFT_LENGTH) -> Float32:
    """The magnitudes of a hum's first frame.

    Parameters
    ----------
    hum
        [samples], floats in -1..1 or int16; more than half of `fft_length`. The frame is centred
        on the first sample, the signal mirrored about it.
    fft_length
        Length in samples of the window (periodic Hann), a power of two from 16 to 16384.

    Returns
    -------
    float32 [fft_length / 2 + 1]

    Raises
    ------
    AudioError
        Too few samples, NaN, infinite or absurd ones.
    Error
        Another `fft_length`.
    """
    if fft_length not in _FFT_LENGTHS:
        raise Error(
            f"the transform has {fft_length} points, expected a power of two from 16 to 16384"
        )
    return _pyvoc.denoiser_bias(as_pcm(hum), fft_length)


class Denoiser:
    """Samples in, samples out, without a model's hum.

    Any split of a signal gives the same samples, bit for bit; n samples give n samples. One thread
    at a time; another thread's call is refused.

    Parameters
    ----------
    bias
        Magnitudes of the hum, [bins]: :func:`bias_of`. The transform has ``2 * (bins - 1)`` points.
    sample_rate
        Hz, of the hum and of what is denoised.
    strength
        The part of the bias that is subtracted, 0 to 1.
    hop_length
        Samples between two windows; None for a quarter of the transform, the most.

    Raises
    ------
    Error
        A bias of another shape or with NaN, infinite, negative or absurd magnitudes; a strength,
        rate or hop out of range.

    Examples
    --------
    >>> denoiser = pyvoc.Denoiser.for_model(model, strength=0.1)
    >>> clean = denoiser.denoise(model.synthesize(features))
    """

    def __init__(
        self,
        bias: npt.ArrayLike,
        *,
        sample_rate: int,
        strength: float = STRENGTH,
        hop_length: int | None = None,
    ) -> None:
        self._bias = _as_bias(bias)
        self._sample_rate = _whole(sample_rate, "the sample rate", *_RATES)
        self._strength = _as_strength(strength)
        most = max((len(self._bias) - 1) // 2, 1)  # a quarter of the transform
        self._hop = 0 if hop_length is None else _whole(hop_length, "the hop", 1, most)
        self._native = self._open()

    def _open(self) -> _pyvoc.Denoiser:
        return _pyvoc.Denoiser(self._bias, self._strength, self._hop)

    @classmethod
    def for_model(
        cls, model: Model, *, strength: float = STRENGTH, features: npt.ArrayLike | None = None
    ) -> Denoiser:
        """The denoiser of a model's hum, which the model is run for (WaveGlow: with sigma 0).

        Parameters
        ----------
        model
            The model.
        strength
            As for the class.
        features
            [frames, dims], what the model hums at; None for upstream's: 88 frames of zeros. In a
            logarithmic mel zeros are no silence. A model that draws no noise may speak up at them:
            give it the features of silence then.

        Raises
        ------
        FeatureError
            As :meth:`Model.synthesize`.
        Error
            As the class.
        """
        strength = _as_strength(strength)  # before the model runs
        if features is None:
            features = np.zeros((BIAS_FRAMES, model.info.feature_dims), np.float32)
        sigma = 0.0 if model.info.noise_channels else None  # what is left without the noise
        hum = model.synthesize(features, sigma=sigma)
        return cls(bias_of(hum), sample_rate=model.info.sample_rate, strength=strength)

    @property
    def bias(self) -> Float32:
        """The magnitudes [bins], a copy."""
        return np.array(self._bias, dtype=np.float32)

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self._sample_rate

    @property
    def strength(self) -> float:
        """The part of the bias that is subtracted."""
        return self._strength

    @property
    def latency_samples(self) -> int:
        """The most that the output lags the input.

        One less than the transform's length; its length less a hop where the input comes in whole
        hops of the transform.
        """
        return self._native.latency_samples

    def __repr__(self) -> str:
        return f"<pyvoc.Denoiser: {self._sample_rate} Hz, strength {self._strength:g}>"

    def denoise(self, samples: npt.ArrayLike, *, rate: int | None = None) -> Float32:
        """Denoise a whole signal; what was pushed before has no part in it, nor does it end it.

        Parameters
        ----------
        samples
            [samples], floats in -1..1 or int16.
        rate
            Hz, of the samples; None for the denoiser's.

        Returns
        -------
        float32 [samples]
            As many as came in.

        Raises
        ------
        AudioError
            Another rate, shape or type; NaN, infinite or absurd samples.
        """
        if rate is not None and rate != self._sample_rate:
            raise AudioError(
                f"the samples are at {rate} Hz, the denoiser's hum at {self._sample_rate} Hz"
            )
        native = self._open()
        parts = [native.push(as_pcm(samples)), native.flush()]
        clean: Float32 = np.concatenate(parts)
        return clean

    def push(self, samples: npt.ArrayLike) -> Float32:
        """The samples [n] that these complete; n may be 0.

        Raises
        ------
        AudioError
            Another shape or type; NaN, infinite or absurd samples. None of them were taken.
        Error
            After :meth:`flush`.
        """
        return self._native.push(as_pcm(samples))

    def flush(self) -> Float32:
        """End the signal: the samples [n] that were held back."""
        return self._native.flush()

    def reset(self) -> None:
        """Back to the beginning, for another signal."""
        self._native.reset()


def _as_bias(bias: npt.ArrayLike) -> Float32:
    array = np.asarray(bias)
    if array.ndim != 1 or array.dtype.kind != "f":
        raise Error(f"expected a bias as floats [bins], got {array.dtype} of shape {array.shape}")
    return np.array(array, dtype=np.float32)


def _as_strength(strength: float) -> float:
    try:
        number = float(strength)
    except (TypeError, ValueError) as error:
        raise Error(f"expected the strength as a number, got {strength!r}") from error
    if not 0 <= number <= 1:  # NaN too
        raise Error(f"the strength is {number:g}, expected 0 to 1")
    return number


def _whole(value: int, what: str, low: int, high: int) -> int:
    try:
        number = operator.index(value)
    except TypeError as error:
        raise Error(f"expected {what} as a whole number, got {value!r}") from error
    if not low <= number <= high:
        raise Error(f"{what} is {number}, expected {low} to {high}")
    return number
