"""Audio files: reading to float32 mono at a wanted rate, writing wav."""

from __future__ import annotations

import os
import wave
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from pyvoc.errors import AudioError, Error
from pyvoc.files.atomic import atomic_open
from pyvoc.files.decoding import (
    Sound,
    check_header,
    check_size,
    decode,
    decode_raw,
    header_of,
)
from pyvoc.files.doubts import doubt
from pyvoc.files.resampling import resample
from pyvoc.files.whole import open_file, read_rest, read_whole

__all__ = [
    "AUDIO_SUFFIXES",
    "RAW_RATE",
    "RAW_SUFFIXES",
    "Source",
    "look",
    "name_of",
    "read",
    "read_int16",
    "to_int16",
    "write_wav",
]

RAW_RATE = 16000
"""Rate in Hz that samples without a header have where nobody says another."""
RAW_SUFFIXES = frozenset({".s16", ".raw", ".pcm", ".sw"})
"""Suffixes of raw 16-bit little-endian PCM."""
AUDIO_SUFFIXES = RAW_SUFFIXES | {
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc"),
    *(".au", ".snd", ".caf", ".w64", ".rf64", ".sph"),
}
"""Suffixes that tell audio from features, and that a directory is searched for."""

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Source = str | os.PathLike[str] | BinaryIO
"""A file's name, or a pipe: wav and its kin by their headers, or else raw PCM."""

_INTEGER_PEAK = 16.0  # of full scale; no mix is so loud
_BEYOND_SHARE = 1e-3  # of the samples of a float file
_QUIET_PEAK = 1.0 / 256.0  # of full scale: 16 bits in a file of 24
_CANCELLED_DB = 20.0  # which an average of channels that do not cancel never loses
_NARROW = 0.9  # of the frequencies that are heard


def read(
    source: Source,
    *,
    rate: int | None = None,
    band: float | None = None,
    pcm_rate: int | None = None,
    pcm_channels: int | None = None,
) -> tuple[Float32, int]:
    """Read audio as mono.

    What is doubtful is said (:mod:`pyvoc.files.doubts`) and read all the same: less than the header
    promises, a float file in the scale of integers, channels that cancel when they are averaged,
    near-silence, a rate that leaves the upper part of what is heard empty, a rate that had to be
    assumed.

    Parameters
    ----------
    source
        Anything libsndfile reads, or raw 16-bit little-endian PCM (``.s16``, ``.raw``, ``.pcm``,
        ``.sw``). Several channels are averaged. Of a pipe (any binary stream) the header tells
        which.
    rate
        Wanted rate in Hz; None keeps the file's.
    band
        Highest frequency in Hz that the caller hears; None: half of `rate`.
    pcm_rate, pcm_channels
        Of raw PCM, in Hz; None: 16000 and 1. A header says its own.

    Returns
    -------
    samples : float32 [samples]
        Full scale is -1..1; a 16-bit sample is divided by 32768.
    rate : int
        Hz.

    Raises
    ------
    AudioError
        The file is no audio, is empty, or holds NaN or infinite samples.
    DoubtError
        Doubts are collected strictly, and there is one.
    UnsupportedError
        The rates differ and the ``soxr`` extra is not installed.
    Error
        The operating system refused the file.
    """
    samples, found = _load(source, rate, band, pcm_rate, pcm_channels)
    return samples.astype(np.float32), found


def read_int16(
    source: Source,
    *,
    rate: int,
    pcm_rate: int | None = None,
    pcm_channels: int | None = None,
) -> npt.NDArray[np.int16]:
    """Read audio as mono 16-bit samples at a rate, the form speech corpora come in.

    Resampling and averaging are done in double precision before rounding to nearest.

    Parameters
    ----------
    source, rate, pcm_rate, pcm_channels
        As :func:`read`.

    Returns
    -------
    int16 [samples]

    Raises
    ------
    Error
        As :func:`read`.
    """
    samples, _ = _load(source, rate, None, pcm_rate, pcm_channels)
    return to_int16(samples)


def to_int16(samples: npt.ArrayLike) -> npt.NDArray[np.int16]:
    """Finite samples in -1..1 as 16-bit ones, to the nearest and clipped; int16 stays as it is."""
    array = np.asarray(samples)
    if array.dtype == np.int16:
        return array
    return np.clip(np.rint(array.astype(np.float64) * 32768.0), -32768, 32767).astype(np.int16)


def _load(
    source: Source,
    rate: int | None,
    band: float | None,
    pcm_rate: int | None,
    pcm_channels: int | None,
) -> tuple[Float64, int]:
    for what, number in (("rate", pcm_rate), ("number of channels", pcm_channels)):
        if number is not None and number < 1:
            raise AudioError(f"the {what} of raw PCM is {number}; expected 1 at least")
    name, data, is_raw = _bytes_of(source)
    if is_raw:
        sound = decode_raw(data, name, rate=pcm_rate or RAW_RATE, channels=pcm_channels or 1)
    else:
        sound = decode(data, name)
    if sound.samples.size == 0:
        raise AudioError(f"{name} holds no samples")
    if not np.isfinite(sound.samples).all():
        raise AudioError(f"{name} holds NaN or infinite samples")
    if is_raw and pcm_rate is None and rate not in (None, RAW_RATE):
        doubt(
            "rate assumed",
            f"{name} has no header: taken for {RAW_RATE} Hz and resampled to {rate} Hz; say the "
            "rate that it has (--rate)",
        )
    if not is_raw:
        _compare_header(sound, name, pcm_rate, pcm_channels)
    mono = sound.samples.mean(axis=1)
    _examine(sound, mono, name, band or (None if rate is None else rate / 2))
    wanted = sound.rate if rate is None else rate
    return resample(mono, sound.rate, wanted, name), wanted


def look(path: str | os.PathLike[str], *, pcm_channels: int | None = None) -> None:
    """Whether a file could be read as audio, by its size and its header: quick, and no promise.

    Parameters
    ----------
    path
        As for :func:`read`.
    pcm_channels
        Of raw PCM.

    Raises
    ------
    AudioError
        It is empty, no audio, or no whole number of samples.
    Error
        The operating system refused the file.
    """
    name = name_of(path)
    if Path(path).is_dir():
        raise Error(f"cannot read {name}: it is a directory")
    try:
        with open_file(path, pipes=True) as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise AudioError(f"{name} is empty; expected audio")
            if Path(path).suffix.lower() in RAW_SUFFIXES:
                check_size(size, name, channels=pcm_channels or 1)
            else:
                check_header(file, name)
    except OSError as error:
        raise Error(f"cannot read {name}: {error.strerror or error}") from error


def name_of(source: Source) -> str:
    """What to call a source in a message."""
    if isinstance(source, str | os.PathLike):
        return f"'{os.fspath(source)}'"
    return "standard input"


def _bytes_of(source: Source) -> tuple[str, bytes, bool]:
    """What to call a source, what is in it, and whether that is raw PCM."""
    name = name_of(source)
    if not isinstance(source, str | os.PathLike):
        data = read_rest(source, name)
        if not data:
            raise AudioError(f"{name} is empty; expected audio: raw 16-bit PCM, or with a header")
        try:
            return name, data, header_of(data) is None
        except AudioError as error:
            raise AudioError(f"{name} {error}") from error
    path = Path(source)
    if path.is_dir():
        raise Error(f"cannot read {name}: it is a directory")
    data = read_whole(path)
    if path.suffix.lower() not in RAW_SUFFIXES:
        return name, data, False
    if data[:4] in (b"RIFF", b"fLaC", b"OggS"):
        raise AudioError(
            f"{name} is named as raw PCM but starts like a {data[:4].decode()} file; rename it"
        )
    return name, data, True


def _compare_header(
    sound: Sound, name: str, pcm_rate: int | None, pcm_channels: int | None
) -> None:
    """Doubt what was said of samples without a header where a header says otherwise."""
    channels = sound.samples.shape[1]
    for option, said, found in (
        ("rate", pcm_rate, sound.rate),
        ("channels", pcm_channels, channels),
    ):
        if said is not None and said != found:
            doubt(
                "header disagrees",
                f"{name} has a header, which says --{option} {found}: --{option} {said} is for "
                "raw PCM and was not used",
            )


def _examine(sound: Sound, mono: Float64, name: str, band: float | None) -> None:
    """Say what is doubtful about samples."""
    if sound.missing:
        doubt("cut short", f"{name} is cut short: its header {sound.missing}")
    magnitude = np.abs(sound.samples)
    peak = float(magnitude.max())
    beyond = float(np.mean(magnitude > 1.0)) if sound.floats else 0.0
    if sound.floats and peak >= _INTEGER_PEAK:
        doubt(
            "integers as floats",
            f"{name} holds floats up to {peak:.6g}, where full scale is 1: integers in a float "
            "file? Divide by 32768 (16 bits)",
        )
    elif beyond > _BEYOND_SHARE:
        doubt(
            "beyond full scale",
            f"{name} has {100 * beyond:.1f} % of its samples beyond full scale (up to {peak:.3g})",
        )
    power = float(np.mean(np.square(sound.samples)))
    if peak < _QUIET_PEAK:
        level = f"peak {20 * np.log10(peak):.0f} dB" if peak else "every sample is 0"
        doubt("silent", f"{name} is all but silent: {level}")
    elif float(np.mean(np.square(mono))) < power * 10 ** (-_CANCELLED_DB / 10):
        doubt(
            "channels cancel",
            f"{name} has {sound.samples.shape[1]} channels that cancel each other when they are "
            "averaged: next to nothing is left; choose one of them",
        )
    if band is not None and sound.rate / 2 < _NARROW * band:
        doubt(
            "narrow band",
            f"{name} is at {sound.rate} Hz and has nothing above {sound.rate // 2} Hz, where "
            f"frequencies up to {band:.0f} Hz are heard",
        )


def write_wav(path: str | os.PathLike[str], samples: npt.ArrayLike, rate: int) -> None:
    """Write 16-bit mono wav; the file appears complete or not at all.

    Parameters
    ----------
    path
        Target.
    samples
        Float [samples] in -1..1 (clipped), or int16 [samples].
    rate
        Hz.

    Raises
    ------
    AudioError
        The samples are not one-dimensional, or not finite.
    Error
        The operating system refused the file.
    """
    array = np.asarray(samples)
    if array.ndim != 1:
        raise AudioError(f"cannot write '{path}': expected mono samples, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise AudioError(f"cannot write '{path}': NaN or infinite samples")
    array = to_int16(array)
    with atomic_open(path) as stream, wave.open(stream, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.setnframes(len(array))  # a pipe's header cannot be mended later
        sound.writeframesraw(array.tobytes())
