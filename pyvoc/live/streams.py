"""PortAudio streams that run a native callback: Python takes no part in the sound.

sounddevice's public classes call Python for every block, which holds the interpreter's lock. Its
base class takes a C function and its data, which is private but made for this (its documentation
says "for library authors"); a contract test pins what is used of it.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from pyvoc import _pyvoc
from pyvoc.errors import Error, UnsupportedError
from pyvoc.live.devices import Device, port_audio

__all__ = ["closed", "latencies", "open_stream", "start"]

_CLOSING = 3.0  # seconds that closing a device may take


def open_stream(
    engine: _pyvoc.Live,
    *,
    input: Device | None,
    output: Device | None,
    rate: int,
    block: int,
    channels: tuple[int, int],
    python_callback: bool,
) -> Any:
    """Open a stream between a device or two and an engine; not started.

    Parameters
    ----------
    engine
        Whose callback runs; must live longer than the stream.
    input, output
        Devices; at least one.
    rate
        Hz.
    block
        Samples per callback.
    channels
        Of the input and of the output.
    python_callback
        Call Python for every block, which calls the engine: for systems where the native way fails.

    Raises
    ------
    Error
        The device refuses the rate, the channels or the block, or is busy.
    UnsupportedError
        This sounddevice has no way to take a native callback.
    """
    sd = port_audio()
    kind = "duplex" if input and output else "input" if input else "output"
    settings: dict[str, Any] = {
        "samplerate": rate,
        "blocksize": block,
        "dtype": "float32",
        "latency": "low",
        "device": _pair(kind, *(None if d is None else d.index for d in (input, output))),
        "channels": _pair(kind, *channels),
    }
    try:
        if python_callback:
            return _python_stream(sd, kind, engine, channels, settings)
        return _native_stream(sd, kind, engine, settings)
    except (sd.PortAudioError, ValueError) as error:
        names = " and ".join(f"'{d.name}'" for d in (input, output) if d is not None)
        usual = ", ".join(sorted({f"{d.rate} Hz" for d in (input, output) if d is not None}))
        raise Error(
            f"{names} cannot be opened at {rate} Hz, {block} samples per block, channels "
            f"{settings['channels']}: {error} (its own rate: {usual}; see --rate, --block)"
        ) from error


def _pair(kind: str, first: Any, second: Any) -> Any:
    return (first, second) if kind == "duplex" else first if kind == "input" else second


def _native_stream(sd: Any, kind: str, engine: _pyvoc.Live, settings: dict[str, Any]) -> Any:
    import cffi

    base = getattr(sd, "_StreamBase", None)
    if base is None:
        raise UnsupportedError(
            f"sounddevice {sd.__version__} takes no native callback: use --python-callback, which "
            "costs underruns when Python is busy"
        )
    ffi = cffi.FFI()
    return base(
        kind,
        callback=ffi.cast("void *", _pyvoc.live_callback_address()),
        userdata=ffi.cast("void *", engine.address),
        **settings,
    )


def _python_stream(
    sd: Any, kind: str, engine: _pyvoc.Live, channels: tuple[int, int], settings: dict[str, Any]
) -> Any:
    def take(data: Any) -> None:
        engine.write(np.ascontiguousarray(data).reshape(-1))

    def give(data: Any) -> None:
        samples = np.empty(data.size, dtype=np.float32)
        engine.read(samples)
        data[:] = samples.reshape(data.shape)

    def both(indata: Any, outdata: Any, *_: Any) -> None:
        take(indata)
        give(outdata)

    def first(data: Any, *_: Any) -> None:
        (take if kind == "input" else give)(data)

    stream = {"duplex": sd.Stream, "input": sd.InputStream, "output": sd.OutputStream}[kind]
    return stream(callback=both if kind == "duplex" else first, **settings)


def start(stream: Any) -> None:
    """Let the callbacks come.

    Raises
    ------
    Error
        The device refuses.
    """
    try:
        stream.start()
    except port_audio().PortAudioError as error:
        raise Error(f"the audio device cannot be started: {error}") from error


def latencies(streams: list[Any], has_input: bool, has_output: bool) -> tuple[float, float]:
    """What PortAudio says, in seconds, of the input and of the output."""
    said: list[float] = []
    for stream in streams:
        latency = stream.latency
        said += list(latency) if isinstance(latency, tuple) else [latency]
    first = said[0] if has_input else 0.0
    return first, said[-1] if has_output else 0.0


def closed(stream: Any) -> bool:
    """Stop and close a stream; False if the system does not come back from that."""

    def close() -> None:
        stream.abort()
        stream.close()

    thread = threading.Thread(target=close, name="pyvoc live closing", daemon=True)
    thread.start()
    thread.join(_CLOSING)
    return not thread.is_alive()
