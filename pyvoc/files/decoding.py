"""What audio files and pipes hold: every channel as it is, and what the header said of it."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from pyvoc.errors import AudioError
from pyvoc.files.kinds import MAX_TEXT, kind_of
from pyvoc.files.whole import check_expansion

__all__ = ["Sound", "check_header", "check_rate", "check_size", "decode", "decode_raw", "header_of"]

Float64 = npt.NDArray[np.float64]

_HEADERS = {
    b"RIFF": "wav",
    b"RIFX": "wav",
    b"RF64": "wav",
    b"riff": "w64",
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"FORM": "aiff",
    b".snd": "au",
    b"caff": "caf",
    b"ID3\x02": "mp3",
    b"ID3\x03": "mp3",
    b"ID3\x04": "mp3",
    b"NIST": "sphere",
}
_OTHERS = {b"GGUF": "GGUF model", b"\x93NUM": ".npy", b"PK\x03\x04": "zip"}
_SHORTFALL = re.compile(r":\s*(\d+) \(should be (\d+)\)")  # libsndfile's log of a header
_UNKNOWN_LENGTH = 0x7F000000  # bytes; what programs promise that cannot know, and up
_SAMPLE_BYTES = 8  # decoded
_PADDING = 64  # bytes that careless writers are off by
LEAST_RATE, MOST_RATE = 4000, 384000
"""Hz, of audio: the live engine has the same."""
_CODEC_SLACK = 0.02  # of the length; compressed formats estimate it


@dataclass(frozen=True)
class Sound:
    """A decoded file.

    Attributes
    ----------
    samples
        float64 [samples, channels]; full scale is -1..1.
    rate
        Hz.
    floats
        Whether the file holds floats, which may lie beyond full scale.
    missing
        What the header promised and the file does not hold, in words; empty: nothing.
    """

    samples: Float64
    rate: int
    floats: bool = False
    missing: str = ""


class _Source:
    """A file for libsndfile, whose damaged headers make it seek to where nothing is: it stays where
    it was, and nobody is told by a traceback from within a callback."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell, self.read = file.tell, file.read

    def seek(self, offset: int, whence: int = 0) -> None:
        with contextlib.suppress(OSError, ValueError, OverflowError):
            self._file.seek(offset, whence)


def header_of(data: bytes) -> str | None:
    """The audio format whose header the first four bytes are; None: there is none.

    Raises
    ------
    AudioError
        They are the start of another kind of file, which is no samples either.
    """
    start = data[:4]
    if start in _OTHERS:
        raise AudioError(f"starts like a {_OTHERS[start]} file; expected audio")
    return _HEADERS.get(start)


def decode(data: bytes, name: str) -> Sound:
    """Decode a whole file of any format that libsndfile reads.

    Raises
    ------
    AudioError
        It is none; `name` says which in the message.
    """
    import soundfile

    try:
        with soundfile.SoundFile(_Source(io.BytesIO(_with_length(data)))) as file:
            check_rate(int(file.samplerate), name)
            check_expansion(file.frames * file.channels * _SAMPLE_BYTES, name)
            samples = file.read(dtype="float64", always_2d=True)
            return Sound(
                samples,
                int(file.samplerate),
                file.subtype in ("FLOAT", "DOUBLE"),
                _missing(file.frames, len(samples), file.samplerate, file.extra_info),
            )
    except soundfile.LibsndfileError as error:
        raise AudioError(_refused(name, error.error_string, data)) from error
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise AudioError(_refused(name, error)) from error
    except MemoryError as error:
        raise AudioError(f"{name}: there is not enough memory for its samples") from error


def check_rate(rate: int, name: str) -> None:
    """Refuse rates that no audio has: at the rate that a model hears, few bytes become many.

    Raises
    ------
    AudioError
        Outside of 4000 to 384000 Hz.
    """
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise AudioError(f"{name} is at {rate} Hz; expected {LEAST_RATE} to {MOST_RATE} Hz")


def check_header(file: BinaryIO, name: str) -> None:
    """Whether libsndfile knows a file, by its header alone.

    Raises
    ------
    AudioError
        It does not; `name` says which in the message.
    """
    import soundfile

    try:
        with soundfile.SoundFile(_Source(file)) as sound:
            check_rate(int(sound.samplerate), name)
    except soundfile.LibsndfileError as error:
        file.seek(0)
        raise AudioError(_refused(name, error.error_string, file.read(MAX_TEXT))) from error
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise AudioError(_refused(name, error)) from error


def _refused(name: str, reason: object, data: bytes = b"") -> str:
    kind = kind_of(data) if data else None
    reason = reason if kind is None else f"it is {kind}"
    return f"{name} is no audio file that libsndfile reads: {reason}"


def decode_raw(data: bytes, name: str, *, rate: int, channels: int) -> Sound:
    """Take bytes for 16-bit little-endian PCM, its channels interleaved.

    Raises
    ------
    AudioError
        No whole number of samples of every channel.
    """
    check_rate(rate, name)
    check_size(len(data), name, channels=channels)
    check_expansion(len(data) // 2 * _SAMPLE_BYTES, name)
    samples = np.frombuffer(data, dtype="<i2").astype(np.float64) / 32768.0
    return Sound(samples.reshape(-1, channels), rate)


def check_size(size: int, name: str, *, channels: int) -> None:
    """Whether so many bytes can be 16-bit PCM.

    Raises
    ------
    AudioError
        No whole number of samples of every channel.
    """
    if size % 2:
        raise AudioError(f"{name} has {size} bytes, an odd number; expected 16-bit PCM")
    if size % (2 * channels):
        raise AudioError(f"{name} has {size // 2} samples, no whole number for {channels} channels")


def _missing(promised: int, found: int, rate: int, log: str) -> str:
    if promised - found > max(_CODEC_SLACK * promised, 0.1 * rate):
        return f"promises {promised / rate:.2f} s and it holds {found / rate:.2f} s"
    sizes = [(int(a), int(b)) for a, b in _SHORTFALL.findall(log)]
    short = max((a - b for a, b in sizes if a < _UNKNOWN_LENGTH), default=0)
    if short <= _PADDING:
        return ""
    return f"promises {short} bytes more than there are; {found / rate:.2f} s were read"


def _with_length(data: bytes) -> bytes:
    """A wav whose writer left the length of its samples at 0, with the length "unknown"."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return data
    at = 12
    while at + 8 < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"data":
            return data if size else data[: at + 4] + b"\xff\xff\xff\xff" + data[at + 8 :]
        at += 8 + size + size % 2
    return data
