"""LPCNet training and test data from raw speech: what upstream's ``dump_data`` does.

With a seed the output is fixed byte by byte; it equals upstream's for the same ``srand`` seed
(Valin & Skoglund 2019; xiph/LPCNet, the latest and the 2019 recipe).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from pyvoc import _pyvoc
from pyvoc.files.atomic import sweep
from pyvoc.files.whole import check_size

__all__ = ["DEFAULT_TRAIN_FRAMES", "DumpReport", "dump_test", "dump_train"]

DEFAULT_TRAIN_FRAMES = 5_000_000
"""Frames that upstream goes round the input for: 13.9 hours."""

_Path = str | os.PathLike[str]
_Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DumpReport:
    """What was written.

    Attributes
    ----------
    frames
        10 ms frames processed.
    rows, dims
        Feature rows written, and floats per row.
    passes
        Passes over the input, the last one possibly cut short.
    """

    frames: int
    rows: int
    dims: int
    passes: int


def dump_test(
    speech: _Path,
    features: _Path,
    *,
    layout: str = "lpcnet36",
    seed: int = 1,
    progress: _Progress | None = None,
) -> DumpReport:
    """Write the features of raw speech, with dither: ``dump_data -test``.

    Parameters
    ----------
    speech
        Raw 16-bit little-endian mono PCM at 16 kHz.
    features
        Output, float32 [frames, dims]; row i belongs to input frame i - 1.
    layout
        ``lpcnet36`` or ``lpcnet55`` (rows in groups of four).
    seed
        Of the dither, 0..2**32 - 1.
    progress
        Called now and then with frames done and expected.

    Raises
    ------
    AudioError
        The input is no raw PCM or too short.
    Error
        The operating system refused a file, or the input is larger than one may be
        (:mod:`pyvoc.files.whole`).
    """
    return _dump(speech, features, None, layout, seed, 1, progress)


def dump_train(
    speech: _Path,
    features: _Path,
    data: _Path,
    *,
    layout: str = "lpcnet36",
    seed: int = 1,
    frames: int = DEFAULT_TRAIN_FRAMES,
    progress: _Progress | None = None,
) -> DumpReport:
    """Write augmented features and the sample stream to train on: ``dump_data -train``.

    Parameters
    ----------
    speech
        Raw 16-bit little-endian mono PCM at 16 kHz; gone round as often as needed.
    features
        Output, float32 [rows, dims].
    data
        Output, 640 bytes per row: ``lpcnet36`` int16 [rows * 160, 2] (noisy signal at t - 1, clean
        signal at t), ``lpcnet55`` uint8 mu-law [rows * 160, 4] (signal at t - 1, prediction,
        excitation at t - 1 with noise, excitation).
    layout
        ``lpcnet36`` or ``lpcnet55``.
    seed
        Of augmentation, dither and noise, 0..2**32 - 1.
    frames
        Stop after at least so many frames and one full pass.
    progress
        Called now and then with frames done and expected.

    Raises
    ------
    AudioError
        The input is no raw PCM, too short, or (``lpcnet55``) silent throughout.
    Error
        As :func:`dump_test`.
    """
    return _dump(speech, features, data, layout, seed, frames, progress)


def _dump(
    speech: _Path,
    features: _Path,
    data: _Path | None,
    layout: str,
    seed: int,
    frames: int,
    progress: _Progress | None,
) -> DumpReport:
    with contextlib.suppress(OSError):  # which the reader says in its own words
        check_size(os.stat(speech).st_size, f"'{os.fspath(speech)}'")
    for output in (features, data):
        if output is not None:
            sweep(os.path.dirname(os.path.realpath(output)))
    report = _pyvoc.dump_data(
        os.fsencode(speech),
        os.fsencode(features),
        None if data is None else os.fsencode(data),
        layout,
        seed,
        frames,
        progress,
    )
    return DumpReport(**report)
