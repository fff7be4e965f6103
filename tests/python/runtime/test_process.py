"""The process around a stream: leaving while threads synthesise, and forking with open streams."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from voices import FARGAN, MELGAN, TREE, WAVERNN, features_for, voice

LEAVE = """
import sys, threading, time
import numpy as np
import pyvoc
model = pyvoc.load(sys.argv[1], threads=int(sys.argv[2]))
rows = np.load(sys.argv[3])
speech = np.zeros(16000, np.float32)
busy = threading.Semaphore(0)
def synthesise():
    while True:
        with model.stream() as stream:
            stream.push(rows)
            busy.release()
            stream.pull(10**6)
def extract():
    while True:
        pyvoc.features.extract(speech, model=model)
for work in (synthesise, synthesise, synthesise, extract):
    threading.Thread(target=work, daemon=True).start()
for _ in range(4):
    busy.acquire()
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("path", "threads"), [(TREE, 1), (FARGAN[0], 1), (MELGAN[0], 2), (WAVERNN[0], 1)]
)
def test_leaving_while_daemon_threads_synthesise_is_quiet(
    path: Path, threads: int, tmp_path: Path
) -> None:
    np.save(tmp_path / "rows.npy", features_for(voice(path), 300, seed=1))
    done = run(LEAVE, str(path), str(threads), str(tmp_path / "rows.npy"))
    assert (done.returncode, done.stderr) == (0, "")


FORK = """
import os, sys
import numpy as np
import pyvoc
model = pyvoc.load(sys.argv[1], threads=int(sys.argv[2]))
rows = np.load(sys.argv[3])
stream = model.stream(seed=3)
stream.push(rows)
first = stream.pull(100)
child = os.fork()
if child == 0:
    model.synthesize(rows, seed=3)  # with threads of its own
    try:
        first = np.concatenate([first, stream.pull(100)])
        said = "went on"
    except pyvoc.Error as error:
        said = str(error)
    stream.close()
    print(said, flush=True)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
again = np.concatenate([first, stream.pull(10**6)])
assert (again == model.synthesize(rows, seed=3)[: len(again)]).all()
stream.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize(
    ("threads", "said"),
    [(3, "the stream's threads belong to the process that forked"), (1, "went on")],
)
def test_a_child_of_a_fork_closes_the_stream_that_it_inherits(
    threads: int, said: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "rows.npy", features_for(voice(MELGAN[0]), 20, seed=1))
    done = run(FORK, str(MELGAN[0]), str(threads), str(tmp_path / "rows.npy"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(said)
