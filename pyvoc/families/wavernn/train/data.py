"""Batches of samples to predict: what was heard before each, its label, and the mel around."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pyvoc.families.wavernn.likelihood import MIXTURE_LABELS, labels_of
from pyvoc.families.wavernn.shape import WavernnShape
from pyvoc.train.data.segments import Batch, MelDataConfig, MelSegments, open_mel_data

CHUNK_FRAMES = 20
"""Frames of a held-out clip that are worked on at once."""

Float32 = npt.NDArray[np.float32]


class WavernnSegments:
    """See `pyvoc.train.task.Data`.

    Arrays: ``label`` int64 [rows, samples]; ``x`` float32 [rows, samples], the sample before each
    as the network hears it; ``mel`` float32 [rows, bands, frames + 2 pad]. Sample i is within frame
    i // hop, as in synthesis. Held-out batches have ``mask``, and ``reset`` where clips begin.

    Parameters
    ----------
    segments
        Mel and sound, with the network's context, of a hop more than a row has: the sample before
        the first one is its last.
    shape
        Of the network.
    """

    def __init__(self, segments: MelSegments, shape: WavernnShape) -> None:
        self.segments, self._shape = segments, shape
        self.corpus = segments.corpus
        self.samples_per_row = segments.samples_per_row - shape.hop
        self.steps_per_epoch = segments.steps_per_epoch

    def batch(self, step: int, rows: range) -> Batch:
        """Rows of the global batch of a step."""
        found = self.segments.batch(step, rows)
        hop = self._shape.hop
        label, heard = self._encoded(found["audio"][:, hop - 1 :])
        mel = np.ascontiguousarray(found["mel"][:, :, 1:])
        return {"mel": mel, "x": heard[:, :-1], "label": label[:, 1:]}

    def validation(self, rows: int) -> Iterator[Batch]:
        """Held-out clips side by side, from their beginnings, in chunks that follow each other."""
        clips, shape = self.corpus.validation, self._shape
        hop, pad = shape.hop, shape.pad
        for at in range(0, len(clips), rows):
            found = [self.segments.whole(clip) for clip in clips[at : at + rows]]
            frames = max(len(mel) for mel, _ in found)
            count = len(found)
            mel = np.zeros((count, shape.bands, frames + 2 * pad), np.float32)
            label = np.zeros((count, frames * hop), np.int64)
            x = np.zeros((count, frames * hop), np.float32)
            mask = np.zeros((count, frames * hop), bool)
            for row, (rows_of, sound) in enumerate(found):
                mel[row, :, pad : pad + len(rows_of)] = rows_of.T
                own, heard = self._encoded(sound)
                label[row, : sound.size], mask[row, : sound.size] = own, True
                x[row, 1 : sound.size] = heard[:-1]
            for first in range(0, frames, CHUNK_FRAMES):
                last = min(first + CHUNK_FRAMES, frames)
                samples = slice(first * hop, last * hop)
                yield {
                    "mel": np.ascontiguousarray(mel[:, :, first : last + 2 * pad]),
                    "x": np.ascontiguousarray(x[:, samples]),
                    "label": np.ascontiguousarray(label[:, samples]),
                    "mask": np.ascontiguousarray(mask[:, samples]),
                    "reset": np.full(count, first == 0),
                }

    def _encoded(self, sound: Float32) -> tuple[npt.NDArray[np.int64], Float32]:
        """Labels of samples in -1..1, and what is fed back for each."""
        settings = self._shape.settings
        classes = self._shape.outputs if settings.mode == "raw" else MIXTURE_LABELS
        labels = labels_of(sound.astype(np.float64), classes, mu_law=settings.mu_law)
        return labels, (2 * labels / (classes - 1) - 1).astype(np.float32)


def open_data(
    config: MelDataConfig, shape: WavernnShape, *, rows: int, seed: int
) -> WavernnSegments:
    """Read and check everything that a run trains on; see `pyvoc.train.data.open_mel_data`."""
    longer = replace(config, segment=config.segment + shape.hop)
    segments = open_mel_data(longer, shape.settings.recipe, rows=rows, seed=seed, context=shape.pad)
    return WavernnSegments(segments, shape)
