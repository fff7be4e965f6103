"""A manifest spoken: who is done already, who speaks what, and what became of it."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyvoc import voices
from pyvoc.bulk.journal import NAME, Journal
from pyvoc.bulk.manifest import Item, read
from pyvoc.bulk.processes import Died, Process
from pyvoc.errors import Error
from pyvoc.files.atomic import atomic_open
from pyvoc.files.digest import sha256
from pyvoc.files.lock import LOCK, locked
from pyvoc.files.outputs import check_outputs, create_folder
from pyvoc.runtime.cores import allowed
from pyvoc.voices.choice import choose

__all__ = ["REPORT", "Failed", "Report", "run"]

REPORT = "report.json"
"""Of the file in the folder of outputs that says what became of the last run."""

_GROUP = 16
"""Utterances that a worker is given at once: as many as go in lockstep."""
_TRIES = 2
"""How often an utterance that was alone with its worker may end it."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Failed:
    """An utterance that was left out.

    Attributes
    ----------
    line
        Of the manifest.
    input, output
        As the manifest has them.
    error
        The sentence that says why.
    """

    line: int
    input: str
    output: str
    error: str


@dataclass(frozen=True)
class Report:
    """What a run did.

    Attributes
    ----------
    manifest, folder
        What was read, and where outputs are.
    utterances, done, done_before
        In the manifest; of these, spoken by this run, and by earlier ones.
    failed
        What was left out, in the manifest's order. The next run tries again.
    warnings
        Sentences about inputs that may not be what was meant; the first hundred.
    workers
        Processes.
    audio_seconds, wall_seconds, times_real_time
        Of sound that this run made, of its time, and one divided by the other.
    """

    manifest: str
    folder: str
    utterances: int
    done: int
    done_before: int
    failed: tuple[Failed, ...]
    warnings: tuple[str, ...]
    workers: int
    audio_seconds: float
    wall_seconds: float
    times_real_time: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def run(
    manifest: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    defaults: Mapping[str, Any] | None = None,
    precision: str = "auto",
    workers: int | None = None,
    strict: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Report:
    """Speak a manifest into a folder, where earlier runs have not; ``pyvoc synth --manifest``.

    What cannot be spoken is left out, noted in the folder's journal with the reason, and tried
    again by the next run. An utterance is done again where its input, its settings or its model
    have changed, or its output is gone.

    Parameters
    ----------
    manifest, defaults
        As for :func:`pyvoc.bulk.manifest.read`. Without a ``voice``, what names none is spoken by
        the bundled voice that reads it (:func:`pyvoc.voices.choice.choose`).
    folder
        Of the outputs; made where it is not there.
    precision
        As for :func:`pyvoc.load`.
    workers
        Processes; None for one per core.
    strict
        Nothing doubtful is spoken.
    progress
        Called with the utterances done and to do in this run.
    say
        Called with a sentence for each utterance that is left out, at once.

    Raises
    ------
    Error
        The manifest is none, nothing can be written, an output would overwrite an input, another
        run holds the folder, or workers do not start. What was done until then stays done.
    """
    started = time.monotonic()
    source, target = Path(manifest), Path(folder)
    workers = len(allowed()) if workers is None else workers
    if not 1 <= workers <= 1024:
        raise Error(f"{workers} workers, expected 1 to 1024")
    items = read(source, defaults or {})
    own = [target / name for name in (NAME, REPORT, LOCK)]
    outputs = [target / item.output for item in items]
    models = _models(items, layout=(defaults or {}).get("layout"))
    check_outputs(outputs, inputs=[source, *own, *models.values(), *(i.input for i in items)])
    create_folder(target)
    with locked(target, doing="speaking", option="--output"), Journal(target) as journal:
        work = _Work(target, journal, items, models, progress=progress, say=say)
        job = {"precision": precision, "strict": strict}
        _together(work, job, min(workers, len(work.pending)))
        wall = time.monotonic() - started
        report = Report(
            manifest=str(source),
            folder=str(target),
            utterances=len(items),
            done=work.done,
            done_before=work.before,
            failed=tuple(sorted(work.failed, key=lambda failed: failed.line)),
            warnings=tuple(work.warnings),
            workers=workers,
            audio_seconds=round(work.seconds, 4),
            wall_seconds=round(wall, 4),
            times_real_time=round(work.seconds / wall, 2) if wall else 0.0,
        )
        with atomic_open(target / REPORT) as file:
            file.write(json.dumps(report.as_dict(), indent=1).encode() + b"\n")
    return report


def _models(items: Sequence[Item], *, layout: str | None) -> dict[str | None, str]:
    """The model file of what items name; under None, of those that name nothing."""
    found: dict[str | None, str] = {i.model: i.model for i in items if i.model is not None}
    unnamed = [item.input for item in items if item.model is None]
    if unnamed:
        found[None] = voices.resolve(choose(unnamed, layout=layout))
    return found


@dataclass(frozen=True)
class _Task:
    """An utterance that waits."""

    item: Item
    model: str
    identity: str
    size: int

    @property
    def kind(self) -> str:
        """What utterances of one group have in common."""
        return json.dumps([self.model, dict(self.item.settings)], sort_keys=True)


class _Work:
    """What there is to do, and what was done; threads share it."""

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        items: Sequence[Item],
        models: Mapping[str | None, str],
        *,
        progress: Progress | None,
        say: Callable[[str], None] | None,
    ) -> None:
        self._folder, self._journal = folder, journal
        self._progress, self._say = progress, say
        self._lock = threading.Lock()
        self.failed: list[Failed] = []
        self.warnings: list[str] = []
        self.done = self.before = 0
        self.seconds = 0.0
        digests = {path: sha256(path) for path in set(models.values())}
        found: list[tuple[str, _Task]] = []
        for item in items:
            model = models[item.model]
            try:
                there = os.stat(item.input)
            except OSError as error:
                self._fail(item, "", f"cannot read '{item.input}': {error.strerror}")
                continue
            if not stat.S_ISREG(there.st_mode):  # a pipe could be read once, or never end
                self._fail(item, "", f"cannot read '{item.input}': it is no ordinary file")
                continue
            identity = item.identity(digests[model], there)
            if journal.has(item.output, identity, folder / item.output):
                self.before += 1
            else:
                task = _Task(item, model, identity, there.st_size)
                found.append((task.kind, task))
        # Of one kind together, and of like length, so that they end together in lockstep; the
        # longest first, so that workers end together.
        found.sort(key=lambda pair: (pair[0], -pair[1].size))
        self.pending = deque(found)
        self._alone: deque[tuple[_Task, int]] = deque()
        self._total = len(found)
        self._ended = 0

    def take(self, workers: int) -> tuple[list[_Task], int]:
        """The next group, empty when there is none, and how often it has ended a worker."""
        with self._lock:
            if self._alone:
                task, tries = self._alone.popleft()
                return [task], tries
            most = min(_GROUP, -(-len(self.pending) // (2 * workers)))  # smaller towards the end
            kind = self.pending[0][0] if self.pending else ""
            group: list[_Task] = []
            while self.pending and len(group) < most and self.pending[0][0] == kind:
                group.append(self.pending.popleft()[1])
            return group, 0

    def again(self, group: Sequence[_Task], tries: int, why: str) -> None:
        """A worker ended over a group: each of it is tried alone, which finds the one to blame."""
        with self._lock:
            if len(group) == 1 and tries + 1 >= _TRIES:
                task = group[0]
                self._fail(task.item, task.identity, f"its worker died over it: {why}")
                self._move(1)
            else:
                tries = tries + 1 if len(group) == 1 else 0
                self._alone.extend((task, tries) for task in group)

    def finish(self, group: Sequence[_Task], reply: Mapping[str, Any]) -> None:
        """Note what became of a group."""
        with self._lock:
            records = []
            for task, result in zip(group, reply["results"], strict=True):
                if "error" in result:
                    self._fail(task.item, task.identity, result["error"])
                else:
                    self.done += 1
                    records.append({"output": task.item.output, "of": task.identity, **result})
            self._journal.add(records)
            self.seconds += reply["audio_seconds"]
            self.warnings += reply["warnings"][: 100 - len(self.warnings)]
            self._move(len(group))

    def outputs(self, group: Sequence[_Task]) -> list[tuple[str, str]]:
        """Input and output of each."""
        return [(task.item.input, str(self._folder / task.item.output)) for task in group]

    def _fail(self, item: Item, identity: str, error: str) -> None:
        self.failed.append(Failed(item.line, item.named, item.output, error))
        self._journal.add([{"output": item.output, "of": identity, "error": error}])
        if self._say is not None:
            self._say(f"line {item.line}: {error}")

    def _move(self, count: int) -> None:
        self._ended += count
        if self._progress is not None:
            self._progress(self._ended, self._total)


def _together(work: _Work, job: Mapping[str, Any], workers: int) -> None:
    """Do all work with so many processes; each has a thread here that waits for it."""
    stopped = threading.Event()
    errors: list[BaseException] = []
    running: dict[int, Process] = {}

    def serve(number: int) -> None:
        try:
            while not stopped.is_set():
                group, tries = work.take(workers)
                if not group:
                    return
                if number not in running:
                    running[number] = Process()
                    if stopped.is_set():
                        return
                request = {
                    **job,
                    "model": group[0].model,
                    "settings": dict(group[0].item.settings),
                    "pairs": work.outputs(group),
                }
                try:
                    reply = running[number].ask(request)
                except Died as error:
                    running.pop(number).close()
                    if not stopped.is_set():
                        work.again(group, tries, str(error))
                    continue
                work.finish(group, reply)
        except BaseException as error:
            errors.append(error)
            stopped.set()

    threads = [threading.Thread(target=serve, args=(i,), daemon=True) for i in range(workers)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive() and not stopped.is_set():
                thread.join(0.2)
    finally:
        if any(thread.is_alive() for thread in threads):
            stopped.set()
            for process in list(running.values()):
                process.kill()
        for thread in threads:
            thread.join()
        for process in running.values():
            with contextlib.suppress(OSError):
                process.close()
    if errors:
        raise errors[0]
