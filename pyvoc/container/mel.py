"""Mel recipes as data: how a mel-driven model's features come from PCM.

Every recipe is the same chain with other numbers: pad, cut into frames, periodic Hann window,
discrete Fourier transform, magnitude ``sqrt(re^2 + im^2 + epsilon)`` to the power `power`,
area-normalised mel filters on the Slaney scale (librosa's ``htk=False, norm="slaney"``), clamp from
below at `floor`, logarithm and, for `normalized` recipes, decibels mapped to 0..1. A model file
carries its recipe as metadata (``pyvoc.features.*``), so nothing has to be guessed from a name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from pyvoc.container.base import MetadataSpec
from pyvoc.container.tensors import Scalar
from pyvoc.errors import ModelError

__all__ = [
    "DESCRIPT",
    "FATCHORD",
    "HIFIGAN",
    "LAYOUT",
    "METADATA",
    "NVIDIA",
    "RECIPES",
    "MelRecipe",
    "recipe_problems",
]

LAYOUT = "mel"
"""Value of ``pyvoc.features.layout``."""
LOGS = ("ln", "log10", "db")
PADDINGS = ("reflect", "zero")
MAX_FFT = 1 << 14
MAX_BANDS = 512
MAX_RATE = 384000

_PREFIX = "pyvoc.features."

METADATA = (
    MetadataSpec(f"{_PREFIX}layout", str, values=(LAYOUT,)),
    MetadataSpec(f"{_PREFIX}recipe", str),
    MetadataSpec(f"{_PREFIX}sample_rate", int, least=1000, most=MAX_RATE),
    MetadataSpec(f"{_PREFIX}hop_length", int, least=1, most=MAX_FFT),
    MetadataSpec(f"{_PREFIX}window_length", int, least=2, most=MAX_FFT),
    MetadataSpec(f"{_PREFIX}fft_length", int, least=16, most=MAX_FFT),
    MetadataSpec(f"{_PREFIX}bands", int, least=1, most=MAX_BANDS),
    MetadataSpec(f"{_PREFIX}fmin", float, least=0.0, most=MAX_RATE / 2),
    MetadataSpec(f"{_PREFIX}fmax", float, least=1.0, most=MAX_RATE / 2),
    MetadataSpec(f"{_PREFIX}log", str, values=LOGS),
    MetadataSpec(f"{_PREFIX}floor", float, least=1e-30, most=1.0),
    MetadataSpec(f"{_PREFIX}power", int, values=(1, 2)),
    MetadataSpec(f"{_PREFIX}padding", str, values=PADDINGS),
    MetadataSpec(f"{_PREFIX}pad", int, least=0, most=MAX_FFT),
    MetadataSpec(f"{_PREFIX}normalized", bool),
    MetadataSpec(f"{_PREFIX}ref_db", float, least=-1000.0, most=1000.0),
    MetadataSpec(f"{_PREFIX}min_db", float, least=-1000.0, most=-1.0),
    MetadataSpec(f"{_PREFIX}epsilon", float, least=0.0, most=1.0, required=False),
)
"""Entries of every mel-driven model. `recipe_problems` checks how they go together."""


@dataclass(frozen=True)
class MelRecipe:
    """How mel frames are computed.

    Parameters
    ----------
    name
        ``nvidia``, ``descript``, ``fatchord``, ``hifigan`` or ``custom``: for people, the numbers
        count.
    sample_rate
        Hz.
    hop_length, window_length, fft_length
        Samples. The window is a periodic Hann, centred in the transform when it is shorter.
    bands
        Mel bands: values per frame.
    fmin, fmax
        Hz: the lower edge of the first filter and the upper edge of the last.
    log
        ``ln``, ``log10`` or ``db`` (20 log10 of an amplitude, 10 log10 of a power).
    floor
        The mel is clamped to at least this before the logarithm.
    power
        1: mel of magnitudes; 2: of powers.
    padding, pad
        `pad` samples are added at each end of the signal: mirrored (``reflect``, without repeating
        the edge) or zeros.
    normalized
        ``db`` only: ``(dB - ref_db - min_db) / -min_db``, clipped to 0..1.
    ref_db, min_db
        dB; of normalised recipes (otherwise not used).
    epsilon
        Added to the power of every bin before the root that makes it a magnitude.
    """

    name: str = "custom"
    sample_rate: int = 22050
    hop_length: int = 256
    window_length: int = 1024
    fft_length: int = 1024
    bands: int = 80
    fmin: float = 0.0
    fmax: float = 8000.0
    log: str = "ln"
    floor: float = 1e-5
    power: int = 1
    padding: str = "reflect"
    pad: int = 512
    normalized: bool = False
    ref_db: float = 0.0
    min_db: float = -100.0
    epsilon: float = 0.0

    def metadata(self) -> dict[str, Scalar]:
        """The recipe as a model file's ``pyvoc.features.*`` entries, those of `METADATA`.

        An `epsilon` of 0 is left out, as in files that are older than the entry.
        """
        entries: dict[str, Scalar] = {f"{_PREFIX}layout": LAYOUT, f"{_PREFIX}recipe": self.name}
        for field in fields(self):
            if field.name != "name":
                entries[f"{_PREFIX}{field.name}"] = getattr(self, field.name)
        if self.epsilon == 0.0:
            del entries[f"{_PREFIX}epsilon"]
        return entries

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Scalar], *, source: str = "model") -> MelRecipe:
        """Read the recipe of a model file.

        Floats are single precision in a file; they are rounded to the seven digits that those hold,
        so a preset comes back equal to itself.

        Raises
        ------
        ModelError
            An entry is missing, of another type or out of range, or they contradict each other;
            lists everything. `source` names the file.
        """
        found = recipe_problems(metadata)
        if found:
            raise ModelError(f"{source}: no valid mel recipe: " + "; ".join(found))
        settings: dict[str, Scalar] = {"name": metadata[f"{_PREFIX}recipe"]}
        for field in fields(cls):
            if field.name != "name" and f"{_PREFIX}{field.name}" in metadata:
                value = metadata[f"{_PREFIX}{field.name}"]
                settings[field.name] = float(f"{value:.7g}") if type(value) is float else value
        return cls(**settings)  # type: ignore[arg-type]

    def problems(self) -> list[str]:
        """Everything that is wrong with the numbers, as sentences."""
        return recipe_problems(self.metadata())

    def frames(self, samples: int) -> int:
        """How many frames a whole signal of `samples` samples gives.

        ``1 + (samples + 2 pad - fft_length) // hop_length``, none for an empty signal: thus
        ``1 + samples // hop`` when `pad` is half the transform, and ``samples // hop`` when it is
        ``(fft_length - hop_length) / 2``.
        """
        span = samples + 2 * self.pad - self.fft_length
        return 0 if samples <= 0 or span < 0 else 1 + span // self.hop_length

    def same_numbers(self, other: MelRecipe) -> bool:
        """Whether two recipes compute the same, whatever they are called."""
        return not self.differences(other)

    def differences(self, other: MelRecipe) -> tuple[str, ...]:
        """Names of the settings that differ and matter."""
        return tuple(
            field.name
            for field in fields(self)
            if field.name != "name"
            and (self.normalized or other.normalized or field.name not in ("ref_db", "min_db"))
            and getattr(self, field.name) != getattr(other, field.name)
        )


def recipe_problems(metadata: Mapping[str, Scalar]) -> list[str]:
    """Everything that is wrong with the recipe in a model's metadata, as sentences."""
    found = [p for entry in METADATA if (p := entry.problem(metadata))]
    if found:
        return found
    get = {key.removeprefix(_PREFIX): value for key, value in metadata.items()}
    rate, hop, window, fft, pad = (
        int(get[key]) for key in ("sample_rate", "hop_length", "window_length", "fft_length", "pad")
    )
    fmin, fmax = float(get["fmin"]), float(get["fmax"])
    if fft & (fft - 1):
        found.append(f"the transform has {fft} points, expected a power of two")
    if window > fft:
        found.append(f"the window of {window} samples is longer than the transform of {fft}")
    if hop > window:
        found.append(f"the hop of {hop} samples is longer than the window of {window}")
    if pad > fft:
        found.append(f"{pad} samples of padding are more than the transform's {fft}")
    if not fmin < fmax <= rate / 2:
        found.append(f"the bands go from {fmin:g} to {fmax:g} Hz, expected up to {rate / 2:g} Hz")
    if get["normalized"] and get["log"] != "db":
        found.append(f"a normalised recipe has log '{get['log']}', expected 'db'")
    return found


def reading_problems(
    metadata: Mapping[str, Scalar],
    *,
    reader: str,
    bands: int | None,
    stages: Sequence[int | None] | None = None,
    steps: str = "stages",
) -> list[str]:
    """What is wrong with a model's recipe, and whether the network reads such mels.

    Parameters
    ----------
    metadata
        Of the model; entries that are missing or out of range are others' to complain of.
    reader, bands
        Name of the layer that reads the mel, and how many bands it reads; None where that is not
        known.
    stages, steps
        Samples that each stage of upsampling makes of one, where they must multiply to the hop; and
        what they are called.
    """
    found = []
    if not any(entry.problem(metadata) for entry in METADATA):
        found += [f"the mel recipe: {problem}" for problem in recipe_problems(metadata)]
    said = metadata.get("pyvoc.features.bands")
    if bands is not None and isinstance(said, int) and said != bands:
        found.append(f"metadata 'pyvoc.features.bands' is {said}, but {reader} reads {bands} bands")
    hop = metadata.get("pyvoc.features.hop_length")
    if stages is not None and None not in stages and isinstance(hop, int):
        product = math.prod(n for n in stages if n is not None)
        if hop != product:
            found.append(
                f"metadata 'pyvoc.features.hop_length' is {hop}, but the {steps} multiply to "
                f"{product}"
            )
    return found


NVIDIA = MelRecipe(name="nvidia")
"""NVIDIA's Tacotron 2 and WaveGlow, seungwonpark's and MindSpore's MelGAN, and many others."""

DESCRIPT = MelRecipe(name="descript", fmax=11025.0, log="log10", pad=384)
"""descriptinc/melgan-neurips: up to half the rate, log10, as many frames as whole hops."""

FATCHORD = MelRecipe(
    name="fatchord",
    hop_length=275,
    window_length=1100,
    fft_length=2048,
    fmin=40.0,
    fmax=11025.0,
    log="db",
    pad=1024,
    normalized=True,
    ref_db=0.0,
    min_db=-100.0,
)
"""fatchord/WaveRNN: ``(20 log10(max(mel, 1e-5)) + 100) / 100`` in 0..1."""

HIFIGAN = MelRecipe(name="hifigan", pad=384, epsilon=1e-9)
"""jik876/hifi-gan: NVIDIA's numbers, but frame t is centred half a hop later, as DESCRIPT's is."""

RECIPES = {recipe.name: recipe for recipe in (NVIDIA, DESCRIPT, FATCHORD, HIFIGAN)}
"""The presets by name."""
