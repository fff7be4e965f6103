"""One utterance in folds: parts that overlap, spoken side by side, then joined.

A network whose samples depend on each other makes several at a time faster than one
after the other. Kalchbrenner et al. 2018 batch their samples; folds that overlap are
fatchord/WaveRNN's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc
from pyvoc.errors import Error
from pyvoc.runtime.lockstep import Part

if TYPE_CHECKING:
    from pyvoc.runtime.model import Model

__all__ = ["Fold", "Folds"]

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Fold:
    """A part of an utterance.

    Attributes
    ----------
    start, samples
        Where it begins, and how many of its samples are made.
    first_frame, frames
        Those that its stream reads.
    skip
        Samples of that stream that come before it.
    """

    start: int
    samples: int
    first_frame: int
    frames: int
    skip: int


class Folds:
    """How an utterance is divided, and how its folds are joined.

    Parameters
    ----------
    model
        That speaks it, sample by sample.
    frames
        Of the utterance.
    fold
        Samples between two overlaps, at most, and samples of an overlap; None: one fold. Folds are
        of like length and cover the utterance exactly.
    upstream_compat
        Divide and join as fatchord/WaveRNN: folds of ``target + 2 overlap`` samples, the last of
        which may leave the utterance, a cross-fade at both ends of each, a hop less than there are
        frames, and the last 20 hops faded out.

    Raises
    ------
    Error
        The overlap is not less than the target, or folds are longer than the utterance; upstream
        needs 21 frames.
    UnsupportedError
        The model does not go sample by sample.
    """

    def __init__(
        self,
        model: Model,
        frames: int,
        *,
        fold: tuple[int, int] | None = None,
        upstream_compat: bool = False,
    ) -> None:
        target, overlap = (0, 0) if fold is None else _sizes(fold)
        self._native = _pyvoc.Folds(model._native, frames, target, overlap, upstream_compat)
        self._draws = model.info.draws_per_sample

    def __len__(self) -> int:
        return self._native.count

    def __getitem__(self, i: int) -> Fold:
        if not 0 <= i < len(self):
            raise IndexError(f"there is no fold {i} of {len(self)}")
        return Fold(*self._native.fold(i))

    def __iter__(self) -> Iterator[Fold]:
        return (self[i] for i in range(len(self)))

    @property
    def samples(self) -> int:
        """Of the utterance, joined."""
        return self._native.samples

    @property
    def length(self) -> int:
        """Samples of the longest fold; as upstream, of each, whether they are heard or not."""
        return self._native.length

    @property
    def draws(self) -> int:
        """Draws to be given for all of them: ``length`` samples' for fold after fold."""
        return len(self) * self.length * self._draws

    def parts(self, rows: Float32, *, seed: int, draws: Float32 | None) -> list[Part]:
        """What the streams of the folds make; fold i has the seed ``seed + i``.

        Parameters
        ----------
        rows
            The utterance [frames, dims], checked.
        seed
            Of the first.
        draws
            Uniforms, as many as :attr:`draws` or more; None for the streams' own.

        Raises
        ------
        Error
            Too few draws.
        """
        if draws is not None and draws.size < self.draws:
            raise Error(
                f"{draws.size} draws were given; {len(self)} folds of {self.length} samples need "
                f"{self.draws}"
            )
        each = self.length * self._draws
        found = []
        for i, fold in enumerate(self):
            frames = rows[fold.first_frame : fold.first_frame + fold.frames]
            given = None if draws is None else draws[i * each : (i + 1) * each]
            found.append(Part(frames, fold.samples, (seed + i) % (1 << 64), fold.skip, given))
        return found

    def join(self, parts: Sequence[Float32]) -> Float32:
        """The utterance from the samples of all folds.

        Joins keep the power of the sound and never exceed full scale; upstream's may.
        """
        return self._native.join(parts)


def folded(options: Mapping[str, Any]) -> bool:
    """Whether checked options ask for folds."""
    return "fold" in options or "upstream_compat" in options


def _sizes(fold: tuple[int, int]) -> tuple[int, int]:
    try:
        target, overlap = (int(n) for n in fold)
        whole = (target, overlap) == tuple(fold)
    except (TypeError, ValueError):
        whole = False
    if not whole or target < 1 or overlap < 0 or target >= 1 << 40:
        raise Error(f"expected fold as (target, overlap) in samples, got {fold!r}")
    return target, overlap
