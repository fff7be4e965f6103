"""Samples that another runtime computed from an exported graph, on their way to a wav file.

Such tools write an output as it lies in memory: little-endian float32, no header, full scale
-1..1. ``[samples]``, ``[1, samples]`` and ``[1, 1, samples]`` are the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pyvoc.errors import AudioError, Error
from pyvoc.files.doubts import collect, doubt
from pyvoc.files.failures import Failure, Failures
from pyvoc.files.mels import recipe_of
from pyvoc.files.outputs import check_outputs, create_folder
from pyvoc.files.pcm import open_output
from pyvoc.files.whole import read_whole

__all__ = ["Written", "read_samples", "write_samples"]

Float32 = npt.NDArray[np.float32]

LIMIT = 100.0
"""No sample lies beyond; the runtime limits WaveGlow's samples to it."""


def read_samples(path: str | os.PathLike[str], *, hop_length: int | None = None) -> Float32:
    """Read and check the samples of one utterance.

    Parameters
    ----------
    path
        Raw little-endian float32.
    hop_length
        Of the model that computed them: there must be a whole number of frames. None: any number.

    Returns
    -------
    float32 [samples]
        Full scale -1..1; what is beyond is left as it is.

    Raises
    ------
    AudioError
        No samples, no whole number of float32 or of frames, or values that are no audio: NaN,
        infinite, or far beyond full scale.
    Error
        The operating system refused the file.
    """
    name = f"'{os.fspath(path)}'"
    data = read_whole(path)
    if not data:
        raise AudioError(f"{name} is empty; expected float32 samples")
    if data[:4] in (b"RIFF", b"fLaC", b"OggS", b"GGUF") or data[:6] == b"\x93NUMPY":
        kind = data[:4].decode("latin-1").strip("\x93")
        raise AudioError(f"{name} starts like a {kind} file; expected raw float32 samples")
    if len(data) % 4:
        raise AudioError(f"{name} has {len(data)} bytes, no whole number of float32 samples")
    samples = np.frombuffer(data, dtype="<f4").astype(np.float32)
    if hop_length is not None and samples.size % hop_length:
        raise AudioError(
            f"{name} has {samples.size} samples, no whole number of frames of {hop_length}: it is "
            "cut short, no float32, or of another model"
        )
    good = np.abs(samples) <= LIMIT  # False for NaN
    if not good.all():
        at = int(np.argmin(good))
        raise AudioError(
            f"sample {at} of {name} is {samples[at]:g}, which is no audio in -1..1; expected "
            "float32, not float16 or integers"
        )
    return samples


@dataclass(frozen=True)
class Written:
    """What :func:`write_samples` wrote.

    Attributes
    ----------
    inputs, outputs
        Files.
    samples, sample_rate
        In all; Hz.
    audio_seconds
        Of sound.
    warnings
        Sentences about samples that were cut to full scale.
    failed
        Inputs that were left out.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    samples: int
    sample_rate: int
    audio_seconds: float
    warnings: tuple[str, ...]
    failed: tuple[Failure, ...] = ()


def write_samples(
    inputs: Sequence[str | os.PathLike[str]],
    outputs: Sequence[str | os.PathLike[str]],
    *,
    model: str | os.PathLike[str] | None = None,
    rate: int | None = None,
    raw: bool = False,
    make_folder: bool = False,
    failures: Failures | None = None,
) -> Written:
    """Write samples of another runtime as 16-bit wav files; all are checked before the first.

    Parameters
    ----------
    inputs, outputs
        As many of one as of the other; a lone output may be ``-``.
    model
        The model file that the graph was exported from: its rate, and its frames.
    rate
        Hz, in place of a model; then any number of samples will do.
    raw
        Raw 16-bit PCM in place of wav.
    make_folder
        Create the outputs' folder when there is something to put into it.
    failures
        Takes what fails of the inputs; None: the first failure ends the work.

    Raises
    ------
    Error
        Neither a model nor a rate, or both; what :func:`read_samples` and
        :func:`pyvoc.mels.recipe_of` raise; an output cannot be written, or would overwrite an
        input or the model.
    """
    if (model is None) == (rate is None):
        raise Error("samples without a header need a model or a rate, one of them")
    if not inputs or len(inputs) != len(outputs):
        raise Error(f"{len(inputs)} inputs were given for {len(outputs)} outputs")
    check_outputs(outputs, inputs=[*inputs, model])
    recipe = None if model is None else recipe_of(model)
    hertz = recipe.sample_rate if recipe is not None else int(rate or 0)
    hop = None if recipe is None else recipe.hop_length
    failures = failures or Failures()
    made: list[tuple[str, str, Float32]] = []
    with collect() as doubts:
        for source, target in zip(inputs, outputs, strict=True):
            path = os.fspath(source)
            with failures.attempt(path):
                samples = read_samples(path, hop_length=hop)
                _doubt(samples, path)
                made.append((path, os.fspath(target), samples))
    if make_folder and made:
        create_folder(Path(outputs[0]).parent)
    for _, output, samples in made:
        with open_output(output, hertz, raw=raw, samples=samples.size) as write:
            write(samples)
    count = sum(samples.size for _, _, samples in made)
    return Written(
        inputs=tuple(path for path, _, _ in made),
        outputs=tuple(output for _, output, _ in made),
        samples=count,
        sample_rate=hertz,
        audio_seconds=round(count / hertz, 4),
        warnings=doubts.messages,
        failed=tuple(failures.found),
    )


def _doubt(samples: Float32, path: str) -> None:
    beyond = int((np.abs(samples) > 1).sum())
    if beyond:
        doubt(
            "beyond full scale",
            f"'{path}': {beyond} of {samples.size} samples lie beyond -1..1 and are cut",
        )
