"""Streams: frames are pushed, samples pulled."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pyvoc import _pyvoc
from pyvoc.errors import Error, UnsupportedError
from pyvoc.runtime.inputs import as_frames, as_lookahead, as_pcm, as_seed
from pyvoc.runtime.noise import as_given
from pyvoc.runtime.speed import TimeScale, as_speed, lag_samples
from pyvoc.runtime.tail import tail_of

if TYPE_CHECKING:
    from pyvoc.runtime.model import Model

__all__ = ["Stream", "pull_together"]

Float32 = npt.NDArray[np.float32]


class Stream:
    """Push frames, pull samples. One thread at a time: a second one is refused, not made to wait.

    Parameters
    ----------
    model
        Whose stream it is; kept alive.
    seed
        Of the random draws.
    lookahead
        Frames, in place of the model's own. Fewer, where the model can, make samples due earlier,
        and approximate: at the end of each push, those due are what they would be if the stream
        ended there. They depend on how frames are divided among pushes then, and each push costs a
        pass over the look-ahead that is missing. From the model's own on, samples are exact.
    speed
        As for :meth:`Model.synthesize`. At another one than 1 a frame is heard once the next one is
        there.
    options
        Of the model's family, as for :meth:`Model.synthesize`, those that a stream can take.

    Raises
    ------
    UnsupportedError
        The model cannot do with less look-ahead than its own.
    OptionError
        An option is another family's, or needs the whole utterance.
    Error
        The seed, the look-ahead, the speed or an option's value makes no sense.

    Examples
    --------
    >>> with model.stream(seed=1) as stream:
    ...     for frames in source:
    ...         stream.push(frames)
    ...         play(stream.pull())
    ...     stream.flush()
    ...     play(stream.pull())
    """

    def __init__(
        self,
        model: Model,
        *,
        seed: int = 0,
        lookahead: int | None = None,
        speed: float = 1.0,
        **options: Any,
    ) -> None:
        self._model = model
        self._seed = as_seed(seed)
        self._pushed = 0
        self._flushed = False
        self._lock = threading.Lock()
        given = model.options(options, streaming=True)
        self._tail = tail_of(model.info, given)
        self._cut = 0  # samples at the end that the tail said
        self._native = _pyvoc.Stream(
            model._native, self._seed, model.threads, given.get("sigma"), as_lookahead(lookahead)
        )
        self._speed = as_speed(speed)
        self._scale = TimeScale(model.info, self._speed)
        self._latency = self._native.latency_samples + lag_samples(model.info, self._speed)

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _use(self) -> Iterator[_pyvoc.Stream]:
        if not self._lock.acquire(blocking=False):
            raise Error("the stream is in use by another thread")
        try:
            yield self._native
        finally:
            self._lock.release()

    @property
    def model(self) -> Model:
        """The model."""
        return self._model

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._native.closed

    @property
    def available(self) -> int:
        """Samples that :meth:`pull` can give now."""
        with self._use() as native:
            return native.available - self._cut

    @property
    def latency_samples(self) -> int:
        """How many samples the output lags the input: the look-ahead, and what a speed costs."""
        return self._latency

    def push(self, frames: npt.ArrayLike) -> None:
        """Append frames [n, dims]; n may be 0. All of them or, with an exception, none.

        Raises
        ------
        FeatureError
            Another layout, transposed, NaN, infinite or absurd values.
        Error
            After :meth:`flush` or :meth:`close`.
        """
        with self._use() as native:
            rows = as_frames(frames, self._model.info, first=self._pushed)
            native.push(self._scale.push(rows))
            self._pushed += len(rows)

    def pull(self, limit: int | None = None) -> Float32:
        """Synthesise and return samples.

        Parameters
        ----------
        limit
            The most to return; None for all that are available.

        Returns
        -------
        float32 [n]
            Full scale is -1..1; fewer than `limit` only when frames run out.
        """
        if limit is not None and limit < 0:
            raise Error(f"cannot pull {limit} samples")
        with self._use() as native:
            left = native.available - self._cut
            return native.pull(left if limit is None else min(limit, left))

    def prime(self, samples: npt.ArrayLike, frames: npt.ArrayLike) -> None:
        """Go on where a signal ended, say at the gap that a lost packet left.

        Before the first push, or after :meth:`reset`. The samples end where a stream would stand
        that had been given those frames, :attr:`latency_samples` before the end of the last frame's
        hop. Each frame pushed then gives a hop at once, and :meth:`flush` the latency's samples
        more.

        Parameters
        ----------
        samples
            The last ones, floats in -1..1 or int16 [n], `ModelInfo.prime_samples` or more.
        frames
            The last ones [n, dims], `ModelInfo.prime_frames` or more; of more, the last count.

        Raises
        ------
        UnsupportedError
            The model cannot.
        AudioError, FeatureError
            Another shape, or absurd values.
        Error
            Too few of either, samples beyond -1..1, the stream has begun, or its speed is not 1.
        """
        info = self._model.info
        if not info.prime_samples:
            raise UnsupportedError(
                f"a {info.architecture} cannot begin in the middle of a signal: it has nothing to "
                "prime"
            )
        if self._speed != 1:
            raise Error("a stream that changes the speed cannot be primed")
        pcm, rows = as_pcm(samples), as_frames(frames, info)
        if len(pcm) < info.prime_samples or len(rows) < info.prime_frames:
            raise Error(
                f"{len(pcm)} samples and {len(rows)} frames were given; {info.architecture} needs "
                f"the last {info.prime_samples} and {info.prime_frames} to go on"
            )
        with self._use() as native:
            native.prime(pcm, rows)

    def flush(self) -> None:
        """End the input: what look-ahead held back becomes available."""
        with self._use() as native:
            if self._pushed and not self._flushed:
                native.push(self._scale.end())
                native.push(self._tail)
                self._cut = len(self._tail) * self._model.info.hop_length
            native.flush()
            self._flushed = True

    def skip(self, samples: int) -> None:
        """Leave out the next samples: they are not synthesised and take no draws; for models
        that go sample by sample. With a comb (docs/container.md) the rest of a hop that was begun
        is synthesised already.

        Raises
        ------
        UnsupportedError
            The model does not go sample by sample.
        """
        if samples < 0:
            raise Error(f"cannot leave out {samples} samples")
        with self._use() as native:
            native.skip(samples)

    def reset(self, *, seed: int | None = None) -> None:
        """Return to the state after opening, with the same seed or another; drops given draws."""
        with self._use() as native:
            self._seed = self._seed if seed is None else as_seed(seed)
            native.reset(self._seed)
            self._pushed = self._cut = 0
            self._flushed = False
            self._scale.reset()

    def set_draws(
        self, draws: npt.ArrayLike | Sequence[npt.ArrayLike], *, samples: int | None = None
    ) -> None:
        """Give draws as for :meth:`Model.synthesize`, for so many samples; None: any number.

        After their end the stream's own generator goes on. Uniforms are for the samples that
        follow (with a comb, docs/container.md, for those from the next hop on), noise is for those
        from the beginning of the stream on.
        """
        flat = as_given(draws, self._model.info, samples=samples)
        with self._use() as native:
            native.set_draws(flat)

    def close(self) -> None:
        """Free the stream's memory; every later call but this one is refused."""
        with self._use() as native:
            native.close()


def pull_together(streams: Sequence[Stream], limit: int) -> list[Float32]:
    """Synthesise for several streams of one model in lockstep, so that they share the weights.

    Parameters
    ----------
    streams
        Different ones.
    limit
        The most samples for each.

    Returns
    -------
    list of float32 [n]
        For each what its :meth:`Stream.pull` would give.

    Raises
    ------
    Error
        One is closed, or in use.
    """
    with ExitStack() as held:
        natives = [held.enter_context(stream._use()) for stream in streams]
        left = [native.available - s._cut for native, s in zip(natives, streams, strict=True)]
        pieces = _pyvoc.pull_lockstep(natives, limit)
        return [piece[: max(0, most)] for piece, most in zip(pieces, left, strict=True)]
