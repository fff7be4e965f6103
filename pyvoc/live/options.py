"""What a live session is asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pyvoc.errors import Error
from pyvoc.files.audio import AUDIO_SUFFIXES

__all__ = ["Options"]

_MOST_SEMITONES = 24


@dataclass(frozen=True)
class Options:
    """Settings of a session.

    Attributes
    ----------
    input, output
        Audio devices, by number or words of their names; None for the default ones.
    source
        A file in place of the microphone: audio, or features of the model.
    sink
        A wav file in place of the loudspeaker.
    record
        A wav file for input (left) and output (right) beside each other, as they were heard.
    pitch, formant
        Semitones by which the voice is moved. Models on mel frames take no formant, and move all
        of the spectrum with the pitch.
    rate
        Of the devices, Hz; None for the model's, or the device's own where it refuses that.
    block_ms
        Sound per callback of the devices.
    channels
        Of the input (averaged) and the output (all the same); None: one, and two where there are.
    margin_ms
        Sound kept in reserve against late threads; None is chosen by measurement.
    chunk
        Feature frames that the model gets at once, 1 to 32; None is chosen by measurement.
    seed
        Of the model's draws.
    bypass
        Play the input itself, without the model, for comparison.
    python_callback
        Let Python pass every block on. A busy interpreter then costs underruns.
    force
        Run even if the model is slower than real time here.
    """

    input: str | int | None = None
    output: str | int | None = None
    source: str | os.PathLike[str] | None = None
    sink: str | os.PathLike[str] | None = None
    record: str | os.PathLike[str] | None = None
    pitch: float = 0.0
    formant: float = 0.0
    rate: int | None = None
    block_ms: float = 10.0
    channels: tuple[int | None, int | None] = (None, None)
    margin_ms: float | None = None
    chunk: int | None = None
    seed: int = 0
    bypass: bool = False
    python_callback: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        if self.source is not None and self.input is not None:
            raise Error("a file as source and an input device exclude each other")
        if self.sink is not None and self.output is not None:
            raise Error("a file as sink and an output device exclude each other")
        for name, low, high in (
            ("pitch", -_MOST_SEMITONES, _MOST_SEMITONES),
            ("formant", -_MOST_SEMITONES, _MOST_SEMITONES),
            ("block_ms", 1, 200),
            ("margin_ms", 0, 1000),
            ("chunk", 1, 32),
            ("rate", 4000, 384000),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:  # NaN too
                raise Error(f"{name} is {value:g}, expected {low} to {high}")
        for count in self.channels:
            if count is not None and not 1 <= count <= 64:
                raise Error(f"{count} channels are not possible, 1 to 64 are")
        if self.bypass and self.source_is_features:
            raise Error(f"'{self.source}' holds features: there is no sound to bypass the model")

    @property
    def source_is_features(self) -> bool:
        """Whether the source is a feature file."""
        return self.source is not None and (Path(self.source).suffix.lower() not in AUDIO_SUFFIXES)
