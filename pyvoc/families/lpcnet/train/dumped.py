"""LPCNet batches from ``dump_data -train`` files, of the latest and of the 2019 layout.

Features are float32 [rows, 36] with data int16 [160 rows, 2] (signal t - 1 with noise, clean
signal t), or float32 [rows, 55] with data uint8 [160 rows, 4] (mu-law codes: signal t - 1,
prediction t, excitation t - 1 with noise, excitation t). Row r of one belongs to frame r of the
other. Files stay on disk: they are mapped. (xiph/LPCNet, ``training_tf2/lpcnet_dump``.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.errors import AudioError, Error, FeatureError
from pyvoc.families.lpcnet.train.recordings import GENERATIONS, LOOKAHEAD, LPC_ORDER, Batch
from pyvoc.files.features import HOP_LENGTH
from pyvoc.train.data.schedule import check_rows, generator, place, row_seeds

__all__ = ["DumpedLpcnet"]

_BYTES_PER_FRAME = 640
_WIDTHS = {36: "latest", 55: "2019"}
_SUFFIXES = {".s16": "latest", ".u8": "2019"}
_EPOCHS = 2  # purpose of draws; lpcnet.py has 1

_Path = str | os.PathLike[str]


class DumpedLpcnet:
    """LPCNet training data from a pair of ``dump_data`` files.

    The frames are cut into segments, which every epoch takes in an order of its own; the last
    ones are held out. :meth:`batch` is a pure function of (seed, step, row). The validation data
    has the noise that the files have.

    Parameters
    ----------
    features, data
        The two files; which layout they have follows from their sizes.
    rows
        Of the global batch.
    frames_per_chunk
        10 ms frames per row and step; upstream's 15.
    chunks_per_segment
        Steps that the recurrent state is carried through before a row starts elsewhere.
    validation
        Share of the segments held out at the end, 0..0.5; at least one when above 0.
    seed
        Of the segments' order.

    Attributes
    ----------
    generation
        ``latest`` or ``2019``.
    frames
        In the files.

    Raises
    ------
    FeatureError
        Sizes that fit neither layout, files of different lengths, values that are no features.
    AudioError
        Too few frames for the settings.
    Error
        The operating system refused a file, or a setting is out of range.
    """

    def __init__(
        self,
        features: _Path,
        data: _Path,
        rows: int,
        *,
        frames_per_chunk: int = 15,
        chunks_per_segment: int = 10,
        validation: float = 0.02,
        seed: int = 0,
    ) -> None:
        if rows < 1 or frames_per_chunk < 1 or chunks_per_segment < 1:
            raise Error("rows, frames_per_chunk and chunks_per_segment: expected 1 at least")
        if not 0.0 <= validation <= 0.5:
            raise Error(f"validation is {validation:g}; expected a share in 0..0.5")
        self.rows = rows
        self.frames_per_chunk = frames_per_chunk
        self.chunks_per_segment = chunks_per_segment
        self.seed = seed
        self.generation, self.frames = _sizes(Path(features), Path(data))
        width = next(w for w, g in _WIDTHS.items() if g == self.generation)
        self._rows: npt.NDArray[np.float32] = np.memmap(features, "<f4", "r").reshape(-1, width)
        kind, columns = ("<i2", 2) if self.generation == "latest" else ("u1", 4)
        self._data: npt.NDArray[Any] = np.memmap(data, kind, "r").reshape(-1, columns)
        _check_features(self._rows, Path(features))

        # Two rows of context on either side of what is trained on.
        per_segment = frames_per_chunk * chunks_per_segment
        segments = (self.frames - 2 * LOOKAHEAD) // per_segment
        held = max(1, round(segments * validation)) if validation > 0 else 0
        if segments - held < 1:
            needed = per_segment * (1 + min(1, held)) + 2 * LOOKAHEAD
            raise AudioError(
                f"'{features}' has {self.frames} frames; segments of {chunks_per_segment} chunks "
                f"of {frames_per_chunk} frames, and what is held out, need {needed} at least"
            )
        self._train, self._held = segments - held, held
        self.steps_per_epoch = max(1, self._train * chunks_per_segment // rows)
        self._order = lru_cache(maxsize=4)(self._draw_order)

    @property
    def dims(self) -> int:
        """Features that the network is fed per frame."""
        return GENERATIONS[self.generation][1]

    def batch(self, step: int, rows: range) -> Batch:
        """Rows of the global batch of a step.

        Returns
        -------
        dict
            With F = frames_per_chunk, T = 160 F: ``features`` float32 [rows, F + 4, dims],
            ``reset`` bool [rows], ``seed`` int64 [rows]; ``latest``: ``lpc``, ``signal`` and
            ``clean`` as :meth:`pyvoc.train.data.LpcnetWavs.batch` gives them; ``2019``: ``codes``
            float32 [rows, 3, T] (signal t - 1, prediction t, excitation t - 1) and ``target`` int64
            [rows, T].

        Raises
        ------
        Error
            Rows outside the global batch.
        """
        check_rows(step, rows, self.rows)
        out = self._empty(len(rows))
        for i, row in enumerate(rows):
            where = place(step, row, self.chunks_per_segment)
            epoch, at = divmod(where.segment * self.rows + row, self._train)
            segment = int(self._order(epoch)[at])
            self._put(out, i, segment * self.chunks_per_segment + where.chunk)
            out["reset"][i] = where.reset
        out["seed"][:] = row_seeds(self.seed, step, rows)
        return out

    def validation(self, rows: int) -> Iterator[Batch]:
        """The held-out frames, in one stretch per row; the state is carried from batch to batch.

        ``mask`` bool [rows, T] tells the samples that count.
        """
        first = self._train * self.chunks_per_segment
        chunks = self._held * self.chunks_per_segment
        per_row = -(-chunks // rows)
        for step in range(per_row):
            out = self._empty(rows)
            out["mask"] = np.zeros((rows, self.frames_per_chunk * HOP_LENGTH), np.bool_)
            for row in range(rows):
                chunk = row * per_row + step
                if chunk < chunks:
                    self._put(out, row, first + chunk)
                    out["reset"][row] = step == 0
                    out["mask"][row] = True
            yield out

    def _draw_order(self, epoch: int) -> npt.NDArray[np.int64]:
        return generator(self.seed, _EPOCHS, epoch).permutation(self._train)

    def _empty(self, rows: int) -> Batch:
        frames, samples = self.frames_per_chunk, self.frames_per_chunk * HOP_LENGTH
        out: Batch = {
            "features": np.zeros((rows, frames + 2 * LOOKAHEAD, self.dims), np.float32),
            "reset": np.ones(rows, np.bool_),
            "seed": np.zeros(rows, np.int64),
        }
        if self.generation == "latest":
            out["lpc"] = np.zeros((rows, frames + 1, LPC_ORDER), np.float32)
            out["signal"] = np.zeros((rows, samples + LPC_ORDER), np.float32)
            out["clean"] = np.zeros((rows, samples), np.float32)
        else:
            out["codes"] = np.full((rows, 3, samples), 128, np.float32)
            out["target"] = np.full((rows, samples), 128, np.int64)
        return out

    def _put(self, out: Batch, row: int, chunk: int) -> None:
        frames = self.frames_per_chunk
        begin = chunk * frames + LOOKAHEAD  # the first frame whose samples are told
        end = begin + frames
        out["features"][row] = self._rows[begin - LOOKAHEAD : end + LOOKAHEAD, : self.dims]
        first, last = begin * HOP_LENGTH, end * HOP_LENGTH
        if self.generation == "latest":
            out["lpc"][row] = self._rows[begin - 1 : end, -LPC_ORDER:]
            # Column 0 is a sample late: time t is in line t + 1.
            out["signal"][row] = self._data[first - LPC_ORDER : last, 0]
            out["clean"][row] = self._data[first:last, 1]
        else:
            out["features"][row, :, 18:36] = 0.0  # unused; upstream forces them to zero
            out["codes"][row] = self._data[first:last, :3].T
            out["target"][row] = self._data[first:last, 3]


def _sizes(features: Path, data: Path) -> tuple[str, int]:
    """Generation and frames, from the sizes of the two files."""
    sizes = []
    for path in (features, data):
        try:
            sizes.append(path.stat().st_size)
        except OSError as error:
            raise Error(f"cannot read '{path}': {error.strerror}") from error
        if path.is_dir():
            raise Error(f"cannot read '{path}': it is a directory")
        if not sizes[-1]:
            raise FeatureError(f"'{path}' is empty")
    if sizes[1] % _BYTES_PER_FRAME:
        raise FeatureError(
            f"'{data}' has {sizes[1]} bytes, no whole number of frames of {_BYTES_PER_FRAME}"
        )
    frames = sizes[1] // _BYTES_PER_FRAME
    for width, generation in _WIDTHS.items():
        if sizes[0] != frames * width * 4:
            continue
        named = _SUFFIXES.get(data.suffix.lower(), generation)
        if named != generation:
            raise FeatureError(
                f"'{data}' is named like the {named} layout, but '{features}' has {width} floats "
                f"per frame, as the {generation} one"
            )
        return generation, frames
    found = " or ".join(f"{sizes[0] / (4 * w):.10g} rows of {w} floats" for w in _WIDTHS)
    raise FeatureError(
        f"'{features}' has {sizes[0]} bytes, {found}; '{data}' has {frames} frames: expected "
        "features and data of one run of dump_data"
    )


def _check_features(rows: npt.NDArray[np.float32], path: Path) -> None:
    """A look at some rows: enough to notice another file, or another byte order."""
    some = rows[:: max(1, len(rows) // 1000)]
    if not (np.isfinite(some).all() and np.abs(some[:, :18]).max() < 100.0):
        raise FeatureError(f"'{path}' holds no LPCNet features: values are absurd or NaN")
