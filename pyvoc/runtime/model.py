"""Models: features in, samples out.

Synthesis of a whole utterance is a stream that was pushed once: however features are cut, the
samples are the same, bit for bit, on one machine and precision.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc, families, voices
from pyvoc.container.mel import LAYOUT, MelRecipe
from pyvoc.errors import Error, FeatureError, ModelError, UnsupportedError
from pyvoc.files import mels
from pyvoc.files.kinds import kind_of
from pyvoc.files.whole import open_file
from pyvoc.runtime.folds import Folds, folded
from pyvoc.runtime.info import ModelInfo
from pyvoc.runtime.inputs import as_draws, as_frames, as_pcm, as_seed
from pyvoc.runtime.likelihood import Likelihood
from pyvoc.runtime.lockstep import PIECE_HOPS, Progress, run_parts
from pyvoc.runtime.noise import in_parts
from pyvoc.runtime.speed import as_speed, scaled
from pyvoc.runtime.stream import Stream
from pyvoc.runtime.system import system_info

__all__ = ["PIECE_HOPS", "Model", "ModelInfo", "Progress", "load", "system_info"]

Float32 = npt.NDArray[np.float32]
_PRECISIONS = ("f32", "bf16", "int8")


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
            latency_samples=native.latency_samples,
            draws_per_sample=native.draws_per_sample,
            distribution_size=native.distribution_size,
            prime_samples=native.prime_samples,
            prime_frames=native.prime_frames,
            pitch_network=native.pitch_network,
            mel=self._mel(path) if native.feature_layout == LAYOUT else None,
            noise_channels=self._noise_channels(native.architecture),
        )

    def _noise_channels(self, architecture: str) -> tuple[int, ...]:
        family = families.get(architecture)
        if family.noise_channels is None:
            return ()
        channels: tuple[int, ...] = family.resolve(family.noise_channels)(self.describe())
        return channels

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
        speed: float = 1.0,
        progress: Progress | None = None,
        **options: Any,
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
            To use instead: uniforms in 0..1, ``draws_per_sample`` for each sample. Of a model that
            starts from noise: normal noise in upstream's order, ``[z_0, z_1, ...]``, each
            ``[channels, steps]``, not scaled. Folded: for fold after fold, see
            :class:`pyvoc.Folds`.
        speed
            0.5 to 2: how much faster than the frames say, at the same pitch. Frames are
            interpolated in time, so that there are ``frames / speed`` of them, rounded up.
        progress
            Called now and then with the samples done and in all, those of folds; an exception from
            it ends the synthesis.
        options
            Of the model's family, by name; ``pyvoc synth --help`` lists them with their families,
            `pyvoc.families.options_for` in Python. ``sigma``: standard deviation of the noise,
            0 to 4, in place of the model file's. ``fold``: speak folds side by side, which is
            faster, and join them (:class:`pyvoc.Folds`); samples between two overlaps, at most, and
            of an overlap: ``(11000, 550)``. ``upstream_compat``: upstream's cross-fades, its length
            and its fade-out. ``tail_frames``: silent frames spoken behind the last one, and cut
            off; upstream's inference has 10.

        Returns
        -------
        float32 [frames * hop_length]
            Of the frames that are spoken. Full scale is -1..1.

        Raises
        ------
        FeatureError
            No frames, another layout, transposed, NaN, infinite or absurd values.
        OptionError
            An option is another family's.
        Error
            The seed, the draws, the speed or an option's value cannot be used.
        """
        rows = as_frames(features, self._info)
        checked = self.options(options)
        if not len(rows):
            raise FeatureError("the features hold no frames")
        rows = scaled(rows, self._info, as_speed(speed))
        total = len(rows) * self._info.hop_length
        if folded(checked):
            folds = Folds(self, len(rows), **checked)
            given = None if draws is None else as_draws(draws)
            parts = folds.parts(rows, seed=as_seed(seed), draws=given)
            native, threads = self._native, self._threads
            return folds.join(run_parts(native, parts, threads=threads, progress=progress))
        with self.stream(seed=seed, **checked) as stream:
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
        self,
        *,
        seed: int = 0,
        lookahead: int | None = None,
        speed: float = 1.0,
        **options: Any,
    ) -> Stream:
        """Open a stream; a context manager. See :class:`pyvoc.Stream`."""
        return Stream(self, seed=seed, lookahead=lookahead, speed=speed, **options)

    def options(self, given: Mapping[str, Any], *, streaming: bool = False) -> dict[str, Any]:
        """Options that a caller gave, checked against those of the model's family.

        Parameters
        ----------
        given
            By name; those that are None or False were not given.
        streaming
            Whether they are for a stream.

        Raises
        ------
        OptionError
            One is another family's, or a stream cannot take it.
        Error
            A value is of another type or out of range.
        """
        info = self._info
        return families.options_of(
            info.architecture, given, what=f"'{info.path}'", streaming=streaming
        )

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
            What the family's network says of a sample given the past: probabilities of classes
            (LPCNet: mu-law codes of the excitation, Valin & Skoglund 2019), or the last layer's
            outputs (WaveRNN: logits of labels, or a mixture of logistics: all weights' logits, all
            means, all logarithms of scales).

        Raises
        ------
        FeatureError, AudioError
            Features or samples have the wrong shape, size or values.
        UnsupportedError
            The architecture has no such distribution.
        """
        return self._native.predict(as_frames(features, self._info), as_pcm(pcm))

    def forward(self, features: npt.ArrayLike, pcm: npt.ArrayLike) -> Likelihood:
        """The other direction of a flow-based model: from audio to noise.

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
    """Load a voice or a model file.

    Parameters
    ----------
    path
        The name of a voice (:func:`pyvoc.voices.names`), or a GGUF file as written by
        ``pyvoc convert`` or ``pyvoc train``. A name comes before a file: ``./default`` and
        ``Path("default")`` are files.
    precision
        ``auto`` takes what the file holds. Another one than that is refused: precision is chosen
        at conversion.
    threads
        Threads that :func:`pyvoc.synthesize_batch` uses, and a single stream, where a family can
        share one among them. The samples are the same with any number.

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
    _refuse_others(name)
    native = _pyvoc.Model(os.fsencode(name))
    if precision not in ("auto", native.precision):
        raise UnsupportedError(
            f"{name} holds {native.precision} weights, not {precision}: "
            f"`pyvoc convert MODEL -o NEW.gguf --precision {precision}` makes such a file"
        )
    return Model(native, name, threads)


def _refuse_others(name: str) -> None:
    """Say of a file that is no model what it is, where that is known."""
    try:
        with open_file(name) as file:
            other = file.read(4) != b"GGUF"
        kind = kind_of(name) if other else None
    except (OSError, Error):
        return  # the native reader says why
    if kind is not None:
        raise ModelError(f"{name}: not a pyvoc model: it is {kind}")
