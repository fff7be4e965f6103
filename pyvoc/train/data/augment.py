"""Augmentation of speech for LPCNet: gain, sign, speed, spectral tilt, dither, excitation noise.

The laws are those of upstream's ``dump_data -train`` (Valin & Skoglund 2019; xiph/LPCNet, the
latest and the 2019 recipe). Ours differ in that a draw holds for a segment, not for 28 s, and that
the gain is uniform in dB, not in whole dB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc
from pyvoc.errors import Error, UnsupportedError

__all__ = ["AugmentConfig", "Treatment", "change_speed", "draw_noise", "draw_treatment"]

Float32 = npt.NDArray[np.float32]
NoiseLaw = Literal["latest", "2019", "none"]

_RARE_GAIN = 0.01
_LAPLACE_SCALE = 0.707
_LEAST_SPEED, _MOST_SPEED = 0.5, 2.0
_MOST_GAIN_DB = 60.0
_LOUDEST = 8 * 32768.0  # well within what the extractor takes


@dataclass(frozen=True)
class AugmentConfig:
    """What is done to speech on its way into training; the defaults are upstream's latest.

    Attributes
    ----------
    gain_db
        Range of the gain.
    random_sign
        Turn the signal upside down half the time.
    faint, mute
        Shares of the segments that are attenuated by another 40 dB, or silenced.
    tilt
        Range of the coefficients of a random second-order filter: uniform in +-tilt / 2. 0: none.
    high_pass
        Remove what lies below about 10 Hz.
    dither
        Add uniform noise of one 16-bit step, so that silence is never digital.
    speeds
        Factors of speed (and pitch) to draw from; other than 1 they need the ``soxr`` extra and
        memory for a copy of the corpus each.
    noise
        Law of the spread of the noise in mu-law steps that is added to the excitation.
    noise_gain
        Factor of that spread.
    noise_frames
        The spread is drawn anew after so many 10 ms frames, and with every segment.
    """

    gain_db: tuple[float, float] = (-30.0, 9.0)
    random_sign: bool = True
    faint: float = 0.05
    mute: float = 0.01
    tilt: float = 0.75
    high_pass: bool = True
    dither: bool = True
    speeds: tuple[float, ...] = (1.0,)
    noise: NoiseLaw = "latest"
    noise_gain: float = 1.0
    noise_frames: int = 300

    def __post_init__(self) -> None:
        low, high = self.gain_db
        if not -_MOST_GAIN_DB <= low <= high <= _MOST_GAIN_DB:
            raise Error(f"gain_db is {low:g} to {high:g}; expected a range within +-60 dB")
        for name, share in (("faint", self.faint), ("mute", self.mute)):
            if not 0.0 <= share <= 1.0:
                raise Error(f"{name} is {share:g}; expected a share in 0..1")
        if not 0.0 <= self.tilt < 1.0:
            raise Error(f"tilt is {self.tilt:g}; expected 0 to below 1, where filters are stable")
        if not self.speeds or not all(_LEAST_SPEED <= s <= _MOST_SPEED for s in self.speeds):
            raise Error(f"speeds are {self.speeds}; expected factors in 0.5..2")
        if self.noise not in ("latest", "2019", "none"):
            raise Error(f"noise is {self.noise!r}; expected latest, 2019 or none")
        if not 0.0 <= self.noise_gain <= 100.0:
            raise Error(f"noise_gain is {self.noise_gain:g}; expected 0 to 100")
        if self.noise_frames < 1:
            raise Error(f"noise_frames is {self.noise_frames}; expected 1 at least")

    @classmethod
    def upstream(cls, generation: str = "latest") -> AugmentConfig:
        """What upstream does: ``latest`` or ``2019``."""
        if generation == "latest":
            return cls()
        if generation == "2019":
            return cls(gain_db=(-20.0, 19.0), random_sign=False, noise="2019")
        raise Error(f"generation is {generation!r}; expected latest or 2019")

    @classmethod
    def natural(cls) -> AugmentConfig:
        """Nothing at all: speech as it is, and the quantisation error alone."""
        return cls((0.0, 0.0), False, 0.0, 0.0, 0.0, False, False, noise="none")


@dataclass(frozen=True)
class Treatment:
    """What one segment goes through: factor, and the tilt filter's coefficients [2] or None."""

    gain: float
    tilt: tuple[Float32, Float32] | None
    high_pass: bool
    dither: bool

    def apply(self, pcm: npt.NDArray[np.int16], rng: np.random.Generator) -> Float32:
        """Speech int16 [samples] -> float32 [samples] on the same scale, up to 8 x full scale."""
        x = pcm.astype(np.float32)
        if self.high_pass:
            x = _pyvoc.training.biquad(x, _HIGH_PASS_B, _HIGH_PASS_A)
        if self.tilt is not None:
            x = _pyvoc.training.biquad(x, *self.tilt)
        x *= np.float32(self.gain)
        if self.dither:
            x += rng.random(x.size, dtype=np.float32) - np.float32(0.5)
        return np.clip(x, -_LOUDEST, _LOUDEST, out=x)


_HIGH_PASS_B: Float32 = np.array(_pyvoc.training.HIGH_PASS_B, np.float32)
_HIGH_PASS_A: Float32 = np.array(_pyvoc.training.HIGH_PASS_A, np.float32)


def draw_treatment(config: AugmentConfig, rng: np.random.Generator) -> Treatment:
    """Draw a segment's treatment; the number of draws does not depend on the settings."""
    gain = 10.0 ** (rng.uniform(*config.gain_db) / 20.0)
    sign, faint, mute = rng.random(3)
    if config.random_sign and sign < 0.5:
        gain = -gain
    if faint < config.faint:
        gain *= _RARE_GAIN
    if mute < config.mute:
        gain = 0.0
    coefficients = (config.tilt * (rng.random((2, 2)) - 0.5)).astype(np.float32)
    tilt = (coefficients[0], coefficients[1]) if config.tilt > 0 else None
    return Treatment(gain, tilt, config.high_pass, config.dither)


def draw_noise(
    config: AugmentConfig, frames: int, rng: np.random.Generator
) -> npt.NDArray[np.int32]:
    """Noise to add to the excitation, in mu-law steps: int32 [frames * 160], Laplace."""
    if config.noise == "none" or config.noise_gain == 0.0:
        return np.zeros(frames * 160, np.int32)
    stretches = -(-frames // config.noise_frames)
    u, v = rng.random((2, stretches))
    if config.noise == "latest":
        spread = np.abs(-1.5 * np.log(1e-4 + u) - 0.5 * np.log(1e-4 + v))
    else:
        spread = 10.0 * u * u
    scale = (config.noise_gain * _LAPLACE_SCALE * spread).astype(np.float32)
    per_frame = np.repeat(scale, config.noise_frames)[:frames, None]
    draws = rng.standard_exponential((2, frames, 160), dtype=np.float32)
    steps = np.floor(per_frame * (draws[0] - draws[1]) + np.float32(0.5))
    return np.asarray(np.clip(steps, -255, 255).astype(np.int32).ravel())


def change_speed(pcm: npt.NDArray[np.int16], factor: float) -> npt.NDArray[np.int16]:
    """Play faster (above 1) or slower; pitch goes with it.

    Raises
    ------
    UnsupportedError
        The ``soxr`` extra is not installed.
    """
    if factor == 1.0:
        return pcm
    try:
        import soxr
    except ImportError as error:
        raise UnsupportedError(
            f"speed {factor:g} needs the soxr extra (pip install pyvoc-vocoder[soxr])"
        ) from error
    changed = soxr.resample(pcm.astype(np.float32), 16000.0 * factor, 16000.0, quality="HQ")
    return np.asarray(np.clip(np.rint(changed), -32768, 32767).astype(np.int16))
