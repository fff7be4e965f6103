"""Kills and failures at every operation on files of what pyvoc writes.

Run by ``make soak`` and, shortened, by ``tests/python/files/test_faults.py``. A process with the
shim preloaded forks a child for each case, so that nothing is imported twice:

    LD_PRELOAD=SHIM inject.py SHIM FOLDER MOST [WORK ...]

At most so many cases of each kind of work. Checked of every one: what has the output's name is the
old file or the whole new one; a failure ends with exit code 3 and leaves no temporary file; what a
killed process leaves is swept by the next. The last line is a report in JSON.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "python" / "support"))

from melgan_checkpoints import state_dict, write_safetensors

from pyvoc import voices
from pyvoc.cli import main
from pyvoc.container import read_container, write_container
from pyvoc.convert.run import convert
from pyvoc.errors import Error
from pyvoc.families.lpcnet.dump import dump_test
from pyvoc.families.melgan.spec import MELGAN
from pyvoc.files import audio, features, mels
from pyvoc.files.atomic import sweep

BEFORE, AFTER = 0, -1  # the process ends
ACTIONS = (BEFORE, AFTER, errno.ENOSPC, errno.EIO, errno.EACCES)
NAMES = {BEFORE: "killed before", AFTER: "killed after", **errno.errorcode}
OLD = b"what was there before"
TOO_LONG = 120  # seconds

Work = Callable[[Path], int]


def writer(write: Callable[[Path], object]) -> Work:
    """A function as a command: 3 where it raises our error."""

    def run(out: Path) -> int:
        try:
            write(out)
        except Error:
            return 3
        return 0

    return run


def command(*arguments: str) -> Work:
    """A command line in which OUT is the output."""
    return lambda out: main([argument.replace("OUT", str(out)) for argument in arguments])


def beside(out: Path, name: str) -> Path:
    """Where an input of the work lies, whose writing is none of the operations."""
    folder = out.parent.with_name(f"inputs-{out.parent.name}")
    folder.mkdir(exist_ok=True)
    return folder / name


def dumped(out: Path) -> None:
    speech = beside(out, "speech.s16")
    speech.write_bytes((SPEECH * 32767).astype("<i2").tobytes())
    dump_test(speech, out)


def converted(out: Path) -> None:
    checkpoint = beside(out, "checkpoint.safetensors")
    arrays = {name: tensor.data for name, tensor in MODEL.tensors.items()}
    write_safetensors(checkpoint, state_dict(arrays, "descript", norm="g"))
    convert(checkpoint, out, arch="melgan", rate=16000)


GOLDEN = Path(__file__).parents[1] / "golden"
TINY = str(GOLDEN / "melgan" / "odd.f32.gguf")
DEMO = voices.demo_features()
ROWS = features.load(DEMO)[:50]
SPEECH = (np.sin(np.arange(16000) / 9.0) * 0.3).astype(np.float32)
MODEL = read_container(TINY)
MEL = np.full((9, 80), -1.0, np.float32)
WORK: dict[str, tuple[str, Work, Callable[[Path], object]]] = {
    "f32": ("o.f32", writer(lambda p: features.save(p, ROWS)), features.load),
    "npy": ("o.npy", writer(lambda p: features.save(p, ROWS)), features.load),
    "mel": ("o.npy", writer(lambda p: mels.save(p, MEL)), lambda p: mels.load(p, bands=80)),
    "wav": ("o.wav", writer(lambda p: audio.write_wav(p, SPEECH, 16000)), audio.read),
    "gguf": ("o.gguf", writer(lambda p: write_container(p, MODEL, spec=MELGAN)), read_container),
    "synth": ("o.wav", command("synth", DEMO, "-o", "OUT"), audio.read),
    "features": ("o.f32", command("features", voices.demo_speech(), "-o", "OUT"), features.load),
    "export": ("o.onnx", command("export", TINY, "--onnx", "OUT", "--force"), Path.read_bytes),
    "dump": ("o.f32", writer(dumped), features.load),
    "convert": ("o.gguf", writer(converted), read_container),
    "bin": ("o.bin", writer(lambda p: mels.save(p, MEL)), lambda p: mels.load(p, bands=80)),
}


class Found(Exception):
    """A case that did not hold."""


def child(shim: ctypes.CDLL, folder: Path, work: Work, out: Path, case: tuple[int, int]) -> int:
    """The wait status of a process that does the work, its n-th operation with an action."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            signal.alarm(TOO_LONG)
            null = os.open(os.devnull, os.O_RDWR)
            for standard in (0, 1, 2):
                os.dup2(null, standard)
            shim.pyvoc_fault(os.fsencode(folder), *case)
            code = work(out)
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def count(shim: ctypes.CDLL, folder: Path, work: Work, out: Path) -> int:
    """How many operations the work does on files below the folder."""
    shim.pyvoc_fault(os.fsencode(folder), 0, 0)
    code = work(out)
    if code != 0:
        raise Found(f"the work itself fails: exit code {code}")
    seen: int = shim.pyvoc_fault_seen()
    shim.pyvoc_fault(b"", 0, 0)
    return seen


def judge(status: int, action: int, out: Path, whole: bytes, old: bool) -> bool:
    """Raise `Found` unless the case ended as it should; whether the operation was reached, as how
    many there are may depend on how fast the machine is."""
    left = [name for name in os.listdir(out.parent) if name != out.name]
    found = out.read_bytes() if out.exists() else None
    if found not in (OLD if old else None, whole):
        raise Found(
            f"the output is neither the old file nor the new one: {len(found or b'')} bytes"
        )
    reached = status != 0
    if action in (BEFORE, AFTER) and reached:
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            raise Found(f"wait status {status}, where it was to be killed")
        sweep(out.parent, older=0.0)
        left = [name for name in os.listdir(out.parent) if name != out.name]
    elif status not in (3 << 8, 0):
        raise Found(f"wait status {status}, expected exit code 3")
    elif status == 0 and found != whole:
        raise Found("it ended well without its output")
    if left:
        raise Found(f"there is left: {left}")
    return reached or action not in (BEFORE, AFTER)


def inject(shim: ctypes.CDLL, folder: Path, name: str, most: int) -> Counter[str]:
    """Every case of one kind of work, or `most` of them by chance."""
    file, work, read = WORK[name]
    out = folder / file

    def fresh(old: bool) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if old:
            out.write_bytes(OLD)

    fresh(False)
    operations = count(shim, folder, work, out)
    read(out)
    whole = out.read_bytes()
    cases = [
        (n, action, old)
        for n in range(1, operations + 1)
        for action in ACTIONS
        for old in (False, True)
    ]
    random.Random(1).shuffle(cases)
    done: Counter[str] = Counter({f"{name}: operations": operations})
    for n, action, old in cases[:most]:
        fresh(old)
        status = child(shim, folder, work, out, (n, action))
        try:
            reached = judge(status, action, out, whole, old)
        except Found as error:
            raise Found(
                f"{name}, operation {n} of {operations}, {NAMES[action]}: {error}"
            ) from None
        done[NAMES[action] if reached else "not reached"] += 1
    return done


def run(
    library: str,
    folder: str,
    most: str,
    *names: str,
    works: Iterable[str] = WORK,
    each: Callable[[ctypes.CDLL, Path, str, int], Counter[str]] = inject,
) -> None:
    """All kinds of work, or those that are named."""
    shim, total = ctypes.CDLL(library), Counter[str]()
    for name in names or works:
        total += each(shim, Path(folder), name, int(most))
        print(name, flush=True)
    print(json.dumps(total))


if __name__ == "__main__":
    run(*sys.argv[1:])
