"""Models: features in, samples out.

Synthesis of a whole utterance is a stream that was pushed once: however features are cut, the
samples are the same, bit for bit, on one machine and precision.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc, mels, voices
from pyvoc._inputs import as_draws, as_frames, as_pcm, as_seed
from pyvoc._lockstep import PIECE_HOPS, Progress, run_parts
from pyvoc._noise import as_sigma, in_parts, parts_of
from pyvoc._system import system_info
from pyvoc.errors import Error, FeatureError, UnsupportedError
from pyvoc.folds import Folds
from pyvoc.likelihood import Likelihood
from pyvoc.specs.mel import LAYOUT, MelRecipe
from pyvoc.stream import Stream

__all__ = ["PIECE_HOPS", "Model", "ModelInfo", "Progress", "load", "system_info"]

Float32 = npt.NDArray[np.float32]
_PRECISIONS = ("f32", "bf16", "int8")


@dataclass(frozen=True)
class ModelInfo:
    """What a model is and reads.

    Attributes
    ----------
    path
        File that it was loaded from.
    architecture, precision
        ``lpcnet``; ``f32``, ``bf16`` or ``int8``: what the file holds.
    feature_layout, layout_dims
        Layout of the model's feature files, and its floats per frame.
    feature_dims
        How many of them, from the first, the model reads.
    sample_rate
        Hz.
    hop_length
        Samples per frame.
    lookahead_frames, latency_samples
        What must be pushed beyond the frame that is being heard.
    draws_per_sample
        Draws that a sample takes when they are given from outside.
    noise_channels
        Channels of each draw of a model that starts from noise, in the order in which synthesis
        needs them; together the samples of a step. Empty: draws are uniform.
    distribution_size
        Numbers per sample of :meth:`Model.predict`.
    mel
        How the mel frames that the model reads are computed; None for other features.
    """

    path: str
    architecture: str
    precision: str
    feature_layout: str
    layout_dims: int
    feature_dims: int
    sample_rate: int
    hop_length: int
    lookahead_frames: int
    latency_samples: int
    draws_per_sample: int
    distribution_size: int
    mel: MelRecipe | None = None
    noise_channels: tuple[int, ...] = ()


class Model:
    """A loaded model; immutable, may be shared by any number of threads. See :func:`load`."""

    def __init__(self, native: _pyvoc.Model, path: str, threads: int) -> None:
        self._native = native
        self._threads = threads
        self._info = ModelInfo(
            path=path,
            architecture=native.architecture,
            precision=native.precision,
            feature_layout=native.feature_layout,
            layout_dims=native.layout_dims,
            feature_dims=native.feature_dims,
            sample_rate=native.sample_rate,
            hop_length=native.hop_length,
            lookahead_frames=native.lookahead_frames,
            latency_samples=native.lookahead_frames * native.hop_length,
            draws_per_sample=native.draws_per_sample,
            distribution_size=native.distribution_size,
            mel=self._mel(path) if native.feature_layout == LAYOUT else None,
            noise_channels=parts_of(self.describe()) if native.takes_sigma else (),
        )

    def _mel(self, path: str) -> MelRecipe | None:
        return mels.recipe_in(self.describe()["metadata"], source=path)

    @property
    def info(self) -> ModelInfo:
        """What the model is and reads."""
        return self._info

    @property
    def threads(self) -> int:
        """Threads that streams and :func:`pyvoc.synthesize_batch` use, see :func:`load`."""
        return self._threads

    def __repr__(self) -> str:
        info = self._info
        return f"<pyvoc.Model '{info.path}': {info.architecture}, {info.precision}>"

    def describe(self) -> dict[str, Any]:
        """Metadata, tensors, and the plan: which backend runs each layer, and how."""
        described: dict[str, Any] = json.loads(self._native.describe())
        return described

    def synthesize(
        self,
        features: npt.ArrayLike,
        *,
        seed: int = 0,
        draws: npt.ArrayLike | Sequence[npt.ArrayLike] | None = None,
        sigma: float | None = None,
        fold: tuple[int, int] | None = None,
        upstream_compat: bool = False,
        progress: Progress | None = None,
    ) -> Float32:
        """Synthesise a whole utterance.

        Parameters
        ----------
        features
            [frames, dims]: the model's layout, or the columns that it reads alone. Other real
            types and memory orders are converted to C-contiguous float32.
        seed
            Of the random draws; 0 is upstream's fixed seed.
        draws
            To use instead: uniforms in 0..1, ``draws_per_sample`` for each sample. WaveGlow: normal
            noise in upstream's order, ``[z_0, z_1, ...]``, each ``[channels, steps]``, not scaled.
            Folded: for fold after fold, see :class:`pyvoc.Folds`.
        sigma
            Standard deviation of the noise, 0 to 4; None is what the model file says.
        fold
            WaveRNN: speak folds side by side, which is faster, and join them
            (:class:`pyvoc.Folds`); samples between two overlaps, at most, and of an overlap:
            ``(11000, 550)``.
        upstream_compat
            WaveRNN: fatchord's cross-fades, its length (a hop less) and its fade-out.
        progress
            Called now and then with the samples done and in all, those of folds; an exception from
            it ends the synthesis.

        Returns
        -------
        float32 [frames * hop_length]
            Full scale is -1..1.

        Raises
        ------
        FeatureError
            No frames, another layout, transposed, NaN, infinite or absurd values.
        Error
            The seed, the draws, sigma or folds cannot be used.
        UnsupportedError
            The architecture cannot be folded, or has no such upstream.
        """
        rows = as_frames(features, self._info)
        total = len(rows) * self._info.hop_length
        if not len(rows):
            raise FeatureError("the features hold no frames")
        if fold is not None or upstream_compat:
            folds = Folds(self, len(rows), fold=fold, upstream_compat=upstream_compat)
            as_sigma(sigma, self._info.architecture, takes=False)
            given = None if draws is None else as_draws(draws)
            parts = folds.parts(rows, seed=as_seed(seed), draws=given)
            native, threads = self._native, self._threads
            return folds.join(run_parts(native, parts, threads=threads, progress=progress))
        with self.stream(seed=seed, sigma=sigma) as stream:
            if draws is not None:
                stream.set_draws(draws, samples=total)
            stream.push(rows)
            stream.flush()
            samples = np.empty(total, dtype=np.float32)
            piece = PIECE_HOPS * self._info.hop_length
            for start in range(0, total, piece):
                got = stream.pull(piece)
                samples[start : start + len(got)] = got
                if progress is not None:
                    progress(start + len(got), total)
        return samples

    def stream(
        self, *, seed: int = 0, sigma: float | None = None, lookahead: int | None = None
    ) -> Stream:
        """Open a stream; a context manager. See :class:`pyvoc.Stream`."""
        return Stream(self, seed=seed, sigma=sigma, lookahead=lookahead)

    def predict(self, features: npt.ArrayLike, pcm: npt.ArrayLike) -> Float32:
        """Teacher-forced output distributions of an autoregressive model.

        Parameters
        ----------
        features
            [frames, dims], as for :meth:`synthesize`.
        pcm
            The signal that is fed back, [samples], floats in -1..1 or int16; sample ``i`` belongs
            to frame ``i // hop_length``.

        Returns
        -------
        float32 [samples, distribution_size]
            LPCNet: probability of each class given the past, the classes being mu-law codes of the
            excitation (Valin & Skoglund 2019). WaveRNN: the last layer's outputs, logits of labels
            or a mixture of logistics (all weights' logits, all means, all logarithms of scales).

        Raises
        ------
        FeatureError, AudioError
            Features or samples have the wrong shape, size or values.
        UnsupportedError
            The architecture has no such distribution.
        """
        return self._native.predict(as_frames(features, self._info), as_pcm(pcm))

    def forward(self, features: npt.ArrayLike, pcm: npt.ArrayLike) -> Likelihood:
        """The other direction of a flow-based model (WaveGlow): from audio to noise.

        Parameters
        ----------
        features
            [frames, bands], as for :meth:`synthesize`.
        pcm
            Audio within these frames, [samples], floats in -1..1 or int16: whole steps, a step
            being ``sum(info.noise_channels)`` samples.

        Returns
        -------
        Likelihood
            The noise that :meth:`synthesize` would make `pcm` of, and how likely `pcm` is.

        Raises
        ------
        FeatureError, AudioError
            Features or samples have the wrong shape, size or values.
        UnsupportedError
            The architecture has no such direction, or the determinant of a 1x1 convolution is not
            positive.
        ModelError
            The noise is not finite.
        """
        rows, samples = as_frames(features, self._info), as_pcm(pcm)
        noise, log_s, log_det = self._native.forward(rows, samples, self._threads)
        return Likelihood(
            z=in_parts(noise, self._info.noise_channels),
            log_s=tuple(log_s.tolist()),
            log_det=tuple(log_det.tolist()),
        )


def load(
    path: str | os.PathLike[str] = voices.DEFAULT, *, precision: str = "auto", threads: int = 1
) -> Model:
    """Load a bundled voice or a model file.

    Parameters
    ----------
    path
        The name of a bundled voice (:func:`pyvoc.voices.names`), or a GGUF file as written by
        ``pyvoc convert`` or ``pyvoc train``. A name comes before a file: ``./default`` and
        ``Path("default")`` are files.
    precision
        ``auto`` takes what the file holds. Another one than that is refused: precision is chosen
        at conversion.
    threads
        Threads that :func:`pyvoc.synthesize_batch` uses, and a single stream: all but LPCNet's,
        which always runs on one. The samples are the same with any number.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        The file is damaged, or no pyvoc model.
    UnsupportedError
        Another architecture, a newer format, another precision than asked for, or ``PYVOC_ISA``
        names a tier that this machine lacks.
    Error
        Neither a voice nor a file; the operating system refused the file; an argument makes no
        sense.
    """
    name = voices.resolve(path)
    if "\0" in name:
        raise Error(f"cannot read {name!r}: the name holds a null character")
    if precision != "auto" and precision not in _PRECISIONS:
        raise Error(f"precision '{precision}' is unknown, expected auto, {', '.join(_PRECISIONS)}")
    if not 1 <= threads <= 64:
        raise Error(f"threads is {threads}, expected 1 to 64")
    native = _pyvoc.Model(os.fsencode(name))
    if precision not in ("auto", native.precision):
        raise UnsupportedError(
            f"{name} holds {native.precision} weights, not {precision}: convert the checkpoint "
            f"again with `pyvoc convert --precision {precision}`"
        )
    return Model(native, name, threads)
