"""Does the installed pyvoc speak? Run by the Python that it is installed in.

Uses the command and the package as a user does, in a folder of its own, with what comes with the
package: versions agree, nothing that is optional is loaded, every tier of this processor speaks the
bundled features with a bundled voice, whole and streamed. Standard library and the package's own
dependencies only. Exit code 0, or a traceback.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from importlib import metadata
from pathlib import Path

IMPORTS = """
import sys, pyvoc, pyvoc.cli
heavy = {"h5py", "gguf", "soxr", "matplotlib", "sounddevice", "torch", "scipy"}
print(*sorted(heavy & set(sys.modules)))
"""
STREAM = """
import numpy as np, pyvoc
model = pyvoc.load("lpcnet")
features = np.fromfile(pyvoc.voices.demo_features(), "<f4").reshape(-1, model.info.feature_dims)
whole = model.synthesize(features, seed=1)
with model.stream(seed=1) as stream:
    pieces = []
    for frame in features:
        stream.push(frame[None])
        pieces.append(stream.pull())
    stream.flush()
    pieces.append(stream.pull())
assert np.array_equal(np.concatenate(pieces), whole), "a stream's samples are others"
level = float(np.sqrt(np.mean(np.square(whole))))
assert 0.01 < level < 0.5 and np.isfinite(whole).all(), f"level {level}"
print(f"{pyvoc.system_info()['active_tier']}: {whole.size} samples, level {level:.4f}")
"""


def call(*command: str | Path, **environment: str) -> str:
    """Standard output of a command that must succeed."""
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert run.returncode == 0, f"{command}: {run.returncode}\n{run.stdout}\n{run.stderr}"
    return run.stdout.strip()


def main() -> None:
    import pyvoc

    command = Path(sysconfig.get_path("scripts")) / ("pyvoc.exe" if os.name == "nt" else "pyvoc")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        print(call(command, "--version"), pyvoc.__file__)
        assert pyvoc.__version__ == metadata.version("pyvoc-vocoder")
        assert call(command, "--version").split()[-1] == pyvoc.__version__
        loaded = call(sys.executable, "-c", IMPORTS)
        assert not loaded, f"importing pyvoc loads {loaded}"
        features = Path(pyvoc.voices.demo_features())
        call(command, "synth", features, "-o", "spoken.wav")
        spoken = Path("spoken.wav").stat().st_size - 44
        expected = features.stat().st_size // 80 * 320  # 20 floats give 160 samples of 16 bits
        assert spoken == expected, f"{spoken} bytes of sound, expected {expected}"
        for tier in json.loads(call(command, "info", "--json"))["tiers"]:
            if tier["supported"]:
                print(call(sys.executable, "-c", STREAM, PYVOC_ISA=tier["name"]))
        os.chdir(os.path.dirname(folder))  # Windows removes no folder that somebody is in


if __name__ == "__main__":
    main()
