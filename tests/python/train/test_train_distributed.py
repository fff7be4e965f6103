"""Processes that train together, and how they part."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TWO = """
import torch
from pyvoc.train.distributed import Ranks

def threads():
    root = "/proc/self/task/"
    return sum(open(f"{root}{t}/comm").read().startswith("pt_gloo") for t in os.listdir(root))

import os
with Ranks(torch.device("cpu")) as ranks:
    assert ranks.sum([ranks.rank + 1.0]) == [3.0]
    import torch._dynamo  # as optimizers do, on the way
    during = threads()
print("threads", during, threads(), flush=True)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_the_groups_threads_end_with_it(tmp_path: Path) -> None:
    """They aborted processes that ended, now and then: a tensor was given back too late."""
    script = tmp_path / "two.py"
    script.write_text(TWO)
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", str(script)]
    done = subprocess.run(
        [sys.executable, *launch],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("threads")]
    assert len(lines) == 2
    for _, during, after in lines:
        assert int(during) > 0 and int(after) == 0
