"""examples/c/microphone.c on ALSA's file devices: what is heard is the voice, when it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

pyvoc = pytest.importorskip("pyvoc")
ROOT = Path(__file__).resolve().parents[3]
VOICE = ROOT / "pyvoc/voices/default.gguf"
STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
DEVICES = """
pcm.null { type null }
pcm.mic { type file slave.pcm null file "/dev/null" infile "in.raw" format raw }
pcm.speaker { type file slave.pcm null file "out.raw" format raw }
"""


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = Path(os.environ.get("PYVOC_NATIVE_BUILD", "")) / "csrc/libpyvoc.a"
    if not library.is_file() or shutil.which("cc") is None:
        pytest.skip("needs a C compiler and PYVOC_NATIVE_BUILD, a finished build of the library")
    if not Path("/usr/include/alsa/asoundlib.h").is_file():
        pytest.skip("needs ALSA's headers (libasound2-dev)")
    program = tmp_path_factory.mktemp("microphone") / "microphone"
    libraries = [library, "-lasound", "-lstdc++", "-lm", "-lpthread", "-ldl"]
    source = ["-I", ROOT / "csrc/include", ROOT / "examples/c/microphone.c"]
    run = subprocess.run(
        ["cc", *STRICT, *source, *libraries, "-o", program], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    (program.parent / "asound.conf").write_text(DEVICES)
    return program


def run(program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    folder = program.parent
    return subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env={**os.environ, "ALSA_CONFIG_PATH": str(folder / "asound.conf")},
    )


def test_what_is_heard_is_the_voice(microphone: Path) -> None:
    words = pyvoc.features.read_pcm(pyvoc.voices.demo_speech())[:16000]
    words.astype("<i2").tofile(microphone.parent / "in.raw")
    done = run(microphone, VOICE, "mic", "speaker", "--rate", "16000", "--seconds", "1")
    assert done.returncode == 0, done.stderr
    said = re.search(r"16000 Hz, ([\d.]+) ms in the voice", done.stdout)
    assert said and "1.0 s heard" in done.stdout and "dry 0 times" in done.stdout
    heard = np.fromfile(microphone.parent / "out.raw", "<i2").astype(int)
    model = pyvoc.load(str(VOICE))
    whole = model.synthesize(pyvoc.features.extract(words, model=model), seed=0)
    # To a tenth of a millisecond, which is less than two samples.
    begins = int(np.flatnonzero(heard)[0])
    assert abs(begins - 16 * float(said[1])) < 2
    voice = heard[begins:]
    expected = np.round(32767 * whole[np.flatnonzero(whole)[0] :]).astype(int)
    # The end is another's: there the whole file's features end, and the device's file begins anew.
    assert np.abs(voice[:15000] - expected[:15000]).max() <= 1


def test_what_it_refuses(microphone: Path) -> None:
    for wrong in ([], ["a.gguf", "--rate"], ["a.gguf", "--rate", "12x"], ["a", "b", "c", "d"]):
        assert run(microphone, *wrong).returncode == 2
    nothing = run(microphone, "nothing.gguf", "mic", "speaker")
    assert nothing.returncode == 1 and "nothing.gguf" in nothing.stderr
    device = run(microphone, VOICE, "no such device", "speaker")
    assert device.returncode == 1 and "no such device" in device.stderr
