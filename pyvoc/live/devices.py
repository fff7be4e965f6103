"""Audio devices, and sounddevice behind one door: what is missing is said as our own errors."""

from __future__ import annotations

import atexit
import importlib
from dataclasses import asdict, dataclass
from typing import Any

from pyvoc.errors import Error, UnsupportedError

__all__ = ["Device", "devices", "find_device", "forget_port_audio", "port_audio"]


@dataclass(frozen=True)
class Device:
    """An audio device as PortAudio sees it.

    Attributes
    ----------
    index, name, host
        Number and name to choose it by; the host interface (ALSA, JACK, Core Audio, ...).
    inputs, outputs
        Channels, at most.
    rate
        Default rate in Hz.
    input_latency_ms, output_latency_ms
        Lowest that PortAudio suggests.
    default_input, default_output
        Whether it is used when none is named.
    """

    index: int
    name: str
    host: str
    inputs: int
    outputs: int
    rate: int
    input_latency_ms: float
    output_latency_ms: float
    default_input: bool
    default_output: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def port_audio() -> Any:
    """The sounddevice module, PortAudio's.

    Raises
    ------
    UnsupportedError
        One of them is not installed: the message says how to get it.
    """
    try:
        return importlib.import_module("sounddevice")
    except ImportError as error:
        raise UnsupportedError(
            "live sound needs the live extra (pip install 'pyvoc-vocoder[live]'): "
            f"sounddevice is not installed ({error})"
        ) from error
    except OSError as error:
        raise UnsupportedError(
            "live sound needs PortAudio, which is not installed (Debian, Ubuntu: apt-get install "
            f"libportaudio2; Fedora: dnf install portaudio): {error}"
        ) from error


def forget_port_audio() -> None:
    """Let the process end without closing PortAudio, where a device that is gone hangs in it."""
    handler = getattr(port_audio(), "_exit_handler", None)
    if handler is not None:
        atexit.unregister(handler)


def devices() -> list[Device]:
    """All audio devices, possibly none.

    Raises
    ------
    UnsupportedError
        sounddevice or PortAudio is not installed.
    Error
        PortAudio could not ask the system.
    """
    sd = port_audio()
    try:
        found, hosts = sd.query_devices(), sd.query_hostapis()
        defaults = sd.default.device
    except sd.PortAudioError as error:
        raise Error(f"PortAudio cannot list the devices: {error}") from error
    return [
        Device(
            index=int(raw["index"]),
            name=str(raw["name"]),
            host=str(hosts[raw["hostapi"]]["name"]),
            inputs=int(raw["max_input_channels"]),
            outputs=int(raw["max_output_channels"]),
            rate=round(raw["default_samplerate"]),
            input_latency_ms=round(1000 * raw["default_low_input_latency"], 2),
            output_latency_ms=round(1000 * raw["default_low_output_latency"], 2),
            default_input=raw["index"] == _default(defaults, hosts, 0),
            default_output=raw["index"] == _default(defaults, hosts, 1),
        )
        for raw in found
    ]


def _default(defaults: Any, hosts: Any, side: int) -> int:
    """PortAudio's default (it asks the first host only), or that of the first host with one."""
    if defaults[side] is not None and defaults[side] >= 0:
        return int(defaults[side])
    name = ("default_input_device", "default_output_device")[side]
    return next((int(host[name]) for host in hosts if host[name] >= 0), -1)


def find_device(wanted: str | int | None, *, side: str, channels: int | None = None) -> Device:
    """The device of a name or number, or the default one.

    Parameters
    ----------
    wanted
        Number, or words of the name; None for the default.
    side
        ``input`` or ``output``.
    channels
        That it must have on this side, at least.

    Raises
    ------
    Error
        There are no devices, none of that name, several, or it has not the channels.
    """
    known = devices()
    able = [d for d in known if (d.inputs if side == "input" else d.outputs) > 0]
    if not able:
        why = f"of {len(known)} devices none has {side}s" if known else "there are no audio devices"
        raise Error(
            f"no {side} device: {why} (files can stand in: --from, --to; a sound server must run "
            "before pyvoc starts)"
        )
    if wanted is None:
        usual = [d for d in able if (d.default_input if side == "input" else d.default_output)]
        device = (usual or able)[0]
    else:
        device = _named(wanted, known)
    has = device.inputs if side == "input" else device.outputs
    if has < (channels or 1):
        raise Error(
            f"device {device.index} '{device.name}' has {has or 'no'} {side} channels, "
            f"{channels or 1} wanted"
        )
    return device


def _named(wanted: str | int, known: list[Device]) -> Device:
    text = str(wanted).strip()
    if text.isdecimal():
        for device in known:
            if device.index == int(text):
                return device
        raise Error(f"there is no audio device {text}: see `pyvoc devices`")
    words = text.lower().split()
    found = [d for d in known if words and all(w in f"{d.name} {d.host}".lower() for w in words)]
    exact = [d for d in found if d.name.lower() == text.lower()]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        raise Error(f"no audio device is called '{wanted}': see `pyvoc devices`")
    names = ", ".join(f"{d.index} '{d.name}' ({d.host})" for d in found[:5])
    raise Error(f"'{wanted}' could be several audio devices: {names}; give the number")
