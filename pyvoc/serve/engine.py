"""Who synthesises: threads that take the streams that have work, several of one model in lockstep.

Clients' coroutines put frames in and take samples out; they never wait for a lock that is held
during synthesis. What a stream has waiting, on either side, is bounded by its client's coroutine
(frames) and here (samples).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyvoc.errors import Error
from pyvoc.files.pcm import to_int16
from pyvoc.runtime.model import Model
from pyvoc.runtime.stream import pull_together
from pyvoc.serve.limits import Limits

__all__ = ["Engine", "Full", "Job"]

Float32 = npt.NDArray[np.float32]

_LOCKSTEP = 16  # streams that share the weights at once
_HOPS = 8  # of each stream in a turn: others wait that long


class Full(Exception):
    """There are as many streams as there may be."""


class Job:
    """One stream. The methods belong to the event loop's thread.

    Attributes
    ----------
    queued
        Frames that wait, here or in the stream.
    samples
        Given to the client's coroutine so far.
    """

    def __init__(self, engine: Engine, model: Model, *, seed: int, speed: float) -> None:
        self.stream = model.stream(seed=seed, speed=speed)
        self.queued = self.samples = 0
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        # Shared with the engine's threads, under its lock.
        self.inbox: deque[Float32] = deque()
        self.outbox: deque[bytes] = deque()
        self.unsent = 0
        self.ended = self.flushed = self.busy = self.closed = self.waiting = False
        self.error: Error | None = None

    def push(self, rows: Float32) -> None:
        """Hand over frames, checked by :func:`pyvoc.runtime.inputs.as_frames`."""
        with self._engine.lock:
            self.inbox.append(rows)
            self.queued += len(rows)
            self._engine.offer(self)

    def end(self) -> None:
        """No more frames come."""
        with self._engine.lock:
            self.ended = True
            self._engine.offer(self)

    async def room(self, frames: int) -> None:
        """Wait until fewer than so many frames wait."""
        while self.queued >= frames and not self.closed and self.error is None:
            self._changed.clear()
            await self._changed.wait()

    async def pull(self) -> bytes | None:
        """The next samples, 16-bit little-endian; None at the end.

        Raises
        ------
        Error
            What synthesis raised.
        """
        while True:
            with self._engine.lock:
                if self.outbox:
                    piece = b"".join(self.outbox)
                    self.outbox.clear()
                    self.samples += len(piece) // 2
                    self.unsent = 0
                    self._engine.offer(self)
                    return piece
                if self.error is not None:
                    raise self.error
                if self.flushed and not self.busy and not self.waiting:
                    return None
                self._changed.clear()
            await self._changed.wait()

    def close(self) -> None:
        """Give up what is left; the engine frees the stream when no thread has it."""
        with self._engine.lock:
            if not self.closed:
                self.closed = True
                self._engine.leave(self)
        self._changed.set()

    def tell(self) -> None:
        """Wake the coroutine; called by the engine's threads."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._changed.set)


def _told(error: Exception) -> Error:
    """What a client hears; the thread goes on to other clients, whatever it was."""
    return error if isinstance(error, Error) else Error(f"it failed: {type(error).__name__}")


class Engine:
    """Threads that synthesise.

    Parameters
    ----------
    limits
        Bounds.
    threads
        How many.

    Attributes
    ----------
    lock
        Of all that jobs share with threads.
    open, opened, refused, failed, frames, samples, turns, turned
        Streams open now; streams, refusals, failures, frames, samples so far; turns of the threads,
        and the streams in them.
    """

    def __init__(self, limits: Limits, *, threads: int) -> None:
        self.limits = limits
        self.lock = threading.Lock()
        self.open = self.opened = self.refused = self.failed = 0
        self.frames = self.samples = self.turns = self.turned = 0
        self._work = threading.Condition(self.lock)
        self._ready: deque[Job] = deque()
        self._stopped = False
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def full(self, coming: int = 0) -> bool:
        """Whether another stream would be refused, beside so many whose utterances are being read;
        counts it as a refusal then."""
        with self.lock:
            found = self.open + coming >= self.limits.streams
            self.refused += found
            return found

    def join(self, model: Model, *, seed: int, speed: float) -> Job:
        """Open a stream.

        Raises
        ------
        Full
            There are too many.
        Error
            As :class:`pyvoc.Stream`.
        """
        with self.lock:
            if self.open >= self.limits.streams:
                self.refused += 1
                raise Full
            self.open += 1
            self.opened += 1
        try:
            return Job(self, model, seed=seed, speed=speed)
        except BaseException:
            with self.lock:
                self.open -= 1
            raise

    def offer(self, job: Job) -> None:
        """Put a job in line where it has work and is not there; under the lock."""
        if job.busy or job.waiting or job.closed or job.error is not None:
            return
        rate = job.stream.model.info.sample_rate
        if job.unsent > self.limits.unsent_seconds * rate:
            return
        if job.inbox or (job.ended and not job.flushed) or job.stream.available > 0:
            job.waiting = True
            self._ready.append(job)
            self._work.notify()

    def leave(self, job: Job) -> None:
        """A client has gone; under the lock."""
        self.open -= 1
        if not job.busy:
            job.stream.close()

    def stop(self) -> None:
        """End the threads."""
        with self.lock:
            self._stopped = True
            self._work.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while True:
            with self.lock:
                while not self._ready and not self._stopped:
                    self._work.wait()
                if self._stopped:
                    return
                jobs = self._take()
            pieces = self._synthesize(jobs)
            with self.lock:
                self.turns += bool(jobs)
                self.turned += len(jobs)
                for job, piece in zip(jobs, pieces, strict=True):
                    self._put_back(job, piece)

    def _take(self) -> list[Job]:
        """The first in line and others of its model; under the lock."""
        jobs: list[Job] = []
        others: list[Job] = []
        while self._ready and len(jobs) < _LOCKSTEP:
            job = self._ready.popleft()
            if job.closed:
                job.waiting = False
            elif jobs and job.stream.model is not jobs[0].stream.model:
                others.append(job)
            else:
                job.waiting, job.busy = False, True
                jobs.append(job)
        self._ready.extendleft(reversed(others))
        if self._ready:
            self._work.notify()
        return jobs

    def _synthesize(self, jobs: Sequence[Job]) -> list[Float32]:
        nothing = np.zeros(0, np.float32)
        able: list[Job] = []
        for job in jobs:
            try:
                with self.lock:
                    rows, ended = list(job.inbox), job.ended
                    job.inbox.clear()
                    self.frames += sum(map(len, rows))
                for array in rows:
                    job.stream.push(array)
                if ended and not job.flushed:
                    job.stream.flush()
                    job.flushed = True
                able.append(job)
            except Exception as error:
                job.error = _told(error)
        try:
            streams = [job.stream for job in able]
            limit = _HOPS * streams[0].model.info.hop_length if streams else 0
            made = pull_together(streams, limit) if streams else []
        except Exception as error:
            made = [nothing] * len(able)
            for job in able:
                job.error = _told(error)
        found = {id(job): piece for job, piece in zip(able, made, strict=True)}
        return [found.get(id(job), nothing) for job in jobs]

    def _put_back(self, job: Job, piece: Float32) -> None:
        """Give a job its samples; under the lock."""
        job.busy = False
        if job.closed:
            job.stream.close()
            return
        hop = job.stream.model.info.hop_length
        job.queued = sum(map(len, job.inbox)) + job.stream.available // hop
        self.failed += job.error is not None
        self.samples += len(piece)
        if len(piece):
            job.outbox.append(to_int16(piece).astype("<i2").tobytes())
            job.unsent += len(piece)
        self.offer(job)
        job.tell()
