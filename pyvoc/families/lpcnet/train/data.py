"""The ``data:`` section of an LPCNet run, and what it stands for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from pyvoc.errors import Error
from pyvoc.families.lpcnet.train.dumped import DumpedLpcnet
from pyvoc.families.lpcnet.train.recordings import LpcnetWavs
from pyvoc.train.data import AugmentConfig, Holdout, Source, load_corpus
from pyvoc.train.data.augment import NoiseLaw


@dataclass(frozen=True)
class Augment:
    """Changes to upstream's augmentation; what is None stays as the generation's upstream has it.

    See `pyvoc.train.data.AugmentConfig`.
    """

    gain_db: tuple[float, float] | None = None
    random_sign: bool | None = None
    faint: float | None = None
    mute: float | None = None
    tilt: float | None = None
    high_pass: bool | None = None
    dither: bool | None = None
    speeds: tuple[float, ...] | None = None
    noise: NoiseLaw | None = None
    noise_gain: float | None = None
    noise_frames: int | None = None

    def over(self, generation: str) -> AugmentConfig:
        """Upstream's augmentation with these changes."""
        chosen = {k: v for k, v in vars(self).items() if v is not None}
        return dataclasses.replace(AugmentConfig.upstream(generation), **chosen)


@dataclass(frozen=True)
class LpcnetData:
    """What to train on.

    Parameters
    ----------
    path
        Speech: a folder, a ``.txt`` list or an audio file; or the samples that ``dump_data`` wrote.
    features
        The feature file that ``dump_data`` wrote; says that `path` is its sample file.
    sources
        Several of them, with the share of training segments that each is drawn for; in place of
        `path`.
    validation
        A folder, a list or a file of held-out speech.
    validation_names, validation_fraction
        Or held-out clips by name, or a share of all clips.
    min_seconds
        Shorter clips are left out.
    frames_per_chunk, chunks_per_segment
        10 ms frames per row and update, and updates that the state is carried through. 0: 15 and 1
        for dumped data, as upstream; 5 and 15 for speech.
    augment
        Changes to upstream's augmentation.
    """

    path: str = ""
    features: str = ""
    sources: tuple[Source, ...] = ()
    validation: str = ""
    validation_names: tuple[str, ...] = ()
    validation_fraction: float = 0.0
    min_seconds: float = 0.5
    frames_per_chunk: int = 0
    chunks_per_segment: int = 0
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        """Raise ValueError for what contradicts itself."""
        if bool(self.path) == bool(self.sources):
            raise ValueError("give either 'path' (--data) or 'sources': what to train on")
        if self.features and not self.path:
            raise ValueError("'features' belongs to one sample file: give it as 'path' (--data)")


def open_data(
    data: LpcnetData, *, generation: str, rows: int, seed: int
) -> LpcnetWavs | DumpedLpcnet:
    """Read and check everything that a run trains on.

    Raises
    ------
    Error
        Files that are not there, not usable or do not fit together.
    """
    if data.features:
        if data.validation or data.validation_names:
            raise Error("dumped training data holds out a share of itself: validation_fraction")
        dumped = DumpedLpcnet(
            data.features,
            data.path,
            rows,
            validation=data.validation_fraction,
            seed=seed,
            **{k: v for k, v in _chunks(data).items() if v},
        )
        if dumped.generation != generation:
            raise Error(
                f"{data.features}: was dumped for an LPCNet of generation {dumped.generation}; "
                f"this run trains {generation} (model.generation)"
            )
        return dumped
    sources = data.sources or (Source(data.path),)
    holdout = Holdout(data.validation_names, data.validation_fraction, data.validation or None)
    corpus = load_corpus(sources, holdout, min_seconds=data.min_seconds)
    return LpcnetWavs(
        corpus,
        rows,
        generation=generation,
        augment=data.augment.over(generation),
        seed=seed,
        **{k: v for k, v in _chunks(data).items() if v},
    )


def _chunks(data: LpcnetData) -> dict[str, int]:
    return {
        "frames_per_chunk": data.frames_per_chunk,
        "chunks_per_segment": data.chunks_per_segment,
    }
