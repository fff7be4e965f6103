"""Kills and failures at every operation on files of what fills a folder: training, many utterances.

As `inject.py`, which `make soak` runs too. Checked of every case: the next run goes on from what it
finds, nothing that was written is damaged, no temporary file stays, and in the end the folder is
what a run without a fault makes of it.

    LD_PRELOAD=SHIM folders.py SHIM FOLDER MOST [WORK ...]
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import inject  # it finds tests/python/support
import toy_task
from inject import ACTIONS, AFTER, BEFORE, NAMES, Found

from pyvoc import bulk
from pyvoc.train import TrainConfig, train
from pyvoc.train.checkpoint import Folder, parse, read_bytes
from pyvoc.train.log import read_log

STEPS = 8


def trained(folder: Path, steps: int = STEPS) -> int:
    """Some steps of a tiny network, from where the folder has got to."""
    config = TrainConfig(
        family="toy",
        data={},
        model={"noise": 0.3},
        model_dir=str(folder),
        lr=0.05,
        batch_size=4,
        threads=1,
        epochs=1,
        steps_per_epoch=STEPS,
        checkpoint_every=3,
        validate_every=4,
        keep=2,
        log_every=1,
        device="cpu",
        samples=False,
    )
    return inject.writer(lambda _: train(config, resume="auto"))(folder)


def of_training(folder: Path) -> Any:
    """What it amounts to: the weights, the loss of each step, and the model. Of older checkpoints a
    killed run may leave one more."""
    latest = Folder(folder, 2).latest()
    if latest is None:
        raise Found("there is no checkpoint")
    found = parse(read_bytes(latest), str(latest))
    weights = {name: array.tolist() for name, array in sorted(found.module.items())}
    entries = read_log(folder / "log.jsonl")
    losses = [(entry["step"], entry["loss"]) for entry in entries if entry["event"] == "step"]
    return weights, losses, (folder / "toy.gguf").read_bytes()


def half_trained(folder: Path) -> None:
    """A run that was killed after its second checkpoint."""
    pid = os.fork()
    if pid == 0:
        original = toy_task.Task.after_update

        def after_update(self: toy_task.Task, step: int) -> dict[str, float]:
            if step == 6:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(self, step)

        toy_task.Task.after_update = after_update
        trained(folder)
        os._exit(1)
    os.waitpid(pid, 0)


def spoken(folder: Path) -> int:
    """Six utterances, by one worker."""
    entries = folder.with_name(f"inputs-{folder.name}")
    entries.mkdir(exist_ok=True)
    for i in range(6):
        inject.ROWS[: 10 + i].astype("<f4").tofile(entries / f"{i}.f32")
    lines = [json.dumps({"input": f"{i}.f32", "seed": i // 3}) for i in range(6)]
    (entries / "list.jsonl").write_text("\n".join(lines))
    defaults = {"voice": str(inject.GOLDEN / "tree_sparse.f32.gguf")}

    def run(_: Path) -> None:
        report = bulk.run(entries / "list.jsonl", folder, defaults=defaults, workers=1)
        if report.failed:
            raise inject.Error(report.failed[0].error)

    return inject.writer(run)(folder)


def of_speech(folder: Path) -> Any:
    done = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    good = Counter(line["output"] for line in done if "bytes" in line)
    if set(good) != {f"{i}.wav" for i in range(6)}:
        raise Found(f"the journal has {sorted(good)}")
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix == ".wav"}


@dataclass(frozen=True)
class Work:
    """How a folder comes to be, and what it amounts to."""

    do: Callable[[Path], int]
    result: Callable[[Path], Any]
    prepare: Callable[[Path], None] = Path.mkdir


WORK = {
    "train": Work(trained, of_training),
    "resume": Work(trained, of_training, half_trained),
    "bulk": Work(spoken, of_speech),
}


def inject_folder(shim: ctypes.CDLL, folder: Path, name: str, most: int) -> Counter[str]:
    """Every case of one kind of work, or `most` of them by chance."""
    work, prepared = WORK[name], folder.with_name(f"prepared-{folder.name}")
    shutil.rmtree(prepared, ignore_errors=True)
    work.prepare(prepared)

    def fresh() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(prepared, folder)

    fresh()
    operations = inject.count(shim, folder, work.do, folder)
    expected = work.result(folder)
    cases = [(n, action) for n in range(1, operations + 1) for action in ACTIONS]
    random.Random(1).shuffle(cases)
    done: Counter[str] = Counter({f"{name}: operations": operations})
    for n, action in cases[:most]:
        fresh()
        status = inject.child(shim, folder, work.do, folder, (n, action))
        try:
            killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            if killed != (action in (BEFORE, AFTER)) or not (killed or status in (0, 3 << 8)):
                raise Found(f"wait status {status}")
            for _ in range(2):  # what is done, is done
                status = inject.child(shim, folder, work.do, folder, (0, 0))
                if status != 0:
                    raise Found(f"the next run ends with wait status {status}")
            left = [path for path in folder.rglob("*") if ".tmp-pyvoc-" in path.name]
            if left:
                raise Found(f"there is left: {left}")
            found = work.result(folder)
            if found != expected:
                raise Found("the folder is not what it should be")
        except Found as error:
            raise Found(
                f"{name}, operation {n} of {operations}, {NAMES[action]}: {error}"
            ) from None
        done[NAMES[action]] += 1
    return done


if __name__ == "__main__":
    inject.run(*sys.argv[1:], works=WORK, each=inject_folder)
