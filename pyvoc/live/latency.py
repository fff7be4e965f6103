"""The delay of live sound, measured by correlation over a loopback."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.errors import AudioError, Error
from pyvoc.live.files import Recorder
from pyvoc.live.session import Options, Session
from pyvoc.runtime.model import Model

__all__ = ["LatencyReport", "lag_of", "measure_latency", "probe"]

Float32 = npt.NDArray[np.float32]

_SECONDS = 4.0
_REST = 1.0  # seconds of silence behind the probe
_LOOK = 0.1  # seconds between looks at the engine's own count
_WINDOW, _STEP = 0.005, 0.0005  # seconds of sound behind a value of an envelope, between two
_LEAST = 0.3  # correlation below which there is no loopback


@dataclass(frozen=True)
class LatencyReport:
    """Where the time goes between microphone and loudspeaker, in milliseconds.

    Attributes
    ----------
    total
        From a sound leaving the output, over the loopback, through everything, to what would be
        played for it: the delay that a listener hears. `round_trip` and `engine`.
    round_trip
        Of it, the devices and the loopback alone: output to input. By correlation.
    engine
        The rest: from what came in to what would be played for it. By correlation.
    counted
        The engine's delay as it counts it itself, sample by sample.
    parts
        What `counted` is made of.
    correlation
        Of the loopback's signal with the probe, and of the sound made with that: 1 is perfect.
    underruns
        While measuring.
    moved
        By how much `counted` changed while measuring: by more than a millisecond, and there is no
        one delay, so measure again.
    """

    total: float
    round_trip: float
    engine: float
    counted: float
    parts: dict[str, float]
    correlation: tuple[float, float]
    underruns: int
    moved: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def probe(rate: int, *, seconds: float = _SECONDS) -> Float32:
    """A signal that correlates with itself at one lag only, and that a vocoder follows: voiced
    sound and noise, switched on and off at random every 20 ms."""
    rng = np.random.default_rng(7)
    n = round(seconds * rate)
    time = np.arange(n) / rate
    voiced = sum(np.sin(2 * np.pi * 150 * k * time + k * k) / k for k in range(1, 20))
    sound = 0.5 * voiced + 0.5 * rng.standard_normal(n)
    step = round(0.02 * rate)
    gates = np.repeat(rng.integers(0, 2, n // step + 1), step)[:n]
    gates = np.convolve(gates, np.hanning(step // 4 + 2) / np.hanning(step // 4 + 2).sum(), "same")
    return (0.1 * sound * gates).astype(np.float32)


def lag_of(signal: Float32, heard: Float32) -> tuple[float, float]:
    """By how many values `heard` lags `signal`, between values too; and the correlation there."""
    n = len(signal) + len(heard)
    size = 1 << (n - 1).bit_length()
    a = signal.astype(np.float64) - signal.mean()
    b = heard.astype(np.float64) - heard.mean()
    products = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)
    products = products[: len(heard)]
    best = int(np.argmax(products))
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    peak = float(products[best]) / scale if scale > 0 else 0.0
    if 0 < best < len(products) - 1:
        left, centre, right = products[best - 1 : best + 2]
        bend = left - 2 * centre + right
        if bend < 0:
            return best + 0.5 * float(left - right) / float(bend), peak
    return float(best), peak


def lag_of_level(signal: Float32, heard: Float32, rate: int) -> tuple[float, float]:
    """As :func:`lag_of`, by how loud they are: in samples, to a millisecond or so."""
    lag, peak = lag_of(_envelope(signal, rate), _envelope(heard, rate))
    return lag * _step(rate), peak


class ProbeSession(Session):
    """Plays a probe in place of the engine's sound, and keeps what came in and would be played."""

    def __init__(self, model: Model, options: Options) -> None:
        super().__init__(model, options)
        self.tapped: list[Float32] = []
        self.probe = np.empty(0, dtype=np.float32)
        self._tap = True

    def _open_files(self, data: Float32 | None) -> None:
        super()._open_files(data)
        if self.rates[0] != self.rates[1]:
            raise Error(f"input and output run at {self.rates} Hz: give one rate for both (--rate)")
        self.probe = probe(self.rates[1])
        self._native().set_probe(self.probe)
        self._workers.append(Recorder(lambda more: self.tapped.append(more.copy())))


def _step(rate: int) -> int:
    return max(1, round(_STEP * rate))


def _envelope(signal: Float32, rate: int) -> Float32:
    window = round(_WINDOW * rate)
    sums = np.cumsum(np.concatenate(([0.0], signal.astype(np.float64) ** 2)))
    levels = np.sqrt(np.maximum(sums[window:] - sums[:-window], 0.0) / window)
    return np.asarray(levels[:: _step(rate)], dtype=np.float32)


def _inside(parts: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in parts.items() if not name.endswith("device")}


def measure_latency(model: Model, options: Options | None = None, **settings: Any) -> LatencyReport:
    """Play a probe into a loopback (a cable from output to input) and find it again.

    The engine's own sound is not played but compared, so that nothing goes in circles. Takes five
    seconds.

    Parameters
    ----------
    model
        The model; its delay is found by the sound's level over time, to a millisecond or so. With
        `bypass` it is the samples' own, exactly.
    options, **settings
        As for :class:`Session`; one device for input and output, no files.

    Raises
    ------
    AudioError
        Nothing of the probe came back.
    Error
        As :class:`Session`.
    """
    if options is not None and settings:
        raise Error("give options, or settings one by one")
    opt = Options(**settings) if options is None else options
    if opt.source is not None or opt.sink is not None or opt.record is not None:
        raise Error("latency is measured between devices: no files")
    session = ProbeSession(model, opt)
    counted = []
    with session:
        session.wait(_REST)
        for _ in range(round(_SECONDS / _LOOK)):
            session.wait(_LOOK)
            stats = session.stats()
            counted.append(sum(_inside(stats.latency_parts).values()))
    rate, sent = session.rates[1], session.probe
    heard, made = np.concatenate(session.tapped).T
    trip, there = lag_of(sent, heard)
    if there < _LEAST:
        raise AudioError(
            f"the probe did not come back (correlation {there:.2f}): connect output to input"
        )
    if opt.bypass:
        engine, back = lag_of(heard, made)
    else:
        engine, back = lag_of_level(heard, made, rate)
    return LatencyReport(
        total=round(1000 * (trip + engine) / rate, 3),
        round_trip=round(1000 * trip / rate, 3),
        engine=round(1000 * engine / rate, 3),
        counted=round(counted[-1], 3),
        parts=_inside(stats.latency_parts),
        correlation=(round(there, 3), round(back, 3)),
        underruns=stats.underruns,
        moved=round(max(counted) - min(counted), 3),
    )
