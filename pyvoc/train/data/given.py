"""Mels that were made elsewhere, beside the recordings that they are of.

Fine-tuning on the output of a text-to-speech model (ground-truth aligned mels) is the usual reason.
Each must be as long as its recording, and look as the model's recipe says.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyvoc.container.mel import MelRecipe
from pyvoc.errors import Error, FeatureError
from pyvoc.files import mels
from pyvoc.files.doubts import doubt
from pyvoc.melcheck import check_rows
from pyvoc.train.data.corpus import Clip

__all__ = ["GivenMels", "mel_files"]

_SUFFIXES = frozenset({".npy", mels.BIN_SUFFIX, *mels.TENSOR_SUFFIXES})
_OFF = 2
"""Frames that a mel may have more or less than its recording: programs count the last differently,
and cut audio or mel to what the other has."""
_PROBES = 8
"""Mels whose values are looked at."""
_UNITS = frozenset({"bands", "values", "log", "power", "normalized", "transposed"})
"""Findings that no smoothing of a model's output explains."""

Float32 = npt.NDArray[np.float32]


def mel_files(folder: str | Path) -> list[Path]:
    """The mel files below a folder, sorted.

    Raises
    ------
    Error
        There is no such folder, or none in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise Error(f"'{folder}' is no folder of mels")
    found = [p for p in root.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file()]
    if not found:
        raise Error(f"'{folder}' holds no mels ({' '.join(sorted(_SUFFIXES))})")
    return sorted(found)


class GivenMels:
    """A folder of mels, found by the names of clips.

    Parameters
    ----------
    folder
        Searched to the bottom; ``NAME.npy``, ``.pt``, ``.pth``, ``.mel`` or ``.bin`` belongs to the
        recording ``NAME.wav`` (whatever its suffix). Where several folders have that name, the one
        whose path ends most like the recording's.
    recipe
        Of the model.
    clips
        All that are wanted.
    memory
        Bytes that mels may take; others are read when they are wanted.

    Raises
    ------
    Error
        A clip has no mel, or two that could be its.
    FeatureError
        A mel cannot be read, has another length than its recording, or most that were looked at are
        of other units than the recipe's; names the first ones.
    """

    def __init__(
        self, folder: str | Path, recipe: MelRecipe, clips: Sequence[Clip], *, memory: int
    ) -> None:
        self._recipe = recipe
        by_name: dict[str, list[Path]] = {}
        for path in mel_files(folder):
            by_name.setdefault(path.stem, []).append(path)
        self._paths = {clip.path: _of_clip(clip.path, by_name, folder) for clip in clips}
        self._frames: dict[Path, int] = {}
        self._held: dict[Path, Float32] = {}
        wrong = []
        probes = {clips[i].path for i in range(0, len(clips), max(1, len(clips) // _PROBES))}
        alien: list[str] = []
        for clip in clips:
            rows = self._read(clip.path)
            expected = clip.samples // recipe.hop_length
            if abs(len(rows) - expected) > _OFF:
                wrong.append(
                    f"'{self._paths[clip.path]}' has {len(rows)} frames, but '{clip.path}' lasts "
                    f"{expected} hops of {recipe.hop_length}"
                )
            self._frames[clip.path] = min(len(rows), expected)
            if rows.nbytes <= memory:
                memory -= rows.nbytes
                self._held[clip.path] = rows
            if clip.path in probes:
                alien += self._look_at(rows, self._paths[clip.path])
        if 2 * len(alien) > len(probes):
            raise FeatureError(alien[0])
        for text in alien:
            doubt("another recipe", text)
        if wrong:
            more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise FeatureError("; ".join(wrong[:3]) + more)

    def frames(self, clip: Clip) -> int:
        """How many frames of a clip have both mel and sound."""
        return self._frames[clip.path]

    def of(self, clip: Clip) -> Float32:
        """The mel of a clip, [frames, bands]."""
        held = self._held.get(clip.path)
        return self._read(clip.path) if held is None else held

    def _read(self, path: Path) -> Float32:
        return mels.load(self._paths[path], bands=self._recipe.bands)

    def _look_at(self, rows: Float32, path: Path) -> list[str]:
        """What says that a mel is of other units, if anything; other doubts are said."""
        alien = []
        for finding in check_rows(rows, self._recipe, name=str(path)).findings:
            text = (
                f"'{path}' does not look like the model's mel ({self._recipe.name}): "
                f"{finding.setting} {finding.found}, expected {finding.expected} "
                f"({finding.evidence})"
            )
            if finding.setting in _UNITS:
                alien.append(text)
            else:
                doubt("another recipe", text)
        return alien[:1]


def _of_clip(path: Path, by_name: dict[str, list[Path]], folder: str | Path) -> Path:
    found = by_name.get(path.stem, [])
    if not found:
        raise Error(f"'{folder}' has no mel of '{path}' ({path.stem}.npy, .pt, .mel or .bin)")
    alike = sorted(found, key=lambda p: _common_tail(p, path), reverse=True)
    if len(alike) > 1 and _common_tail(alike[0], path) == _common_tail(alike[1], path):
        raise Error(f"'{alike[0]}' and '{alike[1]}' could both be the mel of '{path}'")
    return alike[0]


def _common_tail(one: Path, two: Path) -> int:
    """How many folders above two files have the same names."""
    count = 0
    for a, b in zip(reversed(one.parts[:-1]), reversed(two.parts[:-1]), strict=False):
        if a != b:
            break
        count += 1
    return count
