"""A live session: devices or files around the native engine."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc
from pyvoc.errors import Error, UnsupportedError
from pyvoc.files import audio
from pyvoc.files.outputs import check_outputs
from pyvoc.files.pcm import open_output
from pyvoc.live.devices import Device, find_device, forget_port_audio, port_audio
from pyvoc.live.files import Sink, Source, Worker, open_recorder
from pyvoc.live.options import Options
from pyvoc.live.stats import Stats, from_native
from pyvoc.live.streams import closed, latencies, open_stream, start
from pyvoc.runtime.inputs import as_seed
from pyvoc.runtime.model import Model
from pyvoc.runtime.synthesis import load_input

__all__ = ["Options", "Session"]

Float32 = npt.NDArray[np.float32]

_NAP = 0.01  # seconds between two looks at files
_SILENCE = 1.5  # seconds without a callback: the device is gone
_LOST: list[object] = []  # engines whose device never came back from closing


class Session:
    """Sound through a model, live; a context manager.

    Opening it measures the model's speed (up to some seconds), opens devices and files, and starts.

    Parameters
    ----------
    model
        From :func:`pyvoc.load`.
    options
        All settings at once, or
    **settings
        one by one: the fields of :class:`Options`.

    Raises
    ------
    UnsupportedError
        The model is slower than real time here and `force` is not set (the message has the figure),
        it cannot do what was asked, or PortAudio is missing.
    Error
        No such device, or it refuses the settings; files cannot be read or written.

    Examples
    --------
    >>> with Session(pyvoc.load(), pitch=-3, record="both.wav") as session:
    ...     session.wait(30)
    ...     print(session.stats().latency_ms)
    """

    def __init__(self, model: Model, options: Options | None = None, **settings: Any) -> None:
        if options is not None and settings:
            raise Error("give options, or settings one by one")
        self._model = model
        self._options = Options(**settings) if options is None else options
        self._tap = self._options.record is not None
        self._rates = (model.info.sample_rate, model.info.sample_rate)
        self._latencies = (0.0, 0.0)
        self._block = 0
        self._stack = ExitStack()
        self._streams: list[Any] = []
        self._workers: list[Worker] = []
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._engine: _pyvoc.Live | None = None
        self._started = 0.0
        self._seen = (0, 0.0)
        self._last: Stats | None = None

    @property
    def model(self) -> Model:
        """The model."""
        return self._model

    @property
    def options(self) -> Options:
        """The settings."""
        return self._options

    @property
    def rates(self) -> tuple[int, int]:
        """Rates in Hz of the input and of the output; a device's may be known after the start."""
        return self._rates

    def __enter__(self) -> Session:
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()
        if error is None and self._failure is not None:
            raise self._failure

    # ---- opening ---------------------------------------------------------------------------------

    def _open(self) -> None:
        opt, info = self._options, self._model.info
        if opt.record is not None and opt.source_is_features:
            raise Error(f"'{opt.source}' holds features: there is no input to record")
        written = [name for name in (opt.sink, opt.record) if name is not None]
        check_outputs(written, inputs=[opt.source, info.path])
        data, file_rate = self._read_source()
        source = None if opt.source is not None else find_device(opt.input, side="input")
        sink = None if opt.sink is not None else find_device(opt.output, side="output")
        two_clocks = source is not None and sink is not None and source.index != sink.index
        in_channels, out_channels = self._channels(source, sink)
        in_rate = file_rate if source is None else self._rate(source, "input", in_channels)
        out_rate = info.sample_rate if sink is None else self._rate(sink, "output", out_channels)
        if opt.bypass and sink is None:
            out_rate = in_rate
        if source is not None and sink is not None and not two_clocks and in_rate != out_rate:
            in_rate = out_rate = sink.rate
        if opt.record is not None and in_rate != out_rate:
            raise Error(
                f"input at {in_rate} Hz and output at {out_rate} Hz cannot be recorded beside each "
                "other: give one rate for both (--rate)"
            )
        self._rates = (in_rate, out_rate)
        self._block = max(1, round(out_rate * opt.block_ms / 1000))
        flags = _flags(
            bypass=opt.bypass,
            features=opt.source_is_features,
            input_waits=source is None,
            output_waits=sink is None,
            two_clocks=two_clocks,
            tap=self._tap,
            # Nobody waits for a file that goes to a file.
            force=opt.force or (source is None and sink is None),
        )
        try:
            self._engine = _pyvoc.Live(
                self._model._native,
                flags,
                in_rate,
                out_rate,
                in_channels,
                out_channels,
                self._block,
                opt.chunk or 0,
                self._model.threads,
                -1.0 if opt.margin_ms is None else opt.margin_ms / 1000,
                opt.pitch,
                opt.formant,
                as_seed(opt.seed),
            )
        except UnsupportedError as error:
            hint = " (--force runs it nevertheless)" if "too slow" in str(error) else ""
            raise UnsupportedError(f"{error}{hint}") from None
        self._open_files(data)
        self._open_devices(source, sink, two_clocks, (in_channels, out_channels))
        self._run()

    def _read_source(self) -> tuple[Float32 | None, int]:
        """The source file's samples or frames, and its rate."""
        opt, info = self._options, self._model.info
        if opt.source is None:
            return None, info.sample_rate
        if opt.source_is_features:
            rows = load_input(opt.source, self._model, layout=None)
            return np.ascontiguousarray(rows), info.sample_rate
        return audio.read(opt.source)

    def _channels(self, source: Device | None, sink: Device | None) -> tuple[int, int]:
        wanted_in, wanted_out = self._options.channels
        if source is not None:
            find_device(source.index, side="input", channels=wanted_in)
        if sink is not None:
            find_device(sink.index, side="output", channels=wanted_out)
        return (
            (wanted_in or 1) if source is not None else 1,
            (wanted_out or min(2, sink.outputs)) if sink is not None else 1,
        )

    def _rate(self, device: Device, side: str, channels: int) -> int:
        """The rate to open a device at: as asked, else the model's, else the device's own."""
        if self._options.rate is not None:
            return self._options.rate
        sd = port_audio()
        check = sd.check_input_settings if side == "input" else sd.check_output_settings
        wanted = self._model.info.sample_rate
        try:
            check(device=device.index, channels=channels, dtype="float32", samplerate=wanted)
        except (sd.PortAudioError, ValueError):
            return device.rate
        return wanted

    def _open_files(self, data: Float32 | None) -> None:
        opt = self._options
        if data is not None:
            self._workers.append(Source(data))
        if opt.sink is not None:
            raw = Path(opt.sink).suffix.lower() in audio.RAW_SUFFIXES
            write = self._stack.enter_context(open_output(opt.sink, self._rates[1], raw=raw))
            self._workers.append(Sink(write))
        if opt.record is not None:
            self._workers.append(
                self._stack.enter_context(open_recorder(opt.record, self._rates[0]))
            )

    def _open_devices(
        self, source: Device | None, sink: Device | None, apart: bool, channels: tuple[int, int]
    ) -> None:
        assert self._engine is not None
        in_block = max(1, round(self._rates[0] * self._options.block_ms / 1000))
        pairs: list[tuple[Device | None, Device | None]] = [(source, sink)]
        if apart:
            pairs = [(source, None), (None, sink)]
        for one, other in pairs:
            if one is None and other is None:
                continue
            self._streams.append(
                open_stream(
                    self._engine,
                    input=one,
                    output=other,
                    rate=self._rates[0 if other is None else 1],
                    block=in_block if other is None else self._block,
                    channels=channels,
                    python_callback=self._options.python_callback,
                )
            )
        self._latencies = latencies(self._streams, source is not None, sink is not None)

    def _run(self) -> None:
        assert self._engine is not None
        self._engine.start()
        self._started = time.monotonic()
        self._seen = (-1, self._started)
        for stream in self._streams:
            start(stream)
        if self._workers:
            self._thread = threading.Thread(target=self._work, name="pyvoc live files")
            self._thread.start()

    # ---- running ---------------------------------------------------------------------------------

    def _work(self) -> None:
        """Files, until told to stop; then what is left in the taps."""
        assert self._engine is not None
        try:
            while not self._stop.is_set():
                if not sum([worker.work(self._engine) for worker in self._workers]):
                    self._stop.wait(_NAP)
            for worker in self._workers:
                while not isinstance(worker, Source) and worker.work(self._engine):
                    pass
        except BaseException as error:
            self._failure = error

    @property
    def done(self) -> bool:
        """Whether a file as source has been heard to its end."""
        return bool(self._native().stats()["done"])

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until a source file is over; at most so long.

        Returns
        -------
        bool
            Whether it is over; never for a microphone.

        Raises
        ------
        Error
            A device disappeared, or a file could not be written.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while not self.done:
            self.check()
            left = 0.02 if end is None else min(0.02, end - time.monotonic())
            if left <= 0:
                return False
            time.sleep(left)
        self.check()
        return True

    def check(self) -> None:
        """Raise what went wrong since the start.

        Raises
        ------
        Error
            A device disappeared, or a file could not be written.
        """
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if not self._streams or self._engine is None:
            return
        raw = self._engine.stats()
        moved = raw["callbacks"] + raw["input_frames"]
        now = time.monotonic()
        if moved != self._seen[0]:
            self._seen = (moved, now)
        elif now - self._seen[1] > _SILENCE and not raw["done"]:
            raise Error(
                f"the audio device stopped {now - self._seen[1]:.1f} s ago: it was unplugged, or "
                "its sound server ended"
            )

    def set_shift(self, *, pitch: float = 0.0, formant: float = 0.0) -> None:
        """Move the voice from here on, in semitones.

        Raises
        ------
        UnsupportedError
            The model reads mel frames: they have no formants apart.
        Error
            More than 24 semitones.
        """
        self._native().set_shift(pitch, formant)

    def stats(self) -> Stats:
        """A snapshot; the last one after the session."""
        if self._engine is None and self._last is not None:
            return self._last
        return from_native(
            self._native().stats(),
            input_rate=self._rates[0],
            output_rate=self._rates[1],
            input_ms=1000 * self._latencies[0],
            output_ms=1000 * self._latencies[1],
            elapsed=time.monotonic() - self._started,
        )

    def _native(self) -> _pyvoc.Live:
        if self._engine is None:
            raise Error("the session is not running")
        return self._engine

    # ---- closing ---------------------------------------------------------------------------------

    def _close(self) -> None:
        engine = self._engine
        if engine is not None and self._started:
            self._last = self.stats()
        all_closed = all(tuple(closed(stream) for stream in self._streams))
        self._streams = []
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._engine = None
        self._stack.close()
        if engine is None:
            return
        if all_closed:
            engine.close()
        else:
            _LOST.append(engine)  # its callback may still be called
            forget_port_audio()


def _flags(**wanted: bool) -> int:
    return sum(getattr(_pyvoc, f"LIVE_{name.upper()}") for name, on in wanted.items() if on)
