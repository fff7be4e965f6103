"""Audio files: reading to float32 mono at a wanted rate, writing wav."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyvoc.errors import AudioError, Error, UnsupportedError
from pyvoc.files.atomic import atomic_open

__all__ = [
    "AUDIO_SUFFIXES",
    "RAW_RATE",
    "RAW_SUFFIXES",
    "read",
    "read_int16",
    "write_wav",
]

RAW_RATE = 16000
"""Rate in Hz that files without a header have."""
RAW_SUFFIXES = frozenset({".s16", ".raw", ".pcm", ".sw"})
"""Suffixes of raw 16-bit little-endian mono PCM."""
AUDIO_SUFFIXES = RAW_SUFFIXES | {".wav", ".flac", ".ogg", ".aiff", ".aif"}
"""Suffixes that a directory is searched for."""

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def read(path: str | os.PathLike[str], *, rate: int | None = None) -> tuple[Float32, int]:
    """Read an audio file as mono.

    Parameters
    ----------
    path
        Anything libsndfile reads, or raw 16-bit little-endian PCM at 16 kHz (``.s16``, ``.raw``,
        ``.pcm``, ``.sw``). Several channels are averaged.
    rate
        Wanted rate in Hz; None keeps the file's.

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
    UnsupportedError
        The rates differ and the ``soxr`` extra is not installed.
    Error
        The operating system refused the file.
    """
    samples, found = _load(Path(path), rate)
    return samples.astype(np.float32), found


def read_int16(path: str | os.PathLike[str], *, rate: int) -> npt.NDArray[np.int16]:
    """Read an audio file as mono 16-bit samples at a rate, the form speech corpora come in.

    Resampling and averaging are done in double precision before rounding to nearest.

    Returns
    -------
    int16 [samples]

    Raises
    ------
    Error
        As :func:`read`.
    """
    samples, _ = _load(Path(path), rate)
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)


def _load(source: Path, rate: int | None) -> tuple[Float64, int]:
    if source.is_dir():
        raise Error(f"cannot read '{source}': it is a directory")
    if source.suffix.lower() in RAW_SUFFIXES:
        samples, found = _read_raw(source), RAW_RATE
    else:
        samples, found = _read_sound_file(source)
    if samples.size == 0:
        raise AudioError(f"'{source}' holds no samples")
    if not np.isfinite(samples).all():
        raise AudioError(f"'{source}' holds NaN or infinite samples")
    if rate is None or rate == found:
        return samples, found
    try:
        import soxr
    except ImportError as error:
        raise UnsupportedError(
            f"'{source}' is at {found} Hz and {rate} Hz is needed: resampling needs the soxr "
            "extra (pip install pyvoc-vocoder[soxr])"
        ) from error
    resampled = soxr.resample(samples, found, rate, quality="VHQ")
    return np.asarray(resampled, dtype=np.float64), rate


def _read_raw(source: Path) -> Float64:
    try:
        data = source.read_bytes()
    except OSError as error:
        raise Error(f"cannot read '{source}': {error.strerror}") from error
    if len(data) % 2:
        raise AudioError(f"'{source}' has {len(data)} bytes, an odd number; expected 16-bit PCM")
    if data[:4] in (b"RIFF", b"fLaC", b"OggS"):
        raise AudioError(
            f"'{source}' is named as raw PCM but starts like a {data[:4].decode()} file; rename it"
        )
    return np.frombuffer(data, dtype="<i2").astype(np.float64) / 32768.0


def _read_sound_file(source: Path) -> tuple[Float64, int]:
    import soundfile

    try:
        with open(source, "rb") as stream:
            samples, rate = soundfile.read(stream, dtype="float64", always_2d=True)
    except OSError as error:
        raise Error(f"cannot read '{source}': {error.strerror or error}") from error
    except soundfile.LibsndfileError as error:
        reason = error.error_string
        raise AudioError(f"'{source}' is no audio file that libsndfile reads: {reason}") from error
    except (RuntimeError, TypeError, ValueError) as error:
        raise AudioError(f"'{source}' is no audio file that libsndfile reads: {error}") from error
    return samples.mean(axis=1), int(rate)


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
    if array.dtype != np.int16:
        if not np.isfinite(array).all():
            raise AudioError(f"cannot write '{path}': NaN or infinite samples")
        array = np.clip(np.rint(array.astype(np.float64) * 32768.0), -32768, 32767).astype(np.int16)
    with atomic_open(path) as stream, wave.open(stream, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.setnframes(len(array))  # a pipe's header cannot be mended later
        sound.writeframesraw(array.tobytes())
